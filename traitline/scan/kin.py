"""Tests of kinship between the models of a scan, on request: which started from the same weights."""

import itertools
import math

from traitline.errors import InputError
from traitline.kinship import adapters
from traitline.kinship.evidence import ALPHA, compare
from traitline.kinship.matrices import Matrices, matrices
from traitline.lineage.adapter_kin import compared_adapter
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
    """Pairs of an adapter and a model on whose start it was trained -> log10 of p."""
    result, groups, tested = dict[frozenset[str], float](), _related(survey), 0
    starts = [adapters.Start(group[0].files) for group in groups]
    for item in _readable(survey, "adapter"):
        try:
            low_rank = adapters.updates(item.files)
        except (InputError, OSError):
            continue
        if low_rank and tested + len(groups) > PAIRS:
            survey.tree.leave_out(item.label, f"not tested for its base: more than {PAIRS} pairs; scan fewer folders")
            continue
        logs = dict[int, float]()
        for i, start in enumerate(starts if low_rank else []):
            try:
                lies = compared_adapter(low_rank, start).alignment
            except (InputError, OSError):
                continue
            if lies.dimensions:
                logs[i] = lies.log10_p
        tested += len(logs)
        correction = math.log10(max(1, len(logs)))
        for i, p in logs.items():
            if p + correction <= math.log10(adapters.ALPHA):
                result |= {frozenset((item.label, model.label)): p + correction for model in groups[i]}
    return result


def _related(survey: Survey) -> list[list[Item]]:
    """Models in groups that have tensors in common: of each group one is compared with adapters."""
    groups = list[list[Item]]()
    for item in _readable(survey, "model"):
        tensors = survey.tensors[item.label]
        group = next((g for g in groups if any(tensors.share(survey.tensors[o.label]) for o in g)), None)
        if group is None:
            groups.append([item])
        else:
            group.append(item)
    return groups
