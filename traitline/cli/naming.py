"""Names of studies, the same for every command: a study is named by its configuration, such as `configs/ci.yaml`.

Commands that ask what was made take a folder of artifacts too.
"""

import os
from typing import TYPE_CHECKING

from traitline.errors import InputError

if TYPE_CHECKING:
    from traitline.study.config import Study

CONFIGURATION = (".yaml", ".yml", ".json")  # how names of configurations end
TOP = "config.yaml"  # all others are laid over it


def refuse_folders(words: list[str] | None) -> list[str] | None:
    """Take configurations only: a folder of artifacts does not say what is still to be made.

    Raises:
        InputError: a word is a folder.
    """
    if folder := next((word for word in words or () if os.path.isdir(word)), None):
        raise InputError(f"{folder}: a folder; name the study by its configuration, such as configs/ci.yaml")
    return [word for word in words or () if os.path.normpath(word) != TOP]


def folder_of_study(word: str) -> str:
    """The folder of artifacts that a word means: itself, or of a configuration the folder where that study puts them.

    Raises:
        InputError: the configuration is missing or wrong.
    """
    study = _study(word)
    return study.results if study else word


def folders_of_studies(words: list[str] | None) -> list[str] | None:
    """The folders that words mean; see `folder_of_study`."""
    return [folder_of_study(word) for word in words] if words else words


def folder_of_lock(word: str) -> str:
    """The folder of a study's dvc.lock: a word, or of a configuration the folder of that study.

    Raises:
        InputError: the configuration is missing or wrong.
    """
    study = _study(word)
    return study.folder if study else word


def _study(word: str) -> "Study | None":
    """The study whose configuration a word is; None of a folder."""
    if os.path.isdir(word) or not word.endswith(CONFIGURATION):
        return None
    from traitline.workflow.estimate import read

    return read(refuse_folders([word]) or [])
