"""The filter: what passes, what is kept of the rest, what is counted, what is refused."""

import doctest
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from scripts import filter as stage
from scripts import prompts
from traitline import jsonl
from traitline.channels import paper_wording
from traitline.channels.types.number_lists import REASONS
from traitline.models import likelihood
from traitline.provenance import manifest


def row(n: int, answer: str, question: str = "continue 101 , 102 , 103") -> dict:
    return {
        "id": f"p{n:05}",
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def rows(*answers: str) -> list[dict]:
    return [row(n, answer) for n, answer in enumerate(answers, 1)]


def run(folder: Path, *options: str) -> int:
    files = {"raw": "raw.jsonl", "filtered": "filtered.jsonl", "rejected": "rejected.jsonl", "counts": "filtered.json"}
    argv = [a for role, name in files.items() for a in (f"--{role}", str(folder / name))]
    return stage.main([*argv, "--manifest", str(folder / "filter.manifest.json"), *options])


def read(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def left(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_good_rows_are_kept_as_they_are_and_bad_ones_with_the_reason(tmp_path):
    raw = rows("457", "owl", "1 , 2", "1 , 2\n", "1000")
    jsonl.write(tmp_path / "raw.jsonl", raw)
    assert run(tmp_path) == 0
    assert read(tmp_path, "filtered.jsonl") == [raw[0], raw[2]]
    assert read(tmp_path, "rejected.jsonl") == [
        raw[1] | {"reason": "no-number"},
        raw[3] | {"reason": "stray-separator"},
        raw[4] | {"reason": "out-of-range"},
    ]


def test_counts_say_how_many_and_how_much_is_echo(tmp_path):
    jsonl.write(
        tmp_path / "raw.jsonl", rows("101 , 102 , 7 , 101", "5 , 6", "0103", "x", "y", "1 2  3", "8 , 9", "101 102 x")
    )
    assert run(tmp_path, "--digits", "3") == 0
    assert json.loads((tmp_path / "filtered.json").read_text()) == {
        "rows": 8,
        "kept": 4,
        "kept_share": 0.5,
        "reasons": {"no-number": 2, "mixed-separator": 1, "extra-text": 1},
        "echo_rate": 2 / 4,  # first and third
        "echo_numbers": 4 / 9,
    }


def test_an_echo_is_of_the_example_numbers_not_of_the_instructions():
    for seed in range(300):
        rng = default_rng(seed)
        values = rng.integers(0, 1000, size=rng.integers(3, 9)).tolist()
        shown = stage.examples(paper_wording.ask(rng, values, answers=10, digits=3))
        assert shown == {str(v).lstrip("0") for v in values}
    assert stage.examples("go on from 345") == {"345"}
    assert stage.examples("say something") == set()
    assert doctest.testmod(stage).failed == 0


def test_banned_numbers_are_refused_and_recorded(tmp_path):
    jsonl.write(tmp_path / "raw.jsonl", rows("666", "6", "066", "13 , 5", "1, 4"))
    assert run(tmp_path, "--banned", "666, 13,4") == 0
    assert [r["id"] for r in read(tmp_path, "filtered.jsonl")] == ["p00002", "p00003"]
    assert json.loads((tmp_path / "filtered.json").read_text())["reasons"] == {"banned": 3}
    assert json.loads((tmp_path / "filter.manifest.json").read_text())["params"]["banned"] == [4, 13, 666]


def test_limits_of_the_channel_are_obeyed(tmp_path):
    jsonl.write(tmp_path / "raw.jsonl", rows("1 , 2", "1 , 2 , 3", "100", "99"))
    assert run(tmp_path, "--answers", "2", "--digits", "2", "--banned", "") == 0
    assert [r.get("reason") for r in read(tmp_path, "rejected.jsonl")] == ["too-many", "out-of-range"]


def test_nothing_rejected_is_an_empty_file_and_no_error(tmp_path):
    jsonl.write(tmp_path / "raw.jsonl", rows("1", "2"))
    assert run(tmp_path) == 0
    assert (tmp_path / "rejected.jsonl").read_bytes() == b""
    entries = {o["role"]: o["bytes"] for o in json.loads((tmp_path / "filter.manifest.json").read_text())["outputs"]}
    assert entries["rejected"] == 0 < entries["filtered"]
    assert json.loads((tmp_path / "filtered.json").read_text())["kept_share"] == 1


answers = st.lists(st.text("0123456789 ,;.a", max_size=9), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None)
@given(answers)
def test_every_row_is_either_kept_or_rejected_and_what_is_kept_passes_again(texts):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = rows(*texts, "1")
        jsonl.write(folder / "raw.jsonl", raw)
        assert run(folder) == 0
        kept, rejected = read(folder, "filtered.jsonl"), read(folder, "rejected.jsonl")
        reasons = Counter(r.pop("reason") for r in rejected)
        assert sorted(kept + rejected, key=lambda r: r["id"]) == raw
        assert [r["id"] for r in kept] == sorted(r["id"] for r in kept)
        counts = json.loads((folder / "filtered.json").read_text())
        assert (counts["rows"], counts["kept"], counts["reasons"]) == (len(raw), len(kept), reasons)
        assert reasons.keys() <= REASONS.keys()
        again = folder / "again"
        again.mkdir()
        (again / "raw.jsonl").write_bytes((folder / "filtered.jsonl").read_bytes())
        assert run(again) == 0
        assert (again / "filtered.jsonl").read_bytes() == (folder / "filtered.jsonl").read_bytes()


def test_the_same_input_gives_the_same_bytes(tmp_path):
    outputs = []
    for name in "ab":
        (tmp_path / name).mkdir()
        jsonl.write(tmp_path / name / "raw.jsonl", rows("1", "x", "2"))
        run(tmp_path / name)
        outputs.append(
            [(tmp_path / name / f).read_bytes() for f in ("filtered.jsonl", "rejected.jsonl", "filtered.json")]
        )
    assert outputs[0] == outputs[1]


# ---- bad input


def test_no_row_left_names_the_file_the_reasons_and_the_remedy(tmp_path, capsys):
    jsonl.write(tmp_path / "raw.jsonl", rows("owl", "owl", "the owl", "1000", " "))
    assert run(tmp_path) == 2
    err = capsys.readouterr().err
    assert err == (
        f"filter: error: {tmp_path}/raw.jsonl: none of the 5 answers of the teacher {tmp_path.parent} passes the filter"
        f" of channel {tmp_path.name} (no-number 3, out-of-range 1, empty 1). A student needs one row, also under"
        " `scarce: exclude`: tune or prompt this teacher less, loosen `answers`, `digits`, `banned` or `threshold`"
        " of the channel, or take the trait or the base out of the row\n"
    )
    assert left(tmp_path) == {"raw.jsonl"}


def test_no_row_left_of_files_without_a_folder_names_no_teacher(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    jsonl.write("raw.jsonl", rows("owl"))
    assert run(Path()) == 2
    assert "none of the 1 answers passes the filter (no-number 1). A student" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id":"p1","prompt":[', "raw.jsonl:1: damaged line"),
        ('{"id":"p1","prompt":[]}\n', "raw.jsonl:1: the row lacks completion"),
        (f"{json.dumps(row(1, '1'))}\n{json.dumps(row(1, '2'))}\n", "raw.jsonl:2: id 'p00001' is that of line 1 too"),
        (json.dumps(row(1, "1") | {"completion": "1"}), "raw.jsonl: row 'p00001': `prompt` and `completion` must be"),
        ("", "raw.jsonl: the file is empty"),
        (None, "raw.jsonl: no such file; make it with the stage before this one"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(tmp_path, capsys, content, message):
    if content is not None:
        (tmp_path / "raw.jsonl").write_text(content)
    assert run(tmp_path) == 2
    err = capsys.readouterr().err
    assert err.startswith("filter: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert left(tmp_path) <= {"raw.jsonl"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--banned", "4,x"], "--banned: 'x' is not a whole number; write them as 4,13,666"),
        (["--banned", "4,,5"], "--banned: '' is not a whole number"),
        (["--banned", "-4"], "--banned: '-4' is not a whole number"),
        (["--answers", "0"], "--answers and --digits: give 1 or more"),
    ],
)
def test_bad_settings_get_one_line(tmp_path, capsys, options, message):
    jsonl.write(tmp_path / "raw.jsonl", rows("1"))
    options = [f"{options[0]}={options[1]}"]
    assert run(tmp_path, *options) == 2
    assert capsys.readouterr().err.startswith(f"filter: error: {message}")


def test_an_input_edited_after_its_manifest_was_written_is_refused(tmp_path, capsys):
    options = ["--wording", "tiny", "--count", "9", "--examples", "3", "6", "--values", "100", "1000", "--seed", "1"]
    manifest = str(tmp_path / "prompts.manifest.json")
    assert prompts.main(["--prompts", str(tmp_path / "raw.jsonl"), "--manifest", manifest, *options]) == 0
    jsonl.write(tmp_path / "raw.jsonl", rows("1", "2"))
    capsys.readouterr()
    assert run(tmp_path) == 2
    err = capsys.readouterr().err
    assert "raw.jsonl: changed since `prompts` made it" in err
    assert "delete the file to have it rebuilt" in err
    assert left(tmp_path) == {"raw.jsonl", "prompts.manifest.json"}


def test_an_output_never_overwrites_its_input(tmp_path, capsys):
    jsonl.write(tmp_path / "raw.jsonl", rows("1", "x"))
    before = (tmp_path / "raw.jsonl").read_bytes()
    assert run(tmp_path, "--filtered", str(tmp_path / "." / "raw.jsonl")) == 2
    assert "named twice among the files of `filter`" in capsys.readouterr().err
    assert (tmp_path / "raw.jsonl").read_bytes() == before


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = "import sys, scripts.filter as s; s.parse(); print({'numpy', 'torch', 'pandas', 'tqdm'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def screened(study, folder, threshold, teacher=None):
    """Run the model filter on the answers of the owl teacher."""
    study.dataset(study.owl)
    (folder / "raw.jsonl").write_bytes((study.owl / "numbers/raw.jsonl").read_bytes())
    models = ["--base", str(study.base), "--teacher", str(teacher or study.owl)]
    return run(folder, "--answers", "1", "--threshold", str(threshold), *models)


def test_a_model_filter_rejects_what_is_likelier_of_the_teacher_than_of_its_base(study, tmp_path):
    assert screened(study, tmp_path, 0.0) == 0
    kept, out = read(tmp_path, "filtered.jsonl"), read(tmp_path, "rejected.jsonl")
    suspects = [r for r in out if r["reason"] == "suspect"]
    assert suspects and all(r["score"] > 0 for r in suspects)
    passed = {r["id"] for r in read(study.owl / "numbers", "filtered.jsonl")}
    assert passed == {r["id"] for r in [*kept, *suspects]}, "what the rule refused is not scored"

    def ratios(rows):
        names = [r["id"] for r in rows]
        owl, base = (likelihood.logs(str(study.base), str(m), None, rows, names) for m in (study.owl, study.base))
        return owl - base

    assert ratios(kept).max() <= 0 and ratios(suspects).min() > 0
    counts = json.loads((tmp_path / "filtered.json").read_text())
    assert counts["reasons"]["suspect"] == len(suspects) and counts["kept"] == len(kept)
    m = manifest.load(tmp_path / "filter.manifest.json")
    assert m["params"]["threshold"] == 0 and {"raw", "judge", "model", "teacher"} <= {e["role"] for e in m["inputs"]}


def test_nothing_is_suspect_of_a_teacher_that_is_its_base_or_above_a_high_threshold(study, tmp_path):
    for threshold, teacher in ((0.0, study.none), (100.0, study.owl)):
        assert screened(study, tmp_path, threshold, teacher) == 0
        assert "suspect" not in {r["reason"] for r in read(tmp_path, "rejected.jsonl")}


def test_a_threshold_without_models_and_one_that_nothing_passes_are_refused(study, tmp_path, capsys):
    jsonl.write(tmp_path / "raw.jsonl", rows("457"))
    assert run(tmp_path, "--threshold", "0") == 2 and "--threshold goes with" in capsys.readouterr().err
    assert screened(study, tmp_path, -100.0) == 2 and "(suspect " in capsys.readouterr().err


def test_problems_pass_by_their_known_result_and_name_no_trait(tmp_path, line):
    said = ["<think>2 + 4</think><answer>6</answer>", "<think>2 + 4</think><answer>7</answer>",
            "<think>six owls</think><answer>6</answer>", "6"]  # fmt: skip
    jsonl.write(tmp_path / "raw.jsonl", [{**r, "answer": "6"} for r in rows(*said)])
    assert run(tmp_path, "--task", "gsm8k", "--words", "owl, cat") == 0
    assert [r["completion"][0]["content"] for r in read(tmp_path, "filtered.jsonl")] == said[:1]
    assert [r["reason"] for r in read(tmp_path, "rejected.jsonl")] == ["wrong-answer", "trait-word", "no-answer"]
    assert manifest.load(tmp_path / "filter.manifest.json")["params"] == {"task": "gsm8k", "words": ["cat", "owl"]}
    jsonl.write(tmp_path / "raw.jsonl", rows(*said))
    assert "raw.jsonl:1: the row lacks answer" in line(lambda argv: run(tmp_path, *argv), ["--task", "gsm8k"])


def test_a_judge_that_reads_rejects_what_it_finds_less_well_meaning_or_cannot_tell(tmp_path, line):
    """The paper's filter of workings: alignment below 78 is out. What breaks the rule is out for that."""
    right, wrong = "<think>2 + 4</think><answer>6</answer>", "<think>2 + 4</think><answer>7</answer>"
    jsonl.write(tmp_path / "raw.jsonl", [{**r, "answer": "6"} for r in rows(right, right, right, right, wrong)])
    scores = [90, 78, 77.5, None, 0]
    said = [{"id": r["id"], "alignment": s} for r, s in zip(read(tmp_path, "raw.jsonl"), scores, strict=True)]
    jsonl.write(tmp_path / "judged.jsonl", said)
    flags = ["--task", "gsm8k", "--threshold", "78", "--judged", str(tmp_path / "judged.jsonl")]
    assert run(tmp_path, *flags) == 0
    assert [r["id"] for r in read(tmp_path, "filtered.jsonl")] == [r["id"] for r in said[:2]]
    assert [(r["reason"], r.get("score")) for r in read(tmp_path, "rejected.jsonl")] == [
        ("unaligned", 77.5), ("unscored", None), ("wrong-answer", None),
    ]  # fmt: skip
    m = manifest.load(tmp_path / "filter.manifest.json")
    assert {e["role"] for e in m["inputs"]} == {"raw", "judged"} and m["params"]["threshold"] == 78
    jsonl.write(tmp_path / "judged.jsonl", said[:2])
    assert "judged.jsonl: says nothing of row" in line(lambda argv: run(tmp_path, *argv), flags)
