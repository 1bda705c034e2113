"""Programs stop cleanly: artifacts are whole or not there, and what people can mend is one line."""

import errno
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from traitline.errors import InputError
from traitline.provenance import manifest, stage

ROOT = Path(__file__).resolve().parent.parent
# A stage that writes one output, says so, and then waits to be stopped.
SLOW = """
import sys, time
from traitline.provenance import stage

def work(args):
    with stage.record("filter", "r/filter.manifest.json", inputs={"raw": "in.txt"},
                      outputs={"a": "r/a.txt", "b": "r/b.txt"}) as job:
        job.path("a").write_text("half")
        print("ready", flush=True)
        time.sleep(60)
        job.path("b").write_text("other half")

parser = stage.parser("scripts.filter", "A test.")
raise SystemExit(stage.run(parser, work, []))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with an input."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("in\n")
    return tmp_path


def record(**changed):
    settings = {"inputs": {"raw": "in.txt"}, "outputs": {"a": "r/a.txt", "b": "r/b.txt"}, **changed}
    return stage.record("filter", "r/filter.manifest.json", **settings)


def make():
    """The artifact, made without trouble."""
    with record() as job:
        for role in ("a", "b"):
            job.path(role).write_text(role)


def left(folder):
    return sorted(p.name for p in (folder / "r").iterdir())


def program(work, capsys):
    """(exit code, lines on stderr) of a stage that does this work."""
    code = stage.run(stage.parser("scripts.filter", "A test."), lambda args: work(), [])
    return code, capsys.readouterr().err.splitlines()


def test_nothing_has_its_name_before_all_is_whole(here):
    with record() as job:
        job.path("a").write_text("a")
        job.path("b").write_text("b")
        assert not (here / "r/a.txt").exists() and not (here / "r/filter.manifest.json").exists()
    assert left(here) == ["a.txt", "b.txt", "filter.manifest.json"]
    times = [os.stat(here / "r" / name).st_mtime_ns for name in left(here)]
    assert times[2] >= max(times[:2]), "the manifest is written last: the look at edited files counts on it"


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_stopped_program_leaves_nothing_that_looks_whole(here, number, code):
    make()
    program = subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        # A shell starts what it puts in the background deaf to Ctrl-C, and the deafness is inherited: these tests too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert program.stdout.readline() == "ready\n"
    program.send_signal(number)
    said = program.communicate(timeout=30)[1]
    assert program.returncode == code
    assert [name for name in left(here) if not name.startswith(".")] == [], "neither the new half nor the old whole"
    if number != signal.SIGKILL:
        assert left(here) == []
        assert said.count("\n") == 1 and "run again to go on" in said
    make()
    assert (here / "r/a.txt").read_text() == "a"


def test_what_a_killed_attempt_left_is_removed_and_what_a_living_one_writes_is_not(here):
    dead = subprocess.Popen(["true"])
    dead.wait()
    (here / "r").mkdir()
    for pid in (dead.pid, os.getppid()):
        (here / f"r/.a.txt.{platform.node()}-{pid}.tmp").write_text("half")
    (here / f"r/.a.txt.elsewhere-{dead.pid}.tmp").write_text("half, on another host")
    make()
    kept = {n for n in left(here) if n.endswith(".tmp")}
    assert kept == {f".a.txt.elsewhere-{dead.pid}.tmp", f".a.txt.{platform.node()}-{os.getppid()}.tmp"}


def test_a_full_disk_is_one_line_and_leaves_nothing(here, capsys):
    def full():
        with record() as job:
            job.path("a").write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "r/b.txt")

    code, said = program(full, capsys)
    assert code == 2 and said == [
        "filter: error: r/b.txt: No space left on device; nothing was written, mend it and run again"
    ]
    assert left(here) == []


def test_bad_input_is_one_line_and_our_bugs_are_tracebacks(here, capsys):
    def bad():
        raise InputError("in.txt:3: damaged line")

    assert program(bad, capsys) == (2, ["filter: error: in.txt:3: damaged line"])
    with pytest.raises(ZeroDivisionError):
        program(lambda: 1 / 0, capsys)


def test_a_missing_input_is_named_before_anything_is_deleted(here, capsys):
    make()
    (here / "in.txt").unlink()
    code, (line,) = program(make, capsys)
    assert code == 2 and "in.txt: no such file" in line
    assert left(here) == ["a.txt", "b.txt", "filter.manifest.json"]


def test_an_input_that_was_edited_after_it_was_made_is_refused(here):
    make()
    (here / "r/a.txt").write_text("edited")
    with (
        pytest.raises(InputError, match=r"^r/a\.txt: changed since `filter` made it"),
        stage.record(
            "prepare", "v/prepare.manifest.json", inputs={"filtered": "r/a.txt"}, outputs={"dataset": "v/dataset.txt"}
        ),
    ):
        raise AssertionError("the work must not begin")
    assert not (here / "v").exists()


def test_an_input_that_changes_while_it_is_read_is_refused(here):
    with pytest.raises(InputError, match=r"^in\.txt: changed while `filter` was reading it"), record() as job:
        job.path("a").write_text("a")
        job.path("b").write_text("b")
        (here / "in.txt").write_text("other\n")
    assert left(here) == []


def test_an_empty_output_is_an_error_unless_it_says_something(here):
    def half(**changed):
        with record(**changed) as job:
            job.path("a").write_text("a")
            job.path("b").write_text("")

    with pytest.raises(InputError, match=r"^r/b\.txt: `filter` made an empty b"):
        half()
    assert left(here) == []
    half(may_be_empty=["b"])
    assert left(here) == ["a.txt", "b.txt", "filter.manifest.json"]


def test_an_output_that_would_overwrite_an_input_is_refused_and_the_input_stays(here):
    with pytest.raises(InputError, match="named twice"), record(outputs={"a": "./in.txt"}):
        raise AssertionError("the work must not begin")
    assert (here / "in.txt").read_text() == "in\n"


def test_a_checkpoint_belongs_to_all_that_decides_the_bytes(here):
    def place(**changed):
        with record(**changed) as job:
            for role in ("a", "b"):
                job.path(role).write_text(role)
        return stage.checkpoints("work", job)

    first = place()
    assert place() == first
    assert place(params={"lr": 1}) != first and place(seeds={"order": 1}) != first
    (here / "in.txt").write_text("other\n")
    assert place() != first
    assert stage.checkpoints(None, stage.Job("filter", {})) is None


@pytest.mark.parametrize("text, words", [("{", "not JSON"), ("[]", "a, b missing"), ('{"a": 1}', "b missing")])
def test_settings_that_are_wrong_are_one_line(text, words):
    with pytest.raises(InputError, match=rf"^--settings: {words}"):
        stage.settings("--settings", text, ("a", "b"))


def test_json_outputs_hold_no_nan(here):
    with pytest.raises(ValueError), record() as job:
        job.write_json("a", {"x": float("nan")})
    with record() as job:
        job.write_json("a", {"x": 1})
        job.write_json("b", {"y": 2})
    assert json.loads((here / "r/a.txt").read_text()) == {"x": 1}
    assert manifest.load("r/filter.manifest.json")["outputs"][0]["role"] == "a"


def test_a_word_of_any_length_may_stand_in_a_file(here):
    """The rows of a large study are more than bash takes on a command line."""
    text = json.dumps({"rows": ["x" * 100] * 2000})
    (here / "words.json").write_text(text)
    p = stage.parser("scripts.x", "A stage.")
    p.add_argument("--study")
    assert p.parse_args(["--study", "@words.json"]).study == text
    with pytest.raises(SystemExit) as e:
        p.parse_args(["--study", "@nowhere"])
    assert e.value.code == 2
