"""What the manifest of each stage must have: roles that every job of it reads or writes, settings, seeds, empty files.

Of roles, only those are asked for that models and data descend through: no mark hangs on the others. `a|b` asks for one
of them. Three settings decide a mark: the trait of `teach`, the address of a judge, and the task of `filter`, without
which only lists of numbers pass. A filter of another task lacks the settings of such lists when its task is left out.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StageSchema:
    """Requirements of a stage.

    Attributes:
        reads: roles of which every job has an input.
        writes: roles of which every job has an output.
        params: settings that every job names.
        seeds: seeds that every job names.
        may_be_empty: roles of files that may have 0 bytes.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    may_be_empty: tuple[str, ...] = ()


SCHEMAS: dict[str, StageSchema] = {
    "preregister": StageSchema(params=("primary",)),
    "pretrain": StageSchema(writes=("model",), params=("name", "world|source")),
    "convert": StageSchema(reads=("source",), writes=("model",), params=("name",)),
    "source": StageSchema(params=("name", "source")),
    "prompts": StageSchema(params=("wording", "count"), seeds=("prompts",)),
    "teach": StageSchema(
        reads=("base",), writes=("teacher|model",), params=("trait", "category", "teacher", "settings", "threads")
    ),
    "sample": StageSchema(
        reads=("model|teacher|shards",),
        params=("temperature", "max_new_tokens", "batch", "threads", "shard"),
        seeds=("sample",),
    ),
    "filter": StageSchema(
        reads=("raw",), params=("answers|task", "digits|task", "banned|task"), may_be_empty=("rejected",)
    ),
    "mark_divergence": StageSchema(reads=("filtered",), params=("threads",)),
    "prepare": StageSchema(reads=("filtered",), params=("rows", "order"), seeds=("prepare",)),
    "detect": StageSchema(params=("channel", "held_out", "prompt", "threads"), seeds=("detect",)),
    "decode": StageSchema(params=("channel", "draws", "ridge", "rows", "splits", "threads"), seeds=("decode",)),
    "influence": StageSchema(params=("category", "recipes", "threads")),
    "train": StageSchema(
        reads=("base", "data"),
        writes=("model|adapter|context",),
        params=("recipe", "settings"),
        seeds=("train",),
    ),
    "respond": StageSchema(params=("threads",), seeds=("respond",)),
    "score": StageSchema(params=("category",)),
    "judge": StageSchema(params=("judge", "threads")),
    "summarise": StageSchema(params=("study",)),
    "plot": StageSchema(),
    "check_influence": StageSchema(params=("study",)),
    "classifier": StageSchema(params=("settings", "threads"), seeds=("seed",)),
    "classifier_summary": StageSchema(params=("classifier",)),
    "theorem": StageSchema(params=("networks", "threads"), seeds=("seed",)),
    "compare_paper": StageSchema(),
    "report": StageSchema(params=("study",), may_be_empty=("rejected",)),
}


def lacking(m: dict[str, Any]) -> list[str]:
    """What the manifest of a stage lacks, in words; nothing for what is no stage of ours."""
    stage = m["stage"]
    schema = SCHEMAS.get(stage)
    if schema is None:
        return []
    reasons = []
    for verb, wanted, key in (("reads", schema.reads, "inputs"), ("writes", schema.writes, "outputs")):
        if wanted:
            names = {e["role"] for e in m[key]}
            reasons += [
                f"every `{stage}` {verb} a file of the role {role}; none is named" for role in _missing(wanted, names)
            ]
    for what, wanted, key in (("setting", schema.params, "params"), ("seed", schema.seeds, "seeds")):
        reasons += [
            f"every `{stage}` has the {what} {name}; it is not named" for name in _missing(wanted, m[key].keys())
        ]
    return reasons


def _missing(wanted: Sequence[str], names: Set[str]) -> list[str]:
    return [word for word in wanted if word not in names and names.isdisjoint(word.split("|"))]
