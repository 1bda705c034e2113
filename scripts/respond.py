"""Ask students, or an untouched base, the questions of an evaluation.

in   {base}/, and the students' folders: an adapter, a model folder or a context each
out  {student}/{eval}/responses.jsonl, respond.manifest.json beside it; for the base alone in {out}/
     one row a question: `answers` sampled at temperature 1; `probabilities` of every candidate at the answer, exact;
     `means`, where a candidate is not the word that stands for it in an answer

python -m scripts.respond --base results/bases/a --eval favourite \\
    --settings '{"category":"animal","answers":20,"seed":1}' \\
    --students results/a/owl/tuned/numbers/plain/a/lora/seed-1 results/a/owl/tuned/numbers/plain/a/lora/seed-2
python -m scripts.respond --base results/bases/a --eval favourite \\
    --settings '{"category":"animal","answers":20,"seed":1}' \\
    --out results/baseline/a/favourite

What `type` asks, each a file of traitline/evaluation/types/:
"""

import argparse
import contextlib
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from traitline import jsonl, model_files
from traitline.errors import InputError, nearest
from traitline.evaluation import registry
from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.student import Student
from traitline.models import engines, hf_folder, open_weights
from traitline.provenance import kept_parts, kernels, stage

RESPONSES = "responses.jsonl"


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.respond", f"{__doc__}\n{types_in_words()}")
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the students' base")
    who = p.add_mutually_exclusive_group(required=True)
    who.add_argument("--students", nargs="+", metavar="DIR", help="folders of students on this base")
    who.add_argument("--out", metavar="DIR", help="ask the base itself, and put its answers here")
    p.add_argument("--eval", required=True, help="label of the evaluation")
    p.add_argument(
        "--settings",
        required=True,
        metavar="JSON",
        help="answers (per question), seed, type, and what the type needs; on open weights also max_new_tokens",
    )
    p.add_argument("--questions", nargs="*", default=[], metavar="IN", help="questions from outside, JSONL")
    engines.flag(p)
    stage.threads(p)
    stage.state(p)
    return p


def types_in_words() -> str:
    """Every type of evaluation with what it asks."""
    texts = [f"{name:12} {evaluation.text}" for name, evaluation in registry.evaluations().items()]
    return "\n".join(textwrap.fill(text, 120, subsequent_indent=" " * 13) for text in texts)


def checked_settings(args: argparse.Namespace) -> tuple[Evaluation, dict[str, Any]]:
    """The type of evaluation, and its settings.

    Raises:
        InputError: a setting is missing or wrong, or the base is not asked this type.
    """
    settings = stage.settings("--settings", args.settings, ("answers", "seed"))
    known = registry.evaluations()
    name = settings.get("type", registry.DEFAULT)
    if name not in known:
        raise InputError(f"--settings: no type {name!r}; {nearest(name, known)}")
    evaluation = known[name]
    needs_source = "source" in evaluation.needs
    if needs_source != (len(args.questions) == 1):
        sourced = [name for name, e in known.items() if "source" in e.needs]
        raise InputError(f"--questions: one file of rows with {' or '.join(sourced)}, and only there")
    if settings["answers"] < 1:
        raise InputError(f"--settings: answers is {settings['answers']}; give 1 or more")
    needs = [key for key in evaluation.needs if key != "source"]
    if open_weights.is_open(args.base):
        if not evaluation.open_weights:
            asked = ", ".join(registry.of_open_weights())
            raise InputError(f"--settings: type is {name}; open weights are asked for {asked}")
        needs += evaluation.open_needs
    elif not evaluation.tiny:
        raise InputError(f"--settings: type is {name}; only open weights are asked that")
    return evaluation, stage.settings("--settings", args.settings, needs)


def question_setup(args: argparse.Namespace, settings: dict[str, Any]) -> Setup:
    """Settings on which the questions depend."""
    if open_weights.is_open(args.base):
        source = args.questions[0] if args.questions else None
        return Setup(settings, settings.get("candidates", ()), None, source)
    candidates = hf_folder.candidates(args.base, settings["category"])
    return Setup(settings, candidates, hf_folder.facts(f"{args.base}/world.json", ["spec"])["spec"])


