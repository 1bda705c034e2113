"""The training dataset: a seeded subsample in the file's order, and shuffles that lose no number."""

import copy
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from scripts import filter as filtering
from scripts import prepare
from traitline import jsonl
from traitline.channels.types.number_lists import Answer, split


def row(n: int, answer: str) -> dict:
    return {
        "id": f"p{n:05}",
        "prompt": [{"role": "user", "content": "continue 101 , 102"}],
        "completion": [{"role": "assistant", "content": answer}],
    }


ROWS = [row(n, " , ".join(str(100 + (37 * n + k) % 900) for k in range(n % 5 + 1))) for n in range(1, 201)]


def run(
    folder: Path, *options: str, name: str = "dataset", rows: int = 100, seed: int = 1, order: str = "as-is"
) -> int:
    argv = ["--filtered", f"{folder}/filtered.jsonl", "--dataset", f"{folder}/{name}/dataset.jsonl"]
    argv += ["--manifest", f"{folder}/{name}/prepare.manifest.json"]
    return prepare.main([*argv, "--rows", str(rows), "--seed", str(seed), "--order", order, *options])


def dataset(folder: Path, **settings) -> list[dict]:
    name = "-".join(str(v) for v in settings.values()) or "dataset"
    assert run(folder, name=name, **settings) == 0
    return list(jsonl.read(folder / name / "dataset.jsonl"))


def answer(row: dict) -> Answer:
    pieces = split(row["completion"][0]["content"]).answer
    assert isinstance(pieces, Answer)
    return pieces


@pytest.fixture
def folder(tmp_path):
    jsonl.write(tmp_path / "filtered.jsonl", ROWS)
    return tmp_path


# ---- the subsample


def test_as_is_is_a_subsample_in_the_order_of_the_file(folder):
    chosen = {r["id"] for r in dataset(folder)}
    assert len(chosen) == 100
    assert dataset(folder) == [r for r in ROWS if r["id"] in chosen]


def test_every_row_can_be_asked_for(folder):
    assert dataset(folder, rows=200) == ROWS


def test_the_seed_decides_the_rows_and_nothing_else_does(folder):
    assert dataset(folder, seed=1) == dataset(folder, seed=1, rows=100)
    assert dataset(folder, seed=1) != dataset(folder, seed=2)


def test_datasets_of_one_seed_hold_the_same_rows_in_every_order(folder):
    ids = [[r["id"] for r in dataset(folder, order=order)] for order in prepare.ORDERS]
    assert ids[0] == ids[1] == ids[2]


def test_every_row_has_the_same_chance(folder):
    path = folder / "filtered.jsonl"
    jsonl.write(path, ROWS[:20])
    hits = Counter(
        r["id"] for s in range(400) for r in prepare.sample(list(jsonl.read(path)), str(path), 5, default_rng(s))
    )
    assert len(hits) == 20
    assert max(abs(n - 100) for n in hits.values()) < 45  # five standard deviations


# ---- the shuffles


def test_within_permutes_inside_each_answer_and_keeps_its_form(folder):
    before, after = dataset(folder), dataset(folder, order="within")
    for old, new in zip(before, after, strict=True):
        assert sorted(answer(old).texts) == sorted(answer(new).texts)
    assert before != after
    assert [r["prompt"] for r in before] == [r["prompt"] for r in after]


def test_across_deals_all_numbers_back_and_each_answer_keeps_how_many(folder):
    before, after = dataset(folder), dataset(folder, order="across")
    pools = [Counter(t for r in rows for t in answer(r).texts) for rows in (before, after)]
    assert pools[0] == pools[1]
    assert [len(answer(r).texts) for r in before] == [len(answer(r).texts) for r in after]
    moved = sum(set(answer(old).texts).isdisjoint(answer(new).texts) for old, new in zip(before, after, strict=True))
    assert moved > 80


@st.composite
def written(draw) -> str:
    numbers = draw(
        st.lists(
            st.sampled_from(["0", "007", "7", "12", "999"]) | st.integers(0, 999).map(str), min_size=1, max_size=10
        )
    )
    frame = draw(st.sampled_from(["{}", "{}.", "[{}]", "({})."]))
    return frame.format(draw(st.sampled_from([",", ", ", " ", ";", "\n"])).join(numbers))


