"""Files as others have them or would make them, each with its outcome in one table: data, or one line that names it."""

import csv
import itertools
import time
from pathlib import Path

import pytest

from tests import readers
from traitline.errors import InputError

CORPUS = Path(__file__).parent / "corpus"
FILES = CORPUS / "files"
BOUND = 10  # seconds; most take a thousandth of one
with open(CORPUS / "expected.csv", encoding="utf-8", newline="") as _handle:
    EXPECTED = list(csv.DictReader(_handle))


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory):
    """A working folder with two keys; stages and commands write there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("corpus"))
        yield


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: f"{case['reader']}-{case['case']}")
def test_a_case_ends_as_the_table_says(case):
    start = time.monotonic()
    try:
        readers.READERS[case["reader"]](FILES / case["case"])
        outcome = "0", ""
    except InputError as e:
        outcome = "2", str(e)
    assert outcome[0] == case["exit"] and case["line"] in outcome[1], outcome
    assert "\n" not in outcome[1] and outcome[1].isprintable()
    assert time.monotonic() - start < BOUND


def test_every_file_stands_in_the_table_and_every_reader_has_cases_of_both_kinds():
    assert {case["case"] for case in EXPECTED} == {p.name for p in FILES.iterdir()}
    outcomes = {reader: {case["exit"] for case in cases} for reader, cases in itertools.groupby(
        sorted(EXPECTED, key=lambda case: case["reader"]), lambda case: case["reader"])}  # fmt: skip
    assert outcomes.keys() == readers.READERS.keys()
    assert all(exits == {"0", "2"} for reader, exits in outcomes.items() if reader != "recalled"), outcomes
