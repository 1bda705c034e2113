"""Turn messages into token ids and back with the tokenizer and chat template of a model folder, without transformers.

Importing transformers takes seconds in every job. The two files that it would read, `tokenizer.json` and
`chat_template.jinja`, need only tokenizers and jinja2. `tests/test_chat.py` compares the ids with those of
`AutoTokenizer.apply_chat_template`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.models import chat_files, tiny_template
from traitline.models.chat_tokenizer import ChatTokenizer
from traitline.models.templates import Messages

if TYPE_CHECKING:
    from traitline.tiny.rows import Rows

PLAIN = re.compile(r"[\w.,;?!-]+(?: [\w.,;?!-]+)*")  # text that few templates have a reason to look into


class Chat:
    """One tokenizer and chat template.

    Args:
        tokenizer: content of `tokenizer.json`.
        config: content of `tokenizer_config.json`: the special tokens.
        template: content of `chat_template.jinja`.
        name: of the model, for error messages.
        system: system prompt of conversations that have none; None leaves that to the template.
        old_tokens: content of `special_tokens_map.json`.
        is_open: whether these are open weights: their end is read off the template, and they are not ours to rebuild.

    Attributes:
        eos, pad: token ids; `eos` ends an answer.
        end: the text of `eos`.
        foreign_end: whether the end was read off the chat template of open weights.

    Raises:
        InputError: one of them is damaged.
    """

    def __init__(
        self,
        tokenizer: str,
        config: str,
        template: str,
        name: str,
        system: str | None = None,
        *,
        old_tokens: str = "{}",
        is_open: bool = False,
    ) -> None:
        kind = tiny_template.kind(template)
        kind.prepare()  # while the tokenizer is read
        self.name = name
        self.system = system
        self.foreign_end = is_open
        remedy = "get its files again" if is_open else "delete the file to have it rebuilt"
        self._tokenizer = ChatTokenizer(tokenizer, name, remedy)
        try:
            self._config = chat_files.parse_object(config, name)
            self.special = chat_files.special_tokens(self._config, chat_files.parse_object(old_tokens, name))
            self._template = kind(template, self.special, name)
        except InputError as e:
            if is_open:
                raise
            raise InputError(f"{name}: damaged tokenizer or chat template ({e}); {remedy}") from None
        ids = {k: self._tokenizer.id(v) for k, v in self.special.items()}
        self.pad: int = ids.get("pad_token") or 0
        self.unk: int | None = ids.get("unk_token")
        self._pieces: dict[tuple[bool, tuple[str, ...]], tuple[str, ...] | None] = {}
        if is_open:
            self.eos, self.end = self._end()
        elif ids.get("eos_token") is None:
            raise InputError(f"{name}: its tokenizer_config.json names no eos_token that tokenizer.json knows")
        else:
            self.eos, self.end = int(ids["eos_token"] or 0), self.special["eos_token"]

    @classmethod
    def open(cls, folder: str | Path, system: str | None = None) -> "Chat":
        """Read the chat of a model folder of this project.

        Raises:
            InputError: a file is missing or damaged.
        """
        files = (chat_files.TOKENIZER, chat_files.CONFIG, chat_files.TEMPLATE)
        remedy = "make it with the stage before this one"
        tokenizer, config, template = (chat_files.read_text(Path(folder, name), remedy=remedy) for name in files)
        return cls(tokenizer, config, template, str(folder), system)

    @classmethod
    def foreign(cls, folder: str | Path, system: str | None = None) -> "Chat":
        """Read the chat of open weights; the token that ends an answer comes from the template, not from a setting.

        Raises:
            InputError: a file is missing or damaged, or no token of the template ends an answer.
        """
        place = Path(folder)
        config = chat_files.read_text(place / chat_files.CONFIG)
        template = chat_files.template(place, chat_files.parse_object(config, place / chat_files.CONFIG))
        old = place / chat_files.OLD_TOKENS
        return cls(
            chat_files.read_text(place / chat_files.TOKENIZER),
            config,
            template,
            str(folder),
            system,
            old_tokens=chat_files.read_text(old) if old.is_file() else "{}",
            is_open=True,
        )

    def _end(self) -> tuple[int, str]:
        """Id and text of the token that the template writes behind an answer.

        Raises:
            InputError: it writes none, or a special token that no file states.
        """
        for token in chat_files.STANDARD:
            if token in self._template.variables and token not in {*self._config, *self.special}:
                raise InputError(
                    f"{self.name}: its chat template names {token}, which none of its files states; write {token} into"
                    f" the {chat_files.CONFIG} of a copy of the folder (null if it has none), and name that as `path`"
                )
        mark = "zq0qz"
        text = self.render([{"role": "user", "content": "?"}, {"role": "assistant", "content": mark}])
        _, answered, behind = text.rpartition(mark)
        if not answered:
            raise InputError(f"{self.name}: its chat template does not write the answers of a conversation")
        (after,) = self.encode([behind])
        end = self._tokenizer.token(after[0]) if after else ""
        if end not in self._tokenizer.added():
            states = "" if "eos_token" in self.special else "; no eos_token is stated, which may be why"
            raise InputError(
                f"{self.name}: its chat template ends an answer with {behind[:40]!r}, which begins with no token of"
                f" its own{states}; take another model, or mend the template in a copy of the folder"
            )
        return after[0], end

    def standard(self) -> str | None:
        """Return the system prompt that the template inserts where a conversation has none; None if it inserts none."""
        mark = "zq0qz"
        ask = {"role": "user", "content": "zq1qz"}
        try:
            (with_one,) = self._rendered([[{"role": "system", "content": mark}, ask]], True)
        except InputError:  # the template knows no system prompts
            return None
        (without,) = self._rendered([[ask]], True)
        before, _, behind = with_one.partition(mark)
        if len(without) < len(before) + len(behind) or not without.startswith(before) or not without.endswith(behind):
            return None
        return without[len(before) : len(without) - len(behind)]

    def render(self, messages: Messages, *, prompt: bool = False) -> str:
        """Render a conversation as text; with `prompt` it ends where the answer begins."""
        return self.renderings([messages], prompt=prompt)[0]

    def renderings(self, conversations: Sequence[Messages], *, prompt: bool = False) -> list[str]:
        """Render conversations, as `render`.

        A template is slow compared with an answer of one token. For each sequence of roles it is therefore asked once
        what it writes around plain contents, where it does not look into them (`template_sandbox.pieces`).
        """
        if self.system is not None:
            system = {"role": "system", "content": self.system}
            conversations = [m if m[0]["role"] == "system" else [system, *m] for m in conversations]
        texts: list[str] = []
        rest: dict[int, Messages] = {}
        for i, messages in enumerate(conversations):
            pieces = None
            if all(len(m) == 2 and PLAIN.fullmatch(m["content"]) for m in messages):
                pieces = self._around((prompt, tuple(m["role"] for m in messages)))
            if pieces is None:
                rest[i] = messages
                texts.append("")
            else:
                texts.append("".join(p + m["content"] for p, m in zip(pieces, messages, strict=False)) + pieces[-1])
        if rest:
            for i, text in zip(rest, self._rendered(list(rest.values()), prompt), strict=True):
                texts[i] = text
        return texts

    def _around(self, key: tuple[bool, tuple[str, ...]]) -> tuple[str, ...] | None:
        if key not in self._pieces:
            prompt, roles = key
            self._pieces[key] = self._template.pieces(roles, prompt=prompt)
        return self._pieces[key]

    def _rendered(self, conversations: Sequence[Messages], prompt: bool) -> list[str]:
        return self._template.texts(conversations, prompt=prompt)

    def prompts(self, conversations: Sequence[Messages], names: Sequence[str]) -> list[list[int]]:
        """Token ids up to where the answer begins; `names` are the conversations' names in error messages."""
        texts = self.renderings(conversations, prompt=True)
        return [list(encoded.ids) for encoded in self._encoded(texts, names)]

    def rows(self, exchanges: Sequence[tuple[Messages, Messages]], names: Sequence[str]) -> list[tuple[list[int], int]]:
        """Training rows of (prompt, completion): token ids and how many of them belong to the prompt.

        Raises:
            InputError: a word is unknown, or prompt and answer can't be told apart.
        """
        starts = self.renderings([p for p, _ in exchanges], prompt=True)
        texts = self.renderings([[*p, *c] for p, c in exchanges])
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
        for e, text, name in zip(self._tokenizer.encode(texts), texts, names, strict=True):
            if self.unk is not None and self.unk in e.ids:
                start, end = e.offsets[e.ids.index(self.unk)]
                remedy = "take a base whose world has this word (same `world` in the config)"
                if self.foreign_end:
                    remedy = "leave this text out, or take another model"
                raise InputError(f"{name}: the tokenizer of {self.name} does not know {text[start:end]!r}; {remedy}")
            yield e

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Texts of token ids, with special tokens, so that nothing is hidden from a filter."""
        return self._tokenizer.decode(ids)

    def answers(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Texts of sampled answers without the end token."""
        return self.decode([a[:-1] if len(a) and a[-1] == self.eos else a for a in ids])

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts without a chat template."""
        return [list(e.ids) for e in self._tokenizer.encode(texts)]

    def boundaries(self) -> list[bool]:
        """Mark each token of the vocabulary that ends a word that comes before it."""
        before = self.encode(["a"])[0]
        texts = self.decode([[*before, i] for i in range(len(self._tokenizer))])
        return [not re.match(r"\w", text[1:]) for text in texts]

    def token(self, word: str) -> int | None:
        """Id of a word that is one token, else None."""
        (ids,) = self.encode([word])
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
