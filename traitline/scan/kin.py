"""Tests of kinship between the models of a scan, on request: which started from the same weights."""

import itertools
import math

from traitline.errors import InputError
from traitline.kinship import adapters
from traitline.kinship.evidence import ALPHA, compare
from traitline.kinship.matrices import Matrices, matrices
from traitline.scan.survey import Survey
from traitline.scan.tree import Item

PAIRS = 2000  # that are tested in one scan; 63 models


def kin(survey: Survey) -> dict[frozenset[str], float]:
    """Pairs of models that started from the same weights -> log10 of p, corrected for the number of pairs.

    Models that have a tensor in common are known to be related, and are not tested. What cannot be read is passed over;
    more pairs than `PAIRS` are left out of the scan, with one line. Of an adapter and a model, the pair says that the
    adapter was trained on that start; its p-value is corrected for the models that it was compared with.
    """
    models = dict[str, Matrices]()
    for item in _readable(survey, "model"):
        try:
            models[item.label] = matrices(item.files)
        except (InputError, OSError):
            continue
    pairs = [
        (one, other)
        for one, other in itertools.combinations(sorted(models), 2)
        if not survey.tensors[one].share(survey.tensors[other])
    ]
    if len(pairs) > PAIRS:
        survey.tree.leave_out(
            pairs[PAIRS][0], f"{len(pairs) - PAIRS} pairs were not tested for kinship; scan fewer folders"
        )
    correction = math.log10(max(1, len(pairs)))
    result = dict[frozenset[str], float]()
    for one, other in pairs[:PAIRS]:
        p = compare(models[one], models[other]).log10_p + correction
        if p <= ALPHA:
            result[frozenset((one, other))] = p
    return result | _of_adapters(survey)


def _readable(survey: Survey, role: str) -> list[Item]:
    return [i for i in survey.items if i.role == role and i.kind == "model" and i.label in survey.tensors]


def _of_adapters(survey: Survey) -> dict[frozenset[str], float]:
    """Pairs of an adapter and a model on whose start it was trained -> log10 of p.

    Models of one identity are one. What has a tensor in common with a model on whose start an adapter was trained is
    related to the adapter too, and needs no test; a chain of such models is followed by tests only, since a merge has
    tensors of two starts.
    """
    models = {survey.tensors[item.label].identity: item for item in reversed(_readable(survey, "model"))}
    starts = [(item, adapters.Start(item.files)) for item in models.values()]
    sharing = {
        item.label: [o.label for o in _readable(survey, "model") if _share(survey, item, o)] for item, _ in starts
    }
    result, tested = dict[frozenset[str], float](), 0
    for item in _readable(survey, "adapter"):
        try:
            low_rank = adapters.updates(item.files)
        except (InputError, OSError):
            continue
        if low_rank and tested + len(starts) > PAIRS:
            survey.tree.leave_out(item.label, f"not tested for its base: more than {PAIRS} pairs; scan fewer folders")
            continue
        fitting = [(model, start) for model, start in starts if low_rank and _fits(low_rank, start)]
        tested += len(fitting)
        correction = math.log10(max(1, len(fitting)))
        for model, start in fitting:
            if frozenset((item.label, model.label)) in result:
                continue
            p = _log10_p(low_rank, start) + correction
            if p <= math.log10(adapters.ALPHA):
                result |= {frozenset((item.label, label)): p for label in sharing[model.label]}
    return result


def _share(survey: Survey, one: Item, other: Item) -> bool:
    """Tell whether two models are one or have a tensor in common."""
    a, b = (survey.tensors[item.label] for item in (one, other))
    return a.identity == b.identity or bool(a.share(b))


def _fits(low_rank: dict[str, adapters.Update], start: adapters.Start) -> bool:
    """Tell whether an adapter may have been made on a model by its shapes, and there is something to compare."""
    try:
        return start.compared is not None and not adapters.misfits(
            {module: update.shape for module, update in low_rank.items()}, start.shapes
        )
    except (InputError, OSError):
        return False


def _log10_p(low_rank: dict[str, adapters.Update], start: adapters.Start) -> float:
    """Logarithm of the p-value of an adapter and a model; 0 where it cannot be read."""
    try:
        return adapters.alignment(low_rank, start).log10_p
    except (InputError, OSError):
        return 0.0
