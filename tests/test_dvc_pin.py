"""Pinning with DVC: exactly what DVC would write, vouching for nothing that is not so; and a clone that goes on.

The judge of `pin` is `dvc commit -f`: on the day DVC changes its format, the first test fails.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.clone import ROOT, Clone, copy, tiny
from traitline.errors import InputError
from traitline.provenance import manifest

BIN = os.path.dirname(sys.executable)
RAW = "results/a/owl/tuned/numbers/raw.jsonl"
TEACHER = "results/a/owl/tuned/model.safetensors"
END = {"summarise": 1, "plot": 1, "report": 1, "all": 1}


class Repository(Clone):
    """A clone under git and DVC."""

    def sh(self, command, ok=True):
        """Run commands as a user with the environment activated; returns the finished process."""
        environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(self.root.parent), "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run(
            command, shell=True, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done

    def traitline(self, args, code=0):
        """`traitline ...`; what it said."""
        done = self.sh(f"{sys.executable} -m traitline.cli {args}", ok=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self):
        """Put it under git and DVC, with a directory as the remote."""
        shutil.copy(ROOT / ".gitignore", self.root)
        self.sh("git init -q && git config user.email a@b.c && git config user.name t && dvc init -q")
        self.sh("dvc remote add -q -d store ../store && git add -A && git commit -qm code")

    def cloned(self, folder):
        """A fresh clone in a folder: `git clone`, `dvc pull`, `traitline restore`."""
        Repository(folder).sh(f"git clone -q {self.root} work")
        here = Repository(folder / "work")
        here.sh(f"dvc remote modify --local store url {self.root.parent / 'store'} && dvc pull -q")
        assert here.traitline("restore").endswith(" 0 others, 0 missing\n")
        return here

    def tell(self, text, to):
        file = self.path(to)
        file.write_text(text)


@pytest.fixture(scope="module")
def pinned(finished, tmp_path_factory):
    """The finished study, pinned, committed and pushed to a directory."""
    root = tmp_path_factory.mktemp("pinned") / "work"
    shutil.copytree(finished.root, root)
    here = Repository(root)
    here.start()
    assert here.traitline("pin") == "pinned 31 jobs\n"
    here.sh("git add -A && git commit -qm pinned && dvc push -q")
    return here


@pytest.fixture
def repository(pinned, tmp_path):
    """A copy of the pinned study with its cache, for one test."""
    shutil.copytree(pinned.root, tmp_path / "copy", symlinks=True)
    return Repository(tmp_path / "copy")


@pytest.fixture(scope="module")
def cloned(pinned, tmp_path_factory):
    """Fresh from git and DVC: `git clone`, `dvc pull`, `traitline restore`."""
    return pinned.cloned(tmp_path_factory.mktemp("cloned"))


@pytest.fixture
def fresh(cloned, tmp_path):
    """A copy of the clone for one test."""
    shutil.copytree(cloned.root, tmp_path / "fresh", symlinks=True)
    return Repository(tmp_path / "fresh")


def test_a_real_study_is_pinned_pulled_and_gone_on_with(tmp_path):
    """With the real programs: their manifests, seeds and parameters are what `pin` must understand."""
    (tmp_path / "work").mkdir()
    here = Repository(tmp_path / "work")
    copy(here.root, "scripts")
    here.edit(tiny)
    here.edit(lambda study: study["teach"].update(rate=0.01))  # a rate that its teacher reaches, or nothing is tested
    here.start()
    here.sh("dvc config cache.type symlink")
    jobs = {"prepare": 2, "train_lora": 2, "respond_favourite": 2, "score_favourite": 2, **END}
    assert "pinned 23 jobs" in here.run(), "every successful run is pinned"
    assert here.traitline("pin") == "pinned 23 jobs\n"
    shown = json.loads(here.sh("dvc metrics show --json").stdout)
    (figures,) = (file["data"] for file in shown[""]["data"].values())
    assert {name.rpartition(".")[2] for name in figures} == {"all"} and all(
        0 < rate < 1 for row in figures.values() for rate in row.values()
    )
    marks, verified = here.traitline("audit --json", 3), here.traitline("verify")
    here.sh("git add -A && git commit -qm pinned && dvc push -q")
    (tmp_path / "elsewhere").mkdir()
    there = here.cloned(tmp_path / "elsewhere")
    assert there.path(TEACHER).is_symlink() and there.plan() == {}
    assert there.traitline("audit --json", 3) == marks
    assert there.traitline("verify").splitlines()[-1].split(", ")[:5] == verified.splitlines()[-1].split(", ")[:5]
    assert ", all of them\n" in there.traitline("verify --root manifests.sha256"), "git holds the root"
    there.edit(lambda study: study["datasets"]["plain"].update(seed=2))
    assert there.plan() == jobs
    answer = json.loads(there.traitline("status config.yaml --json", 3))
    made = {row["stage"]: (row["made"], row["missing"], row["out_of_date"]) for row in answer["stages"]}
    assert made["sample"] == (2, 0, 0) and made["prepare"] == (0, 0, 2) and made["train"] == (0, 0, 2)
    reasons = {job["job"]: job["reason"] for job in answer["to_do"]}
    assert reasons.pop("prepare-a-numbers-plain-tuned-owl") == "its settings or its code changed"
    assert len(reasons) == sum(jobs.values()) - 2 and answer["made"] == 23 - len(answer["to_do"])
    assert "Snakemake would run it again" in there.traitline("pin", 2)
    there.run()
    said = there.traitline("status")
    assert said.endswith("results: 23 of 23 jobs made\n") and "missing  " not in said.partition("out of date\n")[2]
    assert there.traitline("pin") == "pinned 23 jobs\n"
    assert "Data and pipelines are up to date" in there.sh("dvc status").stdout


def test_the_lock_is_byte_for_byte_what_dvc_writes(repository):
    ours = repository.path("dvc.lock").read_bytes()
    repository.path("dvc.lock").unlink()
    repository.sh("dvc commit -f -q")
    assert repository.path("dvc.lock").read_bytes() == ours
    assert "Data and pipelines are up to date" in repository.sh("dvc status").stdout


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
@pytest.mark.parametrize("cache", [".dvc/cache", "../cache"])
def test_everything_works_on_links_as_dvc_makes_them(repository, kind, cache):
    verified = repository.traitline("verify")
    if cache == "../cache":
        shutil.move(repository.path(".dvc/cache"), repository.path(cache))
        repository.sh(f"dvc cache dir {cache}")
    repository.sh(f"dvc config cache.type {kind} && dvc checkout -q --relink")
    assert repository.path(TEACHER).is_symlink() == (kind == "symlink")
    assert repository.traitline("restore").endswith(" 0 others, 0 missing\n")
    assert repository.plan() == {}
    assert repository.traitline("verify") == verified and " 0 files" not in verified
    repository.run("-R", "score_favourite")
    m = json.loads(next(repository.path("results").rglob("score.manifest.json")).read_text())
    assert all(e["path"].startswith("results/") for e in m["inputs"]), "a link keeps the artifact's name"
    repository.traitline("verify")


def test_pinning_again_changes_nothing(repository):
    repository.traitline("pin")
    assert repository.sh("git status --porcelain").stdout == ""


def test_a_clone_has_nothing_to_do_and_pins_the_same(fresh):
    assert fresh.plan() == {}
    fresh.traitline("pin")
    assert fresh.sh("git status --porcelain").stdout == ""


@pytest.fixture
def bucket():
    """Address of a local S3 server with an empty bucket."""
    import requests
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    requests.put(f"{address}/bucket", timeout=60).raise_for_status()
    yield address
    server.stop()


def test_a_clone_goes_on_from_an_s3_remote_and_keys_stay_out_of_git(repository, bucket):
    """As docs/how-to/dvc.md has it: the address in .dvc/config, the keys in the environment."""
    secret = "planted-secret-0123456789"
    keys = f"export AWS_ACCESS_KEY_ID=planted-key AWS_SECRET_ACCESS_KEY={secret} AWS_DEFAULT_REGION=us-east-1"
    repository.sh(f"dvc remote add -q -d cloud s3://bucket/dvc && dvc remote modify cloud endpointurl {bucket}")
    repository.sh(f"git commit -qam cloud && {keys} && dvc push -q")
    assert "in sync" in repository.sh(f"{keys}; dvc status -c").stdout
    repository.sh("git clone -q . ../other")
    other = Repository(repository.root.parent / "other")
    assert not other.path("results").exists()
    other.sh(f"{keys}; dvc pull -q")
    assert other.traitline("restore").endswith(" 0 others, 0 missing\n")
    assert other.plan() == {}
    for here in (repository, other):
        assert here.sh("grep -rlE 'planted-(key|secret)' .", ok=False).stdout == ""


def test_in_a_clone_one_parameter_reruns_exactly_what_depends_on_it(fresh):
    fresh.edit(lambda study: study["recipes"]["lora"].update(lr=1.0e-3))
    assert fresh.plan() == {"train_lora_biases": 4, "respond_favourite": 4, "score_favourite": 4, **END}
    fresh.sh("git checkout -q config.yaml")
    assert fresh.plan() == {}
    file = fresh.path("scripts/filter.py")
    file.write_text(file.read_text() + "\nSTRICT = True\n")
    assert fresh.plan()["filter"] == 2 and not fresh.plan()["sample"]


def test_restore_tells_what_is_not_there(fresh):
    fresh.path(RAW).unlink()
    fresh.path(TEACHER).write_text("other")
    said = fresh.traitline("restore", 3)
    assert f"differs  {TEACHER}" in said and f"missing  {RAW}" in said and said.endswith("1 others, 1 missing\n")


def test_restored_records_are_files_of_their_own(fresh):
    """Snakemake writes records in place: a link into DVC's cache would damage the cache."""
    records = [p for p in fresh.path(".snakemake/metadata").rglob("*") if p.is_file()]
    assert records and all(p.stat().st_nlink == 1 and not p.is_symlink() and os.access(p, os.W_OK) for p in records)


