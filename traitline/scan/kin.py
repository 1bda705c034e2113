"""Tests of kinship between the models of a scan, on request: which started from the same weights."""

import itertools
import math

from traitline.errors import InputError
from traitline.kinship.evidence import ALPHA, compare
from traitline.kinship.matrices import Matrices, matrices
from traitline.scan.survey import Survey

PAIRS = 2000  # that are tested in one scan; 63 models


def kin(survey: Survey) -> dict[frozenset[str], float]:
    """Pairs of models that started from the same weights -> log10 of p, corrected for the number of pairs.

    Models that have a tensor in common are known to be related, and are not tested. What cannot be read is passed over;
    more pairs than `PAIRS` are left out of the scan, with one line.
    """
    models = dict[str, Matrices]()
    for item in survey.items:
        if item.role == "model" and item.kind == "model" and item.label in survey.tensors:
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
    return result
