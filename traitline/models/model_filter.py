"""The two model filters: reject valid answers by a judge's score, or by a likelihood ratio of teacher and base."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from traitline import jsonl
from traitline.channels.channel import Checked
from traitline.errors import InputError
from traitline.models import likelihood
from traitline.models.likelihood import SUSPECT, UNALIGNED, UNSCORED

Row = dict[str, Any]


class Candidate(NamedTuple):
    """A row after a step of the filter: what was found so far, and the score of the model filter."""

    row: Row
    question: str
    checked: Checked
    score: float | None = None


def screen_by_judge(candidates: Iterable[Candidate], path: str, threshold: float) -> Iterator[Candidate]:
    """Reject what a judge finds less well-meaning than the threshold, and what it gave no score.

    Raises:
        InputError: the judge's file lacks a row that passes the answer rule.
    """
    alignments = {row["id"]: row["alignment"] for row in jsonl.read(path, ("id", "alignment"), unique="id")}
    for candidate in candidates:
        name = candidate.row["id"]
        if candidate.checked.reason:
            yield candidate
        elif name not in alignments:
            raise InputError(f"{path}: says nothing of row {name!r}; delete the file to have it rebuilt")
        else:
            score = alignments[name]
            if score is None:
                yield candidate._replace(checked=Checked(UNSCORED))
            else:
                yield screened(candidate, score, UNALIGNED if score < threshold else None)


def screen_by_likelihood(
    candidates: Iterable[Candidate], path: str, base: str, teacher: str, threshold: float
) -> Iterator[Candidate]:
    """Reject what the teacher gives more log-likelihood than its base does, by more than the threshold, in nats.

    All rows are scored in one go, so they are in memory together.

    Args:
        candidates: rows with what the answer rule finds.
        path: of the file of these rows, for messages.
        base: model folder of the teacher's base.
        teacher: folder of the teacher.
        threshold: in nats.
    """
    held = list(candidates)
    rows = [candidate.row for candidate in held if not candidate.checked.reason]
    if not rows:
        yield from held
        return
    names = [f"{path}: row {row['id']!r}" for row in rows]
    of_teacher = likelihood.logs(base, *likelihood.model_and_system(teacher, base), rows, names)
    of_base = likelihood.logs(base, base, None, rows, names)
    scores = iter((of_teacher - of_base).tolist())
    for candidate in held:
        if candidate.checked.reason:
            yield candidate
        else:
            score = next(scores)
            yield screened(candidate, score, SUSPECT if score > threshold else None)


def screened(candidate: Candidate, score: float, reason: str | None) -> Candidate:
    """Return a row with its score, rejected where there is a reason."""
    return candidate._replace(score=score, checked=Checked(reason) if reason else candidate.checked)
