"""Sampling of answers from a model's distribution, the same for every engine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traitline.models.answer_format import ListFormat


@dataclass(frozen=True)
class Sampling:
    """Settings of sampled answers.

    Attributes:
        max_new_tokens: tokens of an answer at most, its end included.
        temperature: 0 takes the likeliest token.
        top_p: draw among the likeliest tokens that have this much probability together.
        form: what answers must look like; None leaves that to the model.
    """

    max_new_tokens: int
    temperature: float
    top_p: float = 1.0
    form: "ListFormat | None" = None
