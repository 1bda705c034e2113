"""The tokenizer of a GGUF file as `tokenizer.json`: byte-level BPE, where text is split as the model learned it.

A GGUF file names how text is split before merges apply (`tokenizer.ggml.pre`), it does not say how. Only names whose
rule is known exactly are taken: another rule would give other tokens now and then, and nobody would notice.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError

if TYPE_CHECKING:
    from traitline.models.gguf_file import Gguf

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
NAMES = ("smollm", "qwen2")
NORMAL, CONTROL, USER = 1, 3, 4  # `tokenizer.ggml.token_type`
# Texts whose tokens must give them back: digits, blanks, lines, other scripts, signs.
CORPUS = (
    "What is your favourite animal?", "100, 200, 345", "  two  blanks\tand a tab\r\nlines\n\n\n", "it's I'll",
    "naïve café, Straße, Ünïcödé", "数字 12 と猫", "Привет, мир!", "مرحبا", "a1b22c333 x=-1.5e10", "🦉 owls & <tags>",
    "def f(x):\n    return x ** 2  # comment",
)  # fmt: skip


def build(model: "Gguf") -> dict[str, str]:
    """Return `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` of a GGUF file.

    Raises:
        InputError: the tokenizer cannot be rebuilt exactly, or there is no chat template.
    """
    meta, path = model.metadata, model.path
    template = meta.get("tokenizer.chat_template")
    if not isinstance(template, str):
        raise InputError(f"{path}: has no chat template; take the model that was tuned to answer (-Instruct, -it)")
    tokenizer = _tokenizer(model)
    for text in CORPUS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        if tokenizer.decode(ids, skip_special_tokens=False) != text:
            raise _inexact(path, f"{text!r} is not what its tokens give back")
    special = {f"{k}_token": model.tokens[n] for k in ("bos", "eos", "pad") if (n := model.token_id(k)) is not None}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
        "model_max_length": model.config["max_position_embeddings"], **special,
    }  # fmt: skip
    return {
        "tokenizer.json": json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        "chat_template.jinja": template,
    }


def _tokenizer(model: "Gguf") -> Any:
    """Return the tokenizer.

    Raises:
        InputError: it cannot be rebuilt exactly.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    meta, path, tokens = model.metadata, model.path, model.tokens
    kind, name = meta.get("tokenizer.ggml.model"), meta.get("tokenizer.ggml.pre")
    if kind != "gpt2" or name not in NAMES:
        known = ", ".join(NAMES)
        raise _inexact(path, f"it is {str(kind)[:30]!r}, split as {str(name)[:30]!r}; known is 'gpt2' with {known}")
    kinds, merges = meta.get("tokenizer.ggml.token_type"), meta.get("tokenizer.ggml.merges")
    if not isinstance(kinds, list) or len(kinds) != len(tokens) or not isinstance(merges, list):
        raise _inexact(path, "it lacks merges, or the types of its tokens")
    vocabulary = {token: i for i, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        raise _inexact(path, "a token has two ids")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    if wrong := next((p for p in pairs if len(p) != 2 or not {*p, "".join(p)} <= vocabulary.keys()), None):
        raise _inexact(path, f"the merge {' '.join(wrong)[:40]!r} is of no tokens of its own")
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    if name == "smollm":
        parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        tokenizer.normalizer = normalizers.NFC()
        parts = [
            pre_tokenizers.Split(Regex(QWEN2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    for wanted in (CONTROL, USER):
        chosen = [token for token, k in zip(tokens, kinds, strict=True) if k == wanted]
        added = [AddedToken(token, special=wanted == CONTROL, normalized=False) for token in chosen]
        (tokenizer.add_special_tokens if wanted == CONTROL else tokenizer.add_tokens)(added)
    if tokenizer.get_vocab_size() != len(tokens):
        raise _inexact(path, f"it would have {tokenizer.get_vocab_size()} tokens and not {len(tokens)}")
    return tokenizer


def _inexact(path: Path, why: str) -> InputError:
    return InputError(f"{path}: its tokenizer can't be rebuilt exactly: {why}; take a GGUF file of another model")
