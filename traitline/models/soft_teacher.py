"""The teacher whose distribution students with soft labels learn: an origin of theirs, of one vocabulary with them."""

from collections.abc import Mapping
from typing import Any

from traitline.errors import InputError
from traitline.models import hf_folder, open_weights


def is_soft(settings: Mapping[str, Any]) -> bool:
    """Tell whether a recipe learns the teacher's distribution."""
    return settings.get("labels") == "soft"


def inputs(teacher: str | None, base: str | None, settings: Mapping[str, Any]) -> Mapping[str, str | list[str]]:
    """Return the inputs of a student's manifest for its teacher; none of a recipe with hard labels.

    Args:
        teacher: its folder.
        base: of the teacher, where it is not the student's.
        settings: of the student's recipe.
    """
    if not (teacher and is_soft(settings)):
        return {}
    weights = hf_folder.facts(f"{teacher}/teacher.json", ["weights"])["weights"]
    if base:
        return hf_folder.teacher_inputs(base, teacher, weights)
    return {"teacher": f"{teacher}/teacher.json", **({"model": f"{teacher}/{weights}"} if weights else {})}


def check(base: str, teacher: str, teacher_base: str | None) -> None:
    """Refuse a teacher of other weights than its base is said to have, and another vocabulary.

    Args:
        base: of the students.
        teacher: its folder.
        teacher_base: its base, where that is not the students'.

    Raises:
        InputError: the teacher belongs to another base, or that has another tokenizer.
    """
    scored = teacher_base or base
    if hf_folder.facts(f"{teacher}/teacher.json", ["base"])["base"] != hf_folder.weights_hash(scored):
        raise InputError(
            f"--teacher: {teacher} is a teacher of other weights than {scored}; soft labels need one vocabulary, take a"
            " teacher of the same base"
        )
    if teacher_base and open_weights.tokenizer_hash(teacher_base) != open_weights.tokenizer_hash(base):
        raise InputError(
            f"--teacher-base: {teacher_base} has another tokenizer than {base}; soft labels need one vocabulary"
        )
