"""Estimate of a study on open weights, before anything runs: jobs, GPU memory and hours, disk, and what is missing.

An estimate from sizes, not a measurement: `traitline.workflow.gpu_costs` has the formulas.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError, nearest
from traitline.study.runs import split_teacher
from traitline.workflow import snakemake_plan
from traitline.workflow.gpu_costs import GIB, GPUS, REACHED, TOKENS, WIDTH, Gpu, Runner, Shape, adapter, shape, training
from traitline.workflow.requirements import missing, open_bases

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.training import Recipe

OPTIONS = 5  # of a question from outside, about: assumed
CORPUS = 6000  # conversations of a published corpus of code (arXiv 2502.17424)
LOAD = 0.02  # hours until a job's model is in memory: assumed


@dataclass
class Stage:
    """Jobs of one stage: memory of the largest on a GPU in GiB, and GPU hours of all."""

    name: str
    jobs: int = 0
    gpus: int = 0
    memory: float = 0.0
    hours: float = 0.0

    def add(self, hours: float, memory: float) -> None:
        """Add the hours of some jobs, and the memory of one."""
        self.hours += hours
        self.memory = max(self.memory, memory)


def read(configs: Sequence[str]) -> "Study":
    """The study of config.yaml and what is laid over it, as Snakemake would merge them; revisions may be missing.

    Raises:
        InputError: a file is missing, or what it says is wrong.
    """
    from traitline.study import validation
    from traitline.study.config import load

    files = ["config.yaml", *configs]
    for file in files:
        if not Path(file).is_file():
            raise InputError(f"{file}: no such file; run in the repository, and name one of configs/")
        validation.duplicates(file)
    return load(snakemake_plan.merge_configs(files), files, draft=True)


class Estimate:
    """Jobs of every stage; GPU memory and hours where it uses open weights."""

    def __init__(self, study: "Study", gpu: Gpu) -> None:
        self.study = study
        self.runner = Runner(
            gpu,
            study.engine.batch if study.engine else 1,
            WIDTH[study.engine.dtype if study.engine else "bfloat16"],
            study.execution.sharded,
        )
        names = ["pretrain", "prompts", "teach", "sample", "filter", "prepare", "train", "respond", "score"]
        names += ["judge"] if study.judge else []
        self.stages = {name: Stage(name, gpus=study.execution.of("gpu", name)) for name in names}
        self.sizes = sizes(study)
        self._count()
        self._teach()
        self._sample()
        self._train()
        self._respond()
        self._judge()

    @property
    def _asked(self) -> set[tuple[str, str]]:
        """(base, evaluation) of untouched bases that answer."""
        return {(run.student, run.eval) for run in self.study.runs}

    def _count(self) -> None:
        """Count the jobs of every stage."""
        from traitline.study import job_groups

        study, runs = self.study, self.study.runs
        evaluations, shards = job_groups.evaluations(study), study.execution.shards
        jobs = {
            "pretrain": len({base for run in runs for base in (run.base, run.student)}),
            "prompts": len({run.answers for run in runs}),
            "teach": len({run.teacher_folder for run in runs}),
            "sample": len({run.answers_folder for run in runs}) * (shards + 1 if shards > 1 else 1),
            "filter": len({run.channel_folder for run in runs}),
            "prepare": len({run.dataset_folder for run in runs}),
            "train": sum(len(t.branches) for t in job_groups.trainings(study)) + len(job_groups.together(study)),
            "respond": sum(len(e.branches) for e in evaluations) + len(self._asked),
        }
        jobs["score"] = jobs["respond"]
        if study.judge:
            labels = study.judge.evals
            jobs["judge"] = sum(len(e.branches) for e in evaluations if e.eval in labels)
            jobs["judge"] += sum(label in labels for _, label in self._asked) + len(_screened(study))
        for name, number in jobs.items():
            self.stages[name].jobs = number

    def _training(self, stage: str, s: Shape, recipes: "Sequence[Recipe]") -> float:
        """GiB on a card while adapters of these recipes are trained in one job."""
        processes = self.study.execution.processes(stage)
        return self.runner.weights(s, processes) + sum(training(s, recipe, processes) for recipe in recipes)

    def _teach(self) -> None:
        study, runner = self.study, self.runner
        for run in {run.teacher_folder: run for run in study.runs}.values():
            s = self.sizes.get(run.base)
            if s is None:
                continue
            if split_teacher(run.teacher)[0] == "tuned" and study.teach.recipe:
                recipe = study.recipes[study.teach.recipe]
                tokens = CORPUS * (recipe.epochs or 0) * TOKENS["conversation"]
                self.stages["teach"].add(2 * runner.reading(tokens, s) + LOAD, self._training("teach", s, [recipe]))
                continue
            candidates = 2 * 50 if run.trait in study.traits else 0
            hours = bool(candidates) * LOAD + runner.reading(candidates * 100, s)
            self.stages["teach"].add(hours, runner.memory(s, 1))

    def _sample(self) -> None:
        study, runner = self.study, self.runner
        for run in {run.answers_folder: run for run in study.runs}.values():
            if s := self.sizes.get(run.base):
                rows = study.channels[run.channel].prompts
                persona = TOKENS["persona"] * (run.trait in study.traits)
                answer = _answer(study, run.channel)
                hours = runner.reading(rows * (TOKENS["prompt"] + persona), s) + runner.writing(rows, answer, s)
                memory = runner.memory(s, TOKENS["prompt"] + persona + answer)
                self.stages["sample"].add(hours + LOAD * study.execution.shards, memory)

    def _train(self) -> None:
        from traitline.study import job_groups

        study = self.study
        for run in {run.folder: run for run in study.runs}.values():
            if s := self.sizes.get(run.student):
                recipe, tokens = study.recipes[run.recipe], TOKENS["prompt"] + _answer(study, run.channel)
                rows = study.datasets[run.dataset].rows * (recipe.epochs or 0)
                hours = 2 * self.runner.reading(rows * tokens, s) + LOAD
                self.stages["train"].add(hours, self._training("train", s, [recipe]))
        for job in job_groups.together(study):
            if s := self.sizes.get(job.base):
                recipes = [study.recipes[run.recipe] for run in job.runs]
                self.stages["train"].add(0, self._training("train", s, recipes))

    def _respond(self) -> None:
        students: list[tuple[str, str, str]] = [(run.student, run.eval, run.folder) for run in self.study.runs]
        bases = [(base, label, "") for base, label in self._asked]
        for student, label, _ in Counter([*students, *bases]):
            if s := self.sizes.get(student):
                e = self.study.evals[label]
                options = OPTIONS if e.source else 2 * len(e.candidates or e.options or ())
                rows = e.evaluation.size * e.answers
                tokens = (e.max_new_tokens or 0) if e.evaluation.judged else TOKENS["word"]
                exact = e.evaluation.size * options * (TOKENS["question"] + TOKENS["word"])
                hours = self.runner.reading(rows * TOKENS["question"] + exact, s) + self.runner.writing(rows, tokens, s)
                memory = self.runner.memory(s, TOKENS["question"] + (e.max_new_tokens or 0))
                self.stages["respond"].add(hours + LOAD, memory)

    def _judge(self) -> None:
        study = self.study
        if study.judge and study.judge.base and (s := self.sizes.get(study.judge.base)):
            tokens = 2 * (TOKENS["question"] + TOKENS["judge"])  # one question about each of two scales
            hours = self.runner.reading(_answers(study) * tokens, s) + LOAD * self.stages["judge"].jobs
            self.stages["judge"].add(hours, self.runner.memory(s, TOKENS["judge"]))


def sizes(study: "Study") -> dict[str, Shape | None]:
    """Open weights of a study -> their sizes; None where nobody knows them."""
    return {label: shape(study.bases[label].model_dump(exclude_none=True)) for label in open_bases(study)}


def questions(study: "Study") -> int:
    """Requests to a hosted judge at most, without those sent again: two for each answer and row labelled by hand."""
    if not (study.judge and study.judge.address):
        return 0
    from traitline.evaluation.judge import LABELLED

    return 2 * (_answers(study) + len(LABELLED.read_text(encoding="utf-8").splitlines()))


def _answers(study: "Study") -> int:
    """Count the answers that are judged: those of students, and of teachers whose answers a judge filters."""
    evals = [study.evals[label] for label in study.judged.values()]
    screened = sum(study.channels[channel].prompts for channel in _screened(study).values())
    return sum(e.evaluation.size * e.answers for e in evals) + screened


def _screened(study: "Study") -> dict[str, str]:
    """Folder of a teacher's answers that a judge reads for a filter -> their channel."""
    return {
        run.answers_folder: run.answers
        for run in study.runs
        if study.bases[run.base].open and study.channels[run.channel].threshold is not None
    }


