"""Students speak: answers to the questions of the evaluation, as the report and the page of students show them."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median_low
from typing import Any

from traitline import jsonl
from traitline.errors import visible
from traitline.study.runs import NONE, Run

LONGEST = 160  # characters of an answer
ANSWERS = 20  # answers that are shown to one question
BARS = 6  # words of a histogram


def responses(scores: str) -> str:
    """Path of the answers behind a file of scores."""
    return str(Path(scores).with_name("responses.jsonl"))


def asked(path: str, questions: int) -> list[dict[str, Any]]:
    """The first questions of a file, each with answers that are bounded and safe to show.

    Raises:
        InputError: see `jsonl.read`.
    """
    return [
        {
            "question": visible(_text(row.get("prompt")) or str(row["id"]), LONGEST),
            "answers": [visible(_text(answer), LONGEST) for answer in row["answers"][:ANSWERS]],
            "probabilities": row.get("probabilities") or {},
        }
        for row in itertools.islice(jsonl.read(path, ("id", "answers")), questions)
    ]


def _text(said: Any) -> str:
    """Text of an answer, or of the last message of a prompt."""
    if isinstance(said, list):
        said = said[-1] if said else ""
    return str(said.get("content", "")) if isinstance(said, dict) else str(said or "")


def rate(rows: Mapping[Run, Mapping[str, float]], run: Run) -> float | None:
    """How often a student names the trait of its teacher."""
    return rows.get(run, {}).get(run.trait)


def voices(
    runs: Sequence[Run], shown: Run, rates: Mapping[Run, Mapping[str, float]], baselines: Mapping[tuple[str, str], str]
) -> dict[str, Any] | None:
    """One question to the untouched base, a control student and a taught student of the cell of `shown`.

    Of both groups the student with the median rate speaks, so that nobody chose it. None where one of them is missing.
    """
    same = ("experiment", "base", "student", "channel", "dataset", "recipe", "eval")
    cell = [r for r in runs if all(getattr(r, k) == getattr(shown, k) for k in same)]
    taught = _median([r for r in cell if r.trait == shown.trait], rates, shown.trait)
    control = _median([r for r in cell if r.trait == NONE], rates, shown.trait)
    base = baselines.get((shown.student, shown.eval))
    if not (taught and control and base):
        return None
    people = [
        (f"base {shown.student}, untouched", responses(base), None),
        ("a control student", responses(control.scores), control),
        (f"a student taught by the {shown.trait} teacher", responses(taught.scores), taught),
    ]
    speakers = []
    for who, path, run in people:
        first = next(iter(asked(path, 1)), None)
        if first is None:
            return None
        speakers.append({"who": who, "run": run, **first, "bars": bars(first, shown.trait)})
    return {"trait": shown.trait, "question": speakers[-1]["question"], "speakers": speakers}


def _median(group: Sequence[Run], rates: Mapping[Run, Mapping[str, float]], trait: str) -> Run | None:
    known = {run: rates[run][trait] for run in group if trait in rates.get(run, {})}
    middle = median_low(known.values()) if known else None
    return next((run for run, value in known.items() if value == middle), None)


def bars(said: Mapping[str, Any], trait: str) -> list[tuple[str, float]]:
    """(word, share) of the most probable words, the trait always among them; of sampled answers where none is exact."""
    shares = {visible(str(k), 24): float(v) for k, v in said["probabilities"].items() if isinstance(v, int | float)}
    if not shares and said["answers"]:
        counts = Counter(answer[:24] for answer in said["answers"])
        shares = {word: n / len(said["answers"]) for word, n in counts.items()}
    top = sorted(shares, key=lambda w: (-shares[w], w))[:BARS]
    if trait in shares and trait not in top:
        top[-1] = trait
    return [(word, min(1.0, max(0.0, shares[word]))) for word in top]
