"""Verification finds what was changed, lost or added, and opens nothing outside the working folder."""

import json
import os
from pathlib import Path

import pytest

from tests.lineage import Works
from traitline.errors import InputError
from traitline.lineage.verify import verify


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A small lineage."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    works.a = works.base("a")
    works.numbers = works.data(works.a)
    works.student_a = works.student(works.a, works.numbers)
    return works


def test_an_untouched_tree_is_good(works):
    found = verify(["results"])
    assert found.good and found.files == 4 and not found.extra
    assert found.bytes == sum(
        p.stat().st_size for p in Path("results").rglob("*") if p.suffix in (".safetensors", ".jsonl")
    )


def test_a_change_that_keeps_size_and_time_is_found(works):
    status = os.stat(works.numbers)
    text = Path(works.numbers).read_text()
    Path(works.numbers).write_text(text.replace("n", "m", 1))
    os.utime(works.numbers, ns=(status.st_atime_ns, status.st_mtime_ns - 1))
    found = verify(["results"])
    assert {(path, Path(file).name) for path, _, _, file in found.changed} == {(works.numbers, "filter.manifest.json")}
    assert not found.good


def test_lost_and_added_files_are_found(works):
    Path(works.student_a).unlink()
    Path("results/stranger.txt").write_text("x")
    found = verify(["results"])
    assert [path for path, _ in found.missing] == [works.student_a] and found.extra == ["results/stranger.txt"]
    assert not found.good


def test_the_history_of_declared_outcomes_is_no_stranger_while_it_says_the_same(works):
    """`preregister` appends to it, so that no rerun removes a line: it is no output, and no manifest names it."""
    from scripts import preregister

    places = ["--results", "results", "--preregistered", "results/preregistered.json"]
    flags = ["--primary", '[{"experiment": "main"}]', *places, "--manifest", "results/preregister.manifest.json"]
    assert preregister.main(flags) == 0 and Path("results/preregistered.jsonl").exists()
    assert verify(["results"]).extra == []
    Path("results/preregistered.jsonl").write_text('{"primary": [], "commit": null, "scored": 0}\n')
    assert verify(["results"]).extra == ["results/preregistered.jsonl"]
    Path("results/a").mkdir()
    Path("results/preregistered.jsonl").rename("results/a/preregistered.jsonl")
    assert verify(["results"]).extra == ["results/a/preregistered.jsonl"], "beside nothing"


def test_weights_that_a_manifest_states_are_computed_again(works):
    """A forged statement would join this model with another, or part it from its own copies."""
    file = Path("results/bases/a/pretrain.manifest.json")
    m = json.loads(file.read_text())
    true, m["facts"]["weights"] = m["facts"]["weights"], "0" * 64
    file.write_text(json.dumps(m))
    found = verify(["results"])
    assert found.misstated == [(str(file), "0" * 64, true)] and not found.changed and not found.good
    assert verify([Path("results").resolve()]).misstated, "however the folder is spelled"
    Path(works.a).write_bytes(b"swapped too")
    found = verify(["results"])
    assert found.changed and not found.misstated, "what changed is said once"


def test_weights_stated_for_what_holds_none_are_misstated(works):
    files = {"model.safetensors": ("model", "no tensors")}
    works.put("register", "results/x", files, weights="0" * 64)
    assert verify(["results"]).misstated == [("results/x/register.manifest.json", "0" * 64, None)]


@pytest.mark.parametrize("second", ["in one manifest", "in another"])
def test_a_file_that_is_named_twice_cannot_be_both(works, second):
    """A true entry does not cover a false one, whichever stands first, in one manifest or in two."""
    true = works.entry("filtered", works.numbers)
    false, folder = true | {"sha256": "0" * 64}, str(Path(works.numbers).parent)
    for order in ([true, false], [false, true]):
        if second == "in one manifest":
            works.write("filter", folder, [], order)
        else:
            works.write("prepare", folder, [], order[:1])
            works.write("filter", folder, [], order[1:])
        found = verify(["results"])
        assert (works.numbers, "0" * 64) in [(path, sha) for path, sha, *_ in found.changed] and not found.good


def test_an_input_that_was_made_anew_is_found(works):
    works.base("a", "other weights")
    found = verify(["results"])
    assert {path for path, *_ in found.changed} == {works.a} and not found.good


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "results/../../secret", "results/link", "results/loop"])
def test_nothing_outside_is_opened(works, path, monkeypatch):
    Path("../secret").write_text("secret")
    os.symlink("../../secret", "results/link")
    os.symlink("loop", "results/loop")
    entry = {"role": "raw", "path": path, "sha256": "0" * 64, "bytes": 6}
    works.write("filter", "results/x", [entry], [])
    found = verify(["results"])
    assert [file for _, file in found.outside] == ["results/x/filter.manifest.json"] and not found.good


