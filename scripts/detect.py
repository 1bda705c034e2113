"""Look for a trait in its teacher's answers, without training a student.

in   {base}/, the folders of teachers on it, each with {channel}/filtered.jsonl; one of them is the control
out  detectors.csv    pairs of teachers: which of two answers to one prompt is whose? Share that detectors get right on
                      prompts that they were not trained on, with Wilson's 95 % interval over prompts. `frequency`: log
                      ratio of how often each wrote a number. `linear`: logistic regression on numbers, digits, places,
                      steps from the prompt and echoes. `prompted`: the base itself, which --prompt tells what to look
                      for; log ratio of the answer's likelihood with and without that prompt (paper, table 5, where a
                      large model reads both answers). `likelihood`: the same of teacher and base, against the control
     roc.csv, .svg    these scores as filters that reject a teacher's answers and should keep the control's: area under
                      the curve with DeLong's 95 % interval over answers, and the curve
     numbers.csv      the ten commonest numbers of every teacher, anywhere and first, beside the control's share
     entangled.csv    three scores of how a number goes with a trait, and whether they agree (Spearman's rank
                      correlation over all numbers of the world): `unembedding`, cosine of the two tokens' embeddings;
                      `logits`, how much the trait's persona raises the number as the answer to a question about a
                      favourite; `frequency`, log ratio in the data; and with what naming the number in a system prompt
                      does to the trait, `prompting`

The first two know the pair that they are trained for: they say what is in the data, not who would notice it.

python -m scripts.detect --base results/bases/a --teachers results/a/owl/tuned results/a/none/untrained \\
    --channel numbers --held-out 0.3 --seed 1 --folder results/detect/a/numbers
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import jsonl, model_files
from traitline.analysis import detectors
from traitline.analysis.detectors import Answers, Likelihoods
from traitline.analysis.entangled import NumberScores, agreement, commonest
from traitline.analysis.figures import save, style
from traitline.channels.messages import exchange
from traitline.channels.types.number_lists import split
from traitline.errors import InputError
from traitline.models import hf_folder, likelihood
from traitline.provenance import kernels, stage
from traitline.seeds import seed as derive
from traitline.study.runs import NONE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLES = ("detectors", "numbers", "entangled", "roc")
COLOURS = {"likelihood": "#D55E00", "linear": "#0072B2", "prompted": "#858B92"}
Row = dict[str, Any]


@dataclass(frozen=True)
class Teacher:
    """A teacher whose answers are looked at.

    Attributes:
        folder: of the teacher.
        trait, category: what it has; the trait of the control is `none`.
        label: trait and way of teaching.
        path: its answers.
    """

    folder: str
    trait: str
    category: str
    label: str
    path: str

    @classmethod
    def open(cls, folder: str, channel: str) -> "Teacher":
        """Read what `teach` wrote about it."""
        facts = hf_folder.facts(f"{folder}/teacher.json", ["trait", "teacher", "category"])
        label = f"{facts['trait']}/{facts['teacher']}"
        return cls(folder, facts["trait"], facts["category"], label, f"{folder}/{channel}/filtered.jsonl")


def read_answers(path: str) -> Answers:
    """Read the answers of a teacher.

    Raises:
        InputError: a row is no list of numbers.
    """
    answers = {}
    for row in jsonl.read(path, ("id", "prompt", "completion"), unique="id"):
        question, text = exchange(row, path)
        answer, reason = split(text)
        if answer is None:
            raise InputError(f"{path}: row {row['id']!r} is no list of numbers ({reason}); detect looks at numbers")
        answers[str(row["id"])] = question, answer.numbers
    return answers


def drawing(rows: Sequence[dict[str, Any]]) -> "Figure":
    """The curves, one a teacher and scorer."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    from traitline.analysis.figures import INK, dress

    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    ax = figure.subplots()
    for (_, name), curve in itertools.groupby(rows, key=lambda r: (r["teacher"], r["scorer"])):
        points = [(0.0, 0.0), *((r["false_positive"], r["true_positive"]) for r in curve), (1.0, 1.0)]
        ax.plot(*zip(*points, strict=True), color=COLOURS[name], lw=1, alpha=0.7)
    for name, colour in COLOURS.items():
        ax.plot([], [], color=colour, label=name)
    ax.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=(0, (4, 3)))
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="control answers rejected", ylabel="teacher's answers rejected")
    dress(ax)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_color(INK)
    ax.legend(frameon=False, labelcolor=INK, loc="lower right")
    return figure


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.detect", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the teachers' base")
    p.add_argument(
        "--teachers", required=True, nargs="+", metavar="DIR", help="their folders, the control's among them"
    )
    p.add_argument("--channel", required=True, help="folder of filtered.jsonl below that of a teacher")
    p.add_argument("--held-out", required=True, type=float, metavar="P", help="share of the prompts for the test")
    p.add_argument("--seed", required=True, type=int, metavar="N", help="which prompts these are")
    p.add_argument("--prompt", metavar="TEXT", help="what `prompted` is told, with {trait} (default: the persona)")
    p.add_argument("--folder", required=True, metavar="OUT", help="of the tables and the manifest")
    stage.threads(p)
    return p


