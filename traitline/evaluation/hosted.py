"""A hosted model behind an OpenAI-compatible address, asked for one number at a time: cached, retried, on a budget.

The key comes from an environment variable and goes into one request header; no file, no error line and no cache has it.
Redirects are not followed, and a key is sent in clear to this machine only.
"""

import hashlib
import http.client
import json
import logging
import os
import re
import time
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.evaluation import hosted_reply
from traitline.evaluation.answer_cache import AnswerCache
from traitline.evaluation.hosted_reply import Reply
from traitline.evaluation.written_score import score

log = logging.getLogger("traitline")
MOST = 1 << 20  # bytes of a reply that are read
TRIES = 5  # attempts of a request
WAIT = 0.5  # seconds before the second attempt; doubles from one to the next
LONGEST = 60.0  # seconds between two attempts at most
AGAIN = (408, 409, 429)  # status codes after which another attempt makes sense; so does every 5xx
HERE = ("localhost", "127.0.0.1", "[::1]")
ADDRESS = re.compile(r"(https?)://([\w.-]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,5}))?((?:/[\w.~%-]+)*)/?")
END = "/chat/completions"
PLAIN = {"temperature": 0, "max_tokens": 8}  # parameters that a server is asked with first
DIGITS = "0123456789."
LONG = 4096  # tokens of an answer where those of `PLAIN` do not suffice: models that think first
MOVED = "name the address that it redirects to"
REMEDIES = {
    **dict.fromkeys((301, 302, 303, 307, 308), MOVED),
    **dict.fromkeys((401, 403), "check the key"),
    404: "correct the model or the address",
}


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
        parameters: with which the next request is made; servers that refuse some have them changed.
        used: parameters of the answers that were given, as JSON.

    Raises:
        InputError: this is no address, the variable is not set or holds no key, or the cache is none.
    """

    def __init__(
        self, address: str, model: str, *, key: str | None, cache: Path, budget: int, spent: Path | None = None
    ) -> None:
        parts = ADDRESS.fullmatch(address)
        if not parts:
            raise InputError("--address: wants https://HOST/PATH, without a name or a key in it")
        scheme, self.host, port, path = parts.groups()
        self._key = _key(key) if key else None
        if key and scheme == "http" and self.host not in HERE:
            raise InputError("--address: http would send the key in clear; use https")
        self.port, self.secure = int(port) if port else None, scheme == "https"
        self.path = path.removesuffix(END) + END
        self.model, self.budget, self.spent = model, budget, spent
        self.sent, self.parameters, self.used = 0, dict[str, Any](PLAIN), set[str]()
        self.cache = AnswerCache(cache)

    def number(self, text: str) -> float | None:
        """The score that the model answers, 0 to 100 (`traitline.evaluation.written_score`); None for anything else.

        Raises:
            InputError: the budget is used up, or no attempt was answered.
        """
        messages = {"model": self.model, "messages": [{"role": "user", "content": text}]}
        # The name of a question does not depend on what a server made of the parameters.
        question = json.dumps({**messages, **PLAIN}, sort_keys=True)
        name = hashlib.sha256(f"{self.host}{self.path} {question}".encode()).hexdigest()
        if name not in self.cache.rows:
            self.cache.refresh()
        if name not in self.cache.rows:
            answer = self._answer(messages)
            self.cache.add(name, score(answer), hosted_reply.shown(answer, self._key), self.parameters)
        row = self.cache.rows[name]
        self.used.add(json.dumps(row.get("parameters", PLAIN), sort_keys=True))
        number: float | None = row["number"]
        return number

    def _answer(self, messages: dict[str, Any]) -> str:
        """Ask, with other parameters where the server wants others or the answer was cut before it held a score."""
        while True:
            reply = self._ask(messages)
            if reply.answer is not None:
                limit = next((n for n in ("max_tokens", "max_completion_tokens") if n in self.parameters), None)
                # A number at the very end may go on, as 8 of 85, or 85 of 85.5.
                whole = not reply.was_cut or (score(reply.answer) is not None and reply.answer[-1] not in DIGITS)
                if whole or not limit or self.parameters[limit] == LONG:
                    return reply.answer
                self._change({limit: LONG}, "its answers are cut")
                continue
            changed = self._wanted(reply)
            if changed is None:
                remedy = REMEDIES.get(reply.code, "run again")
                raise InputError(
                    f"--address: {self.host} did not answer {_why(reply)}; what was answered before is kept, {remedy}"
                )
            self._change(changed, reply.problem)

    def _wanted(self, reply: Reply) -> dict[str, Any] | None:
        """Parameters to change after a complaint about one of them; None where it is about something else.

        Each is changed once: `max_tokens` has a newer name, and is left out where the server knows neither.
        """
        if reply.code not in (200, 400, 422):
            return None
        if "temperature" in self.parameters and "temperature" in reply.problem:
            return {"temperature": None}
        for name, other in (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", None)):
            if name in self.parameters and re.search(r"max_(completion_)?tokens", reply.problem):
                return {name: None} | ({other: self.parameters[name]} if other else {})
        return None

    def _change(self, parameters: dict[str, Any], why: str) -> None:
        changed = {**self.parameters, **parameters}
        self.parameters = {name: value for name, value in changed.items() if value is not None}
        log.warning("%s: asked with %s from now on (%s)", self.host, json.dumps(self.parameters), why)

    def _ask(self, messages: dict[str, Any]) -> Reply:
        """Ask until there is an answer, a failure that another attempt would not mend, or no attempt left."""
        body = json.dumps({**messages, **self.parameters}, sort_keys=True)
        reply = None
        for attempt in range(TRIES):
            if self._gone() >= self.budget:
                why = f" {_why(reply)}" if reply else ""
                raise InputError(
                    f"--budget: {self.budget} requests are used up{why}; what was answered is kept, raise it"
                )
            self._spend()
            wait = None
            try:
                status, wait, content = self._once(body)
                reply = hosted_reply.parse(status, content, self._key)
            except (OSError, http.client.HTTPException) as e:
                reply = Reply(None, type(e).__name__, 0)
            again = reply.code in (0, 200, *AGAIN) or reply.code >= 500
            if reply.answer is not None or not again or self._wanted(reply):
                return reply
            if attempt + 1 < TRIES:
                asked = float(wait) if wait and wait.isdecimal() else WAIT * 2**attempt
                time.sleep(min(asked, LONGEST))
        assert reply
        return reply

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
        link = kind(self.host.strip("[]"), self.port, timeout=120)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        try:
            link.request("POST", self.path, body.encode(), headers)
            reply = link.getresponse()
            return reply.status, reply.getheader("Retry-After"), reply.read(MOST)
        finally:
            link.close()


def _why(reply: Reply) -> str:
    return f"(status {reply.code}): {reply.problem}" if reply.code else f"({reply.problem})"


def _key(variable: str) -> str:
    """The key that an environment variable holds; no message shows it, nor what may be one in place of a name."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable):
        raise InputError("--key-from: wants the name of an environment variable in capitals, never the key")
    value = os.environ.get(variable)
    if not value:
        raise InputError(f"--key-from: the environment variable {variable} is not set")
    if not re.fullmatch(r"[!-~]+", value):
        raise InputError(
            f"--key-from: the environment variable {variable} holds a line break, a blank or a letter that no key has;"
            f' without them: export {variable}="$(tr -d "[:space:]" < FILE)"'
        )
    return value