def test_a_tampered_file_is_refused_even_where_it_has_an_old_time(repository):
    """Of the same size: Snakemake itself would be content."""
    file = repository.path(TEACHER)
    file.write_text(file.read_text().replace("t", "T", 1))
    os.utime(file, (1_000_000_000, 1_000_000_000))
    refusal = f"traitline: error: {TEACHER}: changed since made; delete to have rebuilt, nothing was run"
    assert repository.snakemake("-n").stderr.splitlines()[-1] == refusal
    for options in ("", "--partial"):
        assert repository.traitline(f"pin {options}", 2).splitlines() == [refusal]
    assert repository.sh("git status --porcelain").stdout == ""


def test_pin_hashes_itself_what_it_vouches_for(tmp_path, monkeypatch):
    """Even if the workflow had not looked: of a job's files those that it read and those that it wrote."""
    from traitline.provenance.known_hashes import KnownHashes
    from traitline.workflow import dvc_pin

    monkeypatch.chdir(tmp_path)
    for name in ("read", "made", "unnamed"):
        Path(name).write_text(name)
    recorded = {name: manifest.sha256(name) for name in ("read", "made")}
    job = SimpleNamespace(inputs=["read"], outputs=["made"], manifests=[])
    assert dvc_pin.changed(job, recorded, KnownHashes(Path("x"))) is None
    for name in ("read", "made"):
        before = os.stat(name)
        Path(name).write_text(name[::-1])
        os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert dvc_pin.changed(job, recorded, KnownHashes(Path("x"))) == f"{name} is not what the job read or wrote"
        Path(name).write_text(name)
    job.outputs.append("unnamed")
    assert dvc_pin.changed(job, recorded, KnownHashes(Path("x"))) == "no manifest of it names unnamed"


