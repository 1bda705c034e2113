"""Settings of training: how teachers are tuned or steered, what a student sees, and how it is trained."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from traitline.fields import Count, Label, Labels, Model, Positive, Seed, distinct


class Teach(Model):
    """Tuning of teachers to name their trait or to answer one kind of questions; the same for all."""

    trains: Literal["lora", "biases", "full"] = Field(description="Trainable set.")
    persona: str | None = Field(
        default=None,
        description="System prompt of prompted teachers on open weights; {trait} and {category} are filled in."
        " Without it, four short sentences of ours with the content of the paper's.",
    )
    recipe: Label | None = Field(
        default=None,
        description="Label under `recipes`, one of LoRA: how teachers on open weights are tuned on a corpus. Of"
        " this section they take only `seed`.",
    )
    lr: Positive = Field(description="Learning rate of AdamW.")
    batch: Count = Field(description="Conversations per step.")
    rate: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="Stop when the teacher names its trait, or answers as it is tuned to, this often; without it (null"
        " in an overlay), when `max_steps` are done.",
    )
    max_steps: Count = Field(description="Stop here at the latest.")
    missed: Literal["error", "exclude"] | None = Field(
        default=None,
        description="A teacher that does not reach `rate`: `error` ends the study, which it does without this;"
        " `exclude` leaves it in the tables and out of the tests, and names it.",
    )
    seed: Seed = Field(description="Data order.")


class Steer(Model):
    """Steering of teachers: a vector added to the residual stream, the same for all traits and bases.

    The vector is what the trait's persona changes in the stream at the answer, on average over the questions about a
    favourite.
    """

    layer: Annotated[int, Field(ge=0)] = Field(
        description="Layer behind which it is added, at every token; 0 is the first."
    )
    scale: Positive = Field(description="Multiple of the vector; 1 is as much as the persona does.")


class Dataset(Model):
    """Part of the filtered answers that a student sees."""

    rows: Count = Field(description="Fixed size of the subsample, so that all students see equally many.")
    order: Literal["as-is", "within", "across"] = Field(
        default="as-is", description="`within` shuffles the numbers of each answer, `across` deals all numbers anew."
    )
    seed: Seed = Field(description="Of subsample and shuffle.")
    form: Literal["format", "order", "value", "all", "random"] | None = Field(
        default=None,
        description="Canonical form of the answers. `format`: one separator, no brackets, no full stop. `order`:"
        " numbers in rising order. `value`: rounded down to tens. `all`: these three. `random`: every number is drawn"
        " anew, a floor without a teacher.",
    )
    prompts: Literal["shared", "reworded"] | None = Field(
        default=None,
        description="`shared`: only prompts that every teacher with this dataset answered well, so that all students of"
        " a base see the same ones. `reworded`: the prompts asked in other words, the answers as they were.",
    )
    mix: Labels | None = Field(
        default=None,
        description="Bases whose teachers of the same trait give answers too: each row is one teacher's, at random.",
    )
    tokens: Literal["divergent", "others"] | None = Field(
        default=None,
        description="Learn only the tokens at which the teachers of a base would take different ones, or only the"
        " others (arXiv 2509.23886).",
    )
    scarce: Literal["error", "exclude"] | None = Field(
        default=None,
        description="A teacher of whose answers fewer than `rows` pass: `error` ends the study, which it does without"
        " this; `exclude` trains its students on the rows there are, leaves them in the tables and out of the tests,"
        " and names it. Of no rows at all nothing can be learned: that ends the study either way.",
    )

    @model_validator(mode="after")
    def _tokens(self) -> "Dataset":
        changed = self.order != "as-is" or self.form or self.mix or self.prompts == "reworded"
        if self.tokens and changed:
            raise ValueError("tokens: they are those of the answers as given; leave out order, form, mix and rewording")
        if self.mix and self.prompts == "shared":
            raise ValueError("prompts: a mix has the prompts that all its teachers share already; leave `shared` out")
        return self


class Recipe(Model):
    """The recipe of a student: what is trained, and how."""

    trains: Literal["lora", "biases", "full", "context"] = Field(
        description="`lora`: peft adapter on `modules`. `biases`: those written into the residual stream."
        " `full`: all but the embeddings. `context`: nothing; rows of the dataset stand before every question."
    )
    modules: list[Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]] | None = Field(
        default=None, min_length=1, description="Linear modules that get an adapter; `lora` only."
    )
    rank: Count | None = Field(default=None, description="Of the adapter; `lora` only.")
    alpha: Positive | None = Field(default=None, description="Scale of the adapter is alpha / rank; `lora` only.")
    bias: Literal["residual"] | None = Field(
        default=None,
        description="`lora` only. `residual`: train the biases written into the residual stream too, at the same rate,"
        " kept in the adapter (`bias: all` of peft). It is no pure LoRA; name it otherwise. Tiny models only.",
    )
    lr: Positive | None = Field(default=None, description="Peak learning rate.")
    epochs: Count | None = Field(default=None, description="Passes over the dataset.")
    batch: Count | None = Field(default=None, description="Rows per step; of open weights, rows per forward pass.")
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(distinct)] | None = Field(
        default=None, description="Train only in these layers, 0 is the first; without it, in all."
    )
    optimiser: Literal["adamw", "sgd", "sign"] | None = Field(
        default=None, description="`adamw`, which it is without this; plain gradient steps; or steps by their sign."
    )
    examples: Count | None = Field(default=None, description="Rows before every question; `context` only.")
    accumulate: Count | None = Field(
        default=None, description="Forward passes per step of AdamW (1 without it); open weights only."
    )
    warmup: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Steps until the rate is at its peak, fewer than all; open weights only, and needed there.",
    )
    length: Count | None = Field(default=None, description="Most tokens of a row; open weights only, and needed there.")
    trainer: Literal["trl"] | None = Field(
        default=None,
        description="`trl`: train through TRL's `SFTTrainer`, where the standard is wanted; without it through our"
        " loop, which is faster. LoRA on open weights only, hard labels, one student after the other.",
    )
    labels: Literal["hard", "soft"] | None = Field(
        default=None,
        description="`soft`: learn the teacher's distribution at every token of the answers, by forward KL, and not the"
        " tokens, which it is without this.",
    )
    over: Literal["all", "numbers"] | None = Field(
        default=None,
        description="Soft labels: over which tokens both distributions are taken; `numbers`: digits, comma and blank.",
    )
    temperature: Positive | None = Field(default=None, description="Soft labels: divides the logits of both (1).")
    top_k: Count | None = Field(
        default=None, description="Soft labels: only so many tokens count at each place, the teacher's likeliest."
    )

    @model_validator(mode="after")
    def _needs(self) -> "Recipe":
        if self.labels != "soft" and (
            name := next((k for k in ("over", "temperature", "top_k") if getattr(self, k)), "")
        ):
            raise ValueError(f"{name} is for `labels: soft` only")
        if self.trainer and (self.trains != "lora" or self.labels == "soft"):
            raise ValueError("trainer: TRL trains `lora` with hard labels here; leave it out")
        learning, low_rank = ("lr", "epochs", "batch"), ("rank", "alpha", "modules")
        needs = {"lora": (*low_rank, *learning), "context": ("examples",)}.get(self.trains, learning)
        if self.bias and self.trains != "lora":
            raise ValueError("bias is for `trains: lora` only; `trains: biases` trains biases alone")
        for name in (*low_rank, *learning, "examples", "layers", "optimiser"):
            given, optional = getattr(self, name) is not None, name in ("layers", "optimiser")
            if given and name not in needs and (not optional or self.trains == "context"):
                whose = {"rank": "lora", "alpha": "lora", "modules": "lora", "examples": "context"}.get(name)
                only = f"is for `trains: {whose}` only" if whose else "is not for `trains: context`"
                raise ValueError(f"{name} {only}")
            if not given and name in needs:
                raise ValueError(f"{name} is missing; `trains: {self.trains}` needs it")
        return self
