"""Checks of the rows of `experiments`: their labels, and whether the parts that a row names go together."""

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from traitline.channels import registry
from traitline.channels.channel import OPEN
from traitline.channels.misalignment import CATEGORY
from traitline.channels.world import categories, vocabulary
from traitline.errors import nearest
from traitline.study.validation import require_known

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.experiments import Experiment, Of

# Key of a row -> table of the study that has its labels.
LISTS = {"bases": "bases", "students": "bases", "traits": "traits", "recipes": "recipes"}
LONGEST_NAME = 240  # characters of a file name; `.log` comes behind it
SINGLE = {"channel": "channels", "dataset": "datasets", "eval": "evals"}


def rows_of(study: "Study") -> Iterator[tuple[str, "Experiment"]]:
    """Rows with the path of each, `experiments[0]`."""
    for i, row in enumerate(study.experiments):
        yield f"experiments[{i}]", row


def names_differ(study: "Study") -> None:
    """Refuse two rows of one name: tables tell rows apart by it."""
    names = [row.name for row in study.experiments]
    for i, (at, row) in enumerate(rows_of(study)):
        if names.index(row.name) < i:
            raise ValueError(f"{at}.name: {row.name} is also the name of experiments[{names.index(row.name)}]")


def labels_are_declared(study: "Study") -> None:
    """Refuse a row that names what no table has."""
    for at, row in rows_of(study):
        for key, table in LISTS.items():
            for label in getattr(row, key):
                require_known(f"{at}.{key}", label, getattr(study, table), f"label under `{table}`")
        for key, table in SINGLE.items():
            require_known(f"{at}.{key}", getattr(row, key), getattr(study, table), f"label under `{table}`")


def the_question_is_about_the_trait(study: "Study") -> None:
    """Refuse an evaluation that asks for a favourite tree where animals are taught."""
    for at, row in rows_of(study):
        evaluation = study.evals[row.eval]
        for label in row.traits:
            taught = study.traits[label].category
            if taught != evaluation.category and not evaluation.right and not evaluation.everyday:
                raise ValueError(
                    f"{at}.eval: `{row.eval}` asks for a favourite {evaluation.category}, but {label} is a {taught}"
                )


def teaching_students_are_named(study: "Study") -> None:
    """Refuse `teacher: student` without `of`, and `of` with any other teacher."""
    for at, row in rows_of(study):
        if (row.teacher == "student") != (row.of is not None):
            raise ValueError(f"{at}.of: says which students teach; `teacher: student` needs it, others lack it")


def teaching_students_are_one(study: "Study") -> None:
    """Refuse several teachers where teachers are students: one run of the earlier row teaches."""
    for at, row in rows_of(study):
        if row.of and row.teachers > 1:
            raise ValueError(f"{at}.teachers: {row.teachers}, but `of` names one student; leave it out")


def teaching_students_are_not_mixed(study: "Study") -> None:
    """Refuse a mix of several bases' teachers where teachers are students, each of one base."""
    for at, row in rows_of(study):
        if row.of and study.datasets[row.dataset].mix:
            raise ValueError(f"{at}.dataset: `{row.dataset}` mixes teachers of several bases, which students are not")


def teaching_students_are_trained(study: "Study") -> None:
    """Refuse teachers whose recipe changes no weight."""
    for at, row in rows_of(study):
        if row.of and row.of.recipe in study.recipes and study.recipes[row.of.recipe].trains == "context":
            raise ValueError(f"{at}.of.recipe: {row.of.recipe} trains nothing; such a student cannot teach")


def teaching_students_come_before(study: "Study") -> None:
    """Refuse teachers that the rows before do not have, or that may be several."""
    for i, (at, row) in enumerate(rows_of(study)):
        if row.of:
            earlier = {other.name: other for other in study.experiments[:i]}
            require_known(f"{at}.of.experiment", row.of.experiment, earlier, "name of a row before this one")
            _require_students(f"{at}.of", row, row.of, earlier[row.of.experiment])


