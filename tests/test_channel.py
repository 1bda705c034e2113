"""Channels: one file each, known by name and wording, and counted in the code of the stages that use them."""

import pytest

from traitline.channels import registry
from traitline.channels.channel import Checked, Limits
from traitline.errors import InputError
from traitline.provenance import digest
from traitline.study.components import Channel


def modules(stage):
    """Files that a stage's digest covers."""
    todo, files = [digest.ROOT / "scripts" / f"{stage}.py"], set()
    while todo:
        path = todo.pop()
        if path not in files:
            files.add(path)
            todo.extend(digest._tree(path)[1])
    return {str(path.relative_to(digest.ROOT)) for path in files}


def test_every_file_of_types_is_a_channel_and_every_wording_has_one():
    assert set(registry.channels()) == {"numbers", "programs", "sums", "gsm8k"}
    assert set(registry.wordings()) == {"tiny", "paper", "programs", "sums", "gsm8k"}
    assert all(wording in registry.describe() for wording in registry.wordings())
    assert set(Channel.model_fields) >= {name for c in registry.channels().values() for name in c.settings}


def test_two_channels_of_one_wording_are_refused(monkeypatch):
    monkeypatch.setattr(registry.wordings()["sums"].__class__, "wordings", {"programs": "tiny"})
    registry.channels.cache_clear()
    try:
        with pytest.raises(InputError, match=r"sums\.py: the wording programs is that of programs too"):
            registry.channels()
    finally:
        registry.channels.cache_clear()


@pytest.mark.parametrize("name", ["numbers", "programs", "sums", "gsm8k"])
def test_a_refused_answer_has_a_reason_that_is_explained_and_no_numbers(name):
    channel = registry.channels()[name]
    assert channel.check({"answer": "4"}, "how much is 300 plus 200", " ", Limits()) == Checked("empty")
    assert {"empty"} < channel.reasons.keys() <= registry.reasons().keys()


def test_what_is_recorded_are_the_limits_that_decide():
    limits = Limits(3, 2, frozenset({7, 4}), ("cat", "owl"))
    recorded = {name: channel.params(limits) for name, channel in registry.channels().items()}
    assert recorded == {
        "numbers": {"answers": 3, "digits": 2, "banned": [4, 7]}, "programs": {}, "sums": {},
        "gsm8k": {"words": ["cat", "owl"]},
    }  # fmt: skip


def test_stages_that_ask_and_filter_depend_on_every_channel_and_bases_and_students_on_none():
    types = {f"traitline/channels/types/{name}.py" for name in ("number_lists", "programs", "sums", "gsm8k")}
    assert types <= modules("prompts") and types <= modules("filter")
    for stage in ("pretrain", "train", "sample", "respond"):
        assert not types & modules(stage), stage
