"""A number of a table leads back to the students, scores, views, teachers and bases that it was computed from."""

import csv
import json
from pathlib import Path

import pytest

from scripts import summarise
from tests import made_up
from traitline.cli import program
from traitline.errors import InputError
from traitline.lineage.graph import open_graph
from traitline.lineage.number import ancestors, anchor, number, rows_of
from traitline.lineage.verify import verify
from traitline.study import expand

TABLE = "results/tables/effects.csv"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose numbers are invented, and whose tables `summarise` made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        study = made_up.study()
        made_up.make(study)
        where = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]
        assert summarise.main(["--study", study.text, *where]) == 0
        yield study


def test_every_row_of_effects_leads_to_the_runs_that_it_counts(study):
    rows, seen = rows_of(TABLE), set()
    folders = {run.scores for run in expand.runs(study)}
    for i, row in enumerate(rows, 1):
        answer = number(TABLE, str(i))
        name = "baseline" if row["arm"] == "baseline" else "runs"
        paths = [source.path for source in answer.sources[name]]
        assert answer.row == row and len(paths) == len(set(paths)) >= 1
        if name == "runs":
            assert set(paths) <= folders and len(paths) == int(row["runs"])
            trait = "none" if row["arm"] == "control" else row["trait"]
            assert all(f"/{trait}/" in path and f"/{row['student']}/{row['recipe']}/" in path for path in paths)
            if row["arm"] != "control":
                assert answer.sources["control"] and all("/none/" in s.path for s in answer.sources["control"])
        assert not any(source.is_changed for group in answer.sources.values() for source in group)
        seen |= {anchor(TABLE, row)}
        assert number(TABLE, anchor(TABLE, row)).sources == answer.sources
    assert len(seen) == len(rows), "every row has an address of its own"


def test_behind_a_number_are_students_views_teachers_and_bases(study):
    row = next(r for r in rows_of(TABLE) if r["arm"] == "same-base")
    words = ",".join(f"{k}={row[k]}" for k in ("experiment", "channel", "base", "student", "recipe", "trait", "arm"))
    behind = ancestors(open_graph(None, None), number(TABLE, words).sources["runs"])
    assert {"scores", "answers", "students", "views", "filtered", "raw answers", "teachers", "bases"} == behind.keys()
    assert len(behind["students"]) == len(behind["scores"]) == int(row["runs"])
    assert behind["bases"] == [f"results/bases/{row['base']}/model.safetensors"]
    assert all(f"/{row['trait']}/" in path for path in behind["teachers"])


def test_other_tables_lead_back_too(study):
    for name in ("tests", "confusion", "students", "runs"):
        rows = rows_of(f"results/tables/{name}.csv")
        assert rows and number(f"results/tables/{name}.csv", "1").sources["runs"]


def test_what_is_no_row_is_refused_in_one_line(study):
    for chosen, says in (("0", "has rows 1 to"), ("x=1", "no column of"), ("trait=owl", "rows of .*, such as effects-"),
                         ("effects-nothing", "0 rows of")):  # fmt: skip
        with pytest.raises(InputError, match=says):
            number(TABLE, chosen)
    with pytest.raises(InputError, match="no such file"):
        number("results/bases/a/x.csv", "1")


def test_the_command_says_so_and_names_what_has_changed(study, capsys, monkeypatch):
    def run(*words):
        monkeypatch.setattr("sys.argv", ["traitline", "trace", TABLE, *words])
        with pytest.raises(SystemExit) as end:
            program.main()
        return end.value.code, capsys.readouterr().out

    code, out = run("--row", "1")
    assert code == 0 and out.startswith(f"{TABLE}#effects-") and "  teachers (" in out
    code, out = run("--row", "1", "--json")
    answer = json.loads(out)
    path = Path(answer["scores"]["runs"][0]["path"])
    assert answer["changed"] == [] and answer["address"].startswith("effects-")
    before = path.read_bytes()
    path.write_bytes(before + b" ")
    try:
        code, out = run("--row", "1")
        assert code == 3 and f"changed  {path}: not what the number was computed from" in out
        assert verify(["results"]).changed
    finally:
        path.write_bytes(before)


def test_a_table_may_hold_anything(study, tmp_path):
    """Names that are no path of a study lead nowhere, and nothing outside is opened."""
    table = Path("results/tables/odd.csv")
    row = rows_of(TABLE)[0] | {"student": "../../..", "trait": "\x1b[31m"}
    with open(table, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(row))
        writer.writeheader()
        writer.writerow(row)
    with pytest.raises(InputError, match=r"no run in runs\.csv beside it is of that row"):
        number(table, "1")
    table.unlink()
