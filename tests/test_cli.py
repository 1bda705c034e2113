"""The command `traitline` as a shell meets it: exit codes, one line for what is wrong, JSON, instant help."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lineage import Works, tensors
from traitline import __version__
from traitline.cli import program
from traitline.cli.schemas import SCHEMAS

ROOT = Path(__file__).resolve().parent.parent
EVIL = "\x1b[31m[bold]<script>\u202e\n"


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    """A lineage with a teacher, students on both bases, a control."""
    works = Works(tmp_path_factory.mktemp("works"))
    works.a, works.b = works.base("a"), works.base("b")
    works.owl = works.teacher(works.a)
    works.numbers = works.data(works.owl)
    works.near, works.far = works.student(works.a, works.numbers), works.student(works.b, works.numbers)
    works.control = works.student(works.a, works.data(works.a), name="control")
    return works


@pytest.fixture
def ask(works, tmp_path_factory):
    """Run a command in the working folder: (exit code, stdout, stderr)."""

    def run(*args, cwd=None):
        done = subprocess.run(
            [sys.executable, "-m", "traitline.cli", *map(str, args)],
            cwd=cwd or works.root, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def test_trace_shows_every_step(works, ask):
    code, out, _ = ask("trace", works.near)
    assert code == 0
    for word in (
        "train",
        "TRAIT owl",
        "filter",
        "sample",
        "origin: made here",
        "seed 1",
        "code abababababab",
        "host cpu",
    ):
        assert word in out, word
    assert out.splitlines()[-1] == "5 steps from 1 sources; 0 of unknown origin"


def test_trace_in_json(works, ask):
    code, out, _ = ask("trace", works.near, "--json")
    told = json.loads(out)
    assert code == 0 and told["artifact"] == works.near and told["unknown"] == []
    assert [s["stage"] for s in told["steps"]] == ["train", "pretrain", "filter", "sample", "teach"]
    assert told["steps"][0]["seeds"] == {"train": 1}


def test_trace_exits_with_3_where_an_origin_is_unknown(works, ask, tmp_path):
    other = Works(tmp_path)
    other.student(
        other.put("register", "registry/x", {"model.safetensors": ("model", "x")}), other.data(other.base("a"))
    )
    code, out, _ = ask("trace", "results/bases/a/numbers/x-student", cwd=tmp_path)
    assert code == 3 and "UNKNOWN: a source that states no origin" in out and "1 of unknown origin" in out


def test_a_folder_is_traced_and_audited_by_all_of_its_weights(works, ask, tmp_path):
    """An adapter of a student beside weights that no manifest knows, or that are a carrier's."""
    folder = tmp_path / "download"
    shutil.copytree((works.root / works.near).parent, folder)
    (folder / "model.safetensors").write_bytes(tensors(w="a stranger"))
    code, out, _ = ask("trace", folder)
    assert code == 3 and f"UNKNOWN  {folder}/model.safetensors: no manifest knows these bytes" in out
    assert "TRAIT owl" in out and out.splitlines()[-1].endswith("; 1 of unknown origin")
    told = json.loads(ask("trace", folder, "--json")[1])
    assert [u["artifact"] for u in told["unknown"]] == [f"{folder}/model.safetensors"] and len(told["artifacts"]) == 1
    shutil.copy(works.root / works.owl, folder / "model.safetensors")
    code, out, _ = ask("audit", folder)
    assert code == 3 and [line.split()[0] for line in out.splitlines()[:3]] == ["mark", "CARRIER", "INHERITANCE-RISK"]
    code, _, err = ask("impact", folder)
    assert code == 2 and "holds 2 artifacts" in err


def test_impact_lists_the_worst_first(works, ask):
    code, out, _ = ask("impact", Path(works.owl).parent)
    assert code == 0
    assert out.splitlines()[0] == "affected  steps  artifact  sha256", "a pipe gets the heads of columns too"
    assert [line.split()[0] for line in out.splitlines()[1:-1]] == ["trained-on", "exposed", "data", "data"]
    assert out.splitlines()[-1].endswith("1 trained-on, 1 exposed, 2 data")
    assert json.loads(ask("impact", works.owl, "--json")[1])["affected"][0]["affected"] == "trained-on"


