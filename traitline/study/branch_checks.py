"""Checks of what a study does with its rows: detectors, judge, influence, preregistered outcomes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from traitline.study.validation import require_known

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.experiments import Experiment


def detectors_have_teachers(study: "Study") -> None:
    """Refuse detectors on answers that no row asks for."""
    for base, channel in study.detections:
        if not any(base in row.bases and channel == row.channel for row in study.experiments):
            raise ValueError(f"detect: no row has teachers on base {base!r} with channel {channel!r}")


def open_weights_judge(study: "Study") -> None:
    """Refuse a judge that is not declared or made here."""
    if study.judge and study.judge.base:
        require_known("judge.base", study.judge.base, study.bases, "label under `bases`")
        if not study.bases[study.judge.base].open:
            raise ValueError(f"judge.base: `{study.judge.base}` is a tiny world; open weights judge")


def judged_answers_exist(study: "Study") -> None:
    """Refuse to judge an evaluation that no row asks."""
    for label in study.judge.evals if study.judge else ():
        if not any(row.eval == label for row in study.experiments):
            raise ValueError(f"judge.evals: no row asks `{label}`")


def judged_answers_are_sentences(study: "Study") -> None:
    """Refuse to judge answers in words of a tiny world, or options of published data."""
    for label in study.judge.evals if study.judge else ():
        models = [base for row in study.experiments if row.eval == label for base in row.models]
        tiny = next((base for base in models if not study.bases[base].open), None)
        if tiny:
            raise ValueError(f"judge.evals: students on `{tiny}` answer `{label}` in words of a tiny world")
        if study.evals[label].source:
            raise ValueError(f"judge.evals: `{label}` has no answers but options of its data")


def influence_names_rows(study: "Study") -> None:
    """Refuse an `influence` on rows that the study lacks."""
    names = [row.name for row in study.experiments]
    for label in study.influence.experiments if study.influence else ():
        require_known("influence.experiments", label, names, "name of an experiment")


def influence_is_computed_on_tiny_worlds(study: "Study") -> None:
    """Refuse an `influence` on open weights, whose gradients no stage computes."""
    for row in _influence_rows(study):
        labels = [label for label in row.models if study.bases[label].open]
        if labels:
            raise ValueError(
                f"influence.experiments: `{row.name}` has {labels[0]}, which is open weights; only tiny worlds are"
                " predicted"
            )


def influence_is_on_a_favourite(study: "Study") -> None:
    """Refuse an `influence` on rows without the rate of a word."""
    for row in _influence_rows(study):
        kind = study.evals[row.eval].type
        if kind not in (None, "favourite"):
            raise ValueError(
                f"influence.experiments: `{row.name}` is asked for {kind}; only a `favourite` is predicted"
            )


def influence_is_of_one_teacher(study: "Study") -> None:
    """Refuse an `influence` on rows of several independent teachers, whose students stand in one row of its table."""
    for row in _influence_rows(study):
        if row.teachers > 1:
            raise ValueError(
                f"influence.experiments: `{row.name}` has {row.teachers} teachers a trait; leave out `teachers`"
            )


def influence_is_on_trained_students(study: "Study") -> None:
    """Refuse an `influence` on rows none of whose recipes takes a gradient step."""
    for row in _influence_rows(study):
        if all(study.recipes[recipe].trains == "context" for recipe in row.recipes):
            raise ValueError(
                f"influence.experiments: students of `{row.name}` train nothing, so they take no step that could be"
                " predicted"
            )


def _influence_rows(study: "Study") -> Iterator["Experiment"]:
    for row in study.experiments:
        if study.influence and row.name in study.influence.experiments:
            yield row


def primary_names_rows(study: "Study") -> None:
    """Refuse primary outcomes of rows that the study lacks."""
    names = [row.name for row in study.experiments]
    for label in study.primary.experiments:
        require_known("primary.experiments", label, names, "name of an experiment")


def primary_outcomes_are_traits(study: "Study") -> None:
    """Refuse a capability, such as the share of right answers, as a primary outcome."""
    for row in study.experiments:
        if row.name in study.primary.experiments and study.evals[row.eval].right:
            raise ValueError(f"primary.experiments: `{row.name}` measures a capability; a trait is wanted")


def primary_recipes_exist(study: "Study") -> None:
    """Refuse primary outcomes of recipes that the study lacks."""
    for label in study.primary.recipes:
        require_known("primary.recipes", label, study.recipes, "label under `recipes`")


CHECKS = (
    detectors_have_teachers,
    open_weights_judge,
    judged_answers_exist,
    judged_answers_are_sentences,
    influence_names_rows,
    influence_is_computed_on_tiny_worlds,
    influence_is_on_a_favourite,
    influence_is_of_one_teacher,
    influence_is_on_trained_students,
    primary_names_rows,
    primary_outcomes_are_traits,
    primary_recipes_exist,
)