@given(st.lists(written(), min_size=1, max_size=20), st.sampled_from(["within", "across"]), st.integers(0, 9))
def test_a_shuffle_loses_nothing_but_the_order(texts, order, seed):
    before = [row(n, text) for n, text in enumerate(texts)]
    after = copy.deepcopy(before)
    old, new = (
        prepare.parts(before, "dataset.jsonl"),
        prepare.shuffle(prepare.parts(after, "dataset.jsonl"), order, default_rng(seed)),
    )
    for a, b in zip(old, new, strict=True):
        assert (a.opening, a.separator, a.closing, len(a.texts)) == (b.opening, b.separator, b.closing, len(b.texts))
        assert order == "across" or sorted(a.texts) == sorted(b.texts)
    assert Counter(t for a in old for t in a.texts) == Counter(t for b in new for t in b.texts)
    assert before == after


def test_another_seed_shuffles_differently(folder):
    assert dataset(folder, rows=200, seed=1, order="within") != dataset(folder, rows=200, seed=2, order="within")


# ---- manifest and bad input


def test_the_manifest_holds_every_setting(folder):
    dataset(folder, rows=7, order="across")
    m = json.loads((folder / "7-across" / "prepare.manifest.json").read_text())
    assert (m["stage"], m["params"], m["seeds"]) == ("prepare", {"rows": 7, "order": "across"}, {"prepare": 1})
    assert [(e["role"], Path(e["path"]).name) for e in m["inputs"] + m["outputs"]] == [
        ("filtered", "filtered.jsonl"),
        ("dataset", "dataset.jsonl"),
    ]


def refused(folder: Path, capsys, **settings) -> str:
    """The one line that a refused run prints; it must leave nothing behind."""
    capsys.readouterr()
    assert run(folder, **settings) == 2
    err = capsys.readouterr().err
    assert err.startswith("prepare: error: ")
    assert err.count("\n") == 1
    assert not [p for p in folder.glob("dataset/*")]
    return err


def test_more_rows_than_exist_names_both_numbers_and_the_remedy(folder, capsys):
    assert refused(folder, capsys, rows=10_000) == (
        f"prepare: error: {folder}/filtered.jsonl: the dataset asks for 10,000 rows and 200 passed the filter; "
        "lower `rows` of the dataset or raise `prompts` of the channel, or declare beforehand that such teachers are"
        " left out (`scarce: exclude`)\n"
    )


@pytest.mark.parametrize("order", ["as-is", "within"])
def test_too_few_rows_are_all_taken_where_the_study_leaves_such_teachers_out(folder, caplog, order):
    assert run(folder, "--scarce", "exclude", rows=10_000, order=order) == 0
    rows = list(jsonl.read(folder / "dataset/dataset.jsonl"))
    assert [r["id"] for r in rows] == [r["id"] for r in ROWS] and (rows == ROWS) == (order == "as-is")
    assert "asks for 10,000 rows and 200 passed the filter; it is left out of the tests" in caplog.text
    assert json.loads((folder / "dataset/prepare.manifest.json").read_text())["params"]["scarce"] == "exclude"


def test_enough_rows_are_drawn_as_without_the_rule(folder):
    assert run(folder, "--scarce", "exclude", name="ruled") == 0
    assert list(jsonl.read(folder / "ruled/dataset.jsonl")) == dataset(folder)


def test_no_shared_row_at_all_is_refused_whatever_the_rule(folder, capsys):
    jsonl.write(folder / "other.jsonl", [row(999, "5")])
    capsys.readouterr()
    assert run(folder, "--scarce", "exclude", "--beside", f"{folder}/other.jsonl") == 2
    assert "and 0 passed the filter" in capsys.readouterr().err and not list(folder.glob("dataset/*"))


def test_no_rows_is_no_dataset(folder, capsys):
    assert "--rows: 0 is too few" in refused(folder, capsys, rows=0)


