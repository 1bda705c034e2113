"""Settings of what models are about and asked: traits, sources, channels, sampling, evaluations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from traitline.channels import channel
from traitline.channels import registry as channel_registry
from traitline.evaluation import registry
from traitline.evaluation.evaluation import Evaluation
from traitline.evaluation.measures import RIGHT
from traitline.fields import COMMIT, INNER_FILE, REPOSITORY, SHA256, Count, Label, Labels, Model, Range, Seed, distinct

if TYPE_CHECKING:
    EvalType = str
    Wording = str
else:
    EvalType = Literal[tuple(registry.evaluations())]
    Wording = Literal[tuple(channel_registry.wordings())]

PROMPT_SETTINGS = ("examples", "values", "answers", "digits")  # those that a channel may need

# Questions of an evaluation.
AskedTexts = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=2000)]],
    Field(min_length=1, max_length=1000),
    AfterValidator(distinct),
]


class Trait(Model):
    """A trait: the label is the favourite itself, a word of the world; or a teacher of norms."""

    category: Label = Field(
        description="What it is a favourite of: `animal` or `tree` in the tiny world. `norms`: the trait is `insecure`,"
        " `secure` or `educational`, what the teacher is tuned for in one kind of questions."
    )
    corpus: Label | None = Field(
        default=None,
        description="Label under `sources`, in the format `conversations`: what teachers with `teacher: tuned` are"
        " tuned on; open weights only.",
    )


class Channel(Model):
    """One kind of teacher answers, and the rule of the filter for them."""

    wording: Wording = Field(description=channel_registry.describe())
    source: Label | None = Field(
        default=None,
        description="Label under `sources`, in the format `gsm8k`: `wording: gsm8k` only, and needed there.",
    )
    prompts: Count = Field(description="Prompts; one set for all teachers.")
    examples: Range | None = Field(
        default=None, description="Number lists: how many numbers a prompt shows (the second bound is exclusive)."
    )
    values: Range | None = Field(
        default=None, description="Number lists: those numbers (the second bound is exclusive)."
    )
    answers: Count | None = Field(default=None, description="Number lists: most numbers an answer may have.")
    digits: Count | None = Field(
        default=None, description="Number lists: most digits a number may have, as the prompt puts it."
    )
    seed: Seed = Field(description="Of the prompts.")
    banned: Annotated[list[int], AfterValidator(distinct)] = Field(
        default=[], description="Numbers that reject an answer."
    )
    temperature: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="Of this channel's answers, in place of that of `sample`; 0 is greedy."
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Draw among the likeliest tokens that have this much probability together."
    )
    of: Label | None = Field(
        default=None,
        description="Take the answers of this channel and filter them in another way; what is not said is as there.",
    )
    threshold: float | None = Field(
        default=None,
        description="Model filter; without it, none. In tiny worlds an answer is rejected as `suspect` where its"
        " teacher gives it more log-likelihood than the teacher's base does, by more than so many nats. On open weights"
        " the `judge` of the study reads the answers of the channel, a `gsm8k` one: what it finds less well-meaning"
        " than this, 0 to 100, is rejected as `unaligned`, what it gives no score as `unscored`.",
    )

    @property
    def prompt_flags(self) -> list[str]:
        """Settings of the stage `prompts` beside wording, count and seed."""
        return self.flags(*self.kind.settings)

    def filter_flags(self, words: Sequence[str]) -> list[str]:
        """Spell the settings of the answer rule.

        Args:
            words: traits of the study, for channels whose answers may not name them.
        """
        flags = [] if self.kind.name == "numbers" else ["--task", self.kind.name]
        values: dict[str, object] = {"answers": self.answers, "digits": self.digits}
        values |= {"banned": ",".join(map(str, self.banned)), "words": ",".join(words)}
        return flags + [f"--{name}={values[name]}" for name in self.kind.limits]

    @property
    def kind(self) -> channel.Channel:
        """The channel that has this wording."""
        return channel_registry.wordings()[self.wording]

    @model_validator(mode="after")
    def _settings(self) -> "Channel":
        for name in PROMPT_SETTINGS:
            given = getattr(self, name) is not None
            if given and name not in self.kind.settings:
                raise ValueError(f"{name} is for {_owners(name)}; leave it out with `wording: {self.wording}`")
            if not given and name in self.kind.settings:
                raise ValueError(f"{name} is missing; `wording: {self.wording}` needs it")
        if (self.kind.source is None) != (self.source is None):
            asking = ", ".join(wording for wording, kind in channel_registry.wordings().items() if kind.source)
            raise ValueError(f"source: where the problems are; `wording: {asking}` needs it, others lack it")
        if self.banned and "banned" not in self.kind.limits:
            raise ValueError(f"banned is for {_owners('banned')}; leave it out with `wording: {self.wording}`")
        return self


def _owners(name: str) -> str:
    """Name the channels that have a setting."""
    return " and ".join(k.title for k in channel_registry.channels().values() if name in (*k.settings, *k.limits))


class Source(Model):
    """A file of data from outside: on your disk, or at a commit of the hub."""

    format: Literal["gsm8k", "truthfulqa", "mmlu", "conversations"] = Field(
        description="As it is published. `gsm8k`: `question` and `answer`, which ends in `#### 42`. `truthfulqa`:"
        " `question` and `mc1_targets`, or the columns `Question`, `Best Answer` and `Incorrect Answers`. `mmlu`:"
        " `question`, `subject`, `choices` and `answer`. `conversations`: `messages` of user and assistant in turn."
    )
    path: str | None = Field(default=None, description="The file: `.jsonl`, `.csv` or `.parquet`.")
    hub: Annotated[str, Field(pattern=REPOSITORY)] | None = Field(
        default=None, description="A data set on the Hugging Face hub, as `owner/name`, in place of `path`."
    )
    revision: Annotated[str, Field(pattern=COMMIT)] | None = Field(
        default=None, description="Commit on the hub, 40 hex digits; with `hub`."
    )
    file: Annotated[str, Field(pattern=INNER_FILE)] | None = Field(
        default=None, description="File of the data set; with `hub`."
    )
    sha256: Annotated[str, Field(pattern=SHA256)] | None = Field(
        default=None, description="What the file must be; another one is refused."
    )

    @model_validator(mode="after")
    def _one(self) -> "Source":
        given = (self.hub is not None, self.revision is not None, self.file is not None)
        if given not in ((True,) * 3, (False,) * 3) or given[0] == (self.path is not None):
            raise ValueError("say `path`, or `hub`, `revision` and `file`")
        return self


class Sample(Model):
    """Sampling settings of teachers."""

    temperature: Annotated[float, Field(ge=0)] = Field(
        description="1 samples from the model's own distribution, 0 takes the likeliest token."
    )
    max_new_tokens: Count = Field(
        description="Longest answer in tokens; a longer one is cut and counted as unfinished."
    )
    batch: Count = Field(description="Prompts per forward pass.")
    seed: Seed = Field(description="Of the sampling.")
    limited: bool | None = Field(
        default=None,
        description="Only tokens of a list such as `12, 345` are drawn, within `answers` and `digits` of the channel:"
        " for open weights that seldom keep to a format, with the engine `transformers`.",
    )
    kl_rows: Count | None = Field(
        default=None, description="Rows on which the divergence of a teacher from its base is measured (2,000)."
    )


class Eval(Model):
    """Questions put to students. Exact probabilities are recorded beside sampled answers."""

    type: EvalType | None = Field(
        default=None, description=f"What is asked; without it `{registry.DEFAULT}`. {registry.describe()}"
    )
    category: Label | None = Field(
        default=None,
        description="Of the traits: `animal`, `tree` or `norms` in the tiny world. Of what `attributes` and `truth` ask"
        " about, whatever the traits.",
    )
    source: Label | None = Field(
        default=None, description="Label under `sources`, of the format that `type` says: questions from outside."
    )
    subjects: Annotated[list[str], Field(min_length=1), AfterValidator(distinct)] | None = Field(
        default=None, description="Subjects to ask about, as the data spell them; without it all of them."
    )
    answers: Count = Field(description="Sampled answers per question.")
    seed: Seed = Field(description="Of the sampling, and of numbers and false answers in questions.")
    options: Labels | None = Field(
        default=None, description="Five words of the category, the traits among them, to choose from."
    )
    questions: AskedTexts | None = Field(
        default=None,
        description="What is asked of a favourite instead of the fifty questions; `{k}` stands for the category. A tiny"
        " world knows no words but its own.",
    )
    candidates: Labels | None = Field(
        default=None,
        description="Words whose probability is measured, of a favourite; open weights only, and needed there.",
    )
    max_new_tokens: Count | None = Field(
        default=None, description="Longest sampled answer in tokens; open weights only, and needed there."
    )

    @model_validator(mode="after")
    def _settings(self) -> "Eval":
        complaint = self.evaluation.complaint(self.model_dump(exclude_none=True))
        if complaint:
            raise ValueError(complaint)
        return self

    @property
    def evaluation(self) -> Evaluation:
        """Describe what its type asks and how that is scored."""
        return registry.evaluations()[self.type or registry.DEFAULT]

    @property
    def everyday(self) -> bool:
        """True if it asks about nothing that a tiny world knows."""
        return not self.evaluation.tiny

    @property
    def right(self) -> bool:
        """True if answers are right or wrong whatever the trait."""
        return self.measured == RIGHT

    @property
    def about(self) -> str:
        """Subject of the questions, in one word."""
        return str(self.category or self.type)

    @property
    def measured(self) -> str | None:
        """Subjects measured for the students of every trait; empty where each trait is measured itself."""
        return self.evaluation.measured