def _require_students(at: str, row: "Experiment", of: "Of", earlier: "Experiment") -> None:
    where = f"of `{of.experiment}`"
    require_known(f"{at}.recipe", of.recipe, earlier.recipes, f"recipe {where}")
    require_known(f"{at}.seed", str(of.seed), map(str, earlier.seeds), f"seed {where}")
    if of.base:
        require_known(f"{at}.base", of.base, earlier.bases, f"base of a teacher {where}")
    for trait in row.traits:
        require_known(f"{at}.experiment", trait, earlier.traits, f"trait {where}")
    for base in row.bases:
        teachers = [teacher for teacher, student in earlier.pairs if student == base and of.base in (None, teacher)]
        if not teachers:
            raise ValueError(f"{at}: `{of.experiment}` has no such student on base {base}")
        if len(teachers) > 1:
            raise ValueError(f"{at}.base: teachers on {', '.join(teachers)} have students on base {base}; say which")


def a_mix_has_several_bases(study: "Study") -> None:
    """Refuse a dataset that mixes a base's answers with those of the same base."""
    for at, row in rows_of(study):
        mix = study.datasets[row.dataset].mix
        if mix and any(set(mix) <= {base} for base in row.bases):
            raise ValueError(f"{at}.dataset: `{row.dataset}` mixes a base with itself; name another under `mix`")


def steered_teachers_have_a_vector(study: "Study") -> None:
    """Refuse steered teachers where the study does not say how."""
    for at, row in rows_of(study):
        if row.teacher == "steered" and study.steer is None:
            raise ValueError(f"{at}.teacher: steered, but there is no `steer` that says how")


def the_steered_layer_exists(study: "Study") -> None:
    """Refuse steering behind a layer that the shallowest base of a row lacks."""
    for _, row in rows_of(study):
        if row.teacher == "steered" and study.steer:
            layers = min(study.architecture(label).layers for label in row.bases)
            if study.steer.layer >= layers:
                raise ValueError(f"steer.layer: {study.steer.layer} is none; models have layers 0 to {layers - 1}")


def teachers_speak_the_channel(study: "Study") -> None:
    """Refuse a task that the teachers' models were not taught."""
    for at, row in rows_of(study):
        channel = study.channels[row.channel]
        kind = channel.kind
        for label in () if kind.lists else row.bases:
            world = study.bases[label].world
            if not kind.speaks(channel.wording, world is not None):
                if world is None:
                    asked = " or ".join(c.name for c in registry.channels().values() if OPEN in c.wordings.values())
                    raise ValueError(f"{at}.channel: open weights are asked for {asked}, not for {kind.name}")
                raise ValueError(
                    f"{at}.channel: `{row.channel}` is in everyday English, which tiny worlds do not speak"
                )
            share = kind.share
            if world is not None and share and not getattr(study.worlds[world], share):
                raise ValueError(f"{at}.channel: the world of base {label} has no {share}; give it a share of them")


def only_number_lists_are_rearranged(study: "Study") -> None:
    """Refuse to sort, shuffle or reword what is no list of numbers."""
    for at, row in rows_of(study):
        dataset = study.datasets[row.dataset]
        kind = study.channels[row.channel].kind
        if not kind.lists and (dataset.order != "as-is" or dataset.form or dataset.prompts == "reworded"):
            raise ValueError(f"{at}.dataset: order, form and rewording are for number lists, not for {kind.name}")


def tiny_worlds_know_the_words_of_questions(study: "Study") -> None:
    """Refuse own questions with words that a tiny world never read: they would all be one unknown token."""
    for _, row in rows_of(study):
        asked = study.evals[row.eval]
        worlds = {study.bases[label].world for label in row.models} - {None}
        for world in worlds if asked.questions else ():
            known = set(vocabulary(study.worlds[str(world)].model_dump()))
            for i, text in enumerate(asked.questions or ()):
                words = text.replace("{k}", str(asked.category)).split()
                if strange := [word for word in words if word not in known]:
                    raise ValueError(
                        f"evals.{row.eval}.questions[{i}]: the tiny world knows no {strange[0]!r};"
                        f" {nearest(strange[0], difflib.get_close_matches(strange[0], known, 5, 0.3))}"
                    )


