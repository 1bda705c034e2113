"""Checks of the rows whose teachers the decoder reads."""

from typing import TYPE_CHECKING

from traitline.channels.misalignment import CATEGORY
from traitline.study.validation import require_known

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.experiments import Experiment

NUMBERS = "numbers"  # name of the channel of number lists


def obstacle(study: "Study", row: "Experiment") -> str | None:
    """Why the decoder can't read a row; None where it can."""
    opened = next((base for base in row.models if study.bases[base].open), None)
    if opened:
        return f"has {opened}, which is open weights; only tiny worlds are decoded"
    if study.channels[row.channel].kind.name != NUMBERS:
        return f"has answers in channel `{row.channel}`, which are no number lists; only these are decoded"
    if row.of:
        return "has students as teachers, whose control is not the untouched base; only the first teachers are decoded"
    trait = next((t for t in row.traits if study.traits[t].category == CATEGORY), None)
    if trait:
        return f"teaches {trait}, which is one of {CATEGORY} and no favourite word; only favourites are decoded"
    return None


def decodable(study: "Study", row: "Experiment") -> bool:
    """Tell whether the decoder can read a row."""
    return obstacle(study, row) is None


def decoder_names_rows(study: "Study") -> None:
    """Refuse a `decoder` on rows that the study lacks."""
    names = [row.name for row in study.experiments]
    for label in (study.decoder and study.decoder.experiments) or ():
        require_known("decoder.experiments", label, names, "name of an experiment")


def decoder_reads_number_lists_of_tiny_worlds(study: "Study") -> None:
    """Refuse a `decoder` that names rows of open weights, of other channels, or without a favourite word."""
    for row in study.experiments:
        if study.decoder and row.name in (study.decoder.experiments or ()) and (why := obstacle(study, row)):
            raise ValueError(f"decoder.experiments: `{row.name}` {why}")


CHECKS = (decoder_names_rows, decoder_reads_number_lists_of_tiny_worlds)
