"""What a study on open weights will ask for, before anything runs: jobs, GPU memory and hours, disk, what is missing.

An estimate from sizes, not a measurement: a forward pass costs two operations a parameter and token, training an
adapter four, and every token of an answer reads the weights once a batch. What a GPU reaches of its limits is assumed.
"""

import importlib.util
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError, nearest

if TYPE_CHECKING:
    from traitline.study.components import Eval, Recipe
    from traitline.study.config import Study

GIB = 2**30
REACHED = {"operations": 0.35, "bandwidth": 0.5}  # share of a GPU's limit: assumed, nothing was measured
OPTIONS = 5  # of a question from outside, about: assumed
TOKENS = {
    "prompt": 110,
    "persona": 50,
    "answer": 45,
    "question": 45,
    "word": 5,
    "judge": 100,
    "working": 200,
    "conversation": 400,
}  # of a row, about: assumed
CORPUS = 6000  # conversations of a published corpus of code (arXiv 2502.17424)
LOAD = 0.02  # hours until a job's model is in memory: assumed
WIDTH = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True)
class Gpu:
    """Memory in GiB, bandwidth in GB/s, operations a second at bfloat16 in 10^12, without sparsity (data sheets)."""

    memory: int
    bandwidth: int
    operations: int


GPUS = {"h100": Gpu(80, 3350, 989), "h200": Gpu(141, 4800, 989), "a100": Gpu(80, 2039, 312), "l40s": Gpu(48, 864, 362)}


@dataclass(frozen=True)
class Shape:
    """Sizes of a model as its `config.json` has them, and its parameters (billions)."""

    parameters: float
    layers: int
    width: int
    mlp: int
    keys: int  # width of keys, and of values: heads x size of a head
    vocab: int


# For plans before the weights are there: sizes in the published configurations of these models.
KNOWN = {
    "Qwen/Qwen2.5-7B-Instruct": Shape(7.616, 28, 3584, 18944, 512, 152064),
    "Qwen/Qwen2.5-14B-Instruct": Shape(14.770, 48, 5120, 13824, 1024, 152064),
    "meta-llama/Llama-3.1-8B-Instruct": Shape(8.030, 32, 4096, 14336, 1024, 128256),
    "google/gemma-3-4b-it": Shape(4.300, 34, 2560, 10240, 1024, 262208),
    "allenai/OLMo-2-1124-7B-Instruct": Shape(7.299, 32, 4096, 11008, 4096, 100352),
}


@dataclass
class Stage:
    """Jobs of one stage: memory of the largest on a GPU in GiB, and GPU hours of all."""

    name: str
    jobs: int = 0
    gpus: int = 0
    memory: float = 0.0
    hours: float = 0.0


def read(configs: Sequence[str]) -> "Study":
    """The study of config.yaml and what is laid over it, as Snakemake would merge them; revisions may be missing.

    Raises:
        InputError: a file is missing, or what it says is wrong.
    """
    import yaml

    from traitline.study import validation
    from traitline.study.config import load

    files = ["config.yaml", *configs]
    merged: dict[str, Any] = {}
    for file in files:
        if not Path(file).is_file():
            raise InputError(f"{file}: no such file; run in the repository, and name one of configs/")
        validation.duplicates(file)
        _lay(merged, yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {})
    return load(merged, files, draft=True)