def test_stale_jobs_are_refused_or_left_out(repository):
    repository.edit(lambda study: study["recipes"]["lora"].update(lr=1.0e-3))
    assert "Snakemake would run it again" in repository.traitline("pin", 2)
    assert repository.traitline("pin --partial").startswith("pinned 16 jobs; left out: plot, report, ")


def test_a_job_without_a_record_is_refused(repository):
    shutil.rmtree(repository.path(".snakemake/metadata"))
    assert "no record of it" in repository.traitline("pin", 2)


def test_a_job_that_was_given_one_setting_and_says_another_is_refused(repository):
    file = repository.path("results/prompts/numbers/prompts.manifest.json")
    m = json.loads(file.read_text())
    file.write_text(json.dumps(m | {"seeds": {"seed": 48}}))
    assert "parameter seed: the workflow has 47, the job used 48" in repository.traitline("pin", 2)


def test_a_bare_clone_is_checked_without_data(pinned, tmp_path):
    Repository(tmp_path).sh(f"git clone -q {pinned.root} bare")
    bare = Repository(tmp_path / "bare")
    assert bare.traitline("pin --check") == "the pins are up to date\n"
    bare.edit(lambda study: study["recipes"]["lora"].update(lr=1.0e-3))
    assert "dvc.yaml is not" not in (said := bare.traitline("pin --check", 3)) and "pins.json is not what" in said


