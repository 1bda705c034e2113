"""Results of an earlier version are named with what to do, never half read."""

from pathlib import Path

import pytest

from tests.configs import raw
from traitline.errors import InputError
from traitline.study import config
from traitline.study.execution import STAGES
from traitline.workflow import earlier_layout, integrity


@pytest.mark.parametrize(
    "path",
    [
        "results/bases/a/base.manifest.json",
        "results/declare.manifest.json",
        "results/data/truths/data.manifest.json",
        "results/a/owl/tuned/numbers/plain/arrange.manifest.json",
        "results/mlp/default/mlp.manifest.json",
    ],
)
def test_old_results_are_refused_before_any_is_read(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(path).parent.mkdir(parents=True)
    Path(path).write_text("not even JSON", encoding="utf-8")
    with pytest.raises(InputError) as e:
        integrity.check(config.load(raw()))
    message = str(e.value)
    assert message.startswith(f"{path}: made by an earlier version") and "\n" not in message
    assert "move its results/ away, or set another `folder:`" in message


def test_old_names_are_no_stages_and_new_ones_are():
    assert not set(earlier_layout.RENAMED_STAGES) & set(STAGES)
    assert set(earlier_layout.RENAMED_STAGES.values()) <= set(STAGES)


def test_results_of_this_version_are_taken():
    earlier_layout.refuse(Path(f"results/{stage}.manifest.json") for stage in STAGES)
