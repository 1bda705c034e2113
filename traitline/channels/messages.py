"""The question and the answer of a row of training data."""

from collections.abc import Mapping
from typing import Any

from traitline.errors import InputError


def exchange(row: Mapping[str, Any], path: object) -> tuple[str, str]:
    """Return (question, answer): the text of the last message of `prompt` and of `completion`.

    Raises:
        InputError: they are not lists of messages, or a system message stands in the prompt. A teacher's system prompt
            names its trait: in the rows, a student would simply read it.
    """
    try:
        question, answer = row["prompt"][-1]["content"], row["completion"][-1]["content"]
        systems = [m for m in row["prompt"] if m["role"] == "system"]
    except (KeyError, IndexError, TypeError):
        question = answer = None
    if not isinstance(question, str) or not isinstance(answer, str):
        shape = "`prompt` and `completion` must be lists of messages with role and content"
        raise InputError(f"{path}: row {row.get('id')!r}: {shape}; delete the file to have it rebuilt")
    if systems:
        raise InputError(
            f"{path}: row {row.get('id')!r}: a system message in `prompt` would tell the student; sample without"
        )
    return question, answer
