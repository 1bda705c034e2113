"""The tokenizer of a model folder: texts to token ids and back, and one line for whatever its library raises."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Encoding

GROWTH = 1000  # times that a tokenizer may lengthen a text before it reads it
PART = 2048  # texts encoded at once: what a tokenizer returns for a text is a hundred times its size


class ChatTokenizer:
    """A fast tokenizer.

    Args:
        text: content of `tokenizer.json`.
        name: of the model, for error messages.
        remedy: what to do about a damaged one.

    Raises:
        InputError: it is damaged.
    """

    def __init__(self, text: str, name: str, remedy: str) -> None:
        from tokenizers import Tokenizer

        self.name = name
        with _OneLine(f"{name}: damaged tokenizer or chat template", remedy):
            self._tokenizer = Tokenizer.from_buffer(text.encode())
            self._tokenizer.no_padding()  # the file may ask for both, and transformers asks for neither
            self._tokenizer.no_truncation()
        normalizer = self._tokenizer.normalizer
        if normalizer and (times := _growth(json.loads(normalizer.__getstate__()))) > GROWTH:
            raise InputError(f"{name}: its tokenizer may make a text {times:,} times longer; take another model")

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str]) -> "Iterator[Encoding]":
        """Encode texts as they are, without special tokens around them.

        Raises:
            InputError: a text has half a surrogate pair, or the tokenizer is damaged.
        """
        for start in range(0, len(texts), PART):
            with _OneLine(f"{self.name}: its tokenizer fails on a text", "get its files again"):
                part = self._tokenizer.encode_batch(list(texts[start : start + PART]), add_special_tokens=False)
            yield from part

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Texts of token ids, with special tokens, so that nothing is hidden from a filter."""
        with _OneLine(f"{self.name}: its tokenizer fails on token ids", "get its files again"):
            texts: list[str] = self._tokenizer.decode_batch(ids, skip_special_tokens=False)
        return texts

    def id(self, token: str) -> int | None:
        """Id of a token, None where there is none."""
        number: int | None = self._tokenizer.token_to_id(token)
        return number

    def token(self, number: int) -> str:
        """Token of an id."""
        return str(self._tokenizer.id_to_token(number))

    def added(self) -> set[str]:
        """Tokens that are recognised in any text, special ones among them."""
        return {token.content for token in self._tokenizer.get_added_tokens_decoder().values()}


def _growth(normalizer: dict[str, Any]) -> int:
    """Factor by which replacements may lengthen a text."""
    parts = normalizer.get("normalizers") or [normalizer]
    inserted = [part.get("content") or part.get("prepend") or "" for part in parts if "normalizers" not in part]
    nested = [_growth(part) for part in parts if "normalizers" in part]
    return math.prod([*(max(1, len(str(text))) for text in inserted), *nested])


class _OneLine:
    """Turn what the library raises inside into an `InputError`: exceptions of no particular class, and panics.

    Args:
        what: is wrong.
        remedy: what to do.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> None:
        # A panic is no `Exception`, and its class cannot be imported. Ctrl-C and signals of a scheduler pass.
        if kind and (issubclass(kind, Exception) or kind.__name__ == "PanicException"):
            raise InputError(f"{self.what} ({str(error)[:200]!r}); {self.remedy}") from None