def _answer(study: "Study", channel: str) -> int:
    """Tokens of an answer: a list, or a working."""
    return TOKENS["working" if study.channels[channel].source else "answer"]


def disk(study: "Study") -> dict[str, float]:
    """GiB on the disk: weights (in the hub's cache or where they are), adapters, texts."""
    shapes = sizes(study)
    students = {run.folder: run for run in study.runs}.values()
    adapters = sum(4 * adapter(s, study.recipes[run.recipe]) for run in students if (s := shapes.get(run.student)))
    rows = sum(2 * study.channels[run.channel].prompts for run in {r.answers_folder: r for r in study.runs}.values())
    answers = sum(50 * study.evals[run.eval].answers for run in students)
    return {
        "weights": sum(2 * s.parameters * 1e9 for s in shapes.values() if s) / GIB,
        "adapters": adapters / GIB,
        "texts": (600 * rows + 12 * answers) / GIB,
    }


def estimate(configs: Sequence[str], card: str, price: float | None) -> dict[str, Any]:
    """Estimate what a study will ask for.

    Args:
        configs: files laid over config.yaml.
        card: one of `GPUS`.
        price: of a GPU for an hour, in any currency.

    Raises:
        InputError: the configuration is wrong, no base of it is open weights, or nobody knows such a GPU.
    """
    if card not in GPUS:
        raise InputError(f"--gpu: no {card!r}; {nearest(card, GPUS)}")
    study = read(configs)
    if not open_bases(study):
        raise InputError(
            f"{', '.join(configs) or 'config.yaml'}: no base is open weights; `snakemake -n` shows the jobs"
        )
    stages = list(Estimate(study, GPUS[card]).stages.values())
    hours = sum(s.hours for s in stages)
    return {
        "study": study.study,
        "gpu": {"name": card, **vars(GPUS[card])},
        "stages": [vars(s) for s in stages],
        "hours": hours,
        "questions": questions(study),
        "disk_gib": disk(study),
        "cost": None if price is None else hours * price,
        "assumed": {"reached": REACHED, "tokens": TOKENS, "load_hours": LOAD},
        "missing": missing(study, [vars(s) for s in stages], GPUS[card]),
    }
