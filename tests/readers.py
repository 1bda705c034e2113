"""Every reader of files that others may write, each as a function of a path: it returns, or it raises InputError.

`tests/test_corpus.py` gives them the files of `tests/corpus/`, `tests/fuzz.py` mutations of the valid ones.
"""

import contextlib
import io
import json
import shutil
from pathlib import Path

from traitline import csv_files, json_files, jsonl, yaml_files
from traitline.errors import InputError

SOURCES = ("gsm8k", "truthfulqa", "mmlu", "conversations")


class Traceback(AssertionError):
    """A program ended in another way than with data, an objection or one line."""


def stage(main, argv):
    """Run a stage program in this process; its one error line becomes an InputError."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        code = main([str(word) for word in argv])
    judge(code, [line for line in err.getvalue().splitlines() if "error: " in line])


def command(*argv):
    """Run a command of `traitline` in this process."""
    import sys

    from traitline.cli.program import main

    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["traitline", *map(str, argv)]
    try:
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
            main()
    except SystemExit as e:
        judge(e.code, err.getvalue().splitlines())
    finally:
        sys.argv = before
    return out.getvalue()


def judge(code, lines):
    if code == 2 and len(lines) == 1:
        raise InputError(lines[0])
    if code not in (0, 3, None) or lines:
        raise Traceback(f"exit code {code}, {lines}")


def source(form):
    """The stage that brings foreign data into one form."""

    def run(path):
        from scripts import source

        made = Path("made", form)
        flags = ["--name", "x", "--source", json.dumps({"format": form, "path": str(path)})]
        stage(source.main, [*flags, "--rows", made / "rows.jsonl", "--manifest", made / "source.manifest.json"])
        return (made / "rows.jsonl").read_text(encoding="utf-8")

    return run


def answers(task):
    """The stage that sorts answers."""

    def run(path):
        from scripts import filter

        names = [word for name in ("filtered", "rejected") for word in (f"--{name}", f"made/{name}.jsonl")]
        flags = ["--raw", path, *names, "--counts", "made/filtered.json", "--manifest", "made/filter.manifest.json"]
        stage(filter.main, [*flags, "--task", task, "--words", "owl" if task == "gsm8k" else ""])

    return run


def policy(path):
    from traitline.lineage.policy import load

    return load(str(path))


def lineage(path):
    """A manifest of others among ours: every command that reads manifests."""
    from tests.lineage import Works

    if not Path("results").exists():
        works = Works(".")
        works.student(works.base("a"), works.data(works.teacher("results/bases/a/model.safetensors")))
    place = Path("results/foreign/x.manifest.json")
    place.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, place)
    for words in (
        ["trace", "results/foreign/model.safetensors"],
        ["impact", "results/bases/a/model.safetensors"],
        ["audit", "--data", "--json"],
        ["verify"],
        ["page"],
        ["crate"],
        ["export", "results/foreign/model.safetensors", "out"],
    ):
        with contextlib.suppress(InputError):
            command(*words)
        shutil.rmtree("out", ignore_errors=True)
    return command("audit")


def manifest(path):
    from traitline.provenance import manifest

    return manifest.load(path)


def tensors(path):
    from traitline.provenance import weights

    if weights.identity([path]) is None:
        raise InputError(f"{path}: no safetensors")


def record(path):
    """A record of open weights, which a manifest from elsewhere may name."""
    from traitline.models import open_weights

    if open_weights.restated(path, Path.cwd()) is None:
        raise InputError(f"{path}: states no weights")


def lock(path):
    from traitline.workflow.dvc_stages import locked_stages

    return locked_stages(path)


def records(path):
    from traitline.plain_files import read_text
    from traitline.workflow.snakemake_plan import remember

    text = read_text(path)
    try:
        return remember(text)
    except ValueError:  # as `restore` does
        raise InputError(f"{path}: damaged records") from None


def envelope(path):
    from traitline.lineage import dsse

    key = Path(__file__).parent / "corpus/key.pub"
    return dsse.unseal(path, key)


def configuration(path):
    """A file laid over config.yaml."""
    from traitline.study.config import load
    from traitline.study.validation import duplicates
    from traitline.workflow.snakemake_plan import merge_configs

    files = [str(Path(__file__).parent.parent / "config.yaml"), str(path)]
    duplicates(files[1])
    return load(merge_configs(files), files)


def table(path):
    from traitline.analysis import tables

    return tables.rows(path, ("trait", "rate"))


def recalled(path):
    """A cache: damage is no error, it only costs time."""
    from traitline.workflow import launch

    launch.read(path)
    return json_files.recall(path)


READERS = {
    "jsonl": lambda path: list(jsonl.read(path)),
    "json": json_files.read,
    "yaml": yaml_files.read,
    "csv": lambda path: list(csv_files.read(path)),
    "policy": policy,
    "manifest": manifest,
    "lineage": lineage,
    "tensors": tensors,
    "record": record,
    "lock": lock,
    "records": records,
    "envelope": envelope,
    "configuration": configuration,
    "table": table,
    "recalled": recalled,
    "numbers": answers("numbers"),
    "problems": answers("gsm8k"),
    **{form: source(form) for form in SOURCES},
}