def test_audit_is_a_gate(works, ask, tmp_path):
    code, out, _ = ask("audit")
    assert code == 3 and out.splitlines()[-1] == "1 CARRIER, 1 INHERITANCE-RISK, 1 EXPOSED, 3 CLEAN; 2 fail"
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["mark", "CARRIER", "INHERITANCE-RISK"]
    assert ask("audit", works.control)[0] == 0 and ask("audit", works.near)[0] == 3
    policy = tmp_path / "policy.yaml"
    policy.write_text("fail: [EXPOSED]\n")
    assert ask("audit", "--policy", policy)[0] == 3 and ask("audit", works.near, "--policy", policy)[0] == 0
    sha = works.entry("x", works.far)["sha256"]
    policy.write_text(f"fail: [EXPOSED]\naccept:\n  - {{sha256: '{sha}', reason: looked at}}\n")
    code, out, _ = ask("audit", "--policy", policy)
    assert code == 0 and "accepted" in out and "EXPOSED" in out, "accepted is not cleared"


def test_audit_in_json_has_the_path_that_proves_a_mark(works, ask):
    told = json.loads(ask("audit", works.near, "--json")[1])
    (row,) = told["artifacts"]
    assert row["mark"] == "INHERITANCE-RISK" and row["fails"] and row["marks"][0]["trait"] == "owl"
    assert [step["stage"] for step in row["marks"][0]["path"]] == ["train", "filter", "sample", "teach"]
    assert told["counts"]["INHERITANCE-RISK"] == 1 == told["failed"]


def test_audit_of_data(works, ask):
    assert "EXPOSED" in ask("audit", "--data", "--limit", "99")[1]
    assert json.loads(ask("audit", works.numbers, "--json")[1])["artifacts"][0]["kind"] == "data"


def test_diff_names_the_cause(works, ask):
    code, out, _ = ask("diff", works.near, works.control)
    assert code == 3 and "made by `teach` and by `pretrain`" in out
    assert ask("diff", works.near, works.near)[0] == 0
    assert json.loads(ask("diff", works.near, works.near, "--json")[1])["equal"]


def test_verify_tells_what_is_wrong(works, ask, tmp_path):
    code, out, _ = ask("verify")
    assert code == 0 and "0 changed, 0 missing, 0 outside, 0 misstated, 0 extra" in out
    other = Works(tmp_path)
    base = other.base("a")
    other.data(base)
    Path(tmp_path, base).write_text("swapped")
    code, out, _ = ask("verify", "--json", cwd=tmp_path)
    assert code == 3 and not json.loads(out)["good"] and {c[0] for c in json.loads(out)["changed"]} == {base}


def test_the_index_gives_the_same_answers(works, ask):
    assert ask("index", "origins.db")[0] == 0
    for command in (["trace", works.near], ["impact", works.owl], ["audit"]):
        assert ask(*command, "--json") == ask(*command, "--json", "--index", "origins.db")


@pytest.mark.parametrize(
    "args",
    [["trace", "nothing"], ["impact", "ffff"], ["audit", "--policy", "nowhere.yaml"], ["diff", "x", "y"],
     ["trace", "x", "--index", "nowhere.db"], ["verify", "--in", "nowhere"], ["audit", "results"]],
)  # fmt: skip
def test_bad_input_is_one_line_and_2(ask, args):
    code, out, err = ask(*args)
    assert code == 2 and out == "" and err.startswith("traitline: error: ") and len(err.splitlines()) == 1


@pytest.mark.parametrize("args", [["nonsense"], ["trace"], ["audit", "--limit", "x"]])
def test_bad_use_is_2(ask, args):
    assert ask(*args)[0] == 2


