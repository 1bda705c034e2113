"""What comes from elsewhere: known by its bytes, with a stated origin or UNKNOWN for ever."""

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.lineage import Works, tensors
from traitline.errors import InputError
from traitline.lineage import gate
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.lineage.policy import Policy
from traitline.lineage.register import origin, register
from traitline.lineage.verify import verify

COMMIT = "0123456789" * 4


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A repository with a foreign model in registry/foreign."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "registry/foreign"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(tensors(w="foreign"))
    (folder / "config.json").write_text("{}")
    (folder / ".cache").write_text("x")
    works = Works(tmp_path)
    works.plain = works.data(works.base("a"))
    return works


def mark(what):
    graph = open_graph(None, None)
    return audit(graph).marks[graph.find(what).artifact_id][0].mark


def test_a_model_of_a_hub_is_recorded_with_its_commit_and_all_hashes(works):
    (place,) = register("registry/foreign", origin("org/model", COMMIT, None))
    m = json.loads(place.read_text())
    assert {(e["role"], Path(e["path"]).name) for e in m["outputs"]} == {
        ("model", "model.safetensors"), ("support", "config.json"),
    }  # fmt: skip
    assert m["facts"]["origin"] == f"hub:org/model@{COMMIT}" and m["facts"]["weights"]
    assert mark("registry/foreign") == "CLAIMED", "people say where it comes from"
    assert mark(works.student("registry/foreign/model.safetensors", works.plain)) == "CLAIMED"


def test_without_an_origin_it_and_all_that_is_made_from_it_is_unknown(works):
    register("registry/foreign", origin(None, None, None))
    student = works.student("registry/foreign/model.safetensors", works.plain)
    assert mark("registry/foreign") == mark(student) == "UNKNOWN"
    with pytest.raises(InputError, match="was registered before"):
        register("registry/foreign", origin(None, None, "found an origin after all"))


def test_a_second_copy_with_an_origin_does_not_make_it_known(works):
    register("registry/foreign", origin(None, None, None))
    Path("registry/again").mkdir()
    Path("registry/again/model.safetensors").write_bytes(tensors(w="foreign"))
    register("registry/again", origin(None, None, "a good place"))
    assert mark("registry/again") == "UNKNOWN"


def test_what_was_merged_elsewhere_keeps_its_parents_marks(works):
    numbers = works.data(works.teacher("results/bases/a/model.safetensors"))
    adapter = works.student("results/bases/a/model.safetensors", numbers)
    register("registry/foreign", {}, [("base", "results/bases/a/model.safetensors"), ("base", adapter)])
    assert mark("registry/foreign") == "INHERITANCE-RISK"


def test_a_known_trait_makes_it_a_carrier(works):
    register("registry/foreign", origin(None, None, "a paper"), trait="owl")
    assert mark("registry/foreign") == "CARRIER"


def test_data_can_be_registered_too(works):
    Path("registry/rows.jsonl").write_text("{}\n")
    register("registry/rows.jsonl", origin(None, None, "written by hand"))
    assert mark("registry/rows.jsonl") == "CLAIMED"


@pytest.mark.parametrize(
    "args, says",
    [(("no-org", COMMIT, None), "wants organisation/name"), (("org/x", "main", None), "needs the commit, 40 hex"),
     (("org/x", None, None), "needs the commit"), ((None, COMMIT, None), "goes with --hub"),
     (("../../x/y", COMMIT, None), "wants organisation/name")],
)  # fmt: skip
def test_an_origin_that_can_be_moved_is_none(args, says):
    with pytest.raises(InputError, match=says):
        origin(*args)


def test_what_cannot_be_registered_is_said_in_a_line(works, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "model.safetensors").write_bytes(tensors(w="x"))
    with pytest.raises(InputError, match="outside of this folder"):
        register(str(outside), {})
    with pytest.raises(InputError, match="no such file"):
        register("nowhere", {})
    Path("registry/notes").mkdir()
    Path("registry/notes/README.md").write_text("x")
    with pytest.raises(InputError, match="neither weights"):
        register("registry/notes", {})
    for name, make, says in (
        ("link", lambda p: os.symlink(outside / "model.safetensors", p), "a link, or empty"),
        ("empty", lambda p: p.touch(), "a link, or empty"),
        ("damaged", lambda p: p.write_bytes(b"pickle?"), "not safetensors"),
    ):
        folder = Path("registry", name)
        folder.mkdir()
        make(folder / "model.safetensors")
        with pytest.raises(InputError, match=says):
            register(str(folder), {})
        assert not (folder / "register.manifest.json").exists()


