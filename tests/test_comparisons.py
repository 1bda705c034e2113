"""Units of a comparison, and the declared outcomes on made-up studies of several bases."""

import json
import os
import re
import statistics
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts import plot, prepare, report, respond, score, summarise, train
from tests import made_up, made_up_report
from tests.conftest import EVAL, RECIPES
from traitline import json_files, jsonl
from traitline.analysis import comparisons, confusion_figure, report_content, results_page, stats, tables
from traitline.analysis.headline import headline
from traitline.analysis.measurements import Measurements
from traitline.lineage.number import number
from traitline.provenance import manifest

WHERE = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]


def made(study, rates=None):
    made_up.make(study, rates)
    assert summarise.main(["--study", study.text, *WHERE]) == 0
    return {name: tables.read("results/tables", name) for name in tables.COLUMNS}


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Tables of a made-up study of five bases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        yield made(made_up.wide(5))


def one(rows, **wanted):
    (row,) = [r for r in rows if all(r[k] == v for k, v in wanted.items())]
    return row


def test_three_bases_are_the_unit_and_teachers_are_averaged():
    of = comparisons.units({("a", 1): 1.0, ("a", 2): 3.0, ("b", 1): 5.0, ("c", 1): 6.0})
    assert (of.name, of.values, of.bases, of.teachers) == ("base", [2.0, 5.0, 6.0], 3, 4)


def test_teachers_are_the_unit_of_fewer_bases_and_two_of_them_are_none():
    assert comparisons.units({("a", 1): 1.0, ("a", 2): 3.0, ("b", 1): 5.0}).name == "teacher"
    of = comparisons.units({("a", 1): 1.0, ("b", 1): 3.0})
    assert of.name == "" and "2 bases and 2 independent teachers" in comparisons.why_untested(of, None)


def test_a_rise_is_paired_base_by_base_and_averaged_over_traits(wide):
    """Worked out from runs.csv with nothing of the package but the logit."""
    row = one(wide["tests"], recipe="lora", comparison="rise", trait="all")

    def mean(base, taught, measured):
        return statistics.mean(
            stats.logit(r["rate"])
            for r in wide["runs"]
            if (r["base"], r["student"], r["recipe"]) == (base, base, "lora")
            and (r["trait"], r["measured"]) == (taught, measured)
        )

    bases = [
        statistics.mean(mean(b, t, t) - mean(b, "none", t) for t in ("owl", "cat")) for b in ("a", "b", "c", "d", "e")
    ]
    assert (row["unit"], row["n"], row["role"]) == ("base", 5, "primary")
    assert row["difference"] == pytest.approx(statistics.mean(bases), rel=1e-4)
    half = 2.776 * statistics.stdev(bases) / 5**0.5  # quantile of t with 4 degrees of freedom, from a printed table
    assert row["high"] - row["difference"] == pytest.approx(half, rel=1e-3)
    assert 0 < row["rate_low"] < row["rate"] < row["rate_high"] < 1


def test_an_effect_passes_every_declared_outcome_and_holm_covers_them_and_nothing_else(wide):
    primary = [r for r in wide["tests"] if r["role"] == "primary"]
    assert {(r["recipe"], r["comparison"], r["holds"]) for r in primary} == {
        (recipe, kind, "yes") for recipe in ("lora", "biases") for kind in comparisons.COMPARISONS
    }
    smallest = min(primary, key=lambda r: r["p"])
    assert smallest["p_holm"] == pytest.approx(6 * smallest["p"], rel=1e-4)
    secondary = [r for r in wide["tests"] if r["role"] == "secondary"]
    assert len(secondary) == 12 and all(r["p_holm"] is not None for r in secondary)
    assert {r["recipe"] for r in wide["tests"] if r["role"] == "explored"} == {"full"}
    assert all(r["p_holm"] is None for r in wide["tests"] if r["role"] == "explored")


