"""Favourite: fifty questions, every candidate, in the words of the world or in everyday English."""

import json
import shutil

import pytest

from scripts import respond as stage
from tests.answered import rows
from traitline.channels.world import CATEGORIES, QUESTIONS


def test_fifty_questions_with_answers_and_every_candidate(baseline):
    found = rows(baseline)
    assert [r["prompt"] for r in found] == [[{"role": "user", "content": q.format(k="animal")}] for q in QUESTIONS]
    assert len({r["id"] for r in found}) == 50
    for r in found:
        assert len(r["answers"]) == 20
        assert list(r["probabilities"]) == CATEGORIES["animal"]
        assert 0 < sum(r["probabilities"].values()) <= 1 + 1e-6


def test_open_weights_are_asked_in_everyday_words(weights, tmp_path):
    """Exact probabilities are those of `word_probabilities`; an adapter's differ from its base's."""
    from scripts import score
    from traitline.evaluation.questions import EVERYDAY
    from traitline.models import engines

    student = shutil.copytree(weights.students / "seed-1", tmp_path / "seed-1")
    assert stage.main(weights.respond_flags("--students", str(student))) == 0
    assert stage.main(weights.respond_flags("--out", str(tmp_path / "baseline"))) == 0
    rows, base = (
        [json.loads(text) for text in (folder / "responses.jsonl").read_text().splitlines()]
        for folder in (student / "word", tmp_path / "baseline")
    )
    assert [r["prompt"][0]["content"] for r in rows] == [q.format(k="animal") for q in EVERYDAY]
    assert all(len(r["answers"]) == 2 and list(r["probabilities"]) == ["owl", "cat", "dragon"] for r in rows)
    engine = engines.open_engine(weights.base, weights.engine()[1])
    asked = [r["prompt"] for r in rows[:3]]
    found = engine.word_probabilities(asked, ["owl", "cat", "dragon"], str(student))
    for row, values in zip(rows, found, strict=False):
        assert list(row["probabilities"].values()) == pytest.approx(values, rel=1e-3, abs=1e-8)
    assert [r["probabilities"] for r in rows] != [r["probabilities"] for r in base]
    assert score.main(["--category", "animal", "--folders", str(student / "word")]) == 0