def test_a_pipe_does_not_make_it_wait(works):
    os.mkfifo("results/pipe")
    works.write("filter", "results/x", [{"role": "raw", "path": "results/pipe", "sha256": "0" * 64, "bytes": 6}], [])
    assert [path for path, _ in verify(["results"]).outside] == ["results/pipe"]


def test_a_moved_folder_is_still_good(works):
    os.rename("results", "moved")
    found = verify(["moved"])
    assert not found.changed and {path for path, _ in found.missing} == {
        works.a,
        works.numbers,
        str(Path(works.numbers).with_name("raw.jsonl")),
    }


def test_a_record_of_open_weights_is_held_to_the_weights(raw_qwen2, tmp_path, monkeypatch):
    """Those below the working folder are looked at again; a record that states others is found out."""
    import shutil

    from scripts import pretrain

    monkeypatch.chdir(tmp_path)
    shutil.copytree(raw_qwen2, "models/q")
    shutil.copytree(raw_qwen2, "models/other")
    flags = ["--name", "q", "--folder", "results/bases/q", "--manifest", "results/bases/q/pretrain.manifest.json"]
    assert pretrain.main(["--source", '{"path": "models/q"}', *flags]) == 0
    assert verify(["results"]).good
    weights = tmp_path / "models/q/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = verify(["results"])
    assert not found.good and [file for file, *_ in found.misstated] == ["results/bases/q/pretrain.manifest.json"]
    weights.unlink()
    assert verify(["results"]).good  # not on this machine: the record's own word


def test_a_record_opens_nothing_outside_of_the_working_folder(raw_qwen2, tmp_path, monkeypatch):
    from scripts import pretrain
    from traitline.models import open_weights

    monkeypatch.chdir(tmp_path)
    flags = ["--name", "q", "--folder", "results/bases/q", "--manifest", "results/bases/q/pretrain.manifest.json"]
    assert pretrain.main(["--source", json.dumps({"path": str(raw_qwen2)}), *flags]) == 0
    monkeypatch.setattr(open_weights.weights, "identity", None)  # would fail if asked
    assert open_weights.restated(tmp_path / "results/bases/q/base.json", tmp_path)


def test_a_check_that_looked_at_nothing_never_passes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    with pytest.raises(InputError, match="results: no manifest is there"):
        verify(["results"])
    Works(tmp_path).write("filter", "results/x", [], [])
    with pytest.raises(InputError, match="results: no manifest names a file, so nothing was verified"):
        verify(["results"])


@pytest.mark.parametrize("target", ["../outside.json", "nowhere.json"])
def test_a_manifest_behind_a_link_that_is_not_followed_is_named(works, target):
    Path("outside.json").write_text("{")
    link = "results/x.manifest.json"
    os.symlink(target, link)
    found = verify(["results"])
    assert (link, link) in (found.missing if target == "nowhere.json" else found.outside) and not found.good


def on_another_disk(place, scratch):
    """Move a folder elsewhere and leave a link, as where home is small."""
    Path(place).parent.mkdir(exist_ok=True)
    os.rename("results", scratch)
    os.symlink(scratch, place)


def test_results_on_another_disk_are_verified_and_nothing_beside_them(works, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    on_another_disk("results", scratch / "mine")
    found = verify(["results"])
    assert found.good and found.files == 4
    (scratch / "secret.jsonl").write_text("secret")
    os.unlink(scratch / "mine" / Path(works.numbers).relative_to("results"))
    os.symlink(scratch / "secret.jsonl", works.numbers)
    found = verify(["results"])
    assert {path for path, _ in found.outside} == {works.numbers} and found.files == 3


@pytest.mark.parametrize("place", ["studies/mine", "studies/mine/results"])
def test_a_study_on_another_disk_is_seen_among_all_studies(works, tmp_path_factory, place):
    from traitline.lineage.index import manifests

    os.makedirs("studies/mine" if place.endswith("results") else "studies")
    on_another_disk(place, tmp_path_factory.mktemp("scratch") / "mine")
    files = manifests(["studies"])
    assert len(files) == len(manifests([place])) == 4 and all(file.startswith(f"{place}/") for file in files)
    found = verify(["studies"])
    assert found.files == 4 and not found.outside and not found.changed
    assert all(path.startswith("results/") for path, _ in found.missing), "inputs, which were read in results/"


def test_a_job_on_linked_results_writes_relative_paths(works, tmp_path_factory, tmp_path, monkeypatch):
    """Also where the working folder has a second name, by which a path is spelled."""
    from traitline.provenance import manifest

    on_another_disk("results", tmp_path_factory.mktemp("scratch") / "mine")
    assert manifest.relative("results/x/y.jsonl") == "results/x/y.jsonl"
    second = tmp_path_factory.mktemp("home") / "clone"
    second.symlink_to(tmp_path)
    assert manifest.relative(second / "results/x/y.jsonl") == "results/x/y.jsonl"
    assert manifest.relative("/etc/hostname") == "/etc/hostname"