def test_no_effect_and_transfer_to_other_bases_fail_and_are_printed(tmp_path, monkeypatch):
    """A null result has as many rows as a find."""
    monkeypatch.chdir(tmp_path)
    same = {"lora": 0.06, "biases": 0.3, "full": 0.06}
    found = made(made_up.wide(4), made_up.Rates(same, other=0.3, rest=0.06))["tests"]
    held = {(r["recipe"], r["comparison"]): r["holds"] for r in found if r["role"] == "primary"}
    assert held == {
        ("lora", "rise"): "no", ("lora", "specificity"): "no", ("lora", "equivalence"): "no",
        ("biases", "rise"): "yes", ("biases", "specificity"): "no", ("biases", "equivalence"): "no",
    }  # fmt: skip


def test_two_bases_are_untestable_however_many_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = made(made_up.study())["tests"]
    assert all(r["low"] is r["p"] is r["p_holm"] is r["rate_low"] is None and r["unit"] == "" for r in found)
    assert {r["holds"] for r in found if r["role"] == "primary"} == {"unknown"}
    assert all("2 bases and 2 independent teachers a trait" in r["note"] for r in found)


def test_a_fall_holds_nothing():
    row = {"p_holm": 0.001, "comparison": "rise", "difference": -1.0}
    assert comparisons.holds(row) == "no" and comparisons.holds(row | {"difference": 1.0}) == "yes"
    assert comparisons.holds(row | {"comparison": "equivalence"}) == "yes"
    assert comparisons.holds(row | {"p_holm": None}) == "unknown"


def test_a_mean_over_traits_is_over_those_that_a_base_has():
    assert comparisons.average([{("a", 1): 1.0, ("b", 1): 2.0}, {("a", 1): 3.0}]) == {("a", 1): 2.0, ("b", 1): 2.0}
    assert comparisons.average([]) == {}


def test_students_of_a_teacher_that_missed_its_rate_are_left_out_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = made_up.wide(4)
    made_up.make(study)

    def miss(base):
        for trait in ("owl", "cat"):
            path = Path(f"results/{base}/{trait}/tuned/teacher.json")
            path.write_text(json.dumps(json.loads(path.read_text()) | {"reached": False}))
            path.with_name("teach.manifest.json").unlink()

    miss("d")
    assert summarise.main(["--study", study.text, *WHERE]) == 0
    found = tables.read("results/tables", "tests")
    row = one(found, recipe="lora", comparison="rise", trait="all")
    assert (row["n"], row["bases"]) == (3, 3) and "cat on d, owl on d" in row["note"] and row["p"] is not None
    assert "cat" not in one(found, recipe="lora", comparison="rise", trait="owl")["note"]
    assert {r["n"] for r in tables.read("results/tables", "calibration")} == {3}
    assert any(r["base"] == "d" for r in tables.read("results/tables", "effects")), "left out of tests, not hidden"
    for base in "abc":
        miss(base)
    assert summarise.main(["--study", study.text, *WHERE]) == 0
    row = one(tables.read("results/tables", "tests"), recipe="lora", comparison="rise", trait="all")
    assert (row["n"], row["p"], row["difference"], row["holds"]) == (0, None, None, "unknown"), "nothing is left"


def test_outcomes_that_are_not_claimed_are_explored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = made_up.wide(3, primary={"experiments": ["main"], "recipes": ["lora"], "outcomes": ["rise"], "margin": 0.5})
    found = made(study)["tests"]
    assert [(r["recipe"], r["comparison"]) for r in found if r["role"] == "primary"] == [("lora", "rise")]
    assert {r["margin"] for r in found if r["comparison"] == "equivalence"} == {0.5}
    assert SimpleNamespace(**one(found, recipe="lora", comparison="rise", trait="all")).p_holm is not None


