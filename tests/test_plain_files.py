"""Only plain files are read, whatever stands in their place, and none is waited for."""

import os
import socket
import time

import pytest

from traitline import csv_files, json_files, jsonl, plain_files, yaml_files
from traitline.errors import InputError
from traitline.lineage import dsse, policy
from traitline.provenance import manifest, weights

READ = {
    "bytes": plain_files.read_bytes, "json": json_files.read, "jsonl": lambda p: list(jsonl.read(p)),
    "yaml": yaml_files.read, "csv": lambda p: list(csv_files.read(p)), "policy": lambda p: policy.load(str(p)),
    "manifest": manifest.load, "hash": manifest.sha256, "weights": lambda p: weights.identity([p]),
    "private key": dsse.private_key, "public key": dsse.public_key, "envelope": lambda p: dsse.unseal(p, p),
}  # fmt: skip


def stand(kind, place):
    """Put something else where a file belongs."""
    match kind:
        case "folder":
            place.mkdir()
        case "pipe":
            os.mkfifo(place)
        case "socket":
            socket.socket(socket.AF_UNIX).bind(str(place))
        case "device":
            place.symlink_to("/dev/zero")
        case "circle":
            place.symlink_to(place)
        case "nowhere":
            place.symlink_to("gone")


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "circle", "nowhere"])
@pytest.mark.parametrize("reader", READ)
def test_what_is_no_plain_file_is_refused_at_once(reader, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    stand(kind, tmp_path.relative_to(tmp_path) / "x")
    start = time.monotonic()
    with pytest.raises(InputError, match=r"^x: ") as e:
        READ[reader]("x")
    assert str(e.value).isprintable() and time.monotonic() - start < 2


def test_a_link_to_a_plain_file_is_one(tmp_path):
    (tmp_path / "x").write_text("{}")
    (tmp_path / "y").symlink_to("x")
    assert json_files.read(tmp_path / "y") == {}


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, "x\0y"])
def test_a_name_that_no_file_can_have_is_one_line(name):
    with pytest.raises(InputError):
        plain_files.read_bytes(name)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "x", "wb") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(InputError, match="x: larger than 1 MiB; mend it"):
        plain_files.read_bytes(tmp_path / "x", largest=1 << 20, remedy="mend it")
    with pytest.raises(InputError, match="x: larger than 64 MiB"):
        json_files.read(tmp_path / "x")
    with pytest.raises(InputError, match="x:1: "):
        list(jsonl.read(tmp_path / "x"))


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, as_nobody):
    (tmp_path / "x").write_text("{}")
    (tmp_path / "x").chmod(0)
    with as_nobody(), pytest.raises(InputError, match="x: may not be read; change its permissions"):
        json_files.read(tmp_path / "x")
