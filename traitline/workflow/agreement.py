"""Agreement of finished jobs with what the workflow would do now, by their manifests: settings, code, seeds and inputs.

Snakemake compares with its own records in `.snakemake`. They may be lost, or of other results that lay in the same
place. Manifests stay with the artifacts.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PRETRAIN_SEED = "base"  # the name of a base's seed in its manifest; all other stages use `seed` or their own name
OBJECT, LIST = "{", "["  # how JSON begins
# Flags whose values no manifest has: how the work is divided, which changes no byte; 1 of them stands for none.
DIVIDES = {"processes", "shards", "shard", "threads"}
Settings = dict[str, list[Any]]  # name -> all values that are given under it


def disagreement(params: Mapping[str, Any], m: Mapping[str, Any]) -> str | None:
    """Name a setting on which a rule and a manifest of its job differ; None where there is none.

    Settings are compared by name, also those inside of JSON and of lists of flags. A seed is compared with the rule's
    seeds alone: stages name their seeds after themselves, and a rule may use that word for a count (`prompts`).

    Args:
        params: of the rule, for this job.
        m: the manifest.
    """
    if params.get("code") not in (None, m["code"].get("digest")):
        return f"parameter code: the workflow has {params['code']!r}, the job used {m['code'].get('digest')!r}"
    planned = given(params)
    for name, values in _leaves(m["params"]).items():
        for value in values if name in planned else ():
            if not any(_equal(value, other) for other in planned[name]):
                return f"parameter {name}: the workflow has {_shown(planned[name])}, the job used {value!r}"
    seeds = _seeds(params)
    for name in ("seed", m["stage"], PRETRAIN_SEED):
        if name in m["seeds"] and seeds and str(m["seeds"][name]) not in seeds:
            return f"parameter seed: the workflow has {' '.join(seeds)}, the job used {m['seeds'][name]!r}"
    return None


def addition(params: Mapping[str, Any], wildcards: Mapping[str, str], m: Mapping[str, Any]) -> str | None:
    """Name a setting that only the rule has, or only a manifest of its job; None where there is none.

    A program fills in what it is not given and leaves out what does not apply, so this may be wrong. It is for results
    of which nothing else is known: there another look costs less than students of other settings.
    """
    if not m["params"]:
        return None
    planned, inside = given(params), given(params, nested=True)
    recorded = _leaves({**m["params"], **m["seeds"], **m["facts"]})
    roles = {entry["role"] for entry in m["inputs"]}
    for name, values in inside.items():
        if name not in recorded and name not in roles | DIVIDES | {"seed"} and any(map(_decides, values)):
            return f"parameter {name}: the workflow has {_shown(values)}, the job had none"
    words = {str(word) for value in [*params.values(), *wildcards.values()] for word in _words(value)}
    for name, values in _leaves(m["params"]).items():
        if name not in planned and name not in DIVIDES:
            for value in values:
                if _decides(value) and str(value) not in words:
                    return f"parameter {name}: the workflow has none, the job used {value!r}"
    return None


def other_input(inputs: Sequence[str], m: Mapping[str, Any], hashes: Mapping[str, str]) -> str | None:
    """Name an input of a job that is not what it read; None where there is none.

    Args:
        inputs: of the rule.
        m: a manifest of the job.
        hashes: file -> sha256 now.
    """
    wanted = set(inputs)
    for entry in m["inputs"]:
        path = entry["path"]
        if path in wanted and hashes.get(path, entry["sha256"]) != entry["sha256"]:
            return f"{path} is not what the job read"
    return None


def given(params: Mapping[str, Any], *, nested: bool = False) -> Settings:
    """Settings that a rule gives its program: parameters, keys of JSON among them, flags in lists.

    Args:
        params: of the rule.
        nested: only those in JSON and in lists of flags.
    """
    settings: Settings = {}
    for name, value in params.items():
        for key, leaf in _expanded(name, value):
            if not nested or key != name:
                settings.setdefault(key, []).append(leaf)
    return settings


def _leaves(tree: Mapping[str, Any]) -> Settings:
    """All values of a tree of settings by their last key."""
    settings: Settings = {}
    for name, value in tree.items():
        for key, leaf in _nested(name, value):
            settings.setdefault(key, []).append(leaf)
    return settings


def _nested(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _nested(str(key), below)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for item in value:
            yield from _nested(name, item)
    else:
        yield name.replace("-", "_"), value


def _expanded(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, str) and value.startswith("@") and os.path.isfile(value[1:]):  # too long for a command line
        value = Path(value[1:]).read_text(encoding="utf-8")
    if isinstance(value, str) and value[:1] in (OBJECT, LIST):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
        yield from _nested(name, value)
    elif isinstance(value, list) and any(isinstance(word, str) and word.startswith("--") for word in value):
        yield from _flags(value)
    elif isinstance(value, list) and value and all(isinstance(word, str) and word[:1] == OBJECT for word in value):
        for text in value:
            yield from _expanded(name, text)
    else:
        yield from _nested(name, value)


def _flags(words: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Flags of a command line with their values: one, several, or True where there is none."""
    flags: list[tuple[str, list[Any]]] = []
    for word in words:
        if isinstance(word, str) and word.startswith("--"):
            flag, equals, value = word[2:].partition("=")
            flags.append((flag.replace("-", "_"), [value] if equals else []))
        elif flags:
            flags[-1][1].append(word)
    for flag, values in flags:
        if len(values) == 1:
            yield from _expanded(flag, values[0])
        else:
            yield flag, values or True


def _equal(one: Any, other: Any) -> bool:
    """Tell whether two values are one setting; a command line has all as text, and a set as one word with commas."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, list) or isinstance(other, list):
        words, text = (one, other) if isinstance(one, list) else (other, one)
        return sorted(map(str, words)) == sorted(str(text).replace(",", " ").split())
    if one == other or str(one) == str(other):
        return True
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return one in (None, "") and other in (None, "")


def _decides(value: Any) -> bool:
    """Tell whether a value says something: not an empty one, and no path, whose content is compared instead."""
    return value not in (None, False, "", [], {}) and "/" not in str(value)


def _words(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    yield value


def _seeds(params: Mapping[str, Any]) -> list[str]:
    """Seeds that a rule gives its program: parameters `seed` or `seeds`, or `--seed` in a list of flags."""
    seeds = [params["seed"]] if params.get("seed") is not None else list(params.get("seeds") or ())
    for words in params.values():
        if isinstance(words, list) and "--seed" in words[:-1]:
            seeds.append(words[words.index("--seed") + 1])
    return [str(seed) for seed in seeds]


def _shown(values: Sequence[Any]) -> str:
    return " or ".join(dict.fromkeys(map(repr, values)))
