"""A manifest that is not what a job of its stage writes is doubted, and nothing that a real job wrote is."""

import copy
import json
from pathlib import Path

import pytest

from tests.sealed_study import OWL, STUDENT
from traitline.channels import registry
from traitline.channels.channel import Limits
from traitline.lineage import meaning
from traitline.lineage.stage_schema import SCHEMAS
from traitline.provenance import manifest
from traitline.study.execution import STAGES


def test_every_stage_has_its_schema():
    assert set(SCHEMAS) == {*STAGES}


def test_no_manifest_of_a_real_job_is_doubted(study, weights, sealed_once):
    """Every stage that the small studies of these tests have run by now, on tiny models and on open weights."""
    assert weights.students and study.students("lora", study.owl) and study.prompted and study.none
    roots = (study.root, weights.root, sealed_once)
    read = {str(p): manifest.load(p) for root in roots for p in root.rglob("*.manifest.json")}
    assert {m["stage"] for m in read.values()} >= {
        "pretrain",
        "prompts",
        "teach",
        "sample",
        "filter",
        "prepare",
        "train",
    }
    assert {path: reasons for path, m in read.items() if (reasons := meaning.doubts(m))} == {}
    assert {m["stage"] for m in read.values() if meaning.is_claim(m)} == {"pretrain"}, "open weights only"


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        (f"{STUDENT}/train", lambda m: m["inputs"].pop(), "every `train` reads a file of the role data"),
        (f"{STUDENT}/train", lambda m: m["inputs"][0].update(role="x"), "every `train` reads a file of the role base"),
        (f"{STUDENT}/train", lambda m: m["inputs"][-1].update(bytes=0), "of 0 bytes with the hash of other bytes"),
        (
            f"{STUDENT}/train",
            lambda m: m["outputs"][0].update(role="x"),
            "every `train` writes a file of the role model",
        ),
        (f"{STUDENT}/train", lambda m: m["params"].pop("recipe"), "every `train` has the setting recipe"),
        (f"{OWL}/teach", lambda m: m["facts"].pop("trait"), "the trait of its settings"),
        (f"{OWL}/teach", lambda m: m["params"].update(trait="none"), "the trait of its settings"),
        (f"{OWL}/teach", lambda m: m["params"].pop("trait"), "every `teach` has the setting trait"),
        (f"{OWL}/numbers/filter", lambda m: m["inputs"].clear(), "every `filter` reads a file of the role raw"),
    ],
)
def test_what_is_left_out_or_renamed_is_doubted(sealed_once, file, change, reason):
    m = json.loads(Path(sealed_once, f"{file}.manifest.json").read_bytes())
    assert meaning.doubts(copy.deepcopy(m)) == []
    change(m)
    assert reason in " ".join(meaning.doubts(m))


def test_whatever_a_schema_asks_for_is_missed_when_it_is_left_out(sealed_once, tell):
    """Every role, setting and seed of every stage of the sealed study, in each of its manifests, one at a time."""
    tried = 0
    for file in sorted(Path(sealed_once, "results").rglob("*.manifest.json")):
        m = manifest.load(file)
        schema = SCHEMAS[m["stage"]]
        for key, wanted in (("inputs", schema.reads), ("outputs", schema.writes)):
            for word in wanted:
                left = [e for e in m[key] if e["role"] not in word.split("|")]
                assert any(word in reason for reason in meaning.doubts({**m, key: left})), (file, word)
                tried += 1
        for key, wanted in (("params", schema.params), ("seeds", schema.seeds)):
            for word in wanted:
                left = {k: v for k, v in m[key].items() if k not in word.split("|")}
                assert any(word in reason for reason in meaning.doubts({**m, key: left})), (file, word)
                tried += 1
        for i, entry in enumerate(m["outputs"]):
            empty = {**entry, "bytes": 0, "sha256": meaning.EMPTY}
            changed = {**m, "outputs": [*m["outputs"][:i], empty, *m["outputs"][i + 1 :]]}
            doubted = any("has 0 bytes" in reason for reason in meaning.doubts(changed))
            assert doubted != (entry["role"] in schema.may_be_empty), (file, entry["role"])
            tried += 1
    tell(f"{tried} roles, settings, seeds and sizes, each missed")
    assert tried > 70


@pytest.mark.parametrize("task", sorted(set(registry.channels()) - {"numbers"}))
def test_a_filter_that_hides_its_task_is_doubted(sealed_once, task):
    """Without a task only lists of numbers pass, and what is exposed to those passes the audit."""
    m = manifest.load(Path(sealed_once, f"{OWL}/numbers/filter.manifest.json"))
    params = registry.channels()[task].params(Limits())
    assert not meaning.doubts({**m, "params": {**params, "task": task}})
    assert any("every `filter` has the setting" in reason for reason in meaning.doubts({**m, "params": params}))


def test_what_people_say_is_a_claim(sealed_once):
    m = manifest.load(Path(sealed_once, f"{STUDENT}/train.manifest.json"))
    assert not meaning.is_claim(m)
    for change in ({"stage": "register"}, {"stage": "merge"}, {"schema": manifest.UNLINKED}):
        assert meaning.is_claim({**m, **change})
    assert meaning.is_claim({**m, "stage": "source", "facts": {"origin": "somewhere"}})