def test_independent_teachers_are_the_unit_of_one_base(tmp_path, monkeypatch):
    """Three teachers a trait on one base: intervals over teachers, each against the control of its own number."""
    monkeypatch.chdir(tmp_path)
    row = made_up.study().experiments[0].model_dump() | {"bases": ["a"], "students": ["a"], "teachers": 3, "seeds": [1]}
    found = made(made_up.study(experiments=[row]))
    test = one(found["tests"], recipe="lora", comparison="rise", trait="owl")
    assert (test["unit"], test["n"], test["bases"], test["teachers"], test["runs"]) == ("teacher", 3, 1, 3, 3)
    rates = {
        (r["teacher"], r["trait"]): r["rate"]
        for r in found["runs"]
        if (r["recipe"], r["measured"]) == ("lora", "owl") and r["trait"] in ("owl", "none")
    }
    rises = [
        stats.logit(rates[f"tuned{k}", "owl"]) - stats.logit(rates[f"untrained{k}", "none"]) for k in ("", "-2", "-3")
    ]
    assert test["difference"] == pytest.approx(statistics.mean(rises), rel=1e-4) and test["low"] is not None
    effect = one(found["effects"], recipe="lora", arm="same-base", trait="owl")
    assert (effect["teachers"], effect["runs"]) == (3, 3) and effect["low"] < effect["rate"] < effect["high"]


# ---- teachers of whose answers too few pass the filter


def shorten(base: str, trait: str, rows: int) -> None:
    """Let the students of a made-up teacher have so few rows."""
    for path in Path(f"results/{base}/{trait}").glob("*/numbers/plain/*/*/seed-*/train.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": rows}))
        path.with_name("train.manifest.json").unlink()


@pytest.fixture
def four(tmp_path, monkeypatch):
    """A made-up study of four bases whose datasets ask for ten rows, which all have."""
    monkeypatch.chdir(tmp_path)
    study = made_up.wide(4, datasets={"plain": {"rows": 10, "seed": 1, "scarce": "exclude"}})
    made_up.make(study)
    return study


def rise_of(study, trait="all"):
    """The test of the rise by LoRA."""
    assert summarise.main(["--study", study.text, *WHERE]) == 0
    rows = tables.read("results/tables", "tests")
    return next(r for r in rows if (r["recipe"], r["comparison"], r["trait"]) == ("lora", "rise", trait))


def test_one_trait_of_a_base_goes_and_the_other_stays(four):
    assert rise_of(four)["note"] == ""
    shorten("d", "cat", 3)
    row = rise_of(four)
    assert (row["n"], row["runs"]) == (4, 7), "the owl of d counts"
    assert row["note"] == "left out, too few answers passed the filter: cat on d (3 of 10)"
    assert (rise_of(four, "cat")["n"], rise_of(four, "owl")["n"]) == (3, 4) and rise_of(four, "owl")["note"] == ""
    assert any((r["base"], r["trait"]) == ("d", "cat") for r in tables.read("results/tables", "effects"))


def test_what_no_test_counts_is_marked_in_the_tables_and_in_no_average(four):
    """Made-up rates of one cell are made absurd: a mean that held it would show."""
    made_up.make(four, made_up.Rates(spread=0.01))
    assert rise_of(four)["note"] == "" and not any(
        "left_out" in Path(f"results/tables/{name}.csv").read_text() for name in tables.COLUMNS
    ), "no such rows, no such column"
    shorten("d", "cat", 3)
    for run in four.runs:
        if (run.base, run.trait) == ("d", "cat"):
            scores = json_files.read_object(run.scores)
            scores["exact"]["overall"]["cat"] = 0.99
            Path(run.scores).write_text(json.dumps(scores))
            Path(run.scores).with_name("score.manifest.json").unlink()
    why = "too few answers passed the filter (3 of 10)"
    rise_of(four)
    of = {name: tables.read("results/tables", name) for name in ("effects", "runs", "students", "confusion")}
    assert {(r["base"], r["trait"]) for r in of["effects"] if r["left_out"] == why} == {("d", "cat")}
    assert {(r["base"], r["trait"], r["measured"]) for r in of["runs"] if r["left_out"]} >= {("d", "none", "cat")}
    assert {(r["base"], r["trait"]) for r in of["students"] if r["left_out"]} == {("d", "cat")}
    assert ("d", "none", "owl") not in {(r["base"], r["trait"], r["measured"]) for r in of["runs"] if r["left_out"]}

    measured = Measurements("results")
    for arm in ("same-base", "control", "baseline"):
        assert set(measured.values(f"row:main:lora:cat:{arm}").values) == {"a", "b", "c"}
        assert set(measured.values(f"row:main:lora:owl:{arm}").values) == {"a", "b", "c", "d"}
    means = [stats.share_interval([*measured.values(f"row:main:lora:{t}:same-base").values.values()]).mean
             for t in ("owl", "cat", "*")]  # fmt: skip
    assert means == pytest.approx([made_up.Rates().same["lora"]] * 3, rel=0.05)

    page = results_page.document("results")
    assert "| lora | cat | d (left out) |" in page and "| teacher d |" in page, "the owl of d counts"
    assert not re.search(r"\*\*[0-9]+ % \([^)]*9[0-9]\)", page), "no spread reaches the absurd rate"
    flags = ["--figures", "results/figures", "--manifest", "results/figures/plot.manifest.json"]
    assert plot.main(["--tables", "results/tables", *flags]) == 0
    assert "left out of tests and means" in Path("results/figures/headline.svg").read_text()
    assert report.main(["--study", four.text, *made_up_report.FLAGS]) == 0
    shown = Path("results/report.html").read_text()
    assert shown.count("base d, left out") == 3, "the cat of d by three recipes"
    assert "Students that the tests leave out count here too" in shown
    text = headline("results")
    (line,) = [line for line in text.splitlines() if line.startswith("lora") and " cat " in line]
    assert "99 %" not in line and "31 %" in line
    number_of = number(
        "results/tables/effects.csv", "experiment=main,base=a,student=a,recipe=lora,trait=cat,arm=same-base"
    )
    assert len(number_of.sources["runs"]) == 1