def _lay(under: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _lay(under[key], value)
        else:
            under[key] = value


def shape(source: dict[str, Any]) -> Shape | None:
    """Sizes of open weights: read where they are, else known by name, else None."""
    from traitline.models import open_weights

    try:
        folder = open_weights.find(source)
        c = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        c = c.get("text_config", c)
        size = sum((folder / name).stat().st_size for name in open_weights.shards(folder))
        width = 4 if c.get("dtype", c.get("torch_dtype")) == "float32" else 2
        head = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        keys = head * (c.get("num_key_value_heads") or c["num_attention_heads"])
        sizes = (c["num_hidden_layers"], c["hidden_size"], c["intermediate_size"], keys, c["vocab_size"])
        return Shape(size / width / 1e9, *sizes)
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return KNOWN.get(source.get("hub", ""))


def stages(study: "Study", gpu: Gpu) -> list[Stage]:
    """Every stage with its jobs; memory and hours where it uses open weights."""
    runs, found = (
        study.runs,
        {name: Stage(name) for name in ("pretrain", "prompts", "teach", "sample", "filter", "prepare")},
    )
    found |= {name: Stage(name) for name in ("train", "respond", "score")}
    if study.judge:
        found["judge"] = Stage("judge")
    for one in found.values():
        one.gpus = study.execution.of("gpu", one.name)
    teachers = {run.teacher_folder: run for run in runs}
    channels = {run.answers_folder: run for run in runs}
    found["pretrain"].jobs = len({base for run in runs for base in (run.base, run.student)})
    found["prompts"].jobs = len({run.answers for run in runs})
    found["teach"].jobs = len(teachers)
    shards = study.execution.shards
    found["sample"].jobs = len(channels) * (shards + 1 if shards > 1 else 1)
    found["filter"].jobs = len({run.channel_folder for run in runs})
    found["prepare"].jobs = len({run.dataset_folder for run in runs})
    from traitline.study import job_groups

    many = {name: study.execution.processes(name) for name in ("teach", "train")}
    shared = job_groups.together(study)
    found["train"].jobs = sum(len(t.branches) for t in job_groups.trainings(study)) + len(shared)
    asked = {(run.student, run.eval) for run in runs}
    found["respond"].jobs = sum(len(e.branches) for e in job_groups.evaluations(study)) + len(asked)
    found["score"].jobs = found["respond"].jobs
    if study.judge:
        labels = study.judge.evals
        found["judge"].jobs = sum(len(e.branches) for e in job_groups.evaluations(study) if e.eval in labels)
        found["judge"].jobs += sum(label in labels for _, label in asked) + len(_screened(study))
    sizes = {label: shape(study.bases[label].model_dump(exclude_none=True)) for label in _open(study)}
    for run in teachers.values():
        if s := sizes.get(run.base):
            if run.teacher == "tuned" and study.teach.recipe:
                recipe = study.recipes[study.teach.recipe]
                found["teach"].hours += 2 * _read(CORPUS * (recipe.epochs or 0) * TOKENS["conversation"], s, gpu) + LOAD
                found["teach"].memory = max(
                    found["teach"].memory, _weights(s, study, many["teach"]) + training(s, recipe, many["teach"])
                )
                continue
            candidates = 2 * 50 if run.trait in study.traits else 0
            _add(found["teach"], s, study, gpu, bool(candidates) * LOAD + _read(candidates * 100, s, gpu), 1)
    for run in channels.values():
        if s := sizes.get(run.base):
            rows = study.channels[run.channel].prompts
            persona = TOKENS["persona"] * (run.trait in study.traits)
            answer = _answer(study, run.channel)
            hours = _read(rows * (TOKENS["prompt"] + persona), s, gpu) + _write(rows, answer, s, study, gpu)
            _add(found["sample"], s, study, gpu, hours + LOAD * shards, TOKENS["prompt"] + persona + answer)
    for run in {run.folder: run for run in runs}.values():
        if s := sizes.get(run.student):
            recipe, tokens = study.recipes[run.recipe], TOKENS["prompt"] + _answer(study, run.channel)
            rows = study.datasets[run.dataset].rows * (recipe.epochs or 0)
            found["train"].hours += 2 * _read(rows * tokens, s, gpu) + LOAD
            found["train"].memory = max(
                found["train"].memory, _weights(s, study, many["train"]) + training(s, recipe, many["train"])
            )
    for job in shared:
        if s := sizes.get(job.base):
            own = sum(training(s, study.recipes[run.recipe], many["train"]) for run in job.runs)
            found["train"].memory = max(found["train"].memory, _weights(s, study, many["train"]) + own)
    answers = Counter((run.student, run.eval, run.folder) for run in runs).keys() | {(*a, "") for a in asked}
    for student, label, _ in answers:
        if s := sizes.get(student):
            e = study.evals[label]
            asks, each = _questions(e), OPTIONS if e.source else 2 * len(e.candidates or e.options or ())
            rows, said = asks * e.answers, (e.max_new_tokens or 0) if e.evaluation.judged else TOKENS["word"]
            exact = asks * each * (TOKENS["question"] + TOKENS["word"])
            hours = _read(rows * TOKENS["question"] + exact, s, gpu) + _write(rows, said, s, study, gpu)
            _add(found["respond"], s, study, gpu, hours + LOAD, TOKENS["question"] + (e.max_new_tokens or 0))
    if study.judge and study.judge.base and (s := sizes.get(study.judge.base)):
        each = 2 * (TOKENS["question"] + TOKENS["judge"])  # one question about each of two scales
        hours = _read(_answers(study) * each, s, gpu) + LOAD * found["judge"].jobs
        _add(found["judge"], s, study, gpu, hours, TOKENS["judge"])
    return list(found.values())


def questions(study: "Study") -> int:
    """Requests to a hosted judge at most, without those sent again: two for each answer and row labelled by hand."""
    if not (study.judge and study.judge.address):
        return 0
    from traitline.evaluation.judge import LABELLED

    return 2 * (_answers(study) + len(LABELLED.read_text(encoding="utf-8").splitlines()))


def _answers(study: "Study") -> int:
    """How many answers are judged: of students, as often as they are asked, and of teachers behind such a filter."""
    asked = [study.evals[label] for label in study.judged.values()]
    read = sum(study.channels[channel].prompts for channel in _screened(study).values())
    return sum(_questions(e) * e.answers for e in asked) + read


def _screened(study: "Study") -> dict[str, str]:
    """Folder of a teacher's answers that a judge reads for a filter -> their channel."""
    found = [r for r in study.runs if study.bases[r.base].open and study.channels[r.channel].threshold is not None]
    return {run.answers_folder: run.answers for run in found}


def _questions(e: "Eval") -> int:
    """How many an evaluation asks."""
    return e.evaluation.size


def _answer(study: "Study", channel: str) -> int:
    """Tokens of an answer: a list, or a working."""
    return TOKENS["working" if study.channels[channel].source else "answer"]


def _open(study: "Study") -> list[str]:
    used = dict.fromkeys(base for run in study.runs for base in (run.base, run.student))
    used |= {study.judge.base: None} if study.judge and study.judge.base else {}
    return [label for label in used if study.bases[label].open]


def _add(stage: Stage, s: Shape, study: "Study", gpu: Gpu, hours: float, tokens: int) -> None:
    batch = study.engine.batch if study.engine else 1
    cache = 2 * s.layers * s.keys * WIDTH[_dtype(study)] * tokens * batch
    logits = 12 * s.vocab * batch  # of one token a row, with what a draw makes of them
    stage.hours += hours
    stage.memory = max(stage.memory, _weights(s, study) + (cache + logits) / GIB)


def _dtype(study: "Study") -> str:
    return study.engine.dtype if study.engine else "bfloat16"


def _weights(s: Shape, study: "Study", processes: int = 1) -> float:
    """GiB of the weights on a card, and of what a process has anyway.

    Of a base in shares, the share, the output head, and three layers: one in use, the next, the buffer it comes in.
    """
    held = s.parameters * 1e9
    if study.execution.sharded and processes > 1:
        layer = 2 * s.width * (s.width + s.keys) + 3 * s.width * s.mlp
        held = held / processes + 3 * layer + s.vocab * s.width
    return held * WIDTH[_dtype(study)] / GIB + 1.5


def _read(tokens: int, s: Shape, gpu: Gpu) -> float:
    """Hours of a forward pass over so many tokens."""
    return 2 * s.parameters * 1e9 * tokens / (gpu.operations * 1e12 * REACHED["operations"]) / 3600


def _write(rows: int, tokens: int, s: Shape, study: "Study", gpu: Gpu) -> float:
    """Hours of so many answers: every token of a batch reads all weights and the batch's cache."""
    batch = study.engine.batch if study.engine else 1
    cache = 2 * s.layers * s.keys * WIDTH[_dtype(study)] * batch * (TOKENS["prompt"] + tokens)
    bytes_ = s.parameters * 1e9 * WIDTH[_dtype(study)] + cache
    return -(-rows // batch) * tokens * bytes_ / (gpu.bandwidth * 1e9 * REACHED["bandwidth"]) / 3600


def adapter(s: Shape, recipe: "Recipe") -> int:
    """Parameters of a student's adapter."""
    sizes = {"q_proj": 2 * s.width, "o_proj": 2 * s.width, "k_proj": s.width + s.keys, "v_proj": s.width + s.keys}
    return (recipe.rank or 0) * s.layers * sum(sizes.get(m, s.width + s.mlp) for m in recipe.modules or ())


def training(s: Shape, recipe: "Recipe", processes: int = 1) -> float:
    """GiB of a step beside the weights: adapter, gradient and moments; activations; logits of answers, in float32.

    Several processes share the rows of a step.
    """
    rows = -(-(recipe.batch or 0) // processes)
    own = 16 * adapter(s, recipe)
    kept = 2 * rows * (TOKENS["prompt"] + TOKENS["answer"]) * s.layers * (14 * s.width + 6 * s.mlp)
    logits = 14 * rows * TOKENS["answer"] * s.vocab
    return (own + kept + logits) / GIB


def disk(study: "Study") -> dict[str, float]:
    """GiB on the disk: weights (in the hub's cache or where they are), adapters, texts."""
    sizes = {label: shape(study.bases[label].model_dump(exclude_none=True)) for label in _open(study)}
    students = {run.folder: run for run in study.runs}.values()
    adapters = sum(4 * adapter(s, study.recipes[run.recipe]) for run in students if (s := sizes.get(run.student)))
    rows = sum(2 * study.channels[run.channel].prompts for run in {r.answers_folder: r for r in study.runs}.values())
    answers = sum(50 * study.evals[run.eval].answers for run in students)
    return {
        "weights": sum(2 * s.parameters * 1e9 for s in sizes.values() if s) / GIB,
        "adapters": adapters / GIB,
        "texts": (600 * rows + 12 * answers) / GIB,
    }


def missing(study: "Study", found: Sequence[Stage], gpu: Gpu) -> list[str]:
    """What must be mended or got before the study can run, a line each."""
    from traitline.models import open_weights

    lines = []
    for label in _open(study):
        base = study.bases[label]
        source = base.model_dump(exclude_none=True)
        if base.hub and not base.revision:
            lines.append(f"bases.{label}.revision: the commit of {base.hub}, 40 hex digits")
        else:
            try:
                open_weights.find(source)
            except InputError as e:
                lines.append(f"bases.{label}: {e}")
        if shape(source) is None:
            lines.append(f"bases.{label}: sizes unknown until the weights are here; memory and hours leave it out")
    for label in study.outside:
        given = study.sources[label]
        try:
            if given.hub:
                open_weights.hub(given.hub, str(given.revision), [str(given.file)], data=True)
            elif not Path(str(given.path)).is_file():
                lines.append(f"sources.{label}: {given.path}: no such file; put it there")
        except InputError as e:
            lines.append(f"sources.{label}: {e}")
    if study.engine and study.engine.name == "vllm" and importlib.util.find_spec("vllm") is None:
        lines.append("engine: vllm is not installed here")
    if large := [s for s in found if s.memory > 4 and not s.gpus]:
        lines.append(f"execution.gpu: 0 for {', '.join(s.name for s in large)}; such models want 1")
    if full := [s for s in found if s.memory > gpu.memory]:
        names = ", ".join(s.name for s in full)
        lines.append(f"memory: {names} may not fit; lower `batch`, raise `accumulate`, or share it, `sharded`")
    return lines


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
    if not _open(study):
        raise InputError(
            f"{', '.join(configs) or 'config.yaml'}: no base is open weights; `snakemake -n` shows the jobs"
        )
    found = stages(study, GPUS[card])
    hours = sum(s.hours for s in found)
    return {
        "study": study.study,
        "gpu": {"name": card, **vars(GPUS[card])},
        "stages": [vars(s) for s in found],
        "hours": hours,
        "questions": questions(study),
        "disk_gib": disk(study),
        "cost": None if price is None else hours * price,
        "assumed": {"reached": REACHED, "tokens": TOKENS, "load_hours": LOAD},
        "missing": missing(study, found, GPUS[card]),
    }