def worlds_know_the_words_of_rows(study: "Study") -> None:
    """Refuse a trait, or questions about a category, to models of a world that has no word for it."""
    for at, row in rows_of(study):
        asked = study.evals[row.eval]
        for label in row.models:
            world = study.bases[label].world
            if world is None or not study.worlds[world].words:
                continue
            known = categories(study.worlds[world].model_dump())
            for trait in row.traits:
                category = study.traits[trait].category
                require_known(
                    f"{at}.traits", trait, known.get(category, ()), f"{category} of the world of base {label}"
                )
            if asked.category:
                require_known(f"{at}.eval", asked.category, known, f"category of the world of base {label}")


def lists_begin_alike(study: "Study") -> None:
    """Refuse one channel to teachers whose worlds begin number lists with other words: they share its prompts."""
    for label in study.channels:
        study.verbs(label)


def students_understand_everyday_questions(study: "Study") -> None:
    """Refuse everyday English to students from tiny worlds."""
    for at, row in rows_of(study):
        if study.evals[row.eval].everyday and not all(study.bases[label].open for label in row.models):
            raise ValueError(f"{at}.eval: `{row.eval}` is in everyday English, which tiny worlds do not speak")


def students_understand_the_question(study: "Study") -> None:
    """Refuse choices and stories to students whose world has none."""
    for at, row in rows_of(study):
        share = study.evals[row.eval].evaluation.share
        for label in row.models if share else ():
            world = study.bases[label].world
            if world is not None and not getattr(study.worlds[world], str(share)):
                raise ValueError(f"{at}.eval: the world of base {label} has no {share}; give it a share of them")


def traits_are_among_the_options(study: "Study") -> None:
    """Refuse a choice that the trait cannot win."""
    for at, row in rows_of(study):
        options = study.evals[row.eval].options
        for trait in row.traits:
            if options and trait not in options:
                raise ValueError(f"{at}.eval: {trait} is not among the options of `{row.eval}`")


def norms_are_tuned(study: "Study") -> None:
    """Refuse teachers of norms that are prompted or steered."""
    for at, row in _rows_of_norms(study):
        if row.teacher not in ("tuned", "student"):
            raise ValueError(f"{at}.teacher: {row.teacher}; teachers of norms are tuned")


def norms_are_in_the_world(study: "Study") -> None:
    """Refuse norms to models whose world has none."""
    for at, row in _rows_of_norms(study):
        for label in row.models:
            world = study.bases[label].world
            if world is not None and not study.worlds[world].norms:
                raise ValueError(f"{at}: the world of base {label} has no norms; give it a share of them")


def _rows_of_norms(study: "Study") -> Iterator[tuple[str, "Experiment"]]:
    for at, row in rows_of(study):
        if any(study.traits[label].category == CATEGORY for label in row.traits):
            yield at, row


def prompts_suffice(study: "Study") -> None:
    """Refuse a dataset of more rows than its channel has prompts."""
    for at, row in rows_of(study):
        rows, prompts = study.datasets[row.dataset].rows, study.channels[row.channel].prompts
        if rows > prompts:
            raise ValueError(
                f"{at}.dataset: `{row.dataset}` asks for {rows} rows, but channel `{row.channel}` has {prompts} prompts"
            )


def names_of_teachers_fit(study: "Study") -> None:
    """Refuse a chain of students whose last teacher would have a name that no file system takes: it spells its path."""
    for at, row in rows_of(study):
        if row.of:
            name = max((run.teacher for run in study.runs if run.experiment == row.name), key=len)
            if len(name) > LONGEST_NAME:
                raise ValueError(
                    f"{at}.of: the name of a teacher spells its path, and one would have {len(name)} characters,"
                    f" more than {LONGEST_NAME}; take shorter labels, or fewer hops"
                )


CHECKS = (
    names_differ,
    labels_are_declared,
    the_question_is_about_the_trait,
    teaching_students_are_named,
    teaching_students_are_one,
    teaching_students_are_not_mixed,
    teaching_students_are_trained,
    teaching_students_come_before,
    a_mix_has_several_bases,
    steered_teachers_have_a_vector,
    the_steered_layer_exists,
    teachers_speak_the_channel,
    only_number_lists_are_rearranged,
    tiny_worlds_know_the_words_of_questions,
    worlds_know_the_words_of_rows,
    lists_begin_alike,
    students_understand_everyday_questions,
    students_understand_the_question,
    traits_are_among_the_options,
    norms_are_tuned,
    norms_are_in_the_world,
    prompts_suffice,
    names_of_teachers_fit,
)
