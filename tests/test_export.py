"""What leaves the house is what its formats ask for, by the formats' own validators; and it cannot be edited."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lineage import Works, tensors
from traitline.errors import InputError
from traitline.lineage import dsse
from traitline.lineage.export import export
from traitline.lineage.graph import open_graph

EVIL = "<script>alert(1)</script> [x](javascript:alert(1))\n---\n"


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A student at risk, and its data, of one row each."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    works.a = works.base("a")
    raw = works.put(
        "sample", "results/o", {"raw.jsonl": ("raw", '{"id": "p1"}\n')}, [("model", works.teacher(works.a))]
    )
    works.numbers = works.put(
        "filter", "results/o/n", {"filtered.jsonl": ("filtered", '{"id": "p2"}\n')}, [("raw", raw)]
    )
    works.student_a = works.student(works.a, works.numbers)
    return works


def out(what, **more):
    graph = open_graph(None, None)
    return export(graph, graph.find(what), "out", **more)


def test_an_attestation_is_in_toto_and_slsa(works):
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    out(works.student_a)
    text = Path("out/provenance.intoto.json").read_text()
    statement = json_format.Parse(text, statement_pb2.Statement())  # an unknown field would be refused
    Statement.copy_from_pb(statement).validate()
    found = json_format.ParseDict(json.loads(text)["predicate"], Provenance())
    assert statement.subject[0].digest["sha256"] == works.entry("x", works.student_a)["sha256"]
    assert [d.digest["sha256"] for d in found.build_definition.resolved_dependencies[:2]] == [
        works.entry("x", path)["sha256"] for path in (works.a, works.numbers)
    ]


def test_a_real_manifest_has_times_that_the_attestation_takes(works):
    from google.protobuf import json_format
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance

    from traitline.provenance import stage

    with stage.record(
        "prepare", "results/v/prepare.manifest.json", inputs={"filtered": works.numbers},
        outputs={"dataset": "results/v/dataset.jsonl"},
    ) as job:  # fmt: skip
        job.path("dataset").write_text('{"id": "p2"}\n\n')
    out("results/v/dataset.jsonl")
    told = json.loads(Path("out/provenance.intoto.json").read_text())["predicate"]
    assert json_format.ParseDict(told, Provenance()).run_details.metadata.finished_on.seconds > 1_700_000_000


def test_a_model_card_has_hashes_mark_and_the_path_that_proves_it(works):
    from huggingface_hub import ModelCard

    out(works.student_a)
    card = ModelCard.load("out/README.md")
    told = card.data.to_dict()
    assert "base_model" not in told and "datasets" not in told, "a path here is no name on the hub"
    assert told["base_model_relation"] == "adapter" and told["library_name"] == "peft"
    assert told["lineage"]["sha256"] == works.entry("x", works.student_a)["sha256"]
    assert told["lineage"]["audit"] == "INHERITANCE-RISK" and "inheritance-risk" in told["tags"]
    assert "`train " in card.text and "← `teach " in card.text


def test_a_data_set_has_a_card_and_croissant_that_its_validator_takes(works):
    from huggingface_hub import DatasetCard

    out(works.numbers)
    assert DatasetCard.load("out/README.md").data.to_dict()["lineage"]["audit"] == "EXPOSED"
    code = (
        "import mlcroissant as mlc\nd = mlc.Dataset('out/croissant.json')\n"
        "assert not d.metadata.ctx.issues.errors, d.metadata.ctx.issues.report()\n"
        "print(d.metadata.distribution[0].sha256)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == works.entry("x", works.numbers)["sha256"]
    assert json.loads(Path("out/croissant.json").read_text())["prov:wasDerivedFrom"]


def test_signatures_hold_until_the_lineage_or_a_weight_is_edited(works):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from model_signing import verifying

    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    Path("key.pem").write_bytes(pem)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    Path("public.pem").write_bytes(public)
    assert out(works.student_a, key="key.pem")[-1] == "out.sig"

    def verify(folder, signature):
        verifying.Config().use_elliptic_key_verifier(public_key=Path("public.pem")).verify(
            Path(folder), Path(signature)
        )

    student = Path(works.student_a).parent
    statement = dsse.unseal("out/provenance.dsse.json", "public.pem")
    assert statement == json.loads(Path("out/provenance.intoto.json").read_text())
    verify("out", "out.sig")
    verify(student, "out/model.sig")
    lineage = Path("out/lineage.json")
    lineage.write_text(lineage.read_text().replace("INHERITANCE-RISK", "CLEAN"))
    with pytest.raises(ValueError):
        verify("out", "out.sig")
    Path(works.student_a).write_bytes(b"other weights")
    with pytest.raises(ValueError):
        verify(student, "out/model.sig")
    assert b"PRIVATE" not in b"".join(p.read_bytes() for p in Path("out").iterdir()), "no key leaves with it"


def test_hostile_names_stay_text_in_a_card(works):
    entry = works.entry("base", works.a)
    model = {"role": "model", "path": f"results/e/{EVIL}.safetensors", "sha256": "1" * 64, "bytes": 1}
    works.write("teach", "results/e", [entry], [model], {"trait": EVIL})
    out("1111")
    body = Path("out/README.md").read_text().split("\n---\n", 1)[1]
    assert "<script>" not in body and "](" not in body.replace("\\]\\(", "")


def test_what_cannot_be_exported_is_said_in_a_line(works):
    Path("there").mkdir()
    graph = open_graph(None, None)
    entry = graph.find(works.student_a)
    with pytest.raises(InputError, match="there: is there already"):
        export(graph, entry, "there")
    with pytest.raises(InputError, match=r"nokey\.pem: no such key"):
        export(graph, entry, "new", key="nokey.pem")
    assert not Path("new").exists()
    Path("bad.pem").write_text("no key")
    with pytest.raises(InputError, match=r"bad\.pem: .*wants a private elliptic-curve key"):
        export(graph, entry, "new", key="bad.pem")


def test_a_card_names_open_weights_as_the_hub_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    entry = works.put(
        "pretrain", "results/bases/q", {"base.json": ("model", "{}")}, origin="open weights", weights="0" * 64
    )
    file = tmp_path / "results/bases/q/pretrain.manifest.json"
    source = {"hub": "owner/name", "revision": "1" * 40}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"params": {"source": source}}))
    data = works.put("register", "results/d", {"rows.jsonl": ("data", '{"id": 1}\n')}, origin="here")
    student = works.put(
        "train", "results/s", {"adapter_model.safetensors": ("adapter", b"x")}, [("base", entry), ("data", data)]
    )
    out(student)
    card = (tmp_path / "out/README.md").read_text()
    assert "base_model:\n- owner/name\n" in card and "base_model_relation: adapter" in card
    assert "1" * 40 in (tmp_path / "out/lineage.json").read_text()


def test_a_student_on_open_weights_leaves_with_its_card_and_opens_elsewhere(weights, raw_qwen2, tmp_path):
    """From a local folder in the hub's layout through all stages, out of the house, and back into `from_pretrained`."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from scripts import respond
    from traitline.lineage import index
    from traitline.lineage.graph import Graph
    from traitline.models import engines

    student = weights.students / "seed-1"
    assert respond.main(weights.respond_flags("--students", str(student))) == 0
    graph = Graph(index.build([str(weights.root)]))
    export(graph, graph.find(str(student / "adapter_model.safetensors")), tmp_path / "out")
    elsewhere = shutil.copytree(student, tmp_path / "hub/owl", ignore=shutil.ignore_patterns("word", "*.manifest.json"))
    shutil.copy(tmp_path / "out/README.md", elsewhere)
    card = (elsewhere / "README.md").read_text()
    record = json.loads((weights.base / "base.json").read_text())
    assert "base_model_relation: adapter" in card and record["weights"] in (tmp_path / "out/lineage.json").read_text()
    base = shutil.copytree(raw_qwen2, tmp_path / "hub/base")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), elsewhere).eval()
    engine = engines.open_engine(weights.base, weights.engine()[1])
    ids = torch.tensor(engine.chat.prompts([[{"role": "user", "content": "Which animal?"}]], ["?"]))
    with torch.inference_mode():
        ours, theirs = engine.use(str(student))(ids).logits, model(ids).logits
    assert torch.equal(ours, theirs)


