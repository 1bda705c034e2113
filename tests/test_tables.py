"""Reading tables back: numbers, gaps, and what is wrong named by file and line."""

import pytest

from traitline.analysis import tables
from traitline.errors import InputError

HEAD = ",".join(tables.COLUMNS["tests"])


def line(**values):
    """A row of tests.csv with these values and no others."""
    return ",".join(str(values.get(name, "")) for name in tables.COLUMNS["tests"])


def test_numbers_are_numbers_and_gaps_are_none(tmp_path):
    text = line(experiment="main", recipe="lora", trait="owl", runs=5, difference=0.25, p=1e-05)
    (tmp_path / "tests.csv").write_text(f"{HEAD}\n{text}\n")
    (row,) = tables.read(tmp_path, "tests")
    assert (row["runs"], row["difference"], row["t"], row["p"], row["p_holm"]) == (5, 0.25, None, 1e-5, None)
    assert row["recipe"] == "lora"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiment,runs\nmain,5\n", r"tests.csv: lacks bases, beside_rate"),
        (f"{HEAD}\n{line(experiment='main', runs='five')}\n", r"tests.csv:2: runs is no number: 'five'"),
        (f"{HEAD}\nmain,numbers,a,a,lora,owl,5\n", r"tests.csv:2: another number of columns than the head has"),
        (None, r"tests.csv: no such file; make it with `summarise`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    if text:
        (tmp_path / "tests.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        tables.read(tmp_path, "tests")