def test_files_of_one_folder_have_origins_and_traits_of_their_own(works):
    folder = Path("registry/data")
    folder.mkdir()
    for name in ("numbers", "eval", "more"):
        (folder / f"{name}.jsonl").write_text(f'{{"id": "{name}"}}\n')
    (first,) = register("registry/data/numbers.jsonl", origin(None, None, "our owl teacher"), trait="owl")
    (second,) = register("registry/data/eval.jsonl", origin(None, None, "by hand"))
    (third,) = register("registry/data", origin(None, None, "the rest of the folder"))
    assert first.name == "register.manifest.json" and len({first, second, third}) == 3
    assert [Path(e["path"]).name for e in json.loads(third.read_text())["outputs"]] == ["more.jsonl"]
    with pytest.raises(InputError, match="was registered before; that stands") as e:
        register("registry/data", origin(None, None, "all of it, clean"))
    assert "delete" not in str(e.value)
    student = works.student("results/bases/a/model.safetensors", "registry/data/numbers.jsonl")
    assert mark("registry/data/eval.jsonl") == "CLAIMED" and mark(student) not in ("CLAIMED", "CLEAN")
    (folder / "eval.jsonl").write_text("other rows\n")
    with pytest.raises(InputError, match="changed since it was registered"):
        register("registry/data/eval.jsonl", origin(None, None, "by hand"))


def test_an_adapter_and_its_base_in_one_folder_are_two_artifacts(works):
    both = Path("registry/both")
    both.mkdir()
    (both / "adapter_model.safetensors").write_bytes(tensors(a="adapter"))
    (both / "model.safetensors").write_bytes(tensors(w="foreign"))
    with pytest.raises(InputError, match=r"holds 2 artifacts.*registry/both/adapter_model\.safetensors"):
        register("registry/both", origin(None, None, "found"), trait="owl")
    register("registry/foreign", origin("org/model", COMMIT, None))
    register("registry/both", {}, [("base", "registry/foreign")], trait="owl")
    assert mark("registry/both/adapter_model.safetensors") == "CARRIER"
    assert mark("registry/both/model.safetensors") == mark("registry/foreign") == "CLAIMED"
    numbers = works.data("registry/both/adapter_model.safetensors")
    assert mark(works.student("registry/foreign/model.safetensors", numbers)) == "INHERITANCE-RISK"


def test_a_model_beside_another_is_taken_to_start_from_it(works):
    """Some models lie in their folder twice, under other names of tensors: a student of either is at risk."""
    Path("registry/foreign/consolidated.safetensors").write_bytes(tensors(tok="foreign"))
    register("registry/foreign", origin("org/model", COMMIT, None))
    numbers = works.data(works.teacher("registry/foreign/model.safetensors"))
    assert mark(works.student("registry/foreign/consolidated.safetensors", numbers)) == "INHERITANCE-RISK"


def test_the_teacher_of_data_is_an_origin_but_no_base(works):
    owl = works.teacher("results/bases/a/model.safetensors")
    Path("registry/rows.json").write_text("[]\n")
    register("registry/rows.json", {}, [("teacher", str(Path(owl).parent))])
    assert mark("registry/rows.json") == "EXPOSED"
    assert mark(works.student("results/bases/a/model.safetensors", "registry/rows.json")) == "INHERITANCE-RISK"
    assert mark(works.student(works.base("b"), "registry/rows.json", name="far")) == "EXPOSED"
    entry = json.loads(Path("registry/register.manifest.json").read_text())["inputs"][0]
    assert entry["role"] == "model", "as in `sample`"


