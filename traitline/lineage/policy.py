"""The policy of an audit: which marks stop a release, and what people know that no manifest says."""

import os
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from traitline import yaml_files
from traitline.errors import InputError
from traitline.study.validation import complain


def _digits(text: str) -> str:
    digits = text.lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{12,64}", digits):
        raise ValueError(f"wants a sha256, or its first 12 hex digits or more, not {text!r}")
    return digits


Hash = Annotated[str, AfterValidator(_digits), Field(description="sha256, or 12 digits or more of it.")]
STANDINGS = ("unknown", "claimed", "recorded", "proven")  # the least first
Named = Literal["CARRIER", "INHERITANCE-RISK", "UNKNOWN", "EXPOSED", "CLAIMED"]


class Model(BaseModel):
    """Strict: no unknown keys, no text for numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Carrier(Model):
    """A model that turned out to have a trait."""

    sha256: Hash
    trait: Annotated[str, Field(min_length=1, description="What it does.")]


class Accepted(Model):
    """A model that may pass although it is marked. The mark stays."""

    sha256: Hash
    reason: Annotated[str, Field(min_length=1, description="Why, for whoever reads the policy next.")]


class Policy(Model):
    """A gate: the audit exits with 3 where a model has a mark that fails and nobody accepted it."""

    fail: list[Named] = Field(
        default=["CARRIER", "INHERITANCE-RISK", "UNKNOWN", "EXPOSED", "CLAIMED"],
        description="Marks that stop a release.",
    )
    exposed_passes: list[Literal["number-lists"]] | None = Field(
        default=None,
        description="Content for which EXPOSED passes. Left out: lists of numbers, and none where `fail` is given.",
    )
    standing: Literal["proven", "recorded", "claimed", "unknown"] = Field(
        default="unknown", description="The least standing that passes; by default marks alone decide."
    )
    carriers: list[Carrier] = Field(default=[], description="Carriers beyond those that manifests declare.")
    matched: list[Annotated[list[Hash], Field(min_length=2)]] = Field(
        default=[], description="Groups of bases that behave alike, so that a trait may pass between them."
    )
    accept: list[Accepted] = Field(default=[], description="Models that may pass with a mark.")

    @property
    def harmless(self) -> list[str]:
        """Content for which EXPOSED passes; a list of marks that somebody wrote means all that they say."""
        if self.exposed_passes is not None:
            return list(self.exposed_passes)
        return [] if "fail" in self.model_fields_set else ["number-lists"]


def load(file: str) -> Policy:
    """A checked policy from a YAML file.

    Raises:
        InputError: it is missing, or wrong: one line with file, line, key and remedy.
    """
    if not os.path.lexists(file):
        raise InputError(f"{file}: no such policy; docs/how-to/audit.md shows one")
    raw = yaml_files.read(file) or {}
    if not isinstance(raw, dict):
        raise InputError(f"{file}: a policy has the keys {', '.join(Policy.model_fields)}")
    try:
        return Policy.model_validate(raw)
    except ValidationError as e:
        raise complain(e, Policy, raw, [file]) from None
