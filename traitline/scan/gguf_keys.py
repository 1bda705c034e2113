"""Metadata of GGUF files: the keys under `general.`, read with bounds. No count that the file states is believed.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import os
import struct
from pathlib import Path

from traitline.errors import InputError
from traitline.lineage.claims import BASE, DATA, SELF, Claim, claims
from traitline.plain_files import open_plain
from traitline.provenance.gguf_places import Damaged, Header

PREFIX = "general."
NAMES = ("repo_url", "name")  # of a base or a data set, the best first


def general(path: Path) -> dict[str, str]:
    """Texts under `general.` in a GGUF file, without that prefix.

    Raises:
        InputError: it is no GGUF file, or its header is cut.
    """
    with open_plain(path) as handle:
        try:
            pairs = list(Header(handle, os.fstat(handle.fileno()).st_size).pairs())
        except (Damaged, struct.error, OverflowError) as e:
            raise InputError(f"{path}: damaged ({e}); get it again") from None
    return {key.removeprefix(PREFIX): text for key, text in pairs if text is not None and key.startswith(PREFIX)}


def of_gguf(path: Path) -> list[Claim]:
    """What a GGUF file says of itself: its repository, the models that it came from, the data of those.

    Raises:
        InputError: see `general`.
    """
    keys, result = general(path), list[Claim]()
    for group, relation in (("base_model", BASE), ("dataset", DATA)):
        numbers = sorted({key.split(".")[1] for key in keys if key.startswith(f"{group}.") and key.count(".") == 2})
        for number in numbers[:100]:
            about = {key.split(".")[2]: text for key, text in keys.items() if key.startswith(f"{group}.{number}.")}
            name = next((about[key] for key in NAMES if about.get(key)), "")
            if not about.get("repo_url") and about.get("organization") and name:
                name = f"{about['organization']}/{name}".replace(" ", "-")
            how = "quantized" if relation == BASE else None
            result += claims(path, relation, [name], f"{path}:general.{group}.{number}", how=how)
    for key in ("repo_url", "source.repo_url", "source.huggingface.repository"):
        relation = SELF if key == "repo_url" else BASE
        result += claims(path, relation, filter(None, [keys.get(key)]), f"{path}:general.{key}")
    return result