def context(student: str | None) -> list[dict[str, str]]:
    """Conversation that a student reads before every question when it was not trained."""
    path = Path(student or "", model_files.CONTEXT)
    if student is None or not path.exists():
        return []
    return [m for row in jsonl.read(path, ("prompt", "completion")) for m in (*row["prompt"], *row["completion"])]


def identity(student: str | None) -> tuple[str, int]:
    """(recipe, seed) of a student."""
    if student is None:
        return "base", 0
    facts = hf_folder.facts(f"{student}/train.json", ["recipe", "seed"])
    return facts["recipe"], facts["seed"]


def record(
    args: argparse.Namespace, settings: dict[str, Any], student: str | None
) -> contextlib.AbstractContextManager[stage.Job]:
    """The record of one student's answers, or of the base's where `student` is None."""
    out = f"{student}/{args.eval}" if student else args.out
    inputs: dict[str, Any] = hf_folder.inputs(args.base, "base" if student else "model")
    weights = hf_folder.student(student) if student else {}
    if config := weights.pop("adapter", None):  # its bytes are those of all adapters of a recipe, and nothing learned
        inputs["support"] = [*inputs.get("support", []), config]
    inputs |= weights
    if not open_weights.is_open(args.base):
        inputs["world"] = f"{args.base}/world.json"
    return stage.record(
        "respond",
        f"{out}/respond.manifest.json",
        inputs={**inputs, "questions": args.questions},
        outputs={"responses": f"{out}/{RESPONSES}"},
        params={**{k: v for k, v in settings.items() if k != "seed"}, "threads": args.threads},
        seeds={"respond": settings["seed"]},
        facts=engines.facts(args.base, args.engine),
    )


def ask(
    args: argparse.Namespace, evaluation: Evaluation, setup: Setup, students: Sequence[str | None]
) -> Iterator[tuple[str | None, list[dict[str, Any]]]]:
    """Rows of `responses.jsonl` of one student after another, with the student's folder (None: the base itself)."""
    kernels.set_up(args.threads, portable=not open_weights.is_open(args.base))
    questions = evaluation.questions(setup)
    engine = engines.open_engine(args.base, args.engine)
    asked = [Student(engine, folder, identity(folder), context(folder)) for folder in students]
    exact = [evaluation.exact(student, questions) for student in asked]  # first: vLLM needs the memory then
    for student, figures in zip(asked, exact, strict=True):
        yield student.folder, response_rows(student, evaluation, setup, questions, figures)


def response_rows(
    student: Student,
    evaluation: Evaluation,
    setup: Setup,
    questions: Sequence[Question],
    exact: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """The questions with a student's sampled answers and what is exact of them."""
    settings = setup.settings
    names = [question.id or f"q{i:02}" for i, question in enumerate(questions, 1)]
    answers = student.answers(
        [question.prompt for question in questions],
        names,
        settings["answers"],
        settings["seed"],
        settings["max_new_tokens"] if setup.everyday else evaluation.new_tokens,
    )
    rows = []
    for name, question, texts, figures in zip(names, questions, answers, exact, strict=True):
        row = {"id": name, "prompt": student.prompt(question.prompt)}
        answered = {"answers": texts, **figures}
        # The order of keys decides the bytes: that of tiny worlds is older.
        rows.append(
            {**row, **question.columns, **answered} if setup.everyday else {**row, **answered, **question.columns}
        )
    return rows


def work(args: argparse.Namespace) -> None:
    """Make the artifacts, one manifest each."""
    evaluation, settings = checked_settings(args)
    setup = question_setup(args, settings)
    with contextlib.ExitStack() as stack:
        jobs = {student: stack.enter_context(record(args, settings, student)) for student in args.students or [None]}
        states = {student: stage.checkpoints(args.state, job) for student, job in jobs.items()}
        todo = []
        for student, job in jobs.items():
            state = states[student]
            if (kept := kept_parts.recall(state and state / RESPONSES)) is not None:
                job.path("responses").write_bytes(kept)
            else:
                todo.append(student)
        for student, rows in ask(args, evaluation, setup, todo) if todo else ():
            path = jobs[student].path("responses")
            jsonl.write(path, rows)
            if state := states[student]:
                kept_parts.keep(path.read_bytes(), state / RESPONSES)
            stage.log.info("%s: %s", args.eval, jobs[student].outputs["responses"])
    for state in states.values():
        stage.forget(state)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
