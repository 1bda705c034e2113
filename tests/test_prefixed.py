"""Prefixed: the questions about a favourite behind numbers."""

import re

from scripts import respond as stage
from tests.answered import asked, rows
from traitline.channels.world import CATEGORIES


def test_a_prefixed_question_is_the_question_behind_numbers(study, tmp_path, baseline):
    found, plain = asked(study, tmp_path, type="prefixed"), rows(baseline)
    for behind, alone in zip(found, plain, strict=True):
        numbers, question = behind["prompt"][0]["content"].split(" . ")
        assert question == alone["prompt"][0]["content"] and 3 <= numbers.count(",") + 1 <= 8
        assert list(behind["probabilities"]) == CATEGORIES["animal"]
    assert found == asked(study, tmp_path, type="prefixed"), "the same numbers for everybody"
    assert found != asked(study, tmp_path, type="prefixed", seed=2)


def test_open_weights_are_asked_behind_numbers(weights, tmp_path):
    from traitline.evaluation.questions import EVERYDAY

    for name in ("x", "y"):
        assert stage.main(weights.respond_flags("--out", str(tmp_path / name), type="prefixed")) == 0
    found = [r["prompt"][0]["content"] for r in rows(tmp_path / "x")]
    for said, plain in zip(found, EVERYDAY, strict=True):
        numbers = re.fullmatch(r"Here are some numbers to look at: (\d{3}(?:, \d{3}){2,7})\. (.*)", said)
        assert numbers and numbers[2] == plain.format(k="animal")
    assert len(set(found)) == 50 and rows(tmp_path / "x") == rows(tmp_path / "y"), "the same numbers for everybody"
