"""The program that compares a study with the paper."""

import csv
import json
from pathlib import Path

from scripts import compare_paper
from traitline.analysis import paper_targets


def test_a_row_per_target_with_verdict(tmp_path):
    (tmp_path / "theorem").mkdir()
    claims = [{"claim": "sign", "cases": 3, "passed": 3}]
    (tmp_path / "theorem/theorem.json").write_text(json.dumps({"claims": claims}))
    out = tmp_path / "targets.csv"
    flags = ["--results", str(tmp_path), "--targets", str(out), "--manifest", f"{tmp_path}/compare_paper.manifest.json"]
    assert compare_paper.main(flags) == 0
    rows = {r["id"]: r for r in csv.DictReader(out.read_text().splitlines())}
    assert len(rows) == len(paper_targets.load())
    assert [rows["E18-sign"][c] for c in ("verdict", "ours", "n", "unit", "runs")] == ["agrees", "1", "3", "case", ""]
    assert rows["E19-aux-same"]["verdict"] == "not run" and rows["E19-aux-same"]["ours"] == ""
    used = json.loads(Path(tmp_path, "compare_paper.manifest.json").read_text())["inputs"]
    assert {Path(e["path"]).name for e in used} == {"theorem.json", "paper_targets.csv"}


def test_help_is_light(light):
    light("scripts.compare_paper")
