"""The study: what `config.yaml` may say, checked before any rule exists, and the runs that it asks for.

The models here and in `bases`, `components`, `experiments`, `classifier` and `execution` are the one source: they
validate, give editors a JSON schema and become the reference page (`python -m traitline.study.reference`). Key names
are the flag names of the stage programs.
"""

import json
import posixpath
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from traitline.errors import InputError
from traitline.fields import FOLDER, Label, Model
from traitline.study import checks
from traitline.study.artifacts import DETECTION
from traitline.study.bases import Architecture, Base, Engine, World
from traitline.study.components import Channel, Eval, Sample, Source, Trait
from traitline.study.decoder_checks import decodable
from traitline.study.execution import Execution
from traitline.study.expand import baselines, runs
from traitline.study.experiments import Decoder, Defaults, Detect, Experiment, Influence, Judge, Primary
from traitline.study.inherit import fill_channels, fill_rows
from traitline.study.runs import NONE, Run
from traitline.study.theory import Classifier, Files, Theorem, folders
from traitline.study.training import Dataset, Recipe, Steer, Teach
from traitline.study.validation import complain, locate


class Study(Model):
    """A study: everything that decides its results, and how its jobs run."""

    study: Label = Field(description="Name of the study.")
    folder: Annotated[str, Field(pattern=FOLDER)] = Field(
        default=".",
        description="Where `results/`, `logs/`, `benchmarks/` and `work/` go, from the repository; one per study.",
    )
    worlds: dict[Label, World] = Field(description="Tiny worlds by label.")
    pretrain: Architecture = Field(description="Size and training of the reference models.")
    bases: dict[Label, Base] = Field(description="Reference models by label.")
    traits: dict[Label, Trait] = Field(description="Traits by word; `none` is built in.")
    sources: dict[Label, Source] = Field(default={}, description="Data from outside, by label.")
    channels: dict[Label, Channel] = Field(description="Channels by label.")
    teach: Teach = Field(description="Tuning of the teachers.")
    steer: Steer | None = Field(default=None, description="Steering of teachers; rows with `teacher: steered` need it.")
    sample: Sample = Field(description="Sampling from the teachers.")
    datasets: dict[Label, Dataset] = Field(description="Training datasets by label.")
    recipes: dict[Label, Recipe] = Field(description="Recipes of students by label.")
    evals: dict[Label, Eval] = Field(description="Evaluations by label.")
    engine: Engine | None = Field(default=None, description="What runs open weights; tiny worlds need none.")
    defaults: Defaults | None = Field(
        default=None, exclude=True, description="What rows of `experiments` say where they leave a key out."
    )
    experiments: Annotated[list[Experiment], Field(min_length=1)] = Field(
        description="Rows of the study; not a full cross product."
    )
    detect: Detect | None = Field(default=None, description="Detectors on the answers; without it, none.")
    decoder: Decoder | None = Field(
        default=None, description="Traits read off the rows with a base's embedding; without it, none."
    )
    judge: Judge | None = Field(default=None, description="A judge of sampled answers; without it, none.")
    influence: Influence | None = Field(
        default=None, description="Traits predicted before any student is trained; without it, none."
    )
    primary: Primary = Field(description="What the correction for multiple testing covers.")
    images: dict[Label, Files] = Field(default={}, description="Images on your disk, by label; `digits` is built in.")
    classifier: Classifier | None = Field(default=None, description="The classifier experiment; without it, not run.")
    theorem: Theorem | None = Field(default=None, description="The check of the theorem; without it, not run.")
    execution: Execution = Field(description="How jobs run.")

    @model_validator(mode="before")
    @classmethod
    def _inherited(cls, raw: Any) -> Any:
        return fill_rows(fill_channels(raw)) if isinstance(raw, dict) else raw

    @model_validator(mode="after")
    def _checked(self) -> "Study":
        for check in checks.CHECKS:
            check(self)
        return self

    @property
    def results(self) -> str:
        """Folder of the artifacts."""
        return self.place("results")

    def architecture(self, base: str) -> Architecture:
        """Size and training of a reference model."""
        changes = self.bases[base].model_dump(include={"layers", "width", "mlp"}, exclude_none=True)
        return Architecture.model_validate(self.pretrain.model_dump() | changes)

    def verbs(self, channel: str) -> list[str]:
        """How number lists of a channel begin where its teachers' worlds have words of their own; else none.

        Raises:
            ValueError: the worlds differ.
        """
        bases = {base for row in self.experiments if row.channel == channel for base in row.bases}
        worlds = {self.bases[base].world for base in bases} - {None}
        words = [self.worlds[str(world)].words for world in sorted(map(str, worlds))]
        ways = {tuple((own and own.verbs) or ()) for own in words}
        if len(ways) > 1:
            raise ValueError(
                f"channels.{channel}: its teachers' worlds begin number lists with other words (`words.verbs`); they"
                " share its prompts, so give each a channel of its own"
            )
        return list(ways.pop()) if ways else []

    def moving_teacher(self, base: str) -> str | None:
        """Folder of the tuned teacher whose adapter moves a base; None where none does."""
        trait = self.bases[base].tuned
        return f"{self.results}/{self.unmoved(base)}/{trait}/tuned" if trait else None

    def unmoved(self, base: str) -> str:
        """The base that is the file of this one as it is; a check sees to it that there is one where it is needed."""
        source = self.bases[base].gguf_source
        return next(label for label, b in self.bases.items() if b.gguf_source == source and not b.moved)

    def place(self, name: str) -> str:
        """A folder of this study: `results`, `logs`, `benchmarks` or `work`."""
        return posixpath.normpath(posixpath.join(self.folder, name))

    @property
    def detections(self) -> list[tuple[str, str]]:
        """(base, channel) of the answers on which detectors are trained."""
        return [(b, c) for b in self.detect.bases for c in self.detect.channels] if self.detect else []

    @property
    def decoded_rows(self) -> list[Experiment]:
        """Rows whose teachers' rows the decoder reads: those that it names, or all that it can read."""
        if not self.decoder:
            return []
        names = self.decoder.experiments
        return [row for row in self.experiments if (decodable(self, row) if names is None else row.name in names)]

    @property
    def decodings(self) -> list[tuple[str, str]]:
        """(base, channel) of the answers that the decoder reads."""
        return list(dict.fromkeys((base, row.channel) for row in self.decoded_rows for base in row.bases))

    @property
    def preregistered(self) -> str:
        """Compact JSON of the rows with primary outcomes: all that decides what is compared with what."""
        rows = [row for row in self.experiments if row.name in self.primary.experiments]
        kept = [row.model_dump(exclude={"question"}, exclude_none=True) for row in rows]
        for row in kept:
            row["recipes"] = [recipe for recipe in row["recipes"] if recipe in self.primary.recipes]
            row |= {"outcomes": self.primary.outcomes, "margin": self.primary.margin}
        return json.dumps(kept, separators=(",", ":"))

    @property
    def used_sources(self) -> list[str]:
        """Labels of the sources that rows of the study use."""
        used = [self.evals[row.eval].source for row in self.experiments]
        used += [self.channels[row.channel].source for row in self.experiments]
        used += [self.traits[t].corpus for row in self.experiments if row.teacher == "tuned" for t in row.traits]
        bases = [self.bases[base] for row in self.experiments for base in row.models]
        used += [self.traits[base.tuned].corpus for base in bases if base.tuned]
        return list(dict.fromkeys(label for label in used if label))

    @property
    def side_folders(self) -> list[str]:
        """Folders of the classifier experiment, the check of the theorem, the detectors and the predictions."""
        below = [DETECTION.format(base=base, channel=channel) for base, channel in self.detections]
        predictions = [*self.predictions, f"{self.results}/check_influence"] if self.influence else []
        detections = [f"{self.results}/{folder}" for folder in below]
        return [*folders(self.results, self.classifier, self.theorem), *detections, *predictions]

    @property
    def judged(self) -> dict[str, str]:
        """Files of verdicts on students and untouched bases -> label of the evaluation."""
        evals = {run.judged: run.eval for run in self.runs}
        for (_, label), path in baselines(self).items():
            evals[f"{posixpath.dirname(path)}/judged.json"] = label
        labels = self.judge.evals if self.judge else []
        return {path: label for path, label in evals.items() if label in labels}

    @cached_property
    def predictions(self) -> dict[str, list[Run]]:
        """Students whose traits `influence` predicts, by the folder of the prediction (dataset and student's base)."""
        runs: dict[str, list[Run]] = {}
        names = self.influence.experiments if self.influence else ()
        for run in self.runs:
            if run.experiment in names and run.trait != NONE and self.recipes[run.recipe].trains != "context":
                runs.setdefault(f"{run.results}/{run.branch}", []).append(run)
        return runs

    def control(self, run: Run) -> Run:
        """A control student of the same row, dataset, base and recipe."""

        def about(r: Run) -> tuple[str | int, ...]:
            return r.experiment, r.base, r.student, r.recipe, r.draw

        return next(r for r in self.runs if r.trait == NONE and about(r) == about(run))

    @property
    def text(self) -> str:
        """Compact JSON of what decides results, as the last stages get it with `--study`; `parse` reads it."""
        return json.dumps(self.model_dump(exclude_none=True, exclude={"execution"}), separators=(",", ":"))

    @cached_property
    def runs(self) -> list[Run]:
        """Every run of the study, see `traitline.study.expand.runs`."""
        return runs(self)