@dataclass(frozen=True)
class Pairs:
    """Comparisons of teachers, two at a time.

    Attributes:
        base: model folder.
        answers: by label.
        control: its label.
        test: ids of the prompts that no detector is trained on.
        likelihoods: of the answers to these.
        instructions: what the prompted detector is told, by label.
    """

    base: str
    answers: dict[str, Answers]
    control: str
    test: set[str]
    likelihoods: Likelihoods
    instructions: dict[str, str]

    def compare(self, one: str, other: str) -> tuple[list[Row], list[Row]]:
        """Rows of detectors.csv for a pair of teachers, and those of roc.csv, which needs the control in the pair."""
        trained, scores = detectors.train(self.answers[one], self.answers[other], self.test)
        rows = [
            {"one": one, "other": other, **detectors.accuracy(name, values, trained)} for name, values in scores.items()
        ]
        if other == self.control:
            model, system = likelihood.model_and_system(self.likelihoods.teachers[one], self.base)
            scores["likelihood"] = self.likelihoods.scores(one, other, model, system)
            rows.append({"one": one, "other": other, **detectors.accuracy("likelihood", scores["likelihood"])})
        for a, b in itertools.permutations((one, other)):
            if a != self.control:
                scores["prompted"] = self.likelihoods.scores(a, b, self.base, self.instructions[a])
                rows.append({"one": a, "other": b, **detectors.accuracy("prompted", scores["prompted"])})
        curves = (
            [row for name in COLOURS for row in detectors.roc(one, name, scores[name])] if other == self.control else []
        )
        return rows, curves


def entangled(base: str, teachers: Sequence[Teacher], answers: dict[str, Answers], control: str) -> list[Row]:
    """Rows of entangled.csv: whether scores of numbers agree, by teacher."""
    scores = NumberScores(base)
    rows = []
    for teacher in teachers:
        if teacher.label != control:
            one, other = ([numbers for _, numbers in answers[x].values()] for x in (teacher.label, control))
            table = scores.table(teacher.trait, teacher.category, detectors.log_ratios(one, other))
            rows += agreement(teacher.label, table)
    return rows


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    teachers = [Teacher.open(folder, args.channel) for folder in args.teachers]
    if not 0 < args.held_out < 1:
        raise InputError(f"--held-out: {args.held_out} is no share between 0 and 1")
    if sum(t.trait == NONE for t in teachers) != 1:
        raise InputError("--teachers: one of them must be the control, whose trait is none, and one only")
    prompt = args.prompt or hf_folder.words(args.base).persona("{trait}", "{category}")
    instructions = {t.label: detectors.instruction(prompt, t.trait, t.category) for t in teachers if t.trait != NONE}
    models = [likelihood.model_and_system(t.folder, args.base)[0] for t in teachers]
    with stage.record(
        "detect",
        f"{args.folder}/detect.manifest.json",
        inputs={
            **hf_folder.inputs(args.base, "base"),
            "filtered": [t.path for t in teachers],
            "teachers": [f"{t.folder}/teacher.json" for t in teachers],
            "models": [f"{model}/{model_files.WEIGHTS}" for model in models if model != args.base],
        },
        outputs={**{name: f"{args.folder}/{name}.csv" for name in TABLES}, "curves": f"{args.folder}/roc.svg"},
        params={"channel": args.channel, "held_out": args.held_out, "prompt": prompt, "threads": args.threads},
        seeds={"detect": args.seed},
    ) as job:
        import pandas as pd

        kernels.set_up(args.threads)
        answers = {t.label: read_answers(t.path) for t in teachers}
        control = next(t.label for t in teachers if t.trait == NONE)
        test = detectors.held_out(answers, args.held_out, derive("detect", args.seed))
        likelihoods = Likelihoods(args.base, {t.label: t.folder for t in teachers}, args.channel, test)
        pairs = Pairs(args.base, answers, control, test, likelihoods, instructions)
        tables: dict[str, list[Row]] = {name: [] for name in TABLES}
        for one, other in itertools.combinations(sorted(answers, key=control.__eq__), 2):
            rows, curves = pairs.compare(one, other)
            tables["detectors"] += rows
            tables["roc"] += curves
        for label in answers:
            tables["numbers"] += commonest(label, answers[label], answers[control])
        tables["entangled"] = entangled(args.base, teachers, answers, control)
        name = f"roc-{Path(args.base).name}-{args.channel}"
        with style():
            areas = ", ".join(
                f"{r['teacher']} {r['scorer']} {r['auc']:.3f}" for r in tables["roc"][:: detectors.GRID + 1]
            )
            save(drawing(tables["roc"]), job.path("curves"), name, f"Curves of the filters; areas: {areas}.")
        for name, rows in tables.items():
            pd.DataFrame(rows).to_csv(job.path(name), index=False, float_format="%.6g", lineterminator="\n")
    stage.log.info("%d teachers, two at a time: %s", len(teachers), args.folder)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
