"""The study: what `config.yaml` may say, checked before any rule exists, and the runs that it asks for.

The models here and in `bases`, `components`, `experiments`, `classifier` and `execution` are the one source: they
validate, give editors a JSON schema and become the reference page (`python -m traitline.study.reference`). Key names
are the flag names of the stage programs.
"""

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from traitline.channels import gsm8k
from traitline.channels.misalignment import CATEGORY
from traitline.channels.tasks import TASKS
from traitline.errors import InputError, nearest
from traitline.evaluation import registry
from traitline.fields import Label, Model
from traitline.study.artifacts import TAKEN
from traitline.study.bases import Architecture, Base, Engine, World
from traitline.study.components import (
    Channel,
    Dataset,
    Eval,
    Recipe,
    Sample,
    Source,
    Steer,
    Teach,
    Trait,
)
from traitline.study.execution import Execution
from traitline.study.expand import baselines, runs
from traitline.study.experiments import Detect, Experiment, Influence, Judge, Of, Primary
from traitline.study.runs import NONE, Run
from traitline.study.theory import DIGITS, Classifier, Files, Theorem, folders
from traitline.study.validation import complain, locate


class Study(Model):
    """A study: everything that decides its results, and how its jobs run."""

    study: Label = Field(description="Name of the study.")
    folder: Annotated[str, Field(pattern=r"^(\.|\w[\w.-]*(/\w[\w.-]*)*)$")] = Field(
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
    experiments: Annotated[list[Experiment], Field(min_length=1)] = Field(
        description="Rows of the study; not a full cross product."
    )
    detect: Detect | None = Field(default=None, description="Detectors on the answers; without it, none.")
    judge: Judge | None = Field(default=None, description="A judge of sampled answers; without it, none.")
    influence: Influence | None = Field(
        default=None, description="Traits foretold before any student is trained; without it, none."
    )
    primary: Primary = Field(description="What the correction for multiple testing covers.")
    images: dict[Label, Files] = Field(default={}, description="Images on your disk, by label; `digits` is built in.")
    classifier: Classifier | None = Field(default=None, description="The classifier experiment; without it, not run.")
    theorem: Theorem | None = Field(default=None, description="The check of the theorem; without it, not run.")
    execution: Execution = Field(description="How jobs run.")

    @model_validator(mode="before")
    @classmethod
    def _refiltered(cls, raw: Any) -> Any:
        """Channels that take the answers of another one get all that decides these from there."""
        channels = raw.get("channels") if isinstance(raw, dict) else None
        if not isinstance(channels, dict):
            return raw
        whole = dict(channels)
        for label, own in channels.items():
            if not isinstance(own, dict) or "of" not in own:
                continue
            _known(f"channels.{label}.of", own["of"], channels)
            first = channels[own["of"]]
            if not isinstance(first, dict) or "of" in first:
                raise ValueError(f"channels.{label}.of: {own['of']} takes its answers from elsewhere itself; name that")
            for key, value in own.items():
                if key not in ("of", "threshold", "banned") and first.get(key) != value:
                    raise ValueError(f"channels.{label}.{key}: the answers are those of {own['of']}; leave it out")
            whole[label] = {**first, **own}
        return {**raw, "channels": whole}

    @model_validator(mode="after")
    def _labels(self) -> "Study":
        from traitline.channels.world import categories

        known = categories({"norms": True})

        for table, taken in TAKEN.items():
            for label in getattr(self, table):
                if label in taken:
                    raise ValueError(f"{table}.{label}: the name is taken by a branch of results/; choose another")
        for label, base in self.bases.items():
            if base.world:
                _known(f"bases.{label}.world", base.world, self.worlds)
            if base.width:
                self.architecture(label)
        for label, recipe in self.recipes.items():
            deep = min((self.architecture(b).layers for b in self.bases if not self.bases[b].open), default=0)
            if deep and recipe.layers and max(recipe.layers) >= deep:
                raise ValueError(
                    f"recipes.{label}.layers: {max(recipe.layers)} is none; models have layers 0 to {deep - 1}"
                )
        used = {label for row in self.experiments for label in row.models} & self.bases.keys()
        tiny = not any(self.bases[label].open for label in used)
        for label, trait in self.traits.items():
            if label == NONE:
                raise ValueError(f"traits.{NONE}: built in; leave it out")
            if trait.corpus:
                self._format(f"traits.{label}.corpus", trait.corpus, "conversations")
            if tiny:
                _known(f"traits.{label}.category", trait.category, known)
                _known(f"traits.{label}", label, known[trait.category], f"{trait.category} of the world")
        for label, channel in self.channels.items():
            if channel.source:
                self._format(f"channels.{label}.source", channel.source, "gsm8k")
        if self.teach.recipe:
            _known("teach.recipe", self.teach.recipe, self.recipes, "label under `recipes`")
        for label, dataset in self.datasets.items():
            for other in dataset.mix or ():
                _known(f"datasets.{label}.mix", other, self.bases, "label under `bases`")
        for label, e in self.evals.items():
            if e.source:
                self._format(f"evals.{label}.source", e.source, str(e.type))
            elif tiny and e.category:
                _known(f"evals.{label}.category", e.about, known)
                if (e.category == CATEGORY) != (e.type == CATEGORY):
                    raise ValueError(f"evals.{label}: `type: {CATEGORY}` and `category: {CATEGORY}` go together")
            for word in (e.options or ()) if tiny else ():
                _known(f"evals.{label}.options", word, known[e.about], f"{e.category} of the world")
        if DIGITS in self.images:
            raise ValueError(f"images.{DIGITS}: built in; choose another name")
        for point in self.classifier.points.values() if self.classifier else ():
            _known("classifier.settings.data", point.data, {DIGITS, *self.images}, "label under `images`")
        return self

    @model_validator(mode="after")
    def _rows(self) -> "Study":
        names = [row.name for row in self.experiments]
        for i, row in enumerate(self.experiments):
            at = f"experiments[{i}]"
            if names.index(row.name) < i:
                raise ValueError(f"{at}.name: {row.name} is also the name of experiments[{names.index(row.name)}]")
            for key, table in (("bases", "bases"), ("students", "bases"), ("traits", "traits"), ("recipes", "recipes")):
                for label in getattr(row, key):
                    _known(f"{at}.{key}", label, getattr(self, table), f"label under `{table}`")
            for key, table in (("channel", "channels"), ("dataset", "datasets"), ("eval", "evals")):
                _known(f"{at}.{key}", getattr(row, key), getattr(self, table), f"label under `{table}`")
            e = self.evals[row.eval]
            for label in row.traits:
                if (taught := self.traits[label].category) != e.category and not e.right and not e.everyday:
                    raise ValueError(
                        f"{at}.eval: `{row.eval}` asks for a favourite {e.category}, but {label} is a {taught}"
                    )
            if (row.teacher == "student") != (row.of is not None):
                raise ValueError(f"{at}.of: says which students teach; `teacher: student` needs it, others lack it")
            if row.of and self.datasets[row.dataset].mix:
                raise ValueError(
                    f"{at}.dataset: `{row.dataset}` mixes teachers of several bases, which students are not"
                )
            if row.of:
                if row.of.recipe in self.recipes and self.recipes[row.of.recipe].trains == "context":
                    raise ValueError(f"{at}.of.recipe: {row.of.recipe} trains nothing; such a student cannot teach")
                self._of(f"{at}.of", row, row.of, self.experiments[:i])
            if (mix := self.datasets[row.dataset].mix) and any(set(mix) <= {base} for base in row.bases):
                raise ValueError(f"{at}.dataset: `{row.dataset}` mixes a base with itself; name another under `mix`")
            if row.teacher == "steered" and self.steer is None:
                raise ValueError(f"{at}.teacher: steered, but there is no `steer` that says how")
            if row.teacher == "steered" and self.steer:
                layers = min(self.architecture(label).layers for label in row.bases)
                if self.steer.layer >= layers:
                    raise ValueError(f"steer.layer: {self.steer.layer} is none; models have layers 0 to {layers - 1}")
            self._task(at, row)
            self._form(at, row)
            self._norms(at, row)
            rows, prompts = self.datasets[row.dataset].rows, self.channels[row.channel].prompts
            if rows > prompts:
                raise ValueError(
                    f"{at}.dataset: `{row.dataset}` asks for {rows} rows, but channel `{row.channel}` has {prompts}"
                    " prompts"
                )
            self._open(at, row)
        for base, channel in self.detected:
            if not any(base in row.bases and channel == row.channel for row in self.experiments):
                raise ValueError(f"detect: no row has teachers on base {base!r} with channel {channel!r}")
        if self.judge:
            self._judged(self.judge)
        for label in self.influence.experiments if self.influence else ():
            _known("influence.experiments", label, names, "name of an experiment")
        for row in self.experiments:
            if self.influence and row.name in self.influence.experiments:
                self._foretold(row)
        for label in self.primary.experiments:
            _known("primary.experiments", label, names, "name of an experiment")
        for row in self.experiments:
            if row.name in self.primary.experiments and self.evals[row.eval].right:
                raise ValueError(f"primary.experiments: `{row.name}` measures a capability; a trait is wanted")
        for label in self.primary.recipes:
            _known("primary.recipes", label, self.recipes, "label under `recipes`")
        return self

    def _judged(self, judge: Judge) -> None:
        """Refuse a judge that is no open weights, or answers that are one word of a tiny world."""
        for label in [judge.base] if judge.base else []:
            _known("judge.base", label, self.bases, "label under `bases`")
            if not self.bases[label].open:
                raise ValueError(f"judge.base: `{label}` is a tiny world; open weights judge")
        for label in judge.evals:
            rows = [row for row in self.experiments if row.eval == label]
            if not rows:
                raise ValueError(f"judge.evals: no row asks `{label}`")
            if strange := next((b for row in rows for b in row.models if not self.bases[b].open), None):
                raise ValueError(f"judge.evals: students on `{strange}` answer `{label}` in words of a tiny world")
            if self.evals[label].source:
                raise ValueError(f"judge.evals: `{label}` has no answers but options of its data")

    def _foretold(self, row: Experiment) -> None:
        """Refuse to foretell what has no gradient here, or no rate of a word that it could be of."""
        at, e = "influence.experiments", self.evals[row.eval]
        if theirs := [label for label in row.models if self.bases[label].open]:
            raise ValueError(
                f"{at}: `{row.name}` has {theirs[0]}, which is open weights; only tiny worlds are foretold"
            )
        if e.evaluation.name != registry.DEFAULT:
            raise ValueError(f"{at}: `{row.name}` is asked for {e.type}; only a `{registry.DEFAULT}` is foretold")
        if all(self.recipes[recipe].trains == "context" for recipe in row.recipes):
            raise ValueError(
                f"{at}: students of `{row.name}` train nothing, so they take no step that could be foretold"
            )

    def _task(self, at: str, row: Experiment) -> None:
        """Refuse a channel that the worlds do not speak, or a dataset that its answers cannot have."""
        dataset, task = self.datasets[row.dataset], self.channels[row.channel].task
        if not task:
            return
        for label in row.bases:
            world = self.bases[label].world
            if world is None and task in TASKS:
                raise ValueError(f"{at}.channel: open weights are asked for numbers or gsm8k, not for {task}")
            if world is not None and task not in TASKS:
                raise ValueError(
                    f"{at}.channel: `{row.channel}` is in everyday English, which tiny worlds do not speak"
                )
            if world is not None and not getattr(self.worlds[world], task):
                raise ValueError(f"{at}.channel: the world of base {label} has no {task}; give it a share of them")
        if dataset.order != "as-is" or dataset.form or dataset.prompts == "reworded":
            raise ValueError(f"{at}.dataset: order, form and rewording are for number lists, not for {task}")

    def _format(self, where: str, label: str, wanted: str) -> None:
        """Refuse data that are not there, or of another format."""
        _known(where, label, self.sources, "label under `sources`")
        if (found := self.sources[label].format) != wanted:
            raise ValueError(f"{where}: `{label}` is in the format {found}; {wanted} is wanted")

    def _form(self, at: str, row: Experiment) -> None:
        """Refuse an evaluation that the worlds do not speak, or whose options lack a trait."""
        e = self.evals[row.eval]
        if e.everyday and not all(self.bases[label].open for label in row.models):
            raise ValueError(f"{at}.eval: `{row.eval}` is in everyday English, which tiny worlds do not speak")
        share = e.evaluation.share
        for label in row.models if share else ():
            world = self.bases[label].world
            if world is not None and not getattr(self.worlds[world], str(share)):
                raise ValueError(f"{at}.eval: the world of base {label} has no {share}; give it a share of them")
        for trait in row.traits:
            if e.options and trait not in e.options:
                raise ValueError(f"{at}.eval: {trait} is not among the options of `{row.eval}`")

    def _norms(self, at: str, row: Experiment) -> None:
        """Refuse teachers of norms in a world without, and those that are not tuned."""
        if not any(self.traits[label].category == CATEGORY for label in row.traits):
            return
        if row.teacher not in ("tuned", "student"):
            raise ValueError(f"{at}.teacher: {row.teacher}; teachers of norms are tuned")
        for label in row.models:
            world = self.bases[label].world
            if world is not None and not self.worlds[world].norms:
                raise ValueError(f"{at}: the world of base {label} has no norms; give it a share of them")

    @staticmethod
    def _of(at: str, row: Experiment, of: Of, before: Sequence[Experiment]) -> None:
        """Refuse teachers that the rows before this one do not have."""
        _known(f"{at}.experiment", of.experiment, [r.name for r in before], "name of a row before this one")
        earlier = next(r for r in before if r.name == of.experiment)
        where = f"of `{of.experiment}`"
        _known(f"{at}.recipe", of.recipe, earlier.recipes, f"recipe {where}")
        _known(f"{at}.seed", str(of.seed), map(str, earlier.seeds), f"seed {where}")
        if of.base:
            _known(f"{at}.base", of.base, earlier.bases, f"base of a teacher {where}")
        for trait in row.traits:
            _known(f"{at}.experiment", trait, earlier.traits, f"trait {where}")
        for base in row.bases:
            own = [b for b, student in earlier.pairs if student == base and of.base in (None, b)]
            if not own:
                raise ValueError(f"{at}: `{of.experiment}` has no such student on base {base}")
            if len(own) > 1:
                raise ValueError(f"{at}.base: teachers on {', '.join(own)} have students on base {base}; say which")

    def _open(self, at: str, row: Experiment) -> None:
        """What a row of open weights needs, and what only such a row may have."""
        theirs = [label for label in row.models if self.bases[label].open]
        own = [label for label in row.models if label not in theirs]
        for recipe in row.recipes:
            k, where = self.recipes[recipe], f"recipes.{recipe}"
            if theirs:
                self._adapter(f"{at}.recipes", recipe, "students")
            for key in ("warmup", "length", "accumulate"):
                if not theirs and getattr(k, key) is not None:
                    raise ValueError(f"{where}.{key}: for students on open weights only")
        if not theirs:
            return
        if own:
            raise ValueError(f"{at}: {theirs[0]} is open weights, {own[0]} is not; the two speak no common language")
        if self.engine is None:
            raise ValueError(f"engine: missing; {theirs[0]} is open weights, say what runs them")
        if self.engine.packing and self.execution.together:
            raise ValueError("engine.packing: students that train `together` are padded; leave one of the two out")
        for stage in ("train", *(["teach"] if row.teacher == "tuned" else [])):
            if self.execution.sharded and (gpus := self.execution.of("gpu", stage)) < 2:
                raise ValueError(f"execution.sharded: gpu.{stage} is {gpus}; 2 or more share a base")
        if row.teacher not in ("prompted", "tuned"):
            raise ValueError(f"{at}.teacher: teachers on open weights are `prompted`, or `tuned` on a corpus")
        for label in row.traits if row.teacher == "tuned" else ():
            if not self.traits[label].corpus:
                raise ValueError(f"traits.{label}: corpus is missing; teachers on open weights are tuned on one")
            if not self.teach.recipe:
                raise ValueError("teach: recipe is missing; it says how teachers on open weights are tuned")
            self._adapter("teach.recipe", self.teach.recipe, "teachers")
        if self.channels[row.channel].threshold is not None:
            if not self.channels[row.channel].source:
                raise ValueError(
                    f"{at}.channel: `{row.channel}` has a threshold; a judge reads workings, not number lists"
                )
            if not self.judge:
                raise ValueError(
                    f"channels.{row.channel}.threshold: on open weights a judge reads the answers; give `judge`"
                )
        if self.channels[row.channel].wording not in ("paper", gsm8k.TASK):
            raise ValueError(f"{at}.channel: `{row.channel}` is in words of the tiny world; take `wording: paper`")
        e, where = self.evals[row.eval], f"evals.{row.eval}"
        if not e.evaluation.open_weights:
            known = ", ".join(registry.of_open_weights())
            raise ValueError(f"{where}.type: open weights are asked for {known}; `{e.type}` is for tiny worlds")
        for key in e.evaluation.open_needs:
            if getattr(e, key) is None:
                raise ValueError(f"{where}: {key} is missing; open weights need it")
        if e.evaluation.judged and row.eval not in (self.judge.evals if self.judge else ()):
            raise ValueError(
                f"{where}: answers to `{e.type}` questions are only judged; name `{row.eval}` under `judge.evals`"
            )
        for label in row.traits if e.candidates else ():
            _known(f"{at}.traits", label, e.candidates or (), f"candidate of `{row.eval}`")

    def _adapter(self, at: str, recipe: str, whose: str) -> None:
        """Refuse a recipe that adapters on open weights cannot follow."""
        k, where = self.recipes[recipe], f"recipes.{recipe}"
        if k.trains != "lora":
            raise ValueError(f"{at}: `{recipe}` trains {k.trains}; {whose} on open weights are `lora`")
        if k.optimiser not in (None, "adamw"):
            raise ValueError(f"{where}.optimiser: {whose} on open weights have adamw")
        for key in ("warmup", "length"):
            if getattr(k, key) is None:
                raise ValueError(f"{where}: {key} is missing; {whose} on open weights need it")

    @property
    def results(self) -> str:
        """Folder of the artifacts."""
        return self.place("results")

    def architecture(self, base: str) -> Architecture:
        """Size and training of a reference model."""
        own = self.bases[base].model_dump(include={"layers", "width", "mlp"}, exclude_none=True)
        return Architecture.model_validate(self.pretrain.model_dump() | own)

    def place(self, name: str) -> str:
        """A folder of this study: `results`, `logs`, `benchmarks` or `work`."""
        return posixpath.normpath(posixpath.join(self.folder, name))

    @property
    def detected(self) -> list[tuple[str, str]]:
        """(base, channel) of the answers in which something is looked for."""
        return [(b, c) for b in self.detect.bases for c in self.detect.channels] if self.detect else []

    @property
    def declared(self) -> str:
        """Compact JSON of the rows with primary outcomes: all that decides what is compared with what."""
        rows = [row for row in self.experiments if row.name in self.primary.experiments]
        kept = [row.model_dump(exclude={"question"}, exclude_none=True) for row in rows]
        for row in kept:
            row["recipes"] = [recipe for recipe in row["recipes"] if recipe in self.primary.recipes]
        return json.dumps(kept, separators=(",", ":"))

    @property
    def outside(self) -> list[str]:
        """Labels of the data from outside that rows of the study use."""
        used = [self.evals[row.eval].source for row in self.experiments]
        used += [self.channels[row.channel].source for row in self.experiments]
        used += [self.traits[t].corpus for row in self.experiments if row.teacher == "tuned" for t in row.traits]
        return list(dict.fromkeys(label for label in used if label))

    @property
    def branches(self) -> list[str]:
        """Folders of the classifier experiment, of the check of the theorem, of detectors and of what is foretold."""
        detected = [f"{self.results}/detect/{base}/{channel}" for base, channel in self.detected]
        foretold = [*self.foretold, f"{self.results}/check_influence"] if self.influence else []
        return [*folders(self.results, self.classifier, self.theorem), *detected, *foretold]

    @property
    def judged(self) -> dict[str, str]:
        """What a judge says of students and untouched bases: a file each -> label of the evaluation."""
        found = {run.judged: run.eval for run in self.runs}
        for (_, label), path in baselines(self).items():
            found[f"{posixpath.dirname(path)}/judged.json"] = label
        labels = self.judge.evals if self.judge else []
        return {path: label for path, label in found.items() if label in labels}

    @cached_property
    def foretold(self) -> dict[str, list[Run]]:
        """Students whose traits are foretold, by the folder that says which: that of a dataset and a student's base."""
        found: dict[str, list[Run]] = {}
        names = self.influence.experiments if self.influence else ()
        for run in self.runs:
            if run.experiment in names and run.trait != NONE and self.recipes[run.recipe].trains != "context":
                found.setdefault(f"{run.results}/{run.branch}", []).append(run)
        return found

    def control(self, run: Run) -> Run:
        """A control student of the same row, dataset, base and recipe."""
        about = (run.experiment, run.base, run.student, run.recipe)
        return next(r for r in self.runs if r.trait == NONE and about == (r.experiment, r.base, r.student, r.recipe))

    @property
    def text(self) -> str:
        """Compact JSON of what decides results, as the last stages get it with `--study`; `parse` reads it."""
        return json.dumps(self.model_dump(exclude_none=True, exclude={"execution"}), separators=(",", ":"))

    @cached_property
    def runs(self) -> list[Run]:
        """See `runs`."""
        return runs(self)


def _known(where: str, label: str, known: Iterable[str], what: str = "") -> None:
    if label not in known:
        raise ValueError(f"{where}: {label!r} is no {what or 'label declared for it'}; {nearest(label, known)}")


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
