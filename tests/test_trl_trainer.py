"""Students through TRL's trainer: the artifacts of ours, the same losses where one batch has all rows, going on."""

import json

import pytest

from scripts import train as stage
from traitline import model_files
from traitline.provenance import manifest

WHOLE = {"batch": 32, "accumulate": 1, "epochs": 6, "warmup": 1}  # all rows a step: their order does not matter


def facts(folder):
    return json.loads((folder / "train.json").read_text())


@pytest.fixture(scope="module")
def through_trl(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trl")
    assert stage.main(weights.train_flags(folder, seeds=(1,), trainer="trl", **WHOLE)) == 0
    return folder / "seed-1"


def test_trl_trains_the_student_that_we_train(weights, through_trl, tmp_path):
    """Equal steps by another program; a step of ours in place of its first would not go by unseen."""
    from safetensors.torch import load_file

    assert stage.main(weights.train_flags(tmp_path, seeds=(1,), **WHOLE)) == 0
    ours, other = facts(tmp_path / "seed-1"), facts(through_trl)
    assert other.pop("trainer").startswith("trl 1.")
    for end in ("loss_first", "loss_last"):
        assert other.pop(end) == pytest.approx(ours.pop(end), rel=1e-3)
    assert other == ours and ours["steps"] == 6
    a, b = (load_file(place / model_files.ADAPTER) for place in (tmp_path / "seed-1", through_trl))
    assert a.keys() == b.keys() and all((a[name] - b[name]).abs().max() < 1e-3 for name in a)
    assert max(b[name].abs().max() for name in b if "lora_B" in name) > 1e-2
    assert (tmp_path / "seed-1/adapter_config.json").read_bytes() == (through_trl / "adapter_config.json").read_bytes()


def test_its_record_is_that_of_any_student(weights, through_trl):
    m = manifest.load(through_trl / "train.manifest.json")
    assert m["params"]["settings"]["trainer"] == "trl" and m["seeds"] == {"train": 1}
    assert {e["role"] for e in m["inputs"]} >= {"base", "data"}
    assert {e["role"] for e in m["outputs"]} == {"adapter", "adapter_config.json", "facts"}
    made = {e["role"]: e["sha256"] for e in m["outputs"]}
    assert made["adapter"] == manifest.sha256(through_trl / model_files.ADAPTER)


def test_it_goes_on_from_its_checkpoint(weights, through_trl, tmp_path, monkeypatch):
    """A signal ends the first run after two steps; the second has the losses of a run in one go."""
    from traitline import signals
    from traitline.models import trl_trainer

    original = trl_trainer._saver

    def ended_early(asked, every, update):
        def counted(more):
            update(more)
            counted.steps += more
            signals._State.asked = counted.steps == 2

        counted.steps = 0
        return original(asked, every, counted)

    flags = [*weights.train_flags(tmp_path / "x", seeds=(1,), trainer="trl", **WHOLE), "--state", str(tmp_path / "s")]
    monkeypatch.setattr(trl_trainer, "_saver", ended_early)
    assert stage.main(flags) not in (0, 2)
    assert [path.name for path in tmp_path.rglob("checkpoint-*")] == ["checkpoint-2"]
    assert not (tmp_path / "x/seed-1/train.json").exists()
    monkeypatch.setattr(trl_trainer, "_saver", original)
    assert stage.main(flags) == 0
    assert facts(tmp_path / "x/seed-1") == facts(through_trl)
    assert not list(tmp_path.rglob("checkpoint-*"))


def test_refusals_are_one_line(weights, tmp_path, line, monkeypatch):
    flags = weights.train_flags(tmp_path, seeds=(1, 2), trainer="trl")
    assert "one student after the other" in line(stage.main, [*flags, "--together"])
    assert "known: trl" in line(stage.main, weights.train_flags(tmp_path, seeds=(1,), trainer="trl2"))
    from traitline.models import trl_trainer

    monkeypatch.setattr(trl_trainer, "PACKAGE", "no-such-package")
    assert "needs TRL; pip install trl" in line(stage.main, weights.train_flags(tmp_path, seeds=(1,), trainer="trl"))
