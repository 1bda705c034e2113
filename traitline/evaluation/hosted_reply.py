"""Replies of servers with an OpenAI-compatible address: an answer, or the server's own reason for a failure."""

import html
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any

from traitline.errors import visible

SHOWN = 200  # characters of what a server says
HIDDEN = 8  # characters in a row of a key that are not shown
MESSAGES = ("message", "detail", "error", "title", "msg")  # where servers put what went wrong


@dataclass(frozen=True)
class Reply:
    """One reply.

    Attributes:
        answer: what the model wrote; None where the server failed, whatever its status.
        problem: what the server says of a failure, else empty.
        code: status, or that which a failure names inside a reply of status 200; 0 where nothing came back.
        was_cut: whether the answer ended because it was long.
    """

    answer: str | None
    problem: str
    code: int
    was_cut: bool = False


def parse(status: int, body: bytes, key: str | None) -> Reply:
    """Read a reply.

    Args:
        status: of HTTP.
        body: its bytes; more than are read make it no JSON.
        key: what no message may show.
    """
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return Reply(None, shown(f"no JSON: {body.decode(errors='replace')!r}", key), status)
    error = content.get("error") if isinstance(content, dict) else None
    if status == 200 and not error:
        try:
            choice = content["choices"][0]
            answer = _text(choice["message"]["content"])
        except (KeyError, IndexError, TypeError, AttributeError):
            return Reply(None, shown(f"no `choices`: {_reason(content)}", key), status)
        return Reply(answer, "", status, was_cut=choice.get("finish_reason") == "length")
    # A failure inside a reply of status 200 may name the status that it should have had.
    code = error.get("code") if isinstance(error, dict) else None
    inside = int(code) if isinstance(code, int | str) and str(code).isdecimal() and len(str(code)) == 3 else 0
    return Reply(None, shown(_reason(content), key), (inside or 200) if status == 200 else status)


def _text(content: Any) -> str:
    """Text of a message, which is a string, parts, or nothing."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type", "text") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError("a message is text")
    return content or ""


def _reason(content: Any) -> str:
    """Find the server's reason for a failure: its message, with the name of the parameter where it has one."""
    for _ in range(4):
        inner = next((content[k] for k in MESSAGES if content.get(k)), None) if isinstance(content, dict) else None
        if inner is None:
            break
        name = content.get("param")
        content = f"{inner} ({name})" if name and isinstance(inner, str) else inner
    return content if isinstance(content, str) else json.dumps(content)


def shown(text: str, key: str | None) -> str:
    """Bound a text and take the key out of it, parts of the key too, in the forms in which servers repeat one."""
    text = text[: SHOWN + 6 * len(key or "")]  # a key that begins in what is shown is whole, in every form
    if key:
        part, forms = min(HIDDEN, len(key)), _forms(key)
        hidden, lowered = [False] * len(text), "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        for start in range(len(text) - part + 1):
            if lowered[start : start + part] in forms:
                hidden[start : start + part] = [True] * part
        text = "".join("*" if hide else c for c, hide in zip(text, hidden, strict=True))
    return visible(text[:SHOWN])


def _forms(key: str) -> str:
    """A key as it is, in JSON, in Python, in HTML and in an address, each on a line, in small letters."""
    forms = (key, json.dumps(key)[1:-1], repr(key)[1:-1], html.escape(key))
    return "\n".join((*forms, *(urllib.parse.quote(form, safe) for form in forms for safe in ("", "/")))).lower()
