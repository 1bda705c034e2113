"""A made-up study as a page of Markdown."""

import re

from scripts import summarise
from tests import made_up
from traitline.analysis import results_page


def test_results_as_markdown(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = made_up.wide(4).experiments[0].model_dump()
    study = made_up.wide(4, experiments=[row, row | {"name": "second", "bases": ["a"], "students": ["a", "b"]}])
    made_up.make(study, made_up.Rates(other=0.2))
    where = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    capsys.readouterr()
    assert results_page.main(["results"]) == 0
    text = capsys.readouterr().out
    assert "| equivalent" not in text and "lora (main): p " in text and "## Experiment `second`" in text
    assert re.search(
        r"\| lora \| rise \| all \| primary \| \d\d % \(\d\d to \d\d\) \|.*\| base \| 4 \| 4 / 4 / 8 \|", text
    )
    assert "Notes: 1 base and 1 independent teacher a trait" in text and "## Calibration" in text
    assert re.search(r"\| owl \| \*\*\d\d % \(\d\d to \d\d\)\*\* \| \d\.\d % \(", text)
    heads = [line for line in text.splitlines() if re.fullmatch(r"\|( -+:? \|)+", line)]
    assert len(heads) > 10 and "**Yes.**" in text and "Students on another base" in text
    assert results_page.main(["nowhere"]) == 2
