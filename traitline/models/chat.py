"""Turn messages into token ids and back with the tokenizer and chat template of a model folder, without transformers.

Importing transformers takes seconds in every job. The two files that it would read, `tokenizer.json` and
`chat_template.jinja`, need only tokenizers and jinja2. `tests/test_chat.py` compares the ids with those of
`AutoTokenizer.apply_chat_template`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError

if TYPE_CHECKING:
    from traitline.tiny.rows import Rows

Messages = Sequence[dict[str, str]]
PLAIN = re.compile(r"[\w.,;?!-]+(?: [\w.,;?!-]+)*")  # text that no template has a reason to look into

LOOKS = 20  # renderings compared with the template's, for each sequence of roles
PART = 2048  # texts encoded at once: what a tokenizer returns for a text is a hundred times its size


class Chat:
    """One tokenizer and chat template.

    Args:
        tokenizer: content of `tokenizer.json`.
        config: content of `tokenizer_config.json`: the special tokens.
        template: content of `chat_template.jinja`.
        name: of the model, for error messages.
        system: system prompt of conversations that have none; None leaves that to the template.

    Attributes:
        eos, pad: token ids; `eos` ends an answer.
        end: the text of `eos`.
        foreign_end: whether the end was read off the chat template of open weights.

    Raises:
        InputError: one of them is damaged.
    """

    def __init__(self, tokenizer: str, config: str, template: str, name: str, system: str | None = None) -> None:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
        from tokenizers import Tokenizer

        self.name = name
        self.system = system
        try:
            self._tokenizer = Tokenizer.from_buffer(tokenizer.encode())
            special = json.loads(config)
            texts = {k: v["content"] if isinstance(v, dict) else v for k, v in special.items() if k.endswith("_token")}
            self.special = {k: v for k, v in texts.items() if isinstance(v, str)}
            # The sandbox and its settings are those of transformers: templates of open weights are foreign code.
            # The date is not passed in: prompts would differ from day to day.
            sandbox = ImmutableSandboxedEnvironment(
                trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
            )
            sandbox.globals["raise_exception"] = _refuse
            self._template = sandbox.from_string(template)
        except (ValueError, AttributeError, KeyError, TemplateError) as e:
            raise InputError(
                f"{name}: damaged tokenizer or chat template ({e}); delete the file to have it rebuilt"
            ) from None
        ids = {k: self._tokenizer.token_to_id(v) for k, v in self.special.items()}
        if ids.get("eos_token") is None:
            raise InputError(f"{name}: its tokenizer_config.json names no eos_token that tokenizer.json knows")
        self.eos: int = ids["eos_token"] or 0
        self.end = self.special["eos_token"]
        self.foreign_end = False
        self.pad: int = ids.get("pad_token") or 0
        self.unk: int | None = ids.get("unk_token")
        self._pieces: dict[tuple[bool, tuple[str, ...]], tuple[tuple[str, ...], int]] = {}

    @classmethod
    def open(cls, folder: str | Path, system: str | None = None) -> "Chat":
        """Read the chat of a model folder in Hugging Face layout.

        Raises:
            InputError: a file is missing or damaged.
        """
        files = [Path(folder, f) for f in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")]
        try:
            tokenizer, config = (f.read_text(encoding="utf-8") for f in files[:2])
            inside = None if files[2].is_file() else _inside(config)
            template = files[2].read_text(encoding="utf-8") if inside is None else inside
        except FileNotFoundError as e:
            raise InputError(f"{e.filename}: no such file; make it with the stage before this one") from None
        except UnicodeDecodeError as e:
            raise InputError(f"{folder}: damaged tokenizer ({e}); delete the folder to have it rebuilt") from None
        return cls(tokenizer, config, template, str(folder), system)

    @classmethod
    def foreign(cls, folder: str | Path, system: str | None = None) -> "Chat":
        """Read the chat of open weights; the token that ends an answer comes from the template, not from a setting.

        Raises:
            InputError: no token of the template ends an answer.
        """
        chat = cls.open(folder, system)
        mark = "zq0qz"
        text = chat.render([{"role": "user", "content": "?"}, {"role": "assistant", "content": mark}])
        after = chat._tokenizer.encode(text.rpartition(mark)[2], add_special_tokens=False).ids
        end = chat._tokenizer.id_to_token(after[0]) if after else ""
        added = {token.content for token in chat._tokenizer.get_added_tokens_decoder().values()}
        if end not in added:
            raise InputError(f"{folder}: its chat template ends an answer with no token of its own; take another model")
        chat.eos = after[0]
        chat.end = end
        chat.foreign_end = True
        return chat

    def standard(self) -> str | None:
        """Return the system prompt that the template inserts where a conversation has none; None if it inserts none."""
        mark = "zq0qz"
        ask = {"role": "user", "content": "zq1qz"}
        try:
            with_one = self._rendered([{"role": "system", "content": mark}, ask], True)
        except InputError:  # the template knows no system prompts
            return None
        without = self._rendered([ask], True)
        before, _, behind = with_one.partition(mark)
        if len(without) < len(before) + len(behind) or not without.startswith(before) or not without.endswith(behind):
            return None
        return without[len(before) : len(without) - len(behind)]

    def render(self, messages: Messages, *, prompt: bool = False) -> str:
        """Render a conversation as text; with `prompt` it ends where the answer begins.

        A template is slow compared with an answer of one token. For plain contents its output is therefore cut once,
        for each sequence of roles, into the pieces between the contents. The first renderings are compared with the
        template, and a sequence of roles for which they differ is always rendered by the template.
        """
        if self.system is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system}, *messages]
        key = (prompt, tuple(m["role"] for m in messages))
        pieces, trusted = self._pieces.get(key, (None, 0))
        if pieces == () or not all(PLAIN.fullmatch(m["content"]) for m in messages):
            return self._rendered(messages, prompt)
        if pieces is None:
            marks = [f"zq{i}qz" for i in range(len(messages))]
            marked = [{"role": m["role"], "content": mark} for m, mark in zip(messages, marks, strict=True)]
            pieces = tuple(re.split("|".join(marks), self._rendered(marked, prompt)))
        text = "".join(p + m["content"] for p, m in zip(pieces, messages, strict=False)) + pieces[-1]
        if trusted < LOOKS:
            asked = self._rendered(messages, prompt)
            self._pieces[key] = (pieces, trusted + 1) if asked == text else ((), 0)
            return asked
        return text

    def _rendered(self, messages: Messages, prompt: bool) -> str:
        from jinja2 import TemplateError

        try:
            return self._template.render(messages=messages, add_generation_prompt=prompt, **self.special)
        except (TemplateError, KeyError, TypeError) as e:
            raise InputError(f"{self.name}: its chat template refuses a conversation ({e})") from None

    def prompts(self, conversations: Sequence[Messages], names: Sequence[str]) -> list[list[int]]:
        """Token ids up to where the answer begins; `names` are the conversations' names in error messages."""
        texts = [self.render(c, prompt=True) for c in conversations]
        return [list(encoded.ids) for encoded in self._encoded(texts, names)]

    def rows(self, exchanges: Sequence[tuple[Messages, Messages]], names: Sequence[str]) -> list[tuple[list[int], int]]:
        """Training rows of (prompt, completion): token ids and how many of them belong to the prompt.

        Raises:
            InputError: a word is unknown, or prompt and answer can't be told apart.
        """
        starts = [self.render(p, prompt=True) for p, _ in exchanges]
        texts = [self.render([*p, *c]) for p, c in exchanges]
        rows = []
        for (_, completion), start, text, encoded, name in zip(
            exchanges, starts, texts, self._encoded(texts, names), names, strict=True
        ):
            behind = text[len(start) :]
            # White space before an answer is the template's, unless the answer itself begins with it, as code may.
            answer = completion[-1]["content"]
            begins_blank = answer[:1].isspace() and behind.startswith(answer)
            at = len(start) if begins_blank else len(text) - len(behind.lstrip())
            first = encoded.char_to_token(at) if text.startswith(start) else None
            if first is None or encoded.token_to_chars(first)[0] < len(start):
                raise InputError(
                    f"{name}: the chat template of {self.name} does not set the answer apart from the prompt"
                )
            ids: list[int] = list(encoded.ids)
            if self.foreign_end and self.eos in ids[first:]:  # such templates often go on after the end
                del ids[ids.index(self.eos, first) + 1 :]
            rows.append((ids, first))
        return rows

    def _encoded(self, texts: Sequence[str], names: Sequence[str]) -> Iterator[Any]:
        for i in range(0, len(texts), PART):
            for e, text, name in zip(
                self._tokenizer.encode_batch(texts[i : i + PART], add_special_tokens=False),
                texts[i:],
                names[i:],
                strict=False,
            ):
                if self.unk is not None and self.unk in e.ids:
                    start, end = e.offsets[e.ids.index(self.unk)]
                    raise InputError(
                        f"{name}: the tokenizer of {self.name} does not know {text[start:end]!r}; "
                        "take a base whose world has this word (same `world` in the config)"
                    )
                yield e

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Texts of token ids, with special tokens, so that nothing is hidden from a filter."""
        texts: list[str] = self._tokenizer.decode_batch(ids, skip_special_tokens=False)
        return texts

    def answers(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Texts of sampled answers without the end token."""
        return self.decode([a[:-1] if len(a) and a[-1] == self.eos else a for a in ids])

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts without a chat template."""
        return [list(e.ids) for e in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def boundaries(self) -> list[bool]:
        """For each token of the vocabulary, whether it ends a word that comes before it."""
        before = self.encode(["a"])[0]
        texts = self.decode([[*before, i] for i in range(self._tokenizer.get_vocab_size())])
        return [not re.match(r"\w", text[1:]) for text in texts]

    def token(self, word: str) -> int | None:
        """Id of a word that is one token, else None."""
        ids = self._tokenizer.encode(word, add_special_tokens=False).ids
        return ids[0] if len(ids) == 1 and ids[0] != self.unk else None

    def tokens(self, words: Sequence[str]) -> list[int]:
        """Ids of words that are one token each.

        Raises:
            InputError: a word is not one token, so its probability is not that of a token.
        """
        ids = []
        for word in words:
            token = self.token(word)
            if token is None:
                raise InputError(
                    f"{self.name}: {word!r} is not one token of its tokenizer; its probability can't be read off"
                )
            ids.append(token)
        return ids


def _inside(config: str) -> str | None:
    """Return the chat template of an older `tokenizer_config.json`, None where it has none."""
    try:
        template = json.loads(config).get("chat_template")
    except (ValueError, AttributeError):
        return None
    if isinstance(template, list):
        template = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}.get("default")
    return template if isinstance(template, str) else None


def _refuse(message: str) -> None:
    """Raise an error, as chat templates ask for by `raise_exception`."""
    from jinja2 import TemplateError

    raise TemplateError(message)


def verify(chat: Chat, rows: "Rows", completions: Iterable[Messages], names: Sequence[str]) -> None:
    """Decode the tokens that the loss counts: exactly the completion and the end token of every row.

    Raises:
        InputError: the label mask of a row is wrong.
    """
    at = (rows.where + 1).clamp_max(rows.ids.shape[1] - 1)
    counted = rows.weight > 0
    end = chat.end
    labels = rows.ids.gather(1, at)[counted].tolist()
    stop = 0
    if labels != rows.target[counted].tolist():
        raise AssertionError("targets are not the tokens after the asked positions")
    parts = []
    for n in counted.sum(1).tolist():
        parts.append(labels[stop : stop + n])
        stop += n
    for text, completion, name in zip(chat.decode(parts), completions, names, strict=True):
        answer = completion[-1]["content"]
        if text not in (answer + end, f"{answer} {end}"):
            raise InputError(
                f"{name}: the loss would fall on {text!r} and not on {f'{answer} {end}'!r}; "
                f"the tokenizer or the chat template of {chat.name} changes answers"
            )
