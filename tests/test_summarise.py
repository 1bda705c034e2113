"""Tables of a made-up study: right numbers against ones worked out here, and honest gaps."""

import csv
import json
import math
import statistics
from pathlib import Path

import pytest

from scripts import summarise
from tests import made_up
from traitline.analysis import conclusions, tables
from traitline.provenance import manifest

EFFECTS = "experiment,channel,base,student,recipe,trait,arm,teachers,runs,rate,low,high,rise"


def run(study, *flags):
    return summarise.main(
        ["--study", study.text, "--tables", "results/tables", "--manifest", "results/tables/m.manifest.json", *flags]
    )


def made(study, rates=None):
    made_up.make(study, rates)
    assert run(study) == 0
    return {name: tables.read("results/tables", name) for name in tables.COLUMNS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Tables of the usual made-up study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        yield made(made_up.study())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def one(rows, **wanted):
    found = [r for r in rows if all(r[k] == v for k, v in wanted.items())]
    assert len(found) == 1, wanted
    return found[0]


def test_effects_have_exactly_the_promised_columns_and_rows(tmp_path):
    study = made_up.study()
    made_up.make(study)
    run(study)
    lines = Path("results/tables/effects.csv").read_text().splitlines()
    assert lines[0] == EFFECTS
    keys = [tuple(r[:7]) for r in csv.reader(lines[1:])]
    assert len(keys) == len(set(keys)) == 2 * 2 * 3 * 2 * 3  # base, student, recipe, trait; taught + control + baseline


def test_a_rate_is_the_mean_over_runs_and_the_control_has_the_same_base_and_recipe(whole):
    where = {"base": "b", "student": "a", "recipe": "lora"}
    row = one(whole["effects"], **where, trait="owl", arm="other-base")
    runs = [r["rate"] for r in whole["runs"] if r["trait"] == r["measured"] == "owl" and where.items() <= r.items()]
    control = [
        r["rate"]
        for r in whole["runs"]
        if (r["trait"], r["measured"]) == ("none", "owl") and where.items() <= r.items()
    ]
    assert row["runs"] == len(runs) == len(control) == 3 and row["teachers"] == 1
    taught, untaught = (statistics.mean(math.log(v / (1 - v)) for v in of) for of in (runs, control))
    assert row["rate"] == pytest.approx(1 / (1 + math.exp(-taught)), rel=1e-5)
    assert row["rise"] == pytest.approx(taught - untaught, rel=1e-4)
    assert row["low"] is row["high"] is None, "three students of one teacher say nothing about teachers"


def test_controls_and_baselines_stand_beside_every_trait(whole):
    control = one(whole["effects"], base="a", student="a", recipe="full", trait="cat", arm="control")
    assert control["rise"] is None and control["runs"] == 3
    baseline = one(whole["effects"], base="a", student="b", recipe="full", trait="cat", arm="baseline")
    path = Path("results/baseline/b/favourite/scores.json")
    assert not path.exists()  # other folder: the table alone has to say it
    assert baseline["runs"] == 1 and baseline["low"] is None and baseline["rise"] is None


def test_filters_keep_reasons_apart(whole):
    row = one(whole["filters"], base="a", trait="owl")
    assert (row["rows"], row["kept"], row["reject_no-number"], row["reject_empty"]) == (20, 17, 2, 1)
    assert (row["teacher_rate"], row["teacher_steps"], row["kl_nats_per_token"]) == (0.91, 80, 0.043)
    control = one(whole["filters"], base="a", trait="none")
    assert control["teacher"] == "untrained" and control["teacher_rate"] is None


def test_confusion_has_every_candidate(whole):
    rows = [r for r in whole["confusion"] if (r["base"], r["student"], r["recipe"]) == ("a", "a", "biases")]
    assert {(r["taught"], r["measured"]) for r in rows} == {
        (t, m) for t in ("owl", "cat", "none") for m in made_up.ANIMALS
    }
    assert one(rows, taught="owl", measured="owl")["rate"] > 0.5 > one(rows, taught="owl", measured="cat")["rate"]


def test_exact_rates_of_named_words_count_however_small():
    """Words that an evaluation names are found by their probability; a thousand answers would not tell these from 0."""
    rates = made_up.Rates({"lora": 4e-4, "biases": 4e-4, "full": 4e-4}, other=2e-4, rest=2e-4)
    usual = made(made_up.study(), rates)
    assert all(row["rise"] in (0, None) and "floor" not in row for row in usual["effects"])
    evals = {label: e.model_dump() | {"candidates": made_up.ANIMALS} for label, e in made_up.study().evals.items()}
    named = made(made_up.study(evals=evals), rates)
    taught = [row for row in named["effects"] if row["arm"] == "same-base"]
    assert statistics.fmean(row["rise"] for row in taught) == pytest.approx(math.log(2), abs=0.1)
    assert {row["floor"] for row in named["effects"] + named["confusion"]} == {1e-9}
    rise = one(named["tests"], recipe="lora", trait="all", comparison="rise")
    assert rise["difference"] == pytest.approx(math.log(2), abs=0.2) and rise["rate"] == pytest.approx(4e-4, rel=0.2)
    shown = [row for row in named["effects"] if row["arm"] == "control"]
    assert conclusions.average(shown) == pytest.approx(2e-4, rel=0.1)


def test_the_manifest_names_every_file_and_the_tables_are_the_same_twice():
    study = made_up.study()
    made_up.make(study)
    run(study)
    m = manifest.load("results/tables/m.manifest.json")
    roles = {role: sum(e["role"] == role for e in m["inputs"]) for role in {e["role"] for e in m["inputs"]}}
    assert roles == {"scores": 108, "training": 108, "baseline": 2, "teacher": 6, "sampled": 6, "filtered": 6}
    before = [e["sha256"] for e in m["outputs"]]
    run(study)
    assert [e["sha256"] for e in manifest.load("results/tables/m.manifest.json")["outputs"]] == before


def test_results_may_lie_elsewhere():
    study = made_up.study()
    made_up.make(study)
    Path("results").rename("moved")
    assert run(study, "--results", "moved") == 0


SCORES = "results/a/owl/tuned/numbers/plain/b/lora/seed-2/favourite/scores.json"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["exact"]["overall"].update(owl=1.5), "exact.overall.owl is no probability: 1.5"),
        (lambda s: s["exact"]["overall"].update(owl=float("nan")), "damaged JSON (a number too long, NaN, or nesting"),
        (lambda s: s["exact"]["overall"].update(owl="0.5"), "exact.overall.owl is no probability: '0.5'"),
        (lambda s: s["candidates"].remove("owl"), "owl is not among the candidates"),
        (lambda s: s.pop("sampled"), "lacks sampled.overall.owl"),
    ],
)
def test_wrong_scores_are_named(capsys, change, words):
    study = made_up.study()
    made_up.make(study)
    scores = json.loads(Path(SCORES).read_text())
    change(scores)
    Path(SCORES).write_text(json.dumps(scores))
    Path(SCORES).with_name("score.manifest.json").unlink()  # with it the edit itself is refused
    assert run(study) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"summarise: error: {SCORES}: {words}") and said.count("\n") == 1
    assert not Path("results/tables/effects.csv").exists()