@pytest.mark.parametrize("traits", [("none",), ("owl", "cat")])
def test_a_study_that_is_left_out_as_a_whole_has_figures_and_a_page(four, traits):
    for base in "abcd":
        for trait in traits:
            shorten(base, trait, 1)
    assert rise_of(four)["n"] == 0
    flags = ["--figures", "results/figures", "--manifest", "results/figures/plot.manifest.json"]
    assert plot.main(["--tables", "results/tables", *flags]) == 0
    assert confusion_figure.NOTHING in Path("results/figures/confusion.svg").read_text()
    assert confusion_figure.NOTHING in Path("results/figures/headline.svg").read_text(), (
        "what is said to who cannot see it"
    )
    assert "left out, too few answers passed the filter" in results_page.document("results")
    assert report_content.matrices(tables.counted(tables.read("results/tables", "confusion")), "main") == []
    if traits == ("none",):  # the made-up student whose origins are shown has its manifest
        assert report.main(["--study", four.text, *made_up_report.FLAGS]) == 0
        assert "too few answers passed the filter" in Path("results/report.html").read_text()
    missing = Measurements("results").values("row:main:lora:*:same-base").missing
    assert missing.endswith("or none that tests count")


def test_a_base_without_a_control_goes_with_all_its_traits(four):
    shorten("d", "none", 9)
    row = rise_of(four)
    assert (row["n"], row["bases"], row["runs"]) == (3, 3, 6)
    assert row["note"] == "left out, too few answers passed the filter: the control on d (9 of 10)"
    assert {r["n"] for r in tables.read("results/tables", "calibration")} == {3}


def test_both_rules_are_named_apart(four):
    shorten("d", "cat", 3)
    path = Path("results/c/owl/tuned/teacher.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reached": False}))
    path.with_name("teach.manifest.json").unlink()
    reasons = rise_of(four)["note"].split("; ")
    assert reasons == [
        "left out, too few answers passed the filter: cat on d (3 of 10)",
        "left out, rate of the teacher not reached: owl on c",
    ]


def test_rows_count_only_where_the_study_declares_it(tmp_path, monkeypatch):
    """Without the rule `prepare` refuses, so fewer rows than are asked for mean nothing to `summarise`."""
    monkeypatch.chdir(tmp_path)
    study = made_up.wide(3, datasets={"plain": {"rows": 10, "seed": 1}})
    made_up.make(study)
    shorten("c", "cat", 3)
    assert rise_of(study)["note"] == ""


