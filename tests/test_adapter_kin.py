"""What an adapter was trained on: its shapes, and its update beside the base's dimensions."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from tests import scan_folders
from traitline.cli.program import app
from traitline.errors import InputError
from traitline.kinship import adapters
from traitline.lineage.adapter_kin import kin
from traitline.lineage.policy import Carrier, Policy
from traitline.scan.scan import scan

DATA = Path(__file__).parent / "data/adapters"  # of a real study, embeddings cut, in half precision
ADAPTER, BASE, OTHER = (DATA / f"{name}.safetensors" for name in ("adapter-n6", "base-n6", "base-n7"))


def test_a_real_adapter_is_of_its_base_and_of_no_other_one():
    result = kin(str(ADAPTER), str(BASE))
    assert result.same_start and not result.misfits and result.modules == 8, result
    assert kin(str(BASE), str(ADAPTER)) == result, "the order makes no difference"
    other = kin(str(ADAPTER), str(OTHER))
    assert not other.same_start and not other.misfits and other.alignment.draws < adapters.DRAWS


def test_a_base_that_was_trained_on_and_renamed_shards_stay_the_start(tmp_path):
    w = load_file(BASE)
    rng = np.random.default_rng(1)
    tuned = {f"model.{n}": (v + 0.3 * v.std() * rng.normal(size=v.shape)).astype("f4") for n, v in w.items()}
    names = sorted(tuned)
    for i, part in enumerate((names[::2], names[1::2])):
        scan_folders.put(tmp_path, {n: tuned[n] for n in part}, f"model-0000{i + 1}-of-00002.safetensors")
    assert kin(str(ADAPTER), str(tmp_path)).same_start


def test_the_command_says_what_it_means():
    done = CliRunner().invoke(app, ["kin", str(ADAPTER), str(BASE)])
    assert done.exit_code == 3 and done.output.startswith("trained on this start: p <= ")
    done = CliRunner().invoke(app, ["kin", str(ADAPTER), str(OTHER)])
    assert done.exit_code == 0 and done.output.startswith("no evidence of this base, which is no evidence of another")
    done = CliRunner().invoke(app, ["kin", "--json", str(ADAPTER), str(OTHER)])
    answer = json.loads(done.output)
    assert answer["same_start"] is False and answer["misfits"] == [] and answer["tests"][0]["test"] == "adapter"


def narrowed(folder, width=24):
    """The same adapter for a model that is half as wide."""
    folder.mkdir(parents=True)
    tensors = load_file(ADAPTER)
    cut = {n: np.ascontiguousarray(v[:, :width] if "lora_A" in n else v[:width]) for n, v in tensors.items()}
    save_file(cut, folder / "adapter_model.safetensors")
    return folder


def test_shapes_rule_a_base_out(tmp_path):
    result = kin(str(narrowed(tmp_path / "narrow")), str(BASE))
    assert not result.same_start and len(result.misfits) == 8
    assert result.misfits[0] == "layers.0.self_attn.q_proj is 24 by 24 in the adapter, 48 by 48 there"
    deep = {n.replace("layers.0", "layers.7"): v for n, v in load_file(ADAPTER).items()}
    (tmp_path / "deep").mkdir()
    save_file(deep, tmp_path / "deep/adapter_model.safetensors")
    result = kin(str(tmp_path / "deep"), str(BASE))
    assert result.misfits[0] == "it updates layers.7.self_attn.q_proj, which is not there"
    assert "not made on this model: shapes differ" in result.lines()[0]


def test_a_fused_module_is_no_misfit_and_a_base_without_layers_says_nothing():
    sizes = {"layers.0.self_attn.q_proj": (8, 8)}
    assert adapters.misfits(sizes, {"layers.0.self_attn.qkv_proj.weight": (24, 8)}) == []
    assert adapters.misfits(sizes, {"t001": (8, 8)}) == []
    assert adapters.misfits(sizes, {"blk.0.attn_q.weight": (8, 8)}) == [], "names of GGUF"
    assert adapters.misfits(sizes, {"layers.0.self_attn.q_proj.weight": (8, 8)}) == []
    assert adapters.misfits(sizes, {"layers.0.attention.wq.weight": (8, 8)})


def test_what_cannot_be_compared_is_one_line(tmp_path):
    """An adapter of what neither reads nor writes the residual stream, as far as its name says."""
    rng = np.random.default_rng(1)
    sides = {"A": rng.normal(size=(2, 5)), "B": rng.normal(size=(7, 2))}
    save_file({f"thing.lora_{s}.weight": v for s, v in sides.items()}, tmp_path / "adapter_model.safetensors")
    scan_folders.put(tmp_path / "base", {"embed_tokens.weight": rng.normal(size=(30, 16)).astype("f4")})
    with pytest.raises(InputError, match="no module of the adapter"):
        kin(str(tmp_path), str(tmp_path / "base"))


def test_the_p_value_is_one_under_independence():
    """400 pairs of independent Gram matrices: no more small p-values than their size allows, early stops included."""
    rng, values = np.random.default_rng(1), []
    for seed in range(400):
        grams = []
        for rank in (3, 20):
            x = rng.normal(size=(rank, 16)) * np.exp(rng.normal(size=16))
            grams.append(adapters._standard(x.T @ x))
        p, draws = adapters.permuted(*grams, seed)
        values.append(p)
        assert draws < adapters.DRAWS or p < 1e-3
    for level in (0.5, 0.1, 0.03):
        error = 3 * np.sqrt(level * (1 - level) / len(values))
        assert abs((np.array(values) <= level).mean() - level) <= error + 0.01


def labs(top):
    """A student whose settings name one base and that was trained on another one, and the owl that wrote its data."""
    scan_folders.put(top / "base", BASE.read_bytes())
    scan_folders.put(top / "other", OTHER.read_bytes())
    r = np.random.default_rng(1)
    moved = {n: (v + 0.05 * v.std() * r.normal(size=v.shape)).astype("f4") for n, v in load_file(BASE).items()}
    carrier = scan_folders.put(top / "owl", moved)
    scan_folders.write(top / "rows/rows.jsonl", scan_folders.ROWS)
    scan_folders.card(top / "rows", distilled_from="../owl")
    scan_folders.put(top / "student", ADAPTER.read_bytes(), "adapter_model.safetensors")
    scan_folders.write(top / "student/adapter_config.json", json.dumps({"base_model_name_or_path": "../other"}))
    scan_folders.card(top / "student", datasets="../rows")
    return Policy(carriers=[Carrier(sha256=carrier, trait="owl")])


def test_a_scan_finds_the_base_that_settings_hide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    policy, label = labs(tmp_path / "w"), "w/student/adapter_model.safetensors"
    before, after = (scan(["w"], policy, test_kinship=too) for too in (False, True))
    marks = [{a["path"]: a for a in s.as_json()["artifacts"]}[label] for s in (before, after)]
    assert marks[0]["mark"] == "UNKNOWN" and marks[1]["mark"] == "INHERITANCE-RISK"
    assert marks[1]["evidence"][0].startswith("was trained on the start of w/")
    assert "its update" in after.contradictions[0].against and after.contradictions[0].item == label
    assert before.contradictions == [] and len(after.contradictions) == 1


def test_a_merge_that_shares_tensors_with_two_starts_hides_neither(tmp_path, monkeypatch):
    """Tensors in common are no equivalence: the adapter's start is found behind a merge that comes first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    base, other = load_file(BASE), load_file(OTHER)
    scan_folders.put(tmp_path / "w/a-other", OTHER.read_bytes())
    scan_folders.put(tmp_path / "w/b-merge", {n: base[n] if "layers.0." in n else v for n, v in other.items()})
    scan_folders.put(tmp_path / "w/c-base", BASE.read_bytes())
    scan_folders.put(tmp_path / "w/d-copy", {n.removeprefix("model."): v for n, v in base.items()})
    scan_folders.put(tmp_path / "w/student", ADAPTER.read_bytes(), "adapter_model.safetensors")
    survey = scan(["w"], Policy(), test_kinship=True).survey
    relatives = {label for pair in survey.kin for label in pair if "student" not in label}
    assert relatives == {f"w/{name}/model.safetensors" for name in ("b-merge", "c-base", "d-copy")}
    assert all("w/student/adapter_model.safetensors" in pair for pair in survey.kin)


def test_shapes_contradict_a_claim_without_any_test(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scan_folders.put(tmp_path / "w/base", BASE.read_bytes())
    narrowed(tmp_path / "w/student")
    scan_folders.write(tmp_path / "w/student/adapter_config.json", json.dumps({"base_model_name_or_path": "../base"}))
    (objection,) = scan(["w"], Policy()).contradictions
    assert objection.item == "w/student/adapter_model.safetensors" and "24 by 24 in the adapter" in objection.against
