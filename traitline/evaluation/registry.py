"""Every type of evaluation by name, found among the files of `traitline/evaluation/types/`.

Nothing lists them: a new file there is a new type. The code digest counts all of them for whoever imports this module
(see `traitline.provenance.digest`), so a change of one reruns what is asked and scored.
"""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

import traitline.evaluation.types
from traitline.evaluation.evaluation import Evaluation

DEFAULT = "favourite"  # the type of an evaluation that names none


@functools.cache
def evaluations() -> Mapping[str, Evaluation]:
    """Name -> evaluation type, in the order of names.

    Raises:
        TypeError: a file has no class with its name; a programmer's slip.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(traitline.evaluation.types.__path__))
    return {name: _load(name) for name in names}


def _load(name: str) -> Evaluation:
    module = importlib.import_module(f"traitline.evaluation.types.{name}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Evaluation) and vars(value).get("name") == name:
            return value()
    raise TypeError(f'traitline/evaluation/types/{name}.py: no class of Evaluation with name = "{name}"')


def of_open_weights() -> list[str]:
    """Names of the types that open weights are asked."""
    return [name for name, evaluation in evaluations().items() if evaluation.open_weights]


def describe() -> str:
    """Describe what each type asks in the words of its class, for the configuration reference."""
    return " ".join(f"`{name}`: {evaluation.text}" for name, evaluation in evaluations().items())