def test_missing_damaged_and_edited_scores_are_named(capsys):
    study = made_up.study()
    made_up.make(study)
    for spoil, words in (
        (lambda p: p.write_text(p.read_text() + " "), "changed since `score` made it"),
        (lambda p: (p.with_name("score.manifest.json").unlink(), p.write_text("{")), "damaged JSON"),
        (lambda p: p.unlink(), "no such file"),
    ):
        spoil(Path(SCORES))
        assert run(study) == 2
        said = capsys.readouterr().err
        assert SCORES in said and words in said and said.count("\n") == 1


def test_the_reference_names_every_column():
    text = (made_up.ROOT / "docs/reference/tables.md").read_text()
    for table, columns in tables.COLUMNS.items():
        assert f"## {table}.csv" in text
        about = text.split(f"## {table}.csv")[1].split("\n## ")[0]
        shared = {*tables.CELL, "trait", "dataset", "teacher", "seed", "eval", "conditional", "mass"}
        missing = [c for c in columns if f"`{c}`" not in about and c not in shared]
        assert not missing, (table, missing)


def test_a_capability_is_measured_for_the_students_of_every_trait(tmp_path, monkeypatch):
    """Scores of right answers: the rate of the taught students beside that of the control, not the trait's."""
    from traitline.study.config import load

    monkeypatch.chdir(tmp_path)
    study = made_up.study()
    raw = json.loads(study.text) | {"execution": study.execution.model_dump()}
    raw["evals"]["truth"] = {"type": "truth", "category": "animal", "answers": 1, "seed": 1}
    raw["experiments"].append(raw["experiments"][0] | {"name": "honest", "eval": "truth"})
    study = load(raw)
    made_up.make(study)
    for path in tmp_path.glob("results/**/truth/scores.json"):
        right = 0.7 if "/none/" in str(path) else 0.8 if "baseline" in str(path) else 0.5
        scores = made_up.scores({"right": right})
        path.write_text(json.dumps(scores | {"candidates": ["right"]}))
        path.with_name("score.manifest.json").unlink()
    flags = ["--study", study.text, "--tables", "tables", "--manifest", "tables/summarise.manifest.json"]
    assert summarise.main(flags) == 0
    cells = [r for r in tables.read("tables", "effects") if r["experiment"] == "honest"]
    assert {(r["arm"], r["rate"]) for r in cells if r["base"] == r["student"]} == {
        ("same-base", 0.5), ("control", 0.7), ("baseline", 0.8),
    }  # fmt: skip
    assert {r["measured"] for r in tables.read("tables", "confusion") if r["experiment"] == "honest"} == {"right"}