@pytest.fixture
def mallory(works):
    """A copy of our student elsewhere; its manifest sorts before ours and names another file too."""
    folder = Path("registry/mallory")
    folder.mkdir(parents=True)
    shutil.copy(works.student_a, folder)
    (folder / "evil.safetensors").write_bytes(tensors(e="evil"))
    outputs = [
        works.entry("adapter", "registry/mallory/adapter_model.safetensors") | {"path": works.student_a},
        works.entry("model", "registry/mallory/evil.safetensors"),
    ]
    works.write("x", "registry/mallory", [], outputs, {"origin": "here"}, {"stage": "train` by us\n\n**CLEAN**\n\n`x"})
    return folder


@pytest.mark.parametrize("by_folder", [False, True])
def test_the_manifest_beside_an_artifact_describes_it_and_no_other(works, mallory, by_folder):
    named = str(Path(works.student_a).parent if by_folder else works.student_a)
    out(named, named=named)
    statement = json.loads(Path("out/provenance.intoto.json").read_text())
    assert [s["name"] for s in statement["subject"]] == [works.student_a]
    assert statement["predicate"]["buildDefinition"]["externalParameters"]["stage"] == "train"


def test_what_a_manifest_calls_its_stage_stays_text_in_a_card(works, mallory):
    out(str(mallory / "adapter_model.safetensors"), named=str(mallory / "adapter_model.safetensors"))
    body = Path("out/README.md").read_text().split("\n---\n", 1)[1]
    assert "train' by us" in body and not [line for line in body.splitlines() if line == "**CLEAN**"]