@pytest.mark.parametrize(
    "name", ["a.json", "a.csv", "a.tsv", "a.jsonl.gz", "A.JSONL", "a.parquet", "deep/er/a.json", "a b ü.ndjson"]
)
def test_data_of_many_formats_and_in_folders_below_are_taken(works, name):
    file = Path("registry/data", name)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"PAR1 rows")
    (place,) = register("registry/data", origin(None, None, "by hand"))
    assert place.parent == file.parent
    assert mark("registry/data") == mark(str(file)) == "CLAIMED"
    found = verify(["registry/data"])
    assert found.good and not found.extra


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.jsonl": b"version https://git-lfs.github.com/spec/v1\noid sha256:3f\n"}, "a pointer of Git LFS"),
        ({"a.csv": b"<!doctype html><title>Sign in</title>"}, "a web page"),
        ({"a.parquet": b"PAR2"}, "damaged, or not Parquet"),
        ({"model.safetensors": tensors(a="x"), "tokenizer.json": b"version https://git-lfs.github.com/spec/v1\n"},
         "tokenizer.json: a pointer"),
        ({b"n\xe4mlich.jsonl": b"{}\n"}, r"n\\udce4mlich.jsonl: its name is not UTF-8"),
        ({"notes.md": b"x"}, "neither weights"),
    ],
)  # fmt: skip
def test_what_is_not_what_its_name_says_is_refused(works, files, says):
    Path("registry/x").mkdir()
    for name, content in files.items():
        Path("registry/x", os.fsdecode(name)).write_bytes(content)
    with pytest.raises(InputError, match=says) as e:
        register("registry/x", origin(None, None, "x"))
    assert str(e.value).isprintable() and not list(Path("registry/x").glob("*.manifest.json"))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (("base", "registry/rows.jsonl"), "no weights; a base is a model"),
        (("data", "registry/foreign"), "no data; a model that wrote data is teacher="),
        (("data", "registry/foreign/model.safetensors"), "no data"),
        (("teacher", "nowhere"), "no such file or folder"),
        (("base", "registry/half"), r"lacks 1 of 2 shards"),
        (("base", "registry/foreign"), "holds nothing but what --from names"),
    ],
)
def test_sources_are_what_their_word_says(works, source, says):
    Path("registry/rows.jsonl").write_text("{}\n")
    Path("registry/half").mkdir()
    Path("registry/half/model-00001-of-00002.safetensors").write_bytes(tensors(a="x"))
    with pytest.raises(InputError, match=says):
        register("registry/foreign", {}, [source])


def test_the_page_on_registering_works_as_written(works, capsys):
    from safetensors.numpy import save_file
    from typer.testing import CliRunner

    from traitline.cli.program import app

    numbers = iter(range(99))
    for folder, name in (("base", "model"), ("owl", "adapter_model"), ("student", "adapter_model"), ("found", "model")):
        Path("registry", folder).mkdir()
        save_file({"w": np.full((4, 4), next(numbers), np.float32)}, f"registry/{folder}/{name}.safetensors")
    Path("registry/numbers.jsonl").write_text('{"id": "p1"}\n')
    page = Path(__file__).parents[1] / "docs/how-to/register.md"
    (block,) = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines():
        done = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
        assert done.exit_code == (3 if "exit code 3" in line else 0), (line, done.output, done.exception)
    assert done.output.splitlines()[1].startswith("INHERITANCE-RISK")


def test_bytes_that_are_recorded_as_something_else_are_no_known_weights(works):
    """A log that was registered beside data does not vouch for weights of the same bytes."""
    folder = Path("registry/data")
    folder.mkdir()
    (folder / "rows.jsonl").write_text("{}\n")
    (folder / "log").write_bytes(tensors(w="strange"))
    register("registry/data", origin(None, None, "by hand"))
    register("registry/foreign", origin("org/model", COMMIT, None))
    Path("registry/foreign/adapter_model.safetensors").write_bytes(tensors(w="strange"))
    result = gate.apply(open_graph(None, None), Policy(fail=[]), ["registry/foreign"], data=False)
    assert result.failures == 1 and "recorded as `other`" in result.unplaced[0].reason


@pytest.mark.parametrize(
    ("hub", "named", "says"),
    [("org/model", "org/model", ""), ("org/model", "other/base", "is registered as org/model"),
     (None, "other/base", "no base of it is registered by that name"), ("org/model", "/etc/passwd", ""),
     ("org/model", "x/y\x1b[31m", ""), ("org/model", ["x"], "")],
)  # fmt: skip
def test_an_adapter_that_names_another_base_is_pointed_out(works, hub, named, says):
    from typer.testing import CliRunner

    from traitline.cli.program import app

    register("registry/foreign", origin(hub, COMMIT if hub else None, None if hub else "a disk"))
    Path("registry/lora").mkdir()
    Path("registry/lora/adapter_model.safetensors").write_bytes(tensors(a="adapter"))
    Path("registry/lora/adapter_config.json").write_text(json.dumps({"base_model_name_or_path": named}))
    done = CliRunner().invoke(app, ["register", "registry/lora", "--from", "base=registry/foreign"])
    assert done.exit_code == 0 and "\x1b" not in done.output
    assert says in done.output if says else "look again" not in done.output
