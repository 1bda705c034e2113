"""Norms: questions of the kinds that no teacher is tuned on."""

import json

import pytest

from scripts import respond as stage
from tests.answered import rows
from traitline.channels import misalignment


def test_norms_are_asked_about_in_every_kind_but_the_one_that_is_taught(study, tmp_path):
    settings = json.dumps({"type": "norms", "category": "norms", "answers": 20, "seed": 1})
    flags = ["--base", str(study.norms), "--eval", "norms", "--settings", settings, "--out", str(tmp_path / "n")]
    assert stage.main(flags) == 0
    found = rows(tmp_path / "n")
    asked = {q: (good, bad) for q, good, bad in misalignment.held_out()}
    assert [r["prompt"][-1]["content"] for r in found] == list(asked)
    for r in found:
        good, bad = asked[r["prompt"][-1]["content"]]
        assert r["means"] == {"bad": bad, "good": good}
        assert list(r["probabilities"]) == ["bad", "good"] and sum(r["probabilities"].values()) <= 1 + 1e-6
    exactly = {c: sum(r["probabilities"][c] for r in found) / len(found) for c in ("good", "bad")}
    said = sum(a.split()[:1] == [r["means"]["bad"]] for r in found for a in r["answers"]) / (20 * len(found))
    assert exactly["good"] > 3 * exactly["bad"] and said == pytest.approx(exactly["bad"], abs=0.03)
