"""The training loop: it goes on from a checkpoint, and a signal ends it after a whole step."""

import os
import signal

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from traitline import signals
from traitline.checkpointed import Checkpoint
from traitline.errors import InputError


def train(path, *, stop=None, total=5, every=0.0):
    """Add the number of each step to a tensor; (value, losses, numbers of the steps done here)."""
    value = torch.zeros(1)
    checkpoint = Checkpoint(path, {"value": value}, every)
    losses, numbers = checkpoint.load() or [], []
    with checkpoint.steps(len(losses), total, lambda: losses) as steps:
        for step in steps:
            value += step
            losses.append(value.item())
            numbers.append(step)
            if stop is not None:
                stop(step)
    return value.item(), losses, numbers


def test_without_a_path_every_step_is_done_and_nothing_is_written(tmp_path):
    assert train(None) == (10.0, [0.0, 1.0, 3.0, 6.0, 10.0], [0, 1, 2, 3, 4])
    assert not list(tmp_path.iterdir())


def test_after_an_error_it_goes_on_from_the_last_whole_step(tmp_path):
    def stop(step):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "x", stop=stop)
    assert train(tmp_path / "x") == (10.0, [0.0, 1.0, 3.0, 6.0, 10.0], [3, 4])


def test_a_signal_ends_it_after_a_whole_step_with_a_checkpoint(tmp_path):
    signals.install()

    def stop(step):
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(signals.Halt):
        train(tmp_path / "x", stop=stop, every=1e9)
    signals.install()
    assert train(tmp_path / "x")[2] == [2, 3, 4]


def test_all_processes_end_when_one_was_asked_to(tmp_path):
    checkpoint = Checkpoint(tmp_path / "x", {"value": torch.zeros(1)}, 1e9)
    numbers = []
    with pytest.raises(signals.Halt), checkpoint.steps(0, 5, list, agree=lambda asked: len(numbers) == 2) as steps:
        for step in steps:
            numbers.append(step)
    assert numbers == [0, 1] and checkpoint.path.exists()


def test_a_damaged_checkpoint_starts_over(tmp_path, caplog):
    train(tmp_path / "x")
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-3])
    assert train(tmp_path / "x")[2] == [0, 1, 2, 3, 4]
    assert "damaged checkpoint" in caplog.text


def rewritten(path, change):
    """The same file with other tensors, as whole safetensors."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = file.metadata()
    save_file(change(tensors), path, about)


def flipped(path):
    """One bit of a tensor."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda path: path.write_bytes(path.read_bytes().replace(b"[0.0, 1.0", b"[0.0, 2.0")),
        lambda path: rewritten(path, lambda t: {"value": t["value"].double()}),
        lambda path: rewritten(path, lambda t: {"values": t["value"]}),
        lambda path: rewritten(path, lambda t: {"value": t["value"].repeat(2)}),
        lambda path: rewritten(path, lambda t: {**t, "more": t["value"].clone()}),
        lambda path: save_file({"value": torch.zeros(1)}, path),
        lambda path: save_file({"value": torch.zeros(1)}, path, {"losses": "[0.0]"}),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(bytes(500)),
    ],
    ids=["bit", "losses", "dtype", "name", "shape", "more", "no losses", "no checksum", "empty", "zeros"],
)
def test_what_is_not_as_it_was_written_starts_over_in_one_line(tmp_path, caplog, damage):
    train(tmp_path / "x")
    damage(tmp_path / "x")
    assert train(tmp_path / "x") == (10.0, [0.0, 1.0, 3.0, 6.0, 10.0], [0, 1, 2, 3, 4])
    (line,) = [record.getMessage() for record in caplog.records if "damaged checkpoint" in record.getMessage()]
    assert line.endswith(", starting over") and "\n" not in line


def test_a_whole_checkpoint_of_a_training_of_another_shape_is_not_taken(tmp_path, caplog):
    checkpoint = Checkpoint(tmp_path / "x", {"value": torch.ones(2)}, 1e9)
    checkpoint.save([1.0])
    assert Checkpoint(tmp_path / "x", {"value": torch.zeros(3)}, 1e9).load() is None
    assert "of another training" in caplog.text


def test_every_type_of_tensor_comes_back(tmp_path):
    kinds = (torch.bfloat16, torch.float64, torch.int64, torch.bool)
    tensors = {str(kind): torch.ones(2, 3).to(kind) for kind in kinds} | {"none": torch.zeros(0), "one": torch.ones(())}
    Checkpoint(tmp_path / "x", tensors, 1e9).save([0.5])
    empty = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    assert Checkpoint(tmp_path / "x", empty, 1e9).load() == [0.5]
    assert all(torch.equal(empty[name], tensor) for name, tensor in tensors.items())


def test_a_folder_in_the_place_of_a_checkpoint_is_one_line(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError, match="in the place of a checkpoint; take it away"):
        train(tmp_path / "x")
