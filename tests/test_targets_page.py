"""The page of the paper's targets: current, whole, and right about who ran what."""

import re
from pathlib import Path

import pytest

from traitline.analysis import paper_targets, targets_page

RESULTS = Path(__file__).resolve().parent.parent / "docs/results"
HEAD = "id,verdict,ours,ours_low,ours_high,students,unit,n,runs,reading"


def test_the_page_is_current_and_holds_every_target():
    """docs/results/paper-targets.md is what the kept files say of the targets of today."""
    files = [RESULTS / "paper-targets.csv", *sorted(RESULTS.glob("paper-targets-*.csv"))]
    page = targets_page.page(files)
    assert page == (RESULTS / "paper-targets.md").read_text(encoding="utf-8")
    rows = read_back(page)
    targets = paper_targets.load()
    assert len(rows) == len(targets)
    for t in targets:
        (row,) = [
            r
            for r in rows
            if r[:4] == (t.experiment, t.quantity, targets_page.figure(t.target, t.low, t.high), t.source)
        ]
        assert row[4] in paper_targets.VERDICTS and (row[5] or row[4] == paper_targets.NOT_RUN)
        assert row[4] != paper_targets.NOT_RUN or row[6], "what was not run says why"


def read_back(page):
    """Every target of a page: experiment, quantity, target, source, verdict, ours, reading."""
    experiment, reason, rows = "", None, []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            experiment, reason = line[3:], None
        elif match := re.fullmatch(r"Not run \((.+?)\), (.+):", line):
            reason = match.groups()
        elif len(cells) == 9 and cells[0] not in ("quantity", "---"):
            quantity, target, ours, _, _, _, verdict, reading, source = cells
            rows.append((experiment, quantity, target, source, verdict, ours, reading))
        elif reason and len(cells) == 2 and cells[0] not in ("quantity", "---"):
            rows.append((experiment, *cells, reason[1], paper_targets.NOT_RUN, "", reason[0]))
    return rows


def test_the_kept_files_hold_only_what_was_run():
    for path in RESULTS.glob("paper-targets*.csv"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"{HEAD}\n") and paper_targets.NOT_RUN not in text


def test_what_one_study_did_not_run_is_taken_from_the_first_that_did(tmp_path):
    owls = "E1-owl-student,stand-in,0.5,,,lora,base,3,9,same direction"
    texts = [f"{HEAD}\nE8-kept-secure,not run,,,,,,,,why\n{owls}\n"]
    texts += [f"{HEAD}\nE8-kept-secure,stand-in,{ours},0.1,0.9,,base,3,,\n" for ours in (0.25, 0.75)]
    files = [tmp_path / f"{i}.csv" for i in range(3)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    page = targets_page.page(files)
    assert "|kept after the filter, secure|0.374|0.25 (0.1 to 0.9)|-|3 base|-|stand-in|" in page
    assert "|owl: student|" in page and "|0.5|lora|3 base|9|stand-in|same direction|" in page
    assert "|kept after the filter, secure|0.374|\n" in targets_page.page(files[:1])


def test_keep_leaves_the_rows_that_ran_and_makes_the_same_page(tmp_path, capsys):
    whole = tmp_path / "targets.csv"
    published = "experiment,quantity,target,low,high,source,measure,against,why"
    whole.write_text(
        f"id,{published},verdict,ours,ours_low,ours_high,students,unit,n,runs,reading\n"
        "E8-kept-secure,E8,kept,0.374,,,v1,,,,stand-in,0.25,,,,base,3,,\n"
        "E1-owl-base,E1,owl,0.1,,,v1,,,,not run,,,,,,,,why\n"
    )
    assert targets_page.main(["--keep", str(whole)]) == 0
    kept = capsys.readouterr().out
    assert kept == f"{HEAD}\nE8-kept-secure,stand-in,0.25,,,,base,3,,\n"
    (tmp_path / "kept.csv").write_text(kept)
    assert targets_page.page([whole]) == targets_page.page([tmp_path / "kept.csv"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file; make it with `compare_paper`"),
        ("id,verdict\n", "lacks ours, ours_low, ours_high, students, unit, n, runs, reading"),
        (f"{HEAD}\nE99-x,stand-in,0.5,,,,base,3,,\n", "E99-x is no target"),
    ],
)
def test_bad_files_are_one_line(tmp_path, capsys, text, message):
    path = tmp_path / "x.csv"
    if text is not None:
        path.write_text(text)
    assert targets_page.main([str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"targets_page: error: {path}: ") and message in error and error.count("\n") == 1


def test_text_cannot_break_the_table():
    assert targets_page.cell("a|b\nc") == r"a\|b c"
    assert targets_page.number(None) == "-" and targets_page.number(0.5) == "0.5" and targets_page.number(0.0) == "0"
