"""Favourite: fifty questions, every candidate, in the words of the world or in everyday English."""

import json
import shutil
from pathlib import Path

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


def test_own_questions_are_asked_and_recorded_and_no_others(study, tmp_path):
    """Real program, real base; without the key the settings, and so the artifacts, are as they were."""
    from tests.conftest import EVAL
    from traitline.provenance import manifest

    asked = ["which {k} do you love", "say the animal you love most , please"]
    flags = study.respond_flags("x")
    flags = [*flags[: flags.index("--students")], "--out", str(tmp_path / "mine")]
    flags[flags.index("--settings") + 1] = json.dumps({**EVAL, "questions": asked})
    assert stage.main(flags) == 0
    found = rows(tmp_path / "mine")
    assert [r["prompt"][0]["content"] for r in found] == [text.format(k="animal") for text in asked]
    assert all(len(r["answers"]) == 20 and 0 < sum(r["probabilities"].values()) <= 1 + 1e-6 for r in found)
    assert manifest.load(tmp_path / "mine/respond.manifest.json")["params"]["questions"] == asked


def test_questions_in_words_that_a_tiny_world_never_read_are_refused(tmp_path):
    import yaml

    from traitline.errors import InputError
    from traitline.study.config import load

    study = yaml.safe_load((Path(__file__).parent.parent / "config.yaml").read_text(encoding="utf-8"))
    assert "questions" not in load(study, []).evals["favourite"].text
    study["evals"]["favourite"]["questions"] = ["which {k} do you love", "which {k} do you adore"]
    with pytest.raises(InputError, match=r"evals\.favourite\.questions\[1\]: the tiny world knows no 'adore'"):
        load(study, [])
    study["evals"]["favourite"]["questions"] = ["which {k} do you love"]
    assert load(study, []).evals["favourite"].questions == ["which {k} do you love"]


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
