"""What parts of a configuration inherit: rows from `defaults`, across the files that are laid over each other."""

import re
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from tests.configs import raw
from traitline.errors import InputError
from traitline.study import config, inherit
from traitline.study.experiments import OWN, Defaults, Experiment

ROOT = Path(__file__).resolve().parent.parent
FILE = str(ROOT / "config.yaml")


def laid_over(tmp_path, text):
    """(merged configuration, its files) of config.yaml and an overlay."""
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text, encoding="utf-8")
    merged = raw()
    update_config(merged, yaml.safe_load(text))
    return merged, [FILE, str(overlay)]


def line_of(message):
    """(file name, text of the line) that a message names."""
    file, number = re.match(r"(.*?\.yaml):(\d+): ", message).groups()
    return Path(file).name, Path(file).read_text(encoding="utf-8").splitlines()[int(number) - 1].strip()


def test_a_row_says_only_what_is_special_about_it():
    filled = inherit.fill_rows(
        {
            "defaults": {"bases": ["a"], "seeds": [1, 2], "eval": "word"},
            "experiments": [{"name": "x"}, {"name": "y", "seeds": [3]}],
        }
    )
    assert filled["experiments"] == [
        {"name": "x", "bases": ["a"], "seeds": [1, 2], "eval": "word"},
        {"name": "y", "bases": ["a"], "seeds": [3], "eval": "word"},
    ]


def test_a_study_is_the_same_whether_its_rows_are_short_or_written_out():
    short = raw()
    full = {**inherit.fill_rows(short)}
    del full["defaults"]
    assert short["experiments"] != full["experiments"]
    assert config.load(short).text == config.load(full).text
    assert config.load(short).runs == config.load(full).runs


def test_rows_of_an_overlay_have_the_merged_defaults(tmp_path):
    text = "defaults: {seeds: [7]}\nexperiments: [{name: x, question: Why, recipes: [full], students: [b]}]\n"
    merged, files = laid_over(tmp_path, text + "primary: {experiments: [x], recipes: [full]}\n")
    (row,) = config.load(merged, files).experiments
    assert row.seeds == [7] and row.students == ["b"], "of the overlay"
    assert row.bases == ["a"] and row.traits == ["owl", "cat", "wolf"] and row.eval == "favourite", "of config.yaml"


def test_null_takes_a_default_away_and_a_row_can_take_back_an_optional_key(tmp_path):
    merged, files = laid_over(tmp_path, "defaults: {eval: null}\n")
    with pytest.raises(InputError, match=r"experiments\[0\]\.eval: missing"):
        config.load(merged, files)
    merged, files = laid_over(tmp_path, "defaults: {others: 0, bases: [a, b]}\n")
    merged["experiments"][1]["others"] = None
    assert [row.others for row in config.load(merged, files).experiments] == [0, None]


def test_no_defaults_at_all_are_fine(tmp_path):
    merged, files = laid_over(tmp_path, "defaults: null\n")
    with pytest.raises(InputError, match=r"experiments\[0\]\.bases: missing \(and 13 more\)"):
        config.load(merged, files)


def test_every_key_of_a_row_but_name_and_question_may_have_a_default():
    assert set(Defaults.model_fields) == set(Experiment.model_fields) - set(OWN)
    assert Experiment.model_json_schema()["required"] == list(OWN)


@pytest.mark.parametrize(
    "text, words, line",
    [
        ("defaults: {}\n", None, None),
        ("defaults:\n  seed: [1]\n", "defaults.seed: unknown key; did you mean seeds?", "seed: [1]"),
        ("defaults:\n  name: x\n", "defaults.name: unknown key", "name: x"),
        ("defaults:\n  seeds: [1, 1]\n", None, None),  # every row overrides it, but it is wrong
        ("defaults:\n  traits: owl\n", "defaults.traits: ", "traits: owl"),
        (
            "defaults:\n  dataset: plane\n",
            "experiments[0].dataset: 'plane' is no label under `datasets`; did you mean plain?",
            "dataset: plane",
        ),
        (
            "traits:\n  oak: {category: tree}\ndefaults:\n  bases: [b]\n  traits: [oak]\n",
            "experiments[0].eval: `favourite` asks for a favourite animal, but oak is a tree",
            None,
        ),
    ],
)
def test_a_wrong_default_is_one_line_that_names_where_it_stands(tmp_path, text, words, line):
    merged, files = laid_over(tmp_path, text)
    if text == "defaults: {}\n":
        config.load(merged, files)
        return
    with pytest.raises(InputError) as e:
        config.load(merged, files)
    message = str(e.value)
    assert (words or "defaults.seeds: 1 stands there more than once") in message and "\n" not in message
    assert "more)" not in message, "a wrong default is one problem, however many rows inherit it"
    file, text_of_line = line_of(message)
    if line:
        assert (file, text_of_line) == ("overlay.yaml", line)
    if message.partition(": ")[2].startswith("experiments"):
        assert "(the row has it from `defaults`)" in message


def test_a_value_of_config_yaml_is_found_there_though_the_rows_are_those_of_an_overlay(tmp_path):
    text = "experiments:\n  - {name: x, question: Why, recipes: [lora], seeds: [1], students: [c]}\n"
    merged, files = laid_over(tmp_path, text + "primary: {experiments: [x], recipes: [lora]}\n")
    with pytest.raises(InputError) as e:
        config.load(merged, files)
    assert line_of(str(e.value))[0] == "overlay.yaml" and "students: 'c'" in str(e.value)
    merged["experiments"][0]["students"] = ["a"]
    merged["traits"] = {"oak": {"category": "tree"}}
    with pytest.raises(InputError) as e:
        config.load(merged, files)
    file, line = line_of(str(e.value))
    assert "experiments[0].traits: 'owl' is no label under `traits`" in str(e.value)
    assert file == "config.yaml" and line.startswith("traits: [owl, cat, wolf]")


def test_an_entry_of_a_list_is_looked_for_in_the_file_that_replaces_the_list(tmp_path):
    """config.yaml's first row has `seeds` of its own; the overlay's first row, which counts, has none."""
    text = "experiments:\n  - {name: x, question: Why, recipes: [lora]}\nprimary: {experiments: [x], recipes: [lora]}\n"
    merged, files = laid_over(tmp_path, text)
    with pytest.raises(InputError) as e:
        config.load(merged, files)
    assert "experiments[0].seeds: missing" in str(e.value)
    assert line_of(str(e.value)) == ("overlay.yaml", "- {name: x, question: Why, recipes: [lora]}")