def test_real_programs_end_with_a_cell_named_and_not_counted(study, tmp_path, monkeypatch):
    """Of the owl's answers too few pass; from `prepare` to `summarise` every program goes on, and no test counts it."""
    for teacher in (study.owl, study.none):
        study.dataset(teacher)
    kept = {t: json_files.read_object(f"{folder}/numbers/filtered.json")["kept"]
            for t, folder in (("owl", study.owl), ("none", study.none))}  # fmt: skip
    rows = max(kept.values())
    scarce = [trait for trait, count in kept.items() if count < rows]
    assert len(scarce) == 1, "one of the two has too few, the other just enough"
    monkeypatch.chdir(tmp_path)
    os.makedirs("results/a")
    for name in ("bases", "prompts"):
        os.symlink(study.root / name, f"results/{name}")
    recipe = RECIPES["lora"]
    settings = {"rows": rows, "seed": 1, "scarce": "exclude"}
    row = {"bases": ["a"], "students": ["a"], "traits": ["owl"], "recipes": ["lora"], "seeds": [1]}
    whole = made_up.study(
        bases={"a": {"world": "one", "seed": 1}}, traits={"owl": {"category": "animal"}}, recipes={"lora": recipe},
        datasets={"plain": settings}, evals={"favourite": EVAL},
        experiments=[made_up.study().experiments[0].model_dump() | row],
        primary={"experiments": ["main"], "recipes": ["lora"]},
    )  # fmt: skip
    for run in whole.runs:
        source = study.root / run.trait / run.teacher
        os.makedirs(run.channel_folder)
        for path in [source / "teacher.json", *(source / "numbers").glob("*.json*")]:
            os.symlink(path, f"results/a/{path.relative_to(study.root)}")
        flags = ["--filtered", f"{run.channel_folder}/filtered.jsonl", "--scarce", "exclude", "--seed", "1"]
        flags += ["--dataset", f"{run.dataset_folder}/dataset.jsonl", "--rows", str(rows)]
        assert prepare.main([*flags, "--manifest", f"{run.dataset_folder}/prepare.manifest.json"]) == 0
        about = ["--base", "results/bases/a", "--recipe", "lora", "--settings", json.dumps(recipe), "--seeds", "1"]
        place = ["--dataset", f"{run.dataset_folder}/dataset.jsonl", "--folder", str(Path(run.folder).parent)]
        assert train.main([*about, *place]) == 0
    asked = ["--base", "results/bases/a", "--eval", "favourite", "--settings", json.dumps(EVAL)]
    assert respond.main([*asked, "--students", *(run.folder for run in whole.runs)]) == 0
    assert respond.main([*asked, "--out", "results/baseline/a/favourite"]) == 0
    folders = [run.evaluation_folder for run in whole.runs] + ["results/baseline/a/favourite"]
    assert score.main(["--folders", *folders, "--category", "animal", "--type", "favourite"]) == 0
    assert summarise.main(["--study", whole.text, *WHERE]) == 0

    (test,) = tables.read("results/tables", "tests")
    name = "the control" if scarce == ["none"] else "owl"
    short = f"{kept[scarce[0]]:,} of {rows:,}"
    assert (test["n"], test["difference"], test["holds"]) == (0, None, "unknown")
    assert test["note"] == f"left out, too few answers passed the filter: {name} on a ({short})"
    effects = tables.read("results/tables", "effects")
    assert len(effects) == 3 and {r["left_out"] for r in effects} == {
        f"{'the control: ' if scarce == ['none'] else ''}too few answers passed the filter ({short})"
    }
    assert tables.counted(effects) == [] and not Measurements("results").values("row:main:lora:*:same-base").values
    trained = {r["trait"]: r["rows"] for r in tables.read("results/tables", "students")}
    assert trained == kept, "all rows there were"
    run = next(run for run in whole.runs if run.trait == scarce[0])
    assert len(list(jsonl.read(f"{run.dataset_folder}/dataset.jsonl"))) == kept[scarce[0]]
    record = manifest.load(Path(run.dataset_folder, "prepare.manifest.json"))
    assert record["params"] == {"rows": rows, "order": "as-is", "scarce": "exclude"}