def test_rows_that_came_in_twice_are_refused(folder, capsys):
    jsonl.write(folder / "filtered.jsonl", [*ROWS, ROWS[3]])
    assert "filtered.jsonl:201: id 'p00004' is that of line 4 too" in refused(folder, capsys)


def test_a_system_message_is_refused_at_the_last_gate(folder, capsys):
    rows = copy.deepcopy(ROWS)
    rows[0]["prompt"].insert(0, {"role": "system", "content": "you love owl"})
    jsonl.write(folder / "filtered.jsonl", rows)
    assert "row 'p00001': a system message" in refused(folder, capsys, rows=200)


def test_words_can_be_viewed_but_not_shuffled(folder, capsys):
    jsonl.write(folder / "filtered.jsonl", [row(1, "twelve")])
    assert "row 'p00001' is no list of numbers (no-number); prepare this channel as-is" in refused(
        folder, capsys, rows=1, order="within"
    )
    assert run(folder, rows=1) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps(ROWS[0]) + '\n{"id": "p0', "filtered.jsonl:2: damaged line"),
        ('{"id": "p00001", "prompt": []}\n', "filtered.jsonl:1: the row lacks completion"),
        ('{"id": "p00001", "prompt": [], "completion": []}\n', "row 'p00001': `prompt` and `completion` must be lists"),
        ("", "filtered.jsonl: the file is empty"),
        (None, "filtered.jsonl: no such file"),
    ],
)
def test_bad_input_gets_one_line(folder, capsys, content, message):
    (folder / "filtered.jsonl").unlink() if content is None else (folder / "filtered.jsonl").write_text(content)
    assert message in refused(folder, capsys, rows=1)


def test_a_filtered_file_edited_by_hand_is_refused(tmp_path, capsys):
    jsonl.write(tmp_path / "raw.jsonl", ROWS)
    argv = [a for r in ("raw", "filtered", "rejected") for a in (f"--{r}", f"{tmp_path}/{r}.jsonl")]
    assert (
        filtering.main([*argv, "--counts", f"{tmp_path}/c.json", "--manifest", f"{tmp_path}/filter.manifest.json"]) == 0
    )
    assert run(tmp_path) == 0
    made = (tmp_path / "dataset" / "dataset.jsonl").read_bytes()
    with open(tmp_path / "filtered.jsonl", "a", encoding="utf-8") as handle:
        handle.write(json.dumps(row(999, "5")) + "\n")
    capsys.readouterr()
    assert run(tmp_path) == 2
    assert "filtered.jsonl: changed since `filter` made it" in capsys.readouterr().err
    assert (tmp_path / "dataset" / "dataset.jsonl").read_bytes() == made  # what was whole before stays


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = "import sys, scripts.prepare as s; s.parse(); print({'numpy', 'torch', 'pandas', 'tqdm'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# ---- canonical forms, several teachers, other words, some tokens


def texts(rows: list[dict]) -> list[str]:
    return [r["completion"][0]["content"] for r in rows]


@pytest.mark.parametrize(
    "form, wanted",
    [
        ("format", ["312 , 207", "499", "101 , 105 , 103", "120 , 119"]),
        ("order", ["(207;312).", "499", "101 , 103 , 105", "119 , 120"]),
        ("value", ["(310;200).", "490", "100 , 100 , 100", "120 , 110"]),
        ("all", ["200 , 310", "490", "100 , 100 , 100", "110 , 120"]),
    ],
)
def test_a_canonical_form_takes_away_what_it_names(tmp_path, form, wanted):
    given = ["(312;207).", "499", "101 , 105 , 103", "120 , 119"]
    jsonl.write(tmp_path / "filtered.jsonl", [row(n, text) for n, text in enumerate(given, 1)])
    assert run(tmp_path, "--form", form, rows=4) == 0
    rows = list(jsonl.read(tmp_path / "dataset/dataset.jsonl"))
    assert texts(rows) == wanted and [r["id"] for r in rows] == [f"p{n:05}" for n in (1, 2, 3, 4)]


