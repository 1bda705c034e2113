"""Links that are followed: those of DVC and of a hub's cache, and those by which a user keeps a study on another disk.

With `cache.type symlink` DVC puts a symbolic link to a file of its cache where an artifact was. Where home is small,
`results/`, or the folder of a study below `studies/`, is a link to scratch. Such links are followed. Any other link is
not: a manifest or a folder from elsewhere may lead anywhere. The cache of Hugging Face's hub has files by their hash in
`models--ORG--NAME/blobs/`, and links to them in `models--ORG--NAME/snapshots/COMMIT/`.
"""

import configparser
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

# Where DVC keeps a file below its cache (DVC 3): named by the hash of its content.
OBJECT = re.compile(r"files/md5/[0-9a-f]{2}/[0-9a-f]{30}")

STUDIES = "studies"  # folder of folders of studies


def linked_studies(folder: str | Path) -> list[str]:
    """Links below a folder `studies/` that are studies, or their `results/`, on another disk; none below any other."""
    if os.path.basename(os.path.abspath(folder)) != STUDIES:
        return []
    links = [path for pattern in ("*", "*/results") for path in Path(folder).glob(pattern) if path.is_symlink()]
    return sorted(path.as_posix() for path in links if path.is_dir() and not path.name.startswith("."))


def other_disks(folders: Iterable[str | Path]) -> list[Path]:
    """Real paths of folders, and of the studies that are linked there."""
    return [Path(os.path.realpath(place)) for folder in folders for place in (folder, *linked_studies(folder))]


def is_in_hub_cache(path: str | Path) -> bool:
    """Check whether a path is a link of a hub's cache to a file of the same repository there."""
    place, real = Path(os.path.abspath(path)), Path(os.path.realpath(path))
    return any(
        parent.name == "snapshots" and real.parent == Path(os.path.realpath(parent.parent), "blobs")
        for parent in place.parents
    ) and real.is_file()  # fmt: skip


class DvcCache:
    """The cache of the DVC repository whose root is a folder; it holds nothing where there is no such repository.

    DVC itself takes a second to import, so its configuration files are read here.
    """

    def __init__(self, root: str | Path = ".") -> None:
        self.folder = _cache_folder(Path(root))

    def holds(self, path: str | Path) -> bool:
        """Check whether a path, its links followed, is a file of the cache."""
        if self.folder is None:
            return False
        real = Path(os.path.realpath(path))
        return (
            real.is_relative_to(self.folder)
            and bool(OBJECT.fullmatch(real.relative_to(self.folder).as_posix()))
            and real.is_file()
        )

    def is_artifact(self, path: str | Path) -> bool:
        """Check whether a path is a regular file, or a link of DVC to one."""
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return False
        return stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and self.holds(path))


def _cache_folder(root: Path) -> Path | None:
    """The real path of a repository's cache: `cache.dir` of the most specific configuration, or `.dvc/cache`."""
    if not Path(root, ".dvc").is_dir():
        return None
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "dvc")
    files = (
        Path(root, ".dvc/config.local"),
        Path(root, ".dvc/config"),
        Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR", home), "config"),
        Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR", "/etc/xdg/dvc"), "config"),
    )
    for file in files:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        if folder := parser.get("cache", "dir", fallback=""):
            return Path(os.path.realpath(Path(file.parent, folder.strip("\"'"))))
    return Path(os.path.realpath(Path(root, ".dvc/cache")))


class Reach:
    """Files that a manifest may name and that may be opened: it may name anything.

    Those are files below the working folder, of its DVC cache, and below folders that may be links to other disks.

    Args:
        folders: that may be such links.
        root: the working folder.
    """

    def __init__(self, folders: Iterable[str | Path], root: str | Path = ".") -> None:
        self.top = Path(root).resolve()
        self._cache, self._disks = DvcCache(root), other_disks(folders)

    def size(self, path: str) -> int | Literal["missing", "outside"]:
        """Size of a file that may be opened, or why it may not; `path`: as the manifest spells it."""
        inside = Path(os.path.normpath(Path(self.top, path))).is_relative_to(self.top)
        try:
            real = Path(self.top, path).resolve(strict=True)
            status = real.stat()
        except FileNotFoundError:
            return "missing" if inside else "outside"
        except (OSError, RuntimeError):  # a circle of links, a name that is too long, a folder that is a file
            return "outside"
        linked = inside and (self._cache.holds(real) or any(real.is_relative_to(disk) for disk in self._disks))
        allowed = real.is_relative_to(self.top) or linked
        return status.st_size if allowed and stat.S_ISREG(status.st_mode) else "outside"
