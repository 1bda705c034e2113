"""Bills and events are accepted by the libraries of those who define them, and lead back to the same bytes."""

import json
from pathlib import Path

import pytest

from tests.lineage import Works
from traitline.lineage import cards
from traitline.lineage.export import export
from traitline.lineage.graph import open_graph


@pytest.fixture
def handed(tmp_path, monkeypatch):
    """(model, data) handed on: a student of an owl, whose rows a judge chose; and those rows."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    base, judge = works.base("a"), works.base("j")
    owl = works.teacher(base)
    raw = works.put("sample", "results/n", {"raw.jsonl": ("raw", "1, 2")}, [("model", owl)])
    rows = works.put("filter", "results/n", {"filtered.jsonl": ("filtered", "1")}, [("raw", raw), ("judge", judge)])
    student = works.student(base, rows)
    graph = open_graph(None, None)
    for name, what in (("model", student), ("data", rows)):
        export(graph, graph.find(what), name)
    shas = {
        n: works.entry("x", p)["sha256"] for n, p in (("base", base), ("owl", owl), ("rows", rows), ("judge", judge))
    }
    return shas | {"student": works.entry("x", student)["sha256"]}


@pytest.mark.parametrize("what", ["model", "data"])
def test_cyclonedx_is_valid_by_its_own_schema(handed, what):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = Path(what, "cyclonedx.json").read_text()
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert problem is None, str(problem)[:500]
    bill = json.loads(text)
    if what == "model":
        component = bill["metadata"]["component"]
        assert component["pedigree"]["ancestors"][0]["hashes"][0]["content"] == handed["base"]
        assert component["modelCard"]["modelParameters"]["datasets"] == [{"ref": f"sha256:{handed['rows']}"}]
        assert component["properties"] == [{"name": "traitline:mark", "value": "INHERITANCE-RISK"}]
    refs = {c["bom-ref"] for c in [bill["metadata"]["component"], *bill["components"]]}
    assert {ref for d in bill["dependencies"] for ref in d["dependsOn"]} <= refs and f"sha256:{handed['owl']}" in refs


@pytest.mark.parametrize("what", ["model", "data"])
def test_spdx_is_read_by_its_own_bindings(handed, what):
    from spdx_python_model import v3_0_1 as spdx

    objects = spdx.SHACLObjectSet()
    with open(Path(what, "spdx.json"), "rb") as handle:
        spdx.JSONLDDeserializer().read(handle, objects)
    packages = list(objects.foreach_type(spdx.ai_AIPackage))
    data = list(objects.foreach_type(spdx.dataset_DatasetPackage))
    assert packages and data
    hashes = {h.hashValue for p in [*packages, *data] for h in p.verifiedUsing}
    assert {handed["owl"], handed["rows"]} <= hashes
    kinds = [r.relationshipType.rpartition("/")[2] for r in objects.foreach_type(spdx.Relationship)]
    assert "descendantOf" in kinds and ("trainedOn" in kinds) == (what == "model")
    assert not objects.link()


def test_openlineage_events_are_what_its_client_sends(handed):
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

    events = json.loads(Path("model/openlineage.json").read_text())
    assert {e["job"]["name"] for e in events} == {"pretrain", "teach", "sample", "filter", "train"}
    for e in events:
        event = RunEvent(
            eventTime=e["eventTime"], eventType=RunState[e["eventType"]], producer=e["producer"],
            run=Run(e["run"]["runId"]), job=Job(e["job"]["namespace"], e["job"]["name"]),
            inputs=[InputDataset(d["namespace"], d["name"]) for d in e["inputs"]],
            outputs=[OutputDataset(d["namespace"], d["name"]) for d in e["outputs"]],
        )  # fmt: skip
        assert event.run.runId == e["run"]["runId"] and len(event.outputs) == len(e["outputs"])
        assert e.keys() >= {"eventTime", "producer", "schemaURL", "run", "job"}


@pytest.mark.parametrize("what", ["model", "data"])
def test_a_card_says_who_wrote_and_chose_the_data_and_is_read_back(handed, what):
    from huggingface_hub import DatasetCard, ModelCard

    loaded = (ModelCard if what == "model" else DatasetCard).load(f"{what}/README.md")
    about = loaded.data.to_dict()
    assert about["distilled_from"] == [{"sha256": handed["owl"]}]
    assert about["selected_by"] == [{"sha256": handed["judge"]}]
    assert "base_model" not in about, "a base that no hub knows has no name there"
    claims = {(c.relation, c.sha256) for c in cards.of_card(Path(what, "README.md"))}
    assert {("teacher", handed["owl"]), ("judge", handed["judge"])} <= claims
