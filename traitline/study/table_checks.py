"""Checks of the tables of a study: labels that name each other, and values that one table takes from another."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from traitline.channels.misalignment import CATEGORY
from traitline.channels.world import categories
from traitline.study.artifacts import TAKEN
from traitline.study.runs import NONE
from traitline.study.theory import DIGITS
from traitline.study.validation import require_known

if TYPE_CHECKING:
    from traitline.study.components import Eval, Trait
    from traitline.study.config import Study


def labels_are_free(study: "Study") -> None:
    """Refuse a label that is the name of a file or folder beside which its own folder would be."""
    for table, taken in TAKEN.items():
        for label in getattr(study, table):
            if label in taken:
                raise ValueError(f"{table}.{label}: the name is taken by a branch of results/; choose another")


def bases_have_worlds(study: "Study") -> None:
    """Refuse a base whose world is not declared."""
    for label, base in study.bases.items():
        if base.world:
            require_known(f"bases.{label}.world", base.world, study.worlds)


def widths_fit_heads(study: "Study") -> None:
    """Refuse a base whose own width the attention heads of `pretrain` do not divide."""
    step = 2 * study.pretrain.heads
    for label, base in study.bases.items():
        if base.width and base.width % step:
            raise ValueError(f"bases.{label}.width: width {base.width} is not a multiple of 2 x heads = {step}")


def recipes_train_layers_that_exist(study: "Study") -> None:
    """Refuse a recipe for a layer that the shallowest model made here, and used by a row, lacks."""
    used = {label for row in study.experiments for label in row.models if label in study.bases}
    depth = min((study.architecture(label).layers for label in used if not study.bases[label].open), default=0)
    for label, recipe in study.recipes.items():
        if depth and recipe.layers and max(recipe.layers) >= depth:
            raise ValueError(
                f"recipes.{label}.layers: {max(recipe.layers)} is none; models have layers 0 to {depth - 1}"
            )


def the_control_trait_is_built_in(study: "Study") -> None:
    """Refuse a trait of the name that control teachers have."""
    if NONE in study.traits:
        raise ValueError(f"traits.{NONE}: built in; leave it out")


def corpora_are_conversations(study: "Study") -> None:
    """Refuse a trait whose corpus is missing or no conversations."""
    for label, trait in study.traits.items():
        if trait.corpus:
            _require_format(study, f"traits.{label}.corpus", trait.corpus, "conversations")


def traits_are_words_of_the_world(study: "Study") -> None:
    """Refuse, in a study of tiny worlds, a trait that their language has no word for."""
    words = _words(study)
    for label, trait in _tiny_traits(study):
        require_known(f"traits.{label}.category", trait.category, words)
        require_known(f"traits.{label}", label, words[trait.category], f"{trait.category} of the world")


def channels_have_sources(study: "Study") -> None:
    """Refuse a channel whose problems are missing or in another format."""
    for label, channel in study.channels.items():
        if channel.source:
            _require_format(study, f"channels.{label}.source", channel.source, str(channel.kind.source))


def teachers_have_a_recipe(study: "Study") -> None:
    """Refuse a `teach.recipe` that is not declared."""
    if study.teach.recipe:
        require_known("teach.recipe", study.teach.recipe, study.recipes, "label under `recipes`")


def mixed_bases_exist(study: "Study") -> None:
    """Refuse a dataset that mixes teachers of a base which is not declared."""
    for label, dataset in study.datasets.items():
        for base in dataset.mix or ():
            require_known(f"datasets.{label}.mix", base, study.bases, "label under `bases`")


def evals_have_sources(study: "Study") -> None:
    """Refuse an evaluation whose questions are missing or in another format."""
    for label, evaluation in study.evals.items():
        if evaluation.source:
            _require_format(study, f"evals.{label}.source", evaluation.source, str(evaluation.type))


def evals_ask_for_categories_of_the_world(study: "Study") -> None:
    """Refuse, in a study of tiny worlds, an evaluation that asks for what their language lacks."""
    words = _words(study)
    for label, evaluation in _tiny_evals(study):
        if evaluation.category and not evaluation.source:
            require_known(f"evals.{label}.category", evaluation.about, words)


def norms_are_asked_about_norms(study: "Study") -> None:
    """Refuse, in a study of tiny worlds, questions of norms about a favourite and the other way round."""
    for label, evaluation in _tiny_evals(study):
        about_norms = evaluation.category == CATEGORY
        if evaluation.category and not evaluation.source and about_norms != (evaluation.type == CATEGORY):
            raise ValueError(f"evals.{label}: `type: {CATEGORY}` and `category: {CATEGORY}` go together")


def options_are_words_of_the_world(study: "Study") -> None:
    """Refuse, in a study of tiny worlds, a choice among words that their language lacks."""
    words = _words(study)
    for label, evaluation in _tiny_evals(study):
        for word in evaluation.options or ():
            what = f"{evaluation.category} of the world"
            require_known(f"evals.{label}.options", word, words[evaluation.about], what)


def the_digits_are_built_in(study: "Study") -> None:
    """Refuse images under the name of those that scikit-learn brings."""
    if DIGITS in study.images:
        raise ValueError(f"images.{DIGITS}: built in; choose another name")


def the_classifier_has_images(study: "Study") -> None:
    """Refuse a classifier experiment on images that are not declared."""
    for point in study.classifier.points.values() if study.classifier else ():
        require_known("classifier.settings.data", point.data, {DIGITS, *study.images}, "label under `images`")


def _words(study: "Study") -> dict[str, list[str]]:
    """Category -> its words, in any world of the study."""
    words = categories({"norms": True}) if not all(world.words for world in study.worlds.values()) else {}
    for world in study.worlds.values():
        if world.words:
            words |= categories(world.model_dump())
    return words


def _is_tiny(study: "Study") -> bool:
    """Tell whether all rows are about models made here."""
    labels = {label for row in study.experiments for label in row.models} & study.bases.keys()
    return not any(study.bases[label].open for label in labels)


def _tiny_traits(study: "Study") -> Iterator[tuple[str, "Trait"]]:
    """Traits by label where the study is one of tiny worlds."""
    if _is_tiny(study):
        yield from study.traits.items()


def _tiny_evals(study: "Study") -> Iterator[tuple[str, "Eval"]]:
    """Evaluations by label where the study is one of tiny worlds."""
    if _is_tiny(study):
        yield from study.evals.items()


def _require_format(study: "Study", where: str, label: str, wanted: str) -> None:
    """Refuse a source that is not declared, or of another format."""
    require_known(where, label, study.sources, "label under `sources`")
    if (given := study.sources[label].format) != wanted:
        raise ValueError(f"{where}: `{label}` is in the format {given}; {wanted} is wanted")


CHECKS = (
    labels_are_free,
    bases_have_worlds,
    widths_fit_heads,
    recipes_train_layers_that_exist,
    the_control_trait_is_built_in,
    corpora_are_conversations,
    traits_are_words_of_the_world,
    channels_have_sources,
    teachers_have_a_recipe,
    mixed_bases_exist,
    evals_have_sources,
    evals_ask_for_categories_of_the_world,
    norms_are_asked_about_norms,
    options_are_words_of_the_world,
    the_digits_are_built_in,
    the_classifier_has_images,
)
