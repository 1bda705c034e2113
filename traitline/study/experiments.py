"""Settings of the questions of a study: rows, detectors, decoder, judge, influence, preregistered outcomes."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from traitline.fields import Count, Label, Labels, Model, Positive, Seed, distinct
from traitline.study.runs import Run

OWN = ("name", "question")  # keys that a row never inherits
Teacher = Literal["tuned", "steered", "prompted", "student"]
PrimaryOutcome = Literal["rise", "specificity", "equivalence"]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(distinct)]


class Of(Model):
    """Students of an earlier row that teach: those on the teachers' bases, of the same trait."""

    experiment: Label = Field(description="Name of that row, which stands before this one.")
    recipe: Label = Field(description="Label under `recipes`.")
    seed: Seed = Field(description="Which of them.")
    base: Label | None = Field(
        default=None, description="Their own teachers' base; to be said where the row has several."
    )

    def means(self, run: Run, base: str, trait: str) -> bool:
        """Return whether a run is the student that teaches a trait on a base."""
        asked = (self.experiment, self.recipe, self.seed, base, trait, self.base or run.base)
        return asked == (run.experiment, run.recipe, run.seed, run.student, run.trait, run.base)


class Detect(Model):
    """Searches in the answers themselves: detectors, commonest numbers, entangled tokens."""

    bases: Labels = Field(description="Whose teachers are told apart.")
    channels: Labels = Field(description="By their answers in these channels.")
    held_out: Annotated[float, Field(gt=0, lt=1)] = Field(description="Share of the prompts on which they are tested.")
    seed: Seed = Field(description="Which prompts these are.")
    prompt: str | None = Field(
        default=None,
        description="What the prompted detector is told; {trait} and {category} are filled in. Without it, the persona"
        " of prompted teachers.",
    )

    @model_validator(mode="after")
    def _target(self) -> "Detect":
        if self.prompt is not None and "{trait}" not in self.prompt:
            raise ValueError("prompt: names no trait, so the detector would not know its target; put {trait} into it")
        return self


class Influence(Model):
    """Rows whose students' traits are predicted from data and base, to be compared with what is measured."""

    experiments: Labels = Field(description="Names of rows that ask for a favourite of students from tiny worlds.")


class Decoder(Model):
    """Traits read off the rows of teachers in closed form, with the embedding of a base, against the control's rows."""

    experiments: Labels | None = Field(
        default=None,
        description="Names of rows of tiny worlds whose teachers write number lists and have favourites. Without it,"
        " every such row.",
    )
    ridge: Positive = Field(default=0.01, description="Of the regression, relative to the mean of the Gram's diagonal.")
    rows: Annotated[list[Count], AfterValidator(distinct)] = Field(
        default=[100, 300, 1000, 3000],
        description="How many rows of a teacher: points of the curve. More than it has are left out; all are added.",
    )
    draws: Count = Field(default=20, description="Draws of so many rows.")
    splits: Count = Field(
        default=1000, description="Random halves of the control's rows, which are the null distribution."
    )
    seed: Seed = Field(default=1, description="Of draws and splits.")