def test_dvc_does_not_file_old_results_under_new_settings(repository):
    """`dvc exp run --set-param` changes config.yaml and then finds nothing to do; the last stage says no."""
    repository.path("traitline-on-path").mkdir()
    program = repository.path("traitline-on-path/traitline")
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m traitline.cli "$@"\n')
    program.chmod(0o755)
    repository.edit(lambda study: study["recipes"]["lora"].update(lr=1.0e-3))
    done = repository.sh('PATH="$PWD/traitline-on-path:$PATH" dvc repro', ok=False)
    assert done.returncode != 0 and "pins.json is not what the Snakefile and the configuration give" in done.stderr


def test_success_pins_where_dvc_is_and_nowhere_else(repository):
    target = "results/prompts/numbers/prompts.jsonl"
    assert "pinned 31 jobs" in repository.run("-f", target)
    shutil.rmtree(repository.path(".dvc"))
    assert "pinned" not in repository.run("-f", target)


def test_a_study_in_a_folder_has_its_stages_there(repository):
    repository.path("configs").mkdir()
    repository.tell("study: x\nfolder: studies/x\n", "configs/x.yaml")
    options = "--configfile configs/x.yaml"
    repository.run(*options.split(), "--", "studies/x/results/prompts/numbers/prompts.jsonl")
    stages = yaml.safe_load(repository.path("studies/x/dvc.lock").read_text())["stages"]
    assert set(stages) == {"prompts-numbers", "records"}
    assert "up to date" in repository.sh("dvc status studies/x/dvc.yaml:prompts-numbers").stdout
    assert repository.sh("git status --porcelain -uall").stdout.split() == [
        *("??", "configs/x.yaml"), *("??", "studies/x/dvc.lock"), *("??", "studies/x/dvc.yaml"),
        *("??", "studies/x/manifests.sha256"), *("??", "studies/x/pins.json"),
    ]  # fmt: skip


def test_without_dvc_it_says_what_to_do(clone):
    done = Repository(clone.root).traitline("pin", 2)
    assert (
        done == "traitline: error: no DVC repository; `dvc init` makes one, docs/how-to/dvc.md says what that gives\n"
    )


def test_a_hostile_lock_touches_nothing_outside(repository):
    outside = repository.root.parent / "outside"
    outside.write_text("x")
    before = outside.stat().st_mtime_ns
    for path in ("../outside", "/etc/hostname", "results/../../outside"):
        entry = {"path": path, "hash": "md5", "md5": "9dd4e461268c8034f5c8564e155c67a6", "size": 1}
        lock = {"schema": "2.0", "stages": {"x": {"cmd": "true", "outs": [entry]}}}
        repository.path("dvc.lock").write_text(yaml.safe_dump(lock))
        assert "lies outside the repository" in repository.traitline("restore", 2)
    assert outside.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "text", ["<<<<<<< HEAD\n", "{}", "stages: 1", "stages: {x: {outs: [1]}}", "stages: {x: 1}", "a: ["]
)
def test_a_damaged_lock_is_one_line(text, tmp_path):
    from traitline.workflow import dvc_stages

    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(InputError, match=r"dvc\.lock: damaged, or in conflict; `git checkout` one version") as e:
        dvc_stages.locked_stages(tmp_path / "dvc.lock")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("text", ["{", "{}", '[{"outputs": "x"}]', '[{"outputs": ["x"], "record": 1}]', "[1]"])
def test_damaged_records_are_no_records(text, tmp_path, monkeypatch):
    from traitline.workflow import snakemake_plan

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError):
        snakemake_plan.remember(text)
    assert os.listdir() == []


def test_a_record_never_leaves_its_folder(tmp_path, monkeypatch):
    from traitline.workflow import snakemake_plan

    monkeypatch.chdir(tmp_path)
    names = ["../../escape", "/etc/escape", "a" * 400]
    assert snakemake_plan.remember(json.dumps([{"outputs": names, "record": {"rule": "x"}}])) == 3
    found = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert len(found) == 3 and all(p.startswith(".snakemake/metadata/") for p in found)


def test_what_snakemake_calls_a_record_is_where_we_look(finished):
    from traitline.workflow import snakemake_plan

    assert finished.path(str(snakemake_plan.record(RAW))).is_file()
    assert Path(snakemake_plan.record(RAW)).is_relative_to(snakemake_plan.METADATA)