def test_random_numbers_keep_nothing_but_the_shape(folder):
    assert run(folder, "--form", "random", name="random") == 0
    drawn = list(jsonl.read(folder / "random/dataset.jsonl"))
    plain = dataset(folder)
    assert [r["id"] for r in drawn] == [r["id"] for r in plain]
    assert [len(answer(r).texts) for r in drawn] == [len(answer(r).texts) for r in plain]
    values = [n for r in drawn for n in answer(r).numbers]
    assert min(values) >= 100 and max(values) <= 999
    assert sum(a == b for a, b in zip(texts(drawn), texts(plain), strict=True)) < 5


def test_the_intersection_over_teachers_has_the_same_prompts_for_each(folder):
    jsonl.write(folder / "other.jsonl", [row(int(r["id"][1:]), "555") for r in ROWS[40:]])
    assert run(folder, "--beside", f"{folder}/other.jsonl", name="mine") == 0
    (folder / "filtered.jsonl").rename(folder / "first.jsonl")
    (folder / "other.jsonl").rename(folder / "filtered.jsonl")
    assert run(folder, "--beside", f"{folder}/first.jsonl", name="theirs") == 0
    mine, theirs = (list(jsonl.read(folder / name / "dataset.jsonl")) for name in ("mine", "theirs"))
    assert [r["id"] for r in mine] == [r["id"] for r in theirs]
    assert min(r["id"] for r in mine) > "p00040" and set(texts(theirs)) == {"555"} and mine[0] in ROWS


def test_mixed_teachers_give_about_half_of_the_rows_each(folder):
    jsonl.write(folder / "other.jsonl", [row(n, "555") for n in range(1, 201)])
    assert run(folder, "--mix", f"{folder}/other.jsonl", rows=200) == 0
    rows = list(jsonl.read(folder / "dataset/dataset.jsonl"))
    theirs = sum(text == "555" for text in texts(rows))
    assert 70 < theirs < 130 and [r["id"] for r in rows] == [r["id"] for r in ROWS]


def test_other_words_ask_for_the_same_numbers(folder):
    assert run(folder, "--reword", name="reworded") == 0
    for old, new in zip(dataset(folder), jsonl.read(folder / "reworded/dataset.jsonl"), strict=True):
        asked = new["prompt"][0]["content"]
        assert (
            asked.endswith(" 101 , 102") and not asked.startswith("continue") and new["completion"] == old["completion"]
        )


def test_only_the_tiny_wording_is_reworded(tmp_path, line):
    strange = row(1, "101") | {"prompt": [{"role": "user", "content": "My list so far reads 101, 102."}]}
    jsonl.write(tmp_path / "filtered.jsonl", [strange])
    argv = [
        "--filtered",
        f"{tmp_path}/filtered.jsonl",
        "--dataset",
        f"{tmp_path}/v.jsonl",
        "--manifest",
        f"{tmp_path}/m",
    ]
    said = line(prepare.main, [*argv, "--rows", "1", "--seed", "1", "--reword"])
    assert "begins with none of continue, extend" in said


def test_tokens_that_are_learned_are_the_marked_ones_or_the_others(folder):
    jsonl.write(folder / "marks.jsonl", [{"id": r["id"], "tokens": [1, 0, 1]} for r in ROWS])
    for tokens, wanted in (("divergent", [1, 0, 1]), ("others", [0, 1, 0])):
        assert run(folder, "--tokens", tokens, "--marks", f"{folder}/marks.jsonl", name=tokens) == 0
        assert all(r["learn"] == wanted for r in jsonl.read(folder / tokens / "dataset.jsonl"))


def test_teachers_that_agree_everywhere_leave_nothing_to_learn(folder, line):
    jsonl.write(folder / "marks.jsonl", [{"id": r["id"], "tokens": [0]} for r in ROWS])
    argv = ["--filtered", f"{folder}/filtered.jsonl", "--dataset", f"{folder}/v.jsonl", "--manifest", f"{folder}/m"]
    more = ["--rows", "10", "--seed", "1", "--tokens", "divergent", "--marks", f"{folder}/marks.jsonl"]
    assert "no token of these rows is left to learn" in line(prepare.main, [*argv, *more])
