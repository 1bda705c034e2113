"""What counts as a change of a stage's code."""

import pytest

from traitline.provenance import digest

SCRIPT = '''"""Filter."""

import json
from traitline import noun

if TYPE_CHECKING:
    from traitline import typed


def main():
    """Do it."""
    from traitline.late import thing

    return noun.one(json.loads("1"))
'''


def forget():
    """What another process would not know."""
    for memory in (digest._known, digest._tree, digest.digest):
        memory.cache_clear()


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Write files of a project with one stage; returns the stage's digest."""
    monkeypatch.setattr(digest, "ROOT", tmp_path)
    files = {
        "scripts/filter.py": SCRIPT,
        "scripts/other.py": "x = 1\n",
        "traitline/__init__.py": "",
        "traitline/noun.py": "from traitline.deep import two\n\n\ndef one(x):\n    return two(x)\n",
        "traitline/deep.py": "def two(x):\n    return x\n",
        "traitline/late.py": "thing = 1\n",
        "traitline/stranger.py": "thing = 1\n",
        "traitline/listed/one.py": "from traitline.deep import two\n",
        "traitline/typed.py": "x = 1\n",
    }

    def write(**changed):
        for name, text in (files | {k.replace("__", "/") + ".py": v for k, v in changed.items()}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        forget()
        return digest.digest("filter")

    yield write
    forget()


@pytest.mark.parametrize(
    "changed",
    [
        {"scripts__filter": "# why\n" + SCRIPT.replace("    return", "\n\n    # because\n    return")},
        {"scripts__filter": SCRIPT.replace("Do it.", "Do it well.").replace("Filter.", "Filters.")},
        {"scripts__filter": SCRIPT.replace('"1"', "'1'").replace("(json", "(\n        json")},
        {"scripts__other": "x = 2\n"},
        {"traitline__stranger": "thing = 2\n"},
        {"traitline__typed": "x = 2\n"},
    ],
    ids=["comment", "docstring", "layout", "another stage", "a module that is not imported", "what only types need"],
)
def test_what_changes_nothing(code, changed):
    assert code(**changed) == code()


@pytest.mark.parametrize(
    "changed",
    [
        {"scripts__filter": SCRIPT.replace('"1"', '"2"')},
        {"traitline__noun": "from traitline.deep import two\n\n\ndef one(x):\n    return two(x + 1)\n"},
        {"traitline__deep": "def two(x):\n    return -x\n"},
        {"traitline__late": "thing = 2\n"},
    ],
    ids=["the program", "what it imports", "what that imports", "what a function imports"],
)
def test_what_is_a_change(code, changed):
    assert code(**changed) != code()


REGISTRY = "import pkgutil\nimport traitline.listed\n\nthing = list(pkgutil.iter_modules(traitline.listed.__path__))\n"


@pytest.mark.parametrize(
    "changed", [{"traitline__listed__one": "x = 2\n"}, {"traitline__listed__two": "x = 1\n"}], ids=["edited", "new"]
)
def test_who_lists_a_package_depends_on_every_module_in_it(code, changed):
    without, listed = code(), code(traitline__late=REGISTRY)
    assert code(traitline__late=REGISTRY, **changed) != listed
    assert code(**changed) == without


def test_a_digest_is_short_and_the_same_each_time(code):
    first = code()
    assert len(first) == 12 and int(first, 16) >= 0 and code() == first


def test_files_that_were_read_once_are_not_parsed_again(code, monkeypatch):
    first = code()
    monkeypatch.setattr(digest.ast, "parse", None)
    assert code() == first
    with pytest.raises(TypeError):
        code(traitline__deep="def two(x):\n    return -x\n")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"1 3.0": {}}', "{DIALECT: 1}", "{DIALECT: {KEY: 1}}"])
def test_a_damaged_memory_changes_nothing(code, tmp_path, content):
    first = code()
    kept = tmp_path / digest.KEPT
    for word, text in (("DIALECT", digest.DIALECT), ("KEY", "0" * 64)):
        content = content.replace(word, f'"{text}"')
    kept.write_text(content)
    assert code() == first and "filter" not in kept.read_text()


def test_where_nothing_may_be_written_it_works_all_the_same(code, tmp_path):
    first = code()
    kept = tmp_path / digest.KEPT
    kept.unlink()
    kept.mkdir()
    assert code() == first
