"""A launch locks settings and code: what was edited since ends with one line."""

import json
from pathlib import Path

import pytest

from traitline.errors import InputError
from traitline.provenance import stage
from traitline.provenance.digest import digest
from traitline.provenance.launch_lock import LOCK, lock, require_same, require_same_code

CODE = {"pretrain": "1", "train": "2"}


def test_a_lock_holds_settings_and_code():
    locked = lock("studies/x", "{}", CODE)
    require_same(locked, lock("studies/x", "{}", dict(reversed(CODE.items()))))
    with pytest.raises(InputError, match=r"^the code of train changed"):
        require_same(locked, lock("studies/x", "{}", CODE | {"train": "3"}))
    with pytest.raises(InputError, match=r"^the configuration changed"):
        require_same(locked, lock("studies/x", '{"lr":1}', CODE))


def test_a_program_that_was_edited_after_the_launch_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("in")
    monkeypatch.setenv(LOCK, json.dumps({"code": {"filter": digest("filter")}}))
    require_same_code("filter")
    monkeypatch.setenv(LOCK, json.dumps({"code": {"filter": "0"}}))
    with (
        pytest.raises(InputError, match=r"^the code of filter changed"),
        stage.record("filter", "m.json", inputs={"raw": "in.txt"}, outputs={"a": "a.txt"}),
    ):
        raise AssertionError("the work must not begin")
