"""A hosted model behind an OpenAI-compatible address, asked for one number at a time: cached, retried, on a budget.

The key comes from an environment variable and goes into one request header; no file, no error line and no cache has it.
Redirects are not followed, and a key is sent in clear to this machine only.
"""

import hashlib
import http.client
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from traitline import jsonl
from traitline.errors import InputError

MOST = 1 << 16  # bytes of a reply that are read
TRIES = 5  # attempts of a request
WAIT = 0.5  # seconds before the second attempt; doubles from one to the next
LONGEST = 60.0  # seconds between two attempts at most
AGAIN = (408, 409, 429)  # status codes after which another attempt makes sense; so does every 5xx
HERE = ("localhost", "127.0.0.1")


class Hosted:
    """A hosted model that answers with one number.

    Args:
        address: such as https://api.example.org/v1.
        model: its name there.
        key: name of the environment variable with the key; None for an address that wants none.
        cache: JSONL file of answers; grows by a line a request.
        budget: requests at most, failed ones included.
        spent: file that grows by a byte a request; processes that share it share the budget. None: this one's own.

    Attributes:
        sent: requests of this process so far.

    Raises:
        InputError: this is no address, the variable is not set, or the cache is damaged.
    """

    def __init__(
        self, address: str, model: str, *, key: str | None, cache: Path, budget: int, spent: Path | None = None
    ) -> None:
        parts = re.fullmatch(r"(https?)://([\w.-]+)(?::(\d{1,5}))?((?:/[\w.-]+)*)/?", address)
        if not parts:
            raise InputError("--address: wants https://HOST/PATH, without a name or a key in it")
        scheme, self.host, port, path = parts.groups()
        if key and not os.environ.get(key):
            raise InputError(f"--key-from: the environment variable {key} is not set")
        if key and scheme == "http" and self.host not in HERE:
            raise InputError("--address: http would send the key in clear; use https")
        self.port, self.path, self.secure = int(port) if port else None, f"{path}/chat/completions", scheme == "https"
        self.model, self.budget, self.cache, self.spent = model, budget, cache, spent
        self._key = os.environ[key] if key else None
        self.sent, self.known = 0, dict[str, int | None]()
        if cache.exists() and cache.stat().st_size:
            self.known = {row["request"]: row["number"] for row in jsonl.read(cache, ("request", "number"))}

    def number(self, text: str) -> int | None:
        """The whole number, 0 to 100, that the model answers; None if it answers anything else.

        Raises:
            InputError: the budget is used up, or no attempt was answered.
        """
        body = {"model": self.model, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 8}
        request = json.dumps(body, sort_keys=True)
        name = hashlib.sha256(f"{self.host}{self.path} {request}".encode()).hexdigest()
        if name not in self.known:
            match = re.fullmatch(r"\D{0,20}?(\d{1,3})\D{0,20}", self._ask(request).strip())
            number = int(match[1]) if match and int(match[1]) <= 100 else None
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            with open(self.cache, "a", encoding="utf-8") as handle:
                handle.write(json.dumps({"request": name, "number": number}) + "\n")
            self.known[name] = number
        return self.known[name]

    def _ask(self, body: str) -> str:
        why = ""
        for attempt in range(TRIES):
            if self._gone() >= self.budget:
                raise InputError(
                    f"--budget: {self.budget} requests are used up{why}; what was answered is kept, raise it"
                )
            self._spend()
            try:
                status, wait, reply = self._once(body)
            except (OSError, http.client.HTTPException) as e:
                status, wait, reply, why = 0, None, b"", f" ({type(e).__name__})"
            if status == 200:
                return _content(reply)
            if status:
                why = f" (status {status})"
            if status and status not in AGAIN and status < 500:
                break
            if attempt + 1 < TRIES:
                asked = float(wait) if wait and wait.isdecimal() else WAIT * 2**attempt
                time.sleep(min(asked, LONGEST))
        raise InputError(f"--address: {self.host} did not answer{why}; what was answered before is kept, run again")

    def _gone(self) -> int:
        """Requests that count against the budget."""
        if self.spent is None:
            return self.sent
        return self.spent.stat().st_size if self.spent.exists() else 0

    def _spend(self) -> None:
        self.sent += 1
        if self.spent:
            self.spent.parent.mkdir(parents=True, exist_ok=True)
            with open(self.spent, "ab") as handle:
                handle.write(b".")

    def _once(self, body: str) -> tuple[int, str | None, bytes]:
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        link = kind(self.host, self.port, timeout=120)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        try:
            link.request("POST", self.path, body.encode(), headers)
            reply = link.getresponse()
            return reply.status, reply.getheader("Retry-After"), reply.read(MOST)
        finally:
            link.close()


def _content(reply: bytes) -> str:
    """Text of a reply; empty if the reply is not of the form that was agreed on."""
    try:
        text: Any = json.loads(reply)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return text if isinstance(text, str) else ""