EXECUTION = Execution(stack=1, threads=1, mem_mb={"default": 1}, runtime={"default": 1}, gpu={"default": 0})


def load(raw: Mapping[str, Any], files: Sequence[str] = (), *, draft: bool = False) -> Study:
    """A checked study.

    Args:
        raw: the merged configuration.
        files: the files it was merged from, the last one has the last word; read only to name file and line.
        draft: let pass what must be known before anything runs, but not before a plan: revisions.

    Raises:
        InputError: one line that names file, key, what is wrong and what to write instead.
    """
    try:
        study = Study.model_validate(dict(raw))
    except ValidationError as e:
        raise complain(e, Study, raw, files) from None
    used = [label for row in study.experiments for label in row.models]
    used += [study.judge.base] if study.judge and study.judge.base else []
    unpinned = [label for label in used if study.bases[label].hub and not study.bases[label].revision]
    if unpinned and not draft:
        label, where = unpinned[0], locate(["bases", unpinned[0]], files) if files else ""
        raise InputError(
            f"{where}bases.{label}.revision: missing; the commit of {study.bases[label].hub} that you mean,"
            " 40 hex digits from its history on the hub"
        )
    return study


def parse(text: str) -> Study:
    """The study from the text that `--study` carries (`Study.text`; how jobs run is not part of it)."""
    return load({"execution": EXECUTION, **json.loads(text)})
