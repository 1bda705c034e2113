"""The lock's own spelling of long lists: always what DVC's writer would have written."""

import subprocess
import sys
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from traitline.workflow import dvc_stages

ROOT = Path(__file__).resolve().parent.parent

VALUES = [
    "1e5",
    "12345678",
    "0x1f",
    "0o17",
    "0b1",
    "1_000",
    "1e5_",
    "2001-01-01",
    "null",
    "No",
    "y",
    "~",
    ".inf",
    ".nan",
]
NASTY = [
    *VALUES,
    "",
    "e",
    "...",
    "---",
    "-a",
    "a#b",
    "'",
    "é",
    "a b",
    "a: b",
    "results/a b/c.json",
    f"{dvc_stages.BLOCK}0",
]
LONG = st.integers(60, 135).map(lambda n: ("results/" * 20)[:n])
names = st.sampled_from(NASTY) | st.text("ae1.-_/0xo", min_size=1, max_size=8) | st.text(max_size=8) | LONG
deps = st.lists(names, max_size=3)
outs = st.lists(names.map(lambda path: {path: {"persist": True}}), max_size=3)
entries = st.lists(
    st.builds(lambda path, md5, n: {"path": path, "hash": "md5", "md5": md5, "size": n}, names, names, st.integers(0)),
    max_size=3,
)
stages = st.fixed_dictionaries(
    {"cmd": st.text(max_size=120)},
    optional={
        "deps": deps | entries,
        "outs": outs | entries,
        "params": st.lists(names, max_size=2),
        "meta": st.just({}),
    },
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("abc-_1", min_size=1, max_size=6), stages, max_size=3))
@example({"x": {"cmd": "c", "deps": NASTY}})
@example({"x": {"cmd": f"    deps: {dvc_stages.BLOCK}0\n    deps: {dvc_stages.BLOCK}0\n", "deps": ["results/x"]}})
@example({f"s{i}": {"cmd": "c", "deps": [word]} for i, word in enumerate(NASTY)})
@example({f"s{i}": {"cmd": "c", "outs": [{word: {"persist": True}}]} for i, word in enumerate(NASTY)})
def test_it_is_what_dvc_would_write(found):
    from dvc.utils.serialize import dumps_yaml

    whole = {"schema": "2.0", "stages": found}
    assert dvc_stages.dump(whole) == dumps_yaml(whole)


def test_the_committed_stages_are_those_of_the_tiny_study():
    """`make docs` writes dvc.yaml anew."""
    code = (
        "from traitline.workflow import dvc_stages, snakemake_plan\n"
        "print(dvc_stages.StudyStages(snakemake_plan.read()).yaml(), end='')"
    )
    derived = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    assert derived == (ROOT / "dvc.yaml").read_text(encoding="utf-8")
