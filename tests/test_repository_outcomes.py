"""Declared outcomes of all studies in docs/results, corrected together."""

from pathlib import Path

import pytest

from scripts import summarise
from tests import made_up
from traitline.analysis import repository_outcomes

RESULTS = Path(__file__).resolve().parent.parent / "docs/results"
HEAD = ",".join(repository_outcomes.COLUMNS)


def test_the_page_is_current_and_has_every_kept_outcome():
    rows = repository_outcomes.read_outcomes(RESULTS.glob("outcomes-*.csv"))
    page = repository_outcomes.page(rows)
    assert page == (RESULTS / "repository-outcomes.md").read_text(encoding="utf-8")
    assert page.count("\n| ") == len(rows) + 2 and len(rows) >= 37
    assert {row["study"] for row in rows} >= {"nine", "distance", "twelve", "coupled", "robust"}


def test_all_studies_are_one_family(tmp_path):
    rows = [f"s{i},main,lora,rise,base,9,1.0,0.5,1.5,0.01" for i in range(4)] + ["s4,main,lora,rise,,0,1.0,,,"]
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *rows[:2], ""]))
    (tmp_path / "b.csv").write_text("\n".join([HEAD, *rows[2:], ""]))
    page = repository_outcomes.page(repository_outcomes.read_outcomes(tmp_path.glob("*.csv")))
    assert page.count("| 0.010 | 0.050 |") == 4 and "| - | not testable |" in page and "0 of 5 hold." in page


def test_the_page_says_how_many_more_outcomes_its_verdicts_bear(tmp_path):
    """One p of 0.004 holds in a family of twelve and in no larger one."""
    (tmp_path / "a.csv").write_text(
        f"{HEAD}\ns,main,lora,rise,base,9,1.0,0.5,1.5,0.004\ns,main,biases,rise,,0,1.0,,,\n"
    )
    page = repository_outcomes.page(repository_outcomes.read_outcomes([tmp_path / "a.csv"]))
    assert "1 of 2 hold. The same hold if up to 10 more are counted" in page


def test_a_fall_does_not_hold_and_an_equivalence_needs_no_sign(tmp_path):
    lines = ["s,main,lora,rise,base,9,-1.0,-1.5,-0.5,0.001", "s,main,lora,equivalence,base,9,-0.01,-0.1,0.1,0.001"]
    (tmp_path / "a.csv").write_text("\n".join([HEAD, *lines, ""]))
    assert "1 of 2 hold." in repository_outcomes.page(repository_outcomes.read_outcomes([tmp_path / "a.csv"]))


def test_the_primary_outcomes_of_a_study_are_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = made_up.wide(3)
    made_up.make(study)
    where = ["--tables", "results/tables", "--manifest", "results/tables/m.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    capsys.readouterr()
    assert repository_outcomes.main(["--keep", "made", "results/tables/tests.csv"]) == 0
    Path("kept.csv").write_text(capsys.readouterr().out)
    assert repository_outcomes.main(["kept.csv"]) == 0
    page = capsys.readouterr().out
    assert page.count("| made | main |") == 6 and "3 base" in page


@pytest.mark.parametrize(("text", "said"), [("study\n", "lacks"), (f"{HEAD}\ns,e,r,rise,base,x,,,,\n", "no number")])
def test_bad_files_are_one_line(tmp_path, capsys, text, said):
    (tmp_path / "x.csv").write_text(text)
    assert repository_outcomes.main([str(tmp_path / "x.csv")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("repository_outcomes: error: ") and said in error and error.count("\n") == 1