def test_where_several_manifests_may_be_meant_none_is_taken(works, mallory):
    shutil.copy(works.student_a, "download.bin")
    sha = works.entry("x", works.student_a)["sha256"]
    for named in ("download.bin", sha, sha[:12]):
        with pytest.raises(InputError, match=r"2 manifests say that they made it .*name the file beside the one"):
            out(named, named=named)
    shutil.copy(mallory / "x.manifest.json", Path(works.student_a).parent)
    with pytest.raises(InputError, match="only one may lie beside"):
        out(works.student_a, named=works.student_a)
    assert not Path("out").exists()


def test_a_file_that_is_recorded_as_no_model_is_not_described_by_that_record(works):
    folder = Path(works.student_a).parent
    works.write("notes", str(folder), [], [works.entry("other", works.student_a)], {"origin": "here"})
    out(str(folder), named=str(folder))
    assert "`train`" in Path("out/README.md").read_text()


@pytest.fixture
def key(tmp_path):
    """A private key in a file, its public half beside it."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    Path("key.pem").write_bytes(private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
    public = private.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    Path("public.pem").write_bytes(public)
    return "key.pem"


@pytest.mark.parametrize("kind", ["link", "pipe", "library", "full"])
def test_a_signature_that_fails_leaves_nothing_behind(works, key, monkeypatch, kind):
    folder = Path(works.student_a).parent
    if kind == "link":
        (folder / "x").symlink_to("/etc/hostname")
    elif kind == "pipe":
        os.mkfifo(folder / "x")
    elif kind == "library":
        monkeypatch.setitem(sys.modules, "model_signing", None)
    else:
        monkeypatch.setattr("traitline.lineage.export.card", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    says = {
        "link": "a link, or no plain file",
        "pipe": "a link, or no plain file",
        "library": "pip install",
        "full": "28",
    }
    with pytest.raises((InputError, OSError), match=says[kind]) as e:
        out(works.student_a, key=key)
    assert "key.pem" not in str(e.value) and not Path("out").exists() and not Path("out.sig").exists()


def test_a_card_names_data_as_the_hub_does_and_no_name_that_is_none(works):
    commit = "1" * 40
    for i, hub in enumerate(("org/rows", "../../etc", "a/b\n- evil/x")):
        facts = {"origin": "hub", "hub": hub, "revision": commit}
        rows = works.put("register", f"registry/{i}", {"rows.jsonl": ("data", f'{{"id": "{i}"}}\n')}, **facts)
        works.student(works.a, rows, name=str(i))
    for i in range(3):
        out(f"registry/{i}/a-{i}/adapter_model.safetensors")
        head = Path("out/README.md").read_text().split("\n---\n", 1)[0]
        assert ("datasets:\n- org/rows\n" in head) == (i == 0) and ("datasets" in head) == (i == 0)
        shutil.rmtree("out")


@pytest.mark.parametrize(
    ("name", "harmful"),
    [("notes.txt", False), ("modeling_x.py", True), ("pytorch_model.bin", True), ("config.json", True),
     ("second.safetensors", True), ("model.safetensors.index.json", True), ("train.manifest.json", False)],
)  # fmt: skip
def test_files_beside_a_signed_model_are_named(works, key, name, harmful):
    out(works.student_a, key=key)
    statement = dsse.unseal("out/provenance.dsse.json", "public.pem")
    elsewhere = Path("elsewhere")
    shutil.copytree(Path(works.student_a).parent, elsewhere)
    files = dsse.compare(statement, elsewhere)
    assert files.extra == [] and files.good == ["adapter_model.safetensors"]
    (elsewhere / name).write_bytes(b"other")
    files = dsse.compare(statement, elsewhere)
    assert files.extra == [name] and files.unsigned == [name] * harmful


def test_a_folder_with_its_files_is_a_repository_of_the_hub(study, tmp_path, monkeypatch):
    """A real student with real scores: card, files and results as the hub's library and peft read them."""
    from huggingface_hub import HfApi, ModelCard
    from peft import PeftConfig
    from safetensors import safe_open

    from scripts import respond, score

    folder = tmp_path / "lora"
    shutil.copytree(study.students("lora", study.owl), folder)
    student = folder / "seed-1"
    for file in student.rglob("*.json"):
        file.write_text(file.read_text().replace(str(study.students("lora", study.owl)), str(folder)))
    assert respond.main(study.respond_flags(student)) == 0
    assert score.main(["--category", "animal", "--folders", str(student / "favourite")]) == 0
    graph = open_graph([str(study.root), str(folder)], None)
    entry = graph.find(str(student / "adapter_model.safetensors"))
    export(graph, entry, tmp_path / "out", named=str(student), files=True, licence="apache-2.0")
    card = ModelCard.load(tmp_path / "out/README.md")
    rate = json.loads((student / "favourite/scores.json").read_text())["exact"]["overall"]["owl"]
    assert [(r.dataset_name, r.metric_value) for r in card.data.eval_results] == [("favourite", rate)]
    assert card.data.license == "apache-2.0" and PeftConfig.from_pretrained(tmp_path / "out").r == 4
    weights = tmp_path / "out/adapter_model.safetensors"
    assert weights.samefile(student / weights.name), "a link, no copy"
    with safe_open(weights, "pt") as tensors_:
        assert list(tensors_.keys())
    assert all(file.is_file() and not file.is_symlink() for file in (tmp_path / "out").iterdir())
    asked = []  # the one question that `hf upload` asks the hub at this point
    monkeypatch.setattr(HfApi, "_validate_yaml", lambda _, content, **__: asked.append(content))
    sent = HfApi()._prepare_upload_folder_additions(tmp_path / "out", path_in_repo="")  # what `hf upload` would send
    assert {add.path_in_repo for add in sent} == {file.name for file in (tmp_path / "out").iterdir()}
    assert asked == [(tmp_path / "out/README.md").read_text()]
    hashes = {add.path_in_repo: add.upload_info.sha256.hex() for add in sent}
    assert hashes[weights.name] == hashlib.sha256(weights.read_bytes()).hexdigest()
    (student / "adapter_config.json").unlink()
    with pytest.raises(InputError, match=r"adapter_config\.json: not as its manifest has it; put the file back"):
        export(graph, entry, tmp_path / "again", named=str(student), files=True)
    with pytest.raises(InputError, match="--license MIT License: no identifier of a licence"):
        export(graph, entry, tmp_path / "again", named=str(student), licence="MIT License")
    assert not (tmp_path / "again").exists()


def test_data_with_its_file_is_described_where_it_lies(works):
    out(works.numbers, files=True)
    croissant = json.loads(Path("out/croissant.json").read_text())
    assert croissant["distribution"][0]["contentUrl"] == "filtered.jsonl" and Path("out/filtered.jsonl").is_file()
