"""Files that appear whole or not at all, whatever happens to the program or the machine while they are written."""

import os
import platform
from pathlib import Path

from traitline.plain_files import require_replaceable


def put(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, have it on the disk, then rename it into place; makes its folder.

    Raises:
        InputError: a pipe or a device is there.
    """
    require_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.tmp")
    try:
        with open(tmp, "wb") as handle:
            handle.write(content.encode() if isinstance(content, str) else content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(tmp, path)
    except OSError as e:  # a full disk names no file, others name the temporary one
        raise OSError(e.errno, e.strerror, str(path)) from None
    finally:
        tmp.unlink(missing_ok=True)
