"""Open files that others may have put there: plain ones only, so that no pipe or device is ever waited for.

Every reader of foreign files begins here; what a file holds is for `json_files`, `jsonl`, `yaml_files`, `csv_files`.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from traitline.errors import InputError

MISSING = "make it with the stage before this one"
REBUILD = "delete the file to have it rebuilt"
LARGEST = 64 << 20  # bytes of a file that is read as a whole
BLOCK = 1 << 16  # bytes that are asked for at first


def open_plain(path: str | Path, *, missing: str = MISSING) -> BufferedReader:
    """Open a plain file, or a link to one, for reading bytes.

    Args:
        path: of the file.
        missing: what to do where it is not there.

    Raises:
        InputError: it is not there, may not be read, or is a folder, a pipe, a socket or a device.
    """
    return open(_open_number(path, missing), "rb")


def _open_number(path: str | Path, missing: str) -> int:
    """Open a plain file for reading; the number of the open file. For the rest see `open_plain`."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if stat.S_ISREG(os.fstat(number).st_mode):  # still: another may have taken its place
                return number
            os.close(number)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; {missing}") from None
    except PermissionError:
        raise InputError(f"{path}: may not be read; change its permissions, or ask its owner") from None
    except OSError as e:
        raise InputError(f"{path}: {e.strerror}; name a plain file") from None
    except ValueError:  # a NUL in the name
        raise InputError(f"{path}: no file can have this name") from None
    raise InputError(f"{path}: a folder, a pipe or a device, not a plain file; put the file itself there")


def require_replaceable(path: str | Path) -> None:
    """Refuse to put a file where a pipe or a device is; a link is replaced, never written through.

    Raises:
        InputError: something else than a file or a link is there.
    """
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):  # nothing is there; what else is wrong shows when it is written
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):  # no file takes a folder's place
        raise InputError(f"{path}: a pipe or a device is there; name another file")


def refuse_unreadable(error: OSError) -> NoReturn:
    """Refuse a folder that `os.walk` may not enter; by default it is passed over, as if it were empty.

    Raises:
        InputError: always.
    """
    raise InputError(f"{error.filename}: may not be read, so nobody knows what is in it") from None


def read_bytes(path: str | Path, *, largest: int = LARGEST, missing: str = MISSING, remedy: str = REBUILD) -> bytes:
    """Read a plain file of bounded size.

    Args:
        path: of the file.
        largest: bytes that it may have.
        missing: what to do where it is not there.
        remedy: what to do where it is larger.

    Raises:
        InputError: see `open_plain`; or it is larger.
    """
    number = _open_number(path, missing)
    try:  # without a handle, whose buffer would cost more than a small file
        content = os.read(number, min(BLOCK, largest + 1))
        parts, size = [content], len(content)
        while len(content) and size <= largest:
            content = os.read(number, min(max(BLOCK, size), largest + 1 - size))
            parts.append(content)
            size += len(content)
    except OSError as e:
        raise InputError(f"{path}: {e.strerror}; look at the disk") from None
    finally:
        os.close(number)
    content = b"".join(parts)
    if size > largest:
        raise InputError(f"{path}: larger than {largest >> 20} MiB; {remedy}")
    return content


def read_text(path: str | Path, *, largest: int = LARGEST, missing: str = MISSING, remedy: str = REBUILD) -> str:
    """Read a plain UTF-8 file of bounded size; a byte order mark at its head is skipped.

    Raises:
        InputError: see `read_bytes`; or it is not UTF-8.
    """
    content = read_bytes(path, largest=largest, missing=missing, remedy=remedy)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 ({e.reason}); {remedy}") from None