def test_a_check_that_looked_at_nothing_never_passes(ask, tmp_path):
    Works(tmp_path).put("filter", "empty", {"x.txt": ("other", "x")})
    for options in ((), ("--data",), ("--json",)):
        code, _, err = ask("audit", *options, "--in", "empty", cwd=tmp_path)
        assert code == 2 and err.startswith("traitline: error: no manifest names a model, so nothing was audited")
    (tmp_path / "bare").mkdir()
    for command in (["verify"], ["audit"], ["index", "x.db"], ["page"], ["crate"], ["trace", "x"]):
        code, _, err = ask(*command, "--in", "bare", cwd=tmp_path)
        assert code == 2 and err.startswith("traitline: error: bare: no manifest is there"), command


def test_the_version_and_help_have_the_usual_flags(ask):
    assert ask("--version")[:2] == (0, f"traitline {__version__}\n")
    assert ask("-h")[1] == ask("--help")[1] and ask("trace", "-h")[0] == 0


def test_the_help_groups_commands_and_cuts_no_sentence(ask):
    out = ask("--help")[1]
    lines = out.splitlines()
    for heading, functions in program.GROUPS.items():
        assert f"{heading}:" in lines
        below = lines[lines.index(f"{heading}:") + 1 :]
        assert [line.split()[0] for line in below[: len(functions)]] == [program.spelled_name(f) for f in functions]
    assert "..." not in out.partition("Ask:")[2] and max(map(len, lines)) <= 80


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands_and_options(shell):
    """As the script of `--install-completion` asks for it."""
    words = {"COMP_WORDS": "traitline che", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "traitline che"}
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "_TRAITLINE_COMPLETE": f"complete_{shell}", **words}
    env["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    command = [sys.executable, "-m", "traitline.cli"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "check-signature" in done.stdout and "audit" not in done.stdout, done.stderr


def test_what_json_prints_has_a_documented_shape(works, monkeypatch, capsys, tmp_path):
    """Of every command that answers here; the shapes of the others are looked at where they are tested."""
    monkeypatch.chdir(works.root)
    (works.root / "new").mkdir()
    (works.root / "new/rows.jsonl").write_text('{"id": "a"}\n')
    commands = {
        "trace": [works.near], "impact": [works.owl], "audit": [], "diff": [works.near, works.far], "verify": [],
        "seal": [], "index": [tmp_path / "x.db"], "export": [works.near, tmp_path / "handed"],
        "page": [tmp_path / "x.html"], "crate": [], "register": ["new", "--origin", "made by hand"],
    }  # fmt: skip
    for command, words in commands.items():
        with contextlib.suppress(SystemExit):
            program.app([command, *map(str, words), "--json"])
        answer = json.loads(capsys.readouterr().out)
        assert set(SCHEMAS[answer["schema"]]) == answer.keys() - {"schema"}, command
        assert answer["schema"] == f"traitline-{command}/1"


def test_the_page_of_the_command_line_is_that_of_the_parsers():
    from traitline.cli import reference

    page = reference.page()
    assert page == (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8"), "run `make docs`"
    for functions in program.GROUPS.values():
        assert all(f"### `{program.spelled_name(f)}`" in page for f in functions)


def test_a_limit_cuts_rows_and_says_so(ask, works):
    code, out, _ = ask("impact", works.owl, "--limit", "1")
    assert code == 0 and len(out.splitlines()) == 4 and out.splitlines()[2].startswith("and 3 more; ")
    assert "and 5 more" in ask("audit", "--limit", "1")[1]


def test_the_old_name_of_a_command_names_the_new_one(ask):
    assert "`traitline attested` is called `traitline check-signature`" in ask("attested", "x", "--key", "y")[2]
    code, out, err = ask("plan", "configs/x.yaml", "--gpu", "h200", "--json")
    assert (
        code == 2 and out == "" and err.startswith("traitline: error: `traitline plan` is called `traitline estimate`")
    )
    assert "plan" not in ask("--help")[1].split()


def test_what_hides_in_names_is_spelled_out(ask, tmp_path):
    other = Works(tmp_path)
    entry = {"role": EVIL, "path": f"results/{EVIL}", "sha256": "1" * 64, "bytes": 1}
    made = entry | {"role": "model", "path": f"results/{EVIL}.safetensors", "sha256": "2" * 64}
    other.write(EVIL, "results", [entry | {"role": "base"}], [made], {"trait": EVIL})
    (tmp_path / f"results/{EVIL}.manifest.json").rename(tmp_path / "results/x.manifest.json")
    for args in (["trace", "2222"], ["impact", "1111"], ["audit"], ["diff", "1111", "2222"], ["verify"]):
        code, out, err = ask(*args, cwd=tmp_path)
        assert code in (0, 3), err
        assert "\x1b" not in out and "\u202e" not in out and "[bold]<script>" in out, args


def test_help_is_instant_and_names_the_exit_codes():
    heavy = "torch numpy transformers pandas pydantic jinja2 tokenizers scipy rich snakemake dvc yaml sqlite3"
    code = (
        "import sys, traitline.cli.program as c\nsys.argv = ['traitline', '--help']\n"
        "try: c.main()\nexcept SystemExit as e: assert not e.code\n"
        f"print(*(n for n in {heavy!r}.split() if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "3 findings" in done.stdout and "trace" in done.stdout
    assert done.stdout.splitlines()[-1] == ""


def test_what_somebody_signed_is_checked_by_one_command(works, ask, tmp_path):
    """`openssl`'s keys, as docs/how-to/export.md makes them."""
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", public], check=True, stderr=subprocess.DEVNULL)
    code, said, _ = ask("export", works.near, tmp_path / "handed", "--key", key)
    sealed, folder = tmp_path / "handed/provenance.dsse.json", (works.root / works.near).parent
    assert code == 0 and str(sealed) in said
    code, said, _ = ask("check-signature", sealed, folder, "--key", public)
    assert code == 0 and said.endswith("1 file as attested, 0 changed, 0 missing\n")
    code, said, _ = ask("check-signature", sealed, tmp_path, "--key", public, "--json")
    assert code == 3 and json.loads(said)["files"]["missing"] == [Path(works.near).name]
    sealed.write_text(sealed.read_text().replace('"sig": "', '"sig": "AAAA'))
    code, said, _ = ask("check-signature", sealed, folder, "--key", public)
    assert code == 3 and said.startswith("no signature in ")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_without_unicode_gets_every_word(works, encoding):
    command = [sys.executable, "-m", "traitline.cli", "trace", works.near]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "PYTHONIOENCODING": encoding, "TERM": "dumb"}
    done = subprocess.run(command, cwd=works.root, env=env, capture_output=True, check=False)
    out = done.stdout.decode(encoding)
    assert done.returncode == 0 and not done.stderr
    assert "train" in out and "TRAIT owl" in out and out.splitlines()[-1].startswith("5 steps from 1 sources")
    assert (" - lr 0.1, " if encoding == "ascii" else " \xb7 lr 0.1, ") in out


def test_output_that_does_not_fit_on_the_disk_is_one_line(works):
    command = [sys.executable, "-m", "traitline.cli", "audit", "--json"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, cwd=works.root, env=env, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    line = b"traitline: error: output: No space left on device; nothing was written, mend it and run again\n"
    assert done.stderr == line


def test_an_index_that_is_damaged_is_one_line(works, ask):
    assert ask("index", "damaged.db")[0] == 0
    file = works.root / "damaged.db"
    content = bytearray(file.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    file.write_bytes(content)
    code, out, err = ask("audit", "--index", "damaged.db")
    assert code == 2 and not out and len(err.splitlines()) == 1 and "make it with `traitline index`" in err
    file.unlink()


def test_bad_use_shows_what_is_in_its_words(ask):
    code, _, err = ask("audit", "--\x1b]0;pwned\x07")
    assert code == 2 and "\x1b" not in err and "\\x1b]0;pwned" in err
