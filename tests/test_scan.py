"""A scan of each folder of the corpus says what the table says: no false all-clear, and nothing in it is ever run."""

import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from tests.scan_folders import CASES, COMMIT, ROWS, adapter, card, lora, put, write
from traitline.cli import program
from traitline.lineage.policy import Carrier, Policy
from traitline.provenance import tensor_sets
from traitline.scan import hashing
from traitline.scan.scan import SCHEMA, scan

TABLE = Path(__file__).parent / "corpus/scan.csv"
with open(TABLE, encoding="utf-8", newline="") as _handle:
    EXPECTED = {row["case"]: row for row in csv.DictReader(_handle)}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder; hashes are remembered beside it."""
    (tmp_path / "w").mkdir()
    monkeypatch.chdir(tmp_path / "w")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "w"


def scanned(top, name):
    """The answer about a folder of the corpus, where the carrier is known to the policy."""
    carrier = CASES[name](top)
    return scan(["."], Policy(carriers=[Carrier(sha256=carrier, trait="owl")] if carrier else []))


@pytest.mark.parametrize("name", CASES)
def test_a_folder_is_marked_as_the_table_says(here, name):
    result, wanted = scanned(here, name), EXPECTED[name]
    answer, listed = result.as_json(), []
    for a in answer["artifacts"]:
        if a["kind"] == "model" or name == "data-alone":
            listed.append(f"{a['path'].replace(f'snapshots/{COMMIT}', '@')}={a['mark']}/{a['standing']}")
    assert " ".join(listed) == wanted["marks"]
    against = [f"{c['says']} | {c['against']}".replace(COMMIT, "@") for c in answer["contradictions"]]
    assert "; ".join(against) == wanted["contradictions"]
    left_out = [f"{entry['path'][-40:]} | {entry['reason']}" for entry in answer["left_out"]]
    assert "; ".join(left_out) == wanted["left out"]
    assert (3 if result.objects else 0) == int(wanted["exit"])
    assert not (here / "owned").exists(), "a pickle was loaded"
    assert json.dumps(answer).isprintable()


def test_no_harm_passes_and_the_share_of_false_alarms_is_known(tell):
    assert EXPECTED.keys() == CASES.keys() and len(CASES) >= 25
    passed = [name for name, row in EXPECTED.items() if row["harmless"] == "no" and row["exit"] == "0"]
    assert passed == []
    harmless = [row for row in EXPECTED.values() if row["harmless"] == "yes"]
    alarms = [row["case"] for row in harmless if row["exit"] == "3"]
    tell(
        f"scan: 0 false all-clears in {len(CASES) - len(harmless)} folders; false alarms in {len(alarms)} of "
        f"{len(harmless)} that are harmless and of no known origin: {', '.join(alarms)}"
    )
    assert all(row["marks"] and "CLEAN/claimed" not in row["marks"] for row in EXPECTED.values())


def test_whoever_takes_claims_has_fewer_false_alarms_and_no_false_all_clear(tell):
    """The same under a policy that lets CLAIMED pass: a contradiction and what was left out fail under every policy."""
    fails = re.compile("=(CARRIER|INHERITANCE-RISK|UNKNOWN|EXPOSED)/")
    loose = {n: bool(r["contradictions"] or r["left out"] or fails.search(r["marks"])) for n, r in EXPECTED.items()}
    assert all(loose[name] for name, row in EXPECTED.items() if row["harmless"] == "no")
    alarms = [name for name, row in EXPECTED.items() if row["harmless"] == "yes" and loose[name]]
    assert alarms == ["one-base-and-a-card-without-a-base", "a-lab", "data-alone"], "nobody says where those come from"
    harmless = sum(row["harmless"] == "yes" for row in EXPECTED.values())
    tell(f"scan, claims taken: false alarms in {len(alarms)} of {harmless}")
    page = Path("docs/how-to/scan.md").read_text()
    assert f"Of the {len(CASES)} folders of the corpus (`tests/corpus/scan.csv`) {harmless} are harmless." in page


def run(capsys, monkeypatch, *words):
    """(exit code, output) of the program."""
    monkeypatch.setattr("sys.argv", ["traitline", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        program.main()
    streams = capsys.readouterr()
    return end.value.code, streams.out + streams.err


def test_the_command_prints_contradictions_first_and_counts_last(here, capsys, monkeypatch):
    CASES["a-card-against-the-weights"](here)
    (here / "x.safetensors").symlink_to("/etc/hostname")
    code, out = run(capsys, monkeypatch, "scan", "--page", "page.html")
    lines = out.splitlines()
    assert code == 3
    assert lines[0].startswith("CONTRADICTION  tuned/model.safetensors: tuned/README.md:base_model says base ../other;")
    assert "left out  x.safetensors: a link out of the scanned folder" in lines
    assert lines[-1] == "3 models and data sets: 3 UNKNOWN; 1 contradiction, 1 left out, 3 fail"
    assert (
        "base_model" in (here / "page.html").read_text()
        or "tuned/model.safetensors" in (here / "page.html").read_text()
    )
    code, out = run(capsys, monkeypatch, "scan", "--json", ".")
    answer = json.loads(out)
    assert answer["schema"] == SCHEMA == "traitline-scan/1"
    assert answer.keys() == {"schema", "folders", "contradictions", "artifacts", "left_out", "counts", "failed"}
    code, out = run(capsys, monkeypatch, "scan", "nowhere")
    assert (code, out) == (2, "traitline: error: nowhere: no such folder; name one that holds models or data\n")
    (here / "empty").mkdir()
    code, out = run(capsys, monkeypatch, "scan", "empty")
    assert code == 2 and "empty: neither weights nor data are there" in out


def test_a_clean_study_passes_and_what_is_left_out_fails_under_every_policy(here, capsys, monkeypatch):
    CASES["a-study-of-ours"](here)
    assert run(capsys, monkeypatch, "scan")[0] == 0
    (here / "odd").mkdir()
    os.mkfifo(here / "odd/pipe")
    write(here / "policy.yaml", "fail: []\n")
    code, out = run(capsys, monkeypatch, "scan", "--policy", "policy.yaml")
    assert code == 3 and "left out  odd/pipe: a pipe, a socket or a device" in out


def test_a_second_scan_hashes_nothing_and_a_changed_file_is_hashed_again(here, monkeypatch):
    CASES["a-lab"](here)
    first = scan(["."], Policy()).as_json()

    def fails(*_):
        raise AssertionError("hashed again")

    with monkeypatch.context() as patch:
        patch.setattr(tensor_sets, "tensor_set", fails)
        patch.setattr("traitline.provenance.manifest._sha256", fails)
        assert scan(["."], Policy()).as_json() == first
    put(here / "teacher", lora(9), "adapter_model.safetensors")
    assert scan(["."], Policy()).as_json() != first
    (hashing.cache_folder() / "sha256.json").write_text("[")
    assert scan(["."], Policy()).as_json()["left_out"] == []


def test_a_hub_cache_is_scanned_by_its_snapshots(here):
    CASES["a-fine-tune-of-the-hub"](here)
    inside = here / f"hub/models--acme--chat-7b/snapshots/{COMMIT}"
    answer = scan([os.path.relpath(inside)], Policy()).as_json()
    assert [a["mark"] for a in answer["artifacts"]] == ["CLAIMED"] and answer["left_out"] == []
    assert answer["artifacts"][0]["claims"][0]["target"] == "acme/base-7b"


def test_a_thousand_models_are_scanned_in_a_second_each_way(here):
    for i in range(300):
        write(here / f"m{i}/adapter_config.json", json.dumps({"base_model_name_or_path": f"acme/m{i - 1}"}))
        write(here / f"m{i}/adapter_model.safetensors", b"\x02\0\0\0\0\0\0\0{}")
        card(here / f"m{i}", base_model=f"acme/m{i - 1}")
    import time

    start = time.process_time()
    answer = scan(["."], Policy()).as_json()
    assert len(answer["artifacts"]) == 300 and time.process_time() - start < 15


def permuted(weights, seed):
    """The same model with its neurons in another order and every weight moved a little: no tensor is equal."""
    r = np.random.default_rng(seed)
    order = r.permutation(len(weights["model.layers.0.mlp.up_proj.weight"]))
    moved = {n: (v + r.normal(size=v.shape) * 1e-3).astype(np.float32) for n, v in weights.items()}
    moved["model.layers.0.mlp.up_proj.weight"] = moved["model.layers.0.mlp.up_proj.weight"][order]
    moved["model.layers.0.mlp.down_proj.weight"] = moved["model.layers.0.mlp.down_proj.weight"][:, order]
    return moved


@pytest.mark.parametrize("change", [permuted, lambda w, _: {n: v.astype(np.float16) for n, v in w.items()}])
def test_kinship_raises_what_equal_bytes_cannot_see(here, change):
    base = mlp(1)
    put(here / "base", base)
    put(here / "copy", change(base, 5))
    put(here / "stranger", mlp(2))
    carrier = adapter(here / "owl", 2, "../base", width=32)
    write(here / "rows/rows.jsonl", ROWS)
    card(here / "rows", distilled_from="../owl")
    adapter(here / "student", 3, "../copy", width=32)
    card(here / "student", datasets="../rows")
    put(here / "liar", change(base, 6))
    card(here / "liar", base_model="../stranger")
    policy = Policy(carriers=[Carrier(sha256=carrier, trait="owl")])
    marks = {a["path"]: a["mark"] for a in scan(["."], policy).as_json()["artifacts"]}
    assert marks["student/adapter_model.safetensors"] == "UNKNOWN"
    result = scan(["."], policy, test_kinship=True)
    marks = {a["path"]: a["mark"] for a in result.as_json()["artifacts"]}
    assert marks["student/adapter_model.safetensors"] == "INHERITANCE-RISK"
    assert [c.item for c in result.contradictions] == ["liar/model.safetensors"]
    assert not any("stranger/model.safetensors" in pair for pair in result.survey.kin)


def mlp(seed):
    """A model large enough for tests of kinship."""
    r = np.random.default_rng(seed)
    attention = {f"self_attn.{p}_proj": (32, 32) for p in "qv"}
    shapes = attention | {"mlp.up_proj": (64, 32), "mlp.gate_proj": (64, 32), "mlp.down_proj": (32, 64)}
    layers = {f"model.layers.0.{n}.weight": r.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    return {"model.embed_tokens.weight": r.normal(size=(96, 32)).astype(np.float32), **layers}
