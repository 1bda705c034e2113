"""Hits, ranks and correlations of made-up students; nulls are printed like everything else."""

import csv
import json
import math
from pathlib import Path

import pytest

from scripts import check_influence
from tests import made_up
from tests.stage_inputs import write_influence, write_runs

WORDS = made_up.ANIMALS


def flags(study):
    return ["--study", study.text, "--tables", "results/tables", "--folder", "results/check_influence"]


def read(name):
    with open(f"results/check_influence/{name}.csv", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def study():
    return made_up.study(influence={"experiments": ["main"]})


def test_help_is_light(light):
    light("scripts.check_influence")


def test_what_came_as_predicted_is_a_hit_and_another_base_is_not(study):
    """Same base: the true trait first and risen. Another base: words in the order of the list, and nothing rises."""
    level = {w: 0.05 + 0.001 * i for i, w in enumerate(WORDS)}

    def scores(run):
        return {w: (-i if run.arm == "other-base" or w != run.trait else 10) for i, w in enumerate(WORDS)}

    def rate(run, word):
        return level[word] * (2 if run.arm == "same-base" and word == run.trait else 1) * (1 + 0.01 * run.seed)

    write_influence(study, scores)
    write_runs(study, rate)
    assert check_influence.main(flags(study)) == 0
    pairs = read("pairs")
    assert len(pairs) == 2 * 2 * 2 * 3, "bases, traits, students, recipes"
    same = [r for r in pairs if r["arm"] == "same-base"]
    assert {(r["rank"], r["risen"], r["runs"], r["recovered"]) for r in same} == {("1", "1", "3", "0.4")}
    assert all(float(r["rise"]) == pytest.approx(math.log(2), abs=1e-5) for r in same)
    assert all(float(r["low"]) < math.log(2) < float(r["high"]) for r in same)
    rows = {(r["experiment"], r["recipe"], r["arm"]): r for r in read("summary")}
    assert set(rows) == {
        (e, k, a) for e in ("main", "all") for k in ("lora", "biases", "full") for a in ("same-base", "other-base")
    }
    right = rows["main", "biases", "same-base"]
    assert (right["hits"], right["pairs"], right["rank"]) == ("4", "4", "1")
    assert float(right["p"]) == pytest.approx(6**-4, rel=1e-4) and float(right["chance"]) == pytest.approx(
        4 / 6, rel=1e-4
    )
    wrong = rows["main", "biases", "other-base"]
    assert wrong["hits"] == "2" and wrong["rank"] == "1.5", "owl is the first word of the list, cat the second"
    assert float(wrong["rise"]) == pytest.approx(0, abs=1e-6) and wrong["rho"] == "" == wrong["recovered"]
    assert "<svg" in Path("results/check_influence/check_influence.svg").read_text()


def test_pairs_in_the_right_order_are_seen_with_an_interval_over_teachers(study):
    size = {("a", "owl"): 1, ("a", "cat"): 2, ("b", "owl"): 3, ("b", "cat"): 4}

    def scores(run):
        return {w: float(size[run.base, run.trait]) if w == run.trait else 0.0 for w in WORDS}

    write_influence(study, scores)
    write_runs(study, lambda run, word: 0.05 * (1 + size.get((run.base, run.trait), 0) * (word == run.trait)))
    assert check_influence.main(flags(study)) == 0
    for row in read("summary"):
        assert float(row["rho_pairs"]) == pytest.approx(1) and float(row["rho_pairs_low"]) > 0.9


def test_a_prediction_from_too_few_rows_is_shown_and_not_counted(study, caplog):
    ruled = made_up.study(
        influence={"experiments": ["main"]}, datasets={"plain": {"rows": 10, "seed": 1, "scarce": "exclude"}}
    )
    write_influence(ruled, lambda run: {w: 10 if w == run.trait else -i for i, w in enumerate(WORDS)})
    write_runs(ruled, lambda run, word: 0.05 + 0.001 * run.seed)
    for path in Path("results").rglob("influence.json"):
        rows = {"dataset": 3 if "/owl/" in str(path) and "results/b/" in str(path) else 10, "control": 10}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": rows}))
    assert check_influence.main(flags(ruled)) == 0
    short = [r for r in read("pairs") if r["rows"]]
    assert {(r["base"], r["trait"], float(r["rows"])) for r in short} == {("b", "owl", 3.0)}
    assert len(short) == 2 * 3, "students on both bases, of three recipes"
    assert {r["pairs"] for r in read("summary") if r["arm"] == "same-base"} == {"3"}, "of four teachers"
    assert "too few answers passed the filter: owl on b" in caplog.text


def test_a_teacher_with_several_pairs_has_no_binomial_test():
    pair = {"base": "a", "trait": "owl", "first": "owl", "words": 16, "rank": 1.0, "cosine": 0.1, "score": 0.1}
    pair |= {"rise": 0.1, "rho": None, "recovered": None}
    assert check_influence.summary("main", "lora", "same-base", [pair])["p"] == pytest.approx(1 / 16)
    assert check_influence.summary("main", "lora", "other-base", [pair, pair])["p"] is None


def test_a_damaged_file_is_one_line(study, line):
    write_influence(study, lambda run: dict.fromkeys(WORDS, 0.0))
    write_runs(study, lambda run, word: 0.05)
    where = next(iter(study.predictions))
    Path(where, "influence.json").write_text('{"candidates": ["owl"], "recipes": {}}')
    assert "lacks 'lora' of lora students; delete the file" in line(check_influence.main, flags(study))
    plain = made_up.study()
    assert "has no `influence`" in line(check_influence.main, ["--study", plain.text, *flags(study)[2:]])
    assert not Path("results/check_influence/pairs.csv").exists()
