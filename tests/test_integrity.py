"""The look at artifacts before a run: quick where nothing changed, and never fooled by an ordinary edit."""

import datetime
import json
import os
import shutil
from pathlib import Path

import pytest

from tests import configs
from traitline.errors import InputError
from traitline.provenance import manifest, stage
from traitline.study import config
from traitline.workflow import integrity

ROOT = Path(__file__).resolve().parent.parent
RAW = "results/a/owl/tuned/numbers/raw.jsonl"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The tiny study, of which one job has run."""
    monkeypatch.chdir(tmp_path)
    folder = os.path.dirname(RAW)
    outputs = {"raw": RAW, "sampled": f"{folder}/sampled.json"}
    with stage.record("sample", f"{folder}/sample.manifest.json", inputs={}, outputs=outputs) as job:
        for role in outputs:
            job.path(role).write_text(f"{role}\n")
    return config.load(configs.raw())


@pytest.fixture
def hashed(monkeypatch):
    """Files that were hashed."""
    files = []
    real = manifest.sha256
    monkeypatch.setattr(manifest, "sha256", lambda path: files.append(str(path)) or real(path))
    return files


def test_untouched_files_are_not_even_hashed(study, hashed):
    assert integrity.check(study) == []
    assert hashed == [] and not Path(".traitline").exists()


def test_a_file_with_another_time_is_hashed_once(study, hashed):
    os.utime(RAW)
    assert integrity.check(study) == integrity.check(study) == []
    assert hashed == [RAW]


def test_a_changed_file_is_refused_however_often(study):
    Path(RAW).write_text("row\n")
    for _ in range(2):
        with pytest.raises(InputError, match=rf"^{RAW}: changed since made"):
            integrity.check(study)


def test_a_file_that_was_trusted_and_then_changed_is_refused(study):
    os.utime(RAW)
    integrity.check(study)
    Path(RAW).write_text("row\n")
    with pytest.raises(InputError):
        integrity.check(study)


def test_a_longer_file_is_refused_even_with_its_old_time(study):
    before = os.stat(RAW)
    Path(RAW).write_text("raw\nmore\n")
    os.utime(RAW, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match=r"raw\.jsonl: changed"):
        integrity.check(study)


def exchange(put):
    """Another file in the place of an artifact, of equal size and with its time, as `mv` or `cp -p` leave it."""
    before = os.stat(RAW)
    Path("other").write_text("war\n")
    os.utime("other", ns=(before.st_atime_ns, before.st_mtime_ns))
    put("other", RAW)


@pytest.mark.parametrize("put", [os.rename, shutil.copy2])
def test_a_file_exchanged_for_one_of_equal_size_and_time_is_refused(study, put):
    exchange(put)
    with pytest.raises(InputError, match=r"raw\.jsonl: changed"):
        integrity.check(study)


def an_hour_ago():
    """Let the job have ended an hour ago; its manifest has been touched since."""
    file = Path(RAW).with_name("sample.manifest.json")
    m = json.loads(file.read_text())
    ended = datetime.datetime.fromisoformat(m["ended"]) - datetime.timedelta(hours=1)
    file.write_text(json.dumps(m | {"ended": ended.isoformat()}))


def test_a_manifest_with_other_rights_vouches_for_no_time(study):
    """After `chmod -R` all files are as new as their manifest, whatever was exchanged before."""
    exchange(os.rename)
    an_hour_ago()
    with pytest.raises(InputError, match=r"raw\.jsonl: changed"):
        integrity.check(study)


@pytest.mark.parametrize("keep", [shutil.copy, shutil.copy2])
def test_a_copied_study_is_hashed_once_and_taken(study, keep, hashed):
    an_hour_ago()
    shutil.copytree("results", "copied", copy_function=keep)
    shutil.rmtree("results")
    os.rename("copied", "results")
    assert integrity.check(study) == integrity.check(study) == []
    assert sorted(hashed) == [RAW, RAW.replace("raw.jsonl", "sampled.json")]


def test_a_lost_file_is_asked_for_and_one_of_another_study_is_not(study):
    Path(RAW).unlink()
    assert integrity.check(study) == [RAW]
    stranger = Path("results/z/owl/tuned/numbers")
    stranger.parent.mkdir(parents=True)
    Path(os.path.dirname(RAW)).rename(stranger)
    assert integrity.check(study) == []


def test_a_damaged_cache_costs_time_and_nothing_else(study, hashed):
    os.utime(RAW)
    Path(".traitline").mkdir()
    for text in ("{", "[]", '{"results/x": 1}'):
        Path(".traitline/seen.json").write_text(text)
        assert integrity.check(study) == []
    assert hashed == [RAW] * 3


def test_a_damaged_manifest_is_refused(study):
    path = Path(os.path.dirname(RAW), "sample.manifest.json")
    path.write_text("{")
    with pytest.raises(InputError, match=r"sample\.manifest\.json: damaged manifest"):
        integrity.check(study)


def test_data_that_are_not_there_are_named_unless_they_were_read_before(monkeypatch, tmp_path):
    from tests.configs import merged

    monkeypatch.chdir(tmp_path)
    study = config.load(merged(ROOT / "configs/tiny-qwen2.yaml"))
    with pytest.raises(InputError, match=r"^sources\.truths\.path: models/outside/truths\.csv: no such file"):
        integrity.check(study)
    for label in study.used_sources:
        Path(study.results, "sources", label).mkdir(parents=True)
        Path(study.results, "sources", label, "rows.jsonl").touch()
    assert integrity.check(study) == []


def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(study, tmp_path, as_nobody):
    tmp_path.chmod(0o755)
    Path("results/a").chmod(0o700)
    with as_nobody(), pytest.raises(InputError, match="results/a: may not be read, so nobody knows what is in it"):
        integrity.check(study)