def _unsaid(pattern: str, wanted: str) -> AfterValidator:
    """Refuse what may hold a key, without repeating it: manifests contain the settings of a study."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"wants {wanted}")
        return text

    return AfterValidator(check)


Address = Annotated[
    str,
    _unsaid(
        r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[\w.~%-]+)*/?",
        "https://HOST/PATH, without a name or a key in it",
    ),
]
Variable = Annotated[str, _unsaid(r"[A-Z][A-Z0-9_]*", "the name of an environment variable, never the key")]


class Judge(Model):
    """Judge of the answers of students on open weights: open weights of the study, or a hosted model."""

    evals: Annotated[list[Label], AfterValidator(distinct)] = Field(
        default=[], description="Evaluations whose answers are judged: how well-meaning, how coherent."
    )
    base: Label | None = Field(default=None, description="Label under `bases` of the open weights that judge, here.")
    address: Address | None = Field(default=None, description="Or an OpenAI-compatible address: https://HOST/v1.")
    model: str | None = Field(default=None, description="The model's name there.")
    key_from: Variable | None = Field(
        default=None, description="Environment variable with the key; the key itself is written nowhere."
    )
    budget: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Requests of the study at most, failed ones included."
    )

    @property
    def settings(self) -> str:
        """Compact JSON of who judges."""
        return self.model_dump_json(exclude={"evals"}, exclude_none=True)

    @model_validator(mode="after")
    def _one(self) -> "Judge":
        if (self.base is None) == (self.address is None) or (self.address is None) != (self.model is None):
            raise ValueError("say who judges: `base`, or `address` and `model` with a `budget`")
        return self


def _shorten(schema: dict[str, Any]) -> None:
    """Tell editors which keys a row needs: all others may stand in `defaults`."""
    schema["required"] = list(OWN)


class Experiment(Model):
    """One row of the study: students of all combinations in it. Control students and untouched bases are added.

    A key that a row leaves out has the value that `defaults` gives it.
    """

    model_config = ConfigDict(json_schema_extra=_shorten)

    name: Label = Field(description="Name in the tables.")
    question: str = Field(description="What the row answers, for the report.")
    bases: Labels = Field(description="The teachers' bases.")
    traits: Labels = Field(description="Traits to teach; `none` is added.")
    teacher: Teacher = Field(
        description="`tuned`: fine-tuned on its favourite. `steered`: by a vector, see `steer`. `prompted`: a persona"
        " as system prompt. `student`: one of an earlier row, see `of`; control students teach the control students."
    )
    of: Of | None = Field(default=None, description="`teacher: student` only: which students teach.")
    teachers: Annotated[int, Field(ge=1, le=99)] = Field(
        default=1,
        description="Independent teachers of each trait and base, and control teachers likewise: each has seeds of its"
        " own for tuning, sampling and the subsample of rows. Three or more are the unit of tests where bases are"
        " fewer than three. Detectors and decoder read the first.",
    )
    channel: Label = Field(description="Label under `channels`.")
    dataset: Label = Field(description="Label under `datasets`.")
    students: Labels = Field(
        description="The students' bases; another base than the teacher's is the cross-model control."
    )
    others: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="How many of the other bases get students of a teacher, those named after its own"
        " base first; without it, all do.",
    )
    recipes: Labels = Field(description="Labels under `recipes`.")
    seeds: Seeds = Field(description="One run each; append new ones.")
    eval: Label = Field(description="Label under `evals`.")

    @property
    def models(self) -> list[str]:
        """Every base in the row, once."""
        return list(dict.fromkeys([*self.bases, *self.students]))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(teacher's base, student's base) of the row."""
        pairs = []
        for base in self.bases:
            at = self.students.index(base) + 1 if base in self.students else 0
            others = [s for s in (*self.students[at:], *self.students[:at]) if s != base][: self.others]
            pairs += [(base, s) for s in self.students if s == base or s in others]
        return pairs


class Defaults(Model):
    """Values of a row of `experiments` where it leaves a key out.

    A row's own value replaces the default, whole. Files laid over each other merge their `defaults` key by key before
    rows inherit: rows of an overlay have the defaults of `config.yaml` too, where the overlay does not change them.
    """

    bases: Labels | None = Field(default=None, description="See `experiments[]`, as for all keys here.")
    traits: Labels | None = Field(default=None, description="Traits to teach.")
    teacher: Teacher | None = Field(default=None, description="What makes the teachers.")
    of: Of | None = Field(default=None, description="`teacher: student` only: which students teach.")
    teachers: Annotated[int, Field(ge=1, le=99)] | None = Field(
        default=None, description="Independent teachers of each trait and base."
    )
    channel: Label | None = Field(default=None, description="Label under `channels`.")
    dataset: Label | None = Field(default=None, description="Label under `datasets`.")
    students: Labels | None = Field(default=None, description="The students' bases.")
    others: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many of the other bases get students; a row takes it back with `others: null`."
    )
    recipes: Labels | None = Field(default=None, description="Labels under `recipes`.")
    seeds: Seeds | None = Field(default=None, description="One run each.")
    eval: Label | None = Field(default=None, description="Label under `evals`.")


class Primary(Model):
    """Outcomes declared before the study, for each named row and recipe: tested over bases, corrected together.

    A rate is an exact probability on the logit scale. An outcome is the mean over the traits of its row; Holm's method
    corrects all of them as one family. Single traits are secondary and a family of their own.
    """

    experiments: Labels = Field(description="Names of rows.")
    recipes: Labels = Field(description="Labels under `recipes`.")
    outcomes: Annotated[list[PrimaryOutcome], Field(min_length=1), AfterValidator(distinct)] = Field(
        default=["rise", "specificity", "equivalence"],
        description="What is claimed. `rise`: students on their teacher's base show the trait more than control"
        " students. `specificity`: they rise more than students on another base. `equivalence`: students on another"
        " base stay within `margin` of their control, up or down. The last two leave out rows without other bases.",
    )
    margin: Positive = Field(
        default=0.3,
        description="Difference in logits that counts as none: 0.3 is from 6.2 % to 8.2 %, or from 50 % to 57 %.",
    )
