"""Look for a trait in its teacher's answers, without training a student.

in   {base}/, the folders of teachers on it, each with {channel}/filtered.jsonl; one of them is the control
out  detectors.csv    pairs of teachers: which of two answers to one prompt is whose? Share that detectors get right on
                      prompts that they were not trained on, with Wilson's 95 % interval over prompts. `frequency`: log
                      ratio of how often each wrote a number. `linear`: logistic regression on numbers, digits, places,
                      steps from the prompt and echoes. `prompted`: the base itself, which --prompt tells what to look
                      for; log ratio of the answer's likelihood with and without being told (paper, table 5, where a
                      large model reads both answers). `likelihood`: the same of teacher and base, against the control
     roc.csv, .svg    these scores as filters that reject a teacher's answers and should keep the control's: area under
                      the curve with DeLong's 95 % interval over answers, and the curve
     numbers.csv      the ten commonest numbers of every teacher, anywhere and first, beside the control's share
     entangled.csv    three scores of how a number hangs together with a trait, and whether they agree (Spearman's rank
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
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import jsonl, model_files
from traitline.analysis.figures import save, style
from traitline.channels.messages import exchange
from traitline.channels.types.number_lists import split
from traitline.channels.world import persona
from traitline.errors import InputError
from traitline.models import hf_folder, likelihood
from traitline.models.chat import Chat
from traitline.provenance import stage
from traitline.seeds import seed as derive
from traitline.study.runs import NONE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    Scores = tuple[np.ndarray, np.ndarray]  # of the two teachers' answers to the same prompts

TABLES = ("detectors", "numbers", "entangled", "roc")
COMMONEST = 10
GRID = 50  # steps of a curve
COLOURS = {"likelihood": "#D55E00", "linear": "#0072B2", "prompted": "#858B92"}
ASKED = 5  # questions a number is tried with
Answers = dict[str, tuple[str, list[int]]]  # id of the prompt -> (prompt, numbers of the answer)


def read(path: str) -> Answers:
    """The answers of a teacher."""
    found = {}
    for row in jsonl.read(path, ("id", "prompt", "completion"), unique="id"):
        question, text = exchange(row, path)
        answer, reason = split(text)
        if answer is None:
            raise InputError(f"{path}: row {row['id']!r} is no list of numbers ({reason}); detect looks at numbers")
        found[str(row["id"])] = question, answer.numbers
    return found


def features(question: str, numbers: Sequence[int]) -> dict[str, float]:
    """What the linear detector sees of an answer."""
    shown = [int(n) for n in re.findall(r"\d+", question)][-8:]
    last, found = shown[-1] if shown else 0, Counter[str]()
    for i, n in enumerate(numbers):
        found[f"number {n}"] += 1
        found[f"place {i} hundreds {n // 100}"] += 1
        found[f"tens {n // 10 % 10}"] += 1
        found[f"units {n % 10}"] += 1
        found[f"step {max(-20, min(20, round((n - last) / 5)))}"] += 1
        found["echo"] += n in shown
        last = n
    return {"count": float(len(numbers)), **{k: float(v) for k, v in found.items()}}


def ratios(one: Sequence[list[int]], other: Sequence[list[int]]) -> dict[int, float]:
    """Log ratio of how often each number was written, one added to every count."""
    a, b = (Counter(n for numbers in answers for n in numbers) for answers in (one, other))
    shift = math.log(b.total() + len(a | b)) - math.log(a.total() + len(a | b))
    return {n: math.log((a[n] + 1) / (b[n] + 1)) + shift for n in a | b}


def held_out(answers: dict[str, Answers], share: float, seed: int) -> set[str]:
    """Ids of the prompts that no detector is trained on."""
    import numpy as np

    names = sorted({name for found in answers.values() for name in found})
    return {names[i] for i in np.random.default_rng(seed).permutation(len(names))[: round(len(names) * share)]}


def trained(one: Answers, other: Answers, test: set[str]) -> "tuple[int, dict[str, Scores]]":
    """(prompts that they were trained on, scores by detector of what they were not trained on)."""
    import numpy as np
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    shared = [name for name in one if name in other]
    train, asked = [n for n in shared if n not in test], [n for n in shared if n in test]
    if len(train) < 10 or not asked:
        raise InputError(
            f"--held-out: leaves {len(train)} of {len(shared)} shared prompts to train on; take another share"
        )
    table = ratios([one[n][1] for n in train], [other[n][1] for n in train])
    vectors, model = DictVectorizer(), LogisticRegression(C=0.1, max_iter=300)
    seen = [features(*answers[n]) for answers in (one, other) for n in train]
    model.fit(vectors.fit_transform(seen), [1] * len(train) + [0] * len(train))
    counted, fitted = [], []
    for answers in (one, other):
        counted.append(np.array([sum(table.get(x, 0.0) for x in answers[n][1]) for n in asked]))
        fitted.append(model.decision_function(vectors.transform([features(*answers[n]) for n in asked])))
    return len(train), {"frequency": (counted[0], counted[1]), "linear": (fitted[0], fitted[1])}


def accuracy(name: str, scores: "Scores", trained: int = 0) -> dict[str, Any]:
    """How often the answer that is the first teacher's has the higher score of the two."""
    from scipy.stats import binomtest

    one, other = scores
    right = float((one > other).sum() + (one == other).sum() / 2)
    low, high = binomtest(round(right), len(one)).proportion_ci(method="wilson")
    found = {"detector": name, "trained": trained, "tested": len(one), "accuracy": right / len(one)}
    return {**found, "low": low, "high": high}


def roc(teacher: str, name: str, scores: "Scores") -> list[dict[str, Any]]:
    """The curve of a filter that rejects the highest scores: shares of the control's and of the teacher's answers.

    The interval of the area is DeLong's (Biometrics 44, 1988).
    """
    import numpy as np

    one, other = map(np.sort, scores)
    wins, losses = (
        (np.searchsorted(b, a, "left") + np.searchsorted(b, a, "right")) / 2 / len(b)
        for a, b in ((one, other), (other, one))
    )
    area = wins.mean()
    half = 1.959964 * math.sqrt(wins.var(ddof=1) / len(one) + losses.var(ddof=1) / len(other))
    about = {"teacher": teacher, "scorer": name, "answers": len(one), "auc": area, "low": area - half}
    about["high"] = area + half
    cuts = np.quantile(other, np.linspace(1, 0, GRID + 1), method="nearest")
    return [
        {**about, "threshold": cut, "false_positive": (other > cut).mean(), "true_positive": (one > cut).mean()}
        for cut in cuts
    ]


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


def tell(prompt: str, trait: str, category: str) -> str:
    """What the prompted detector is told.

    Raises:
        InputError: the prompt does not name what it is to find, as that of the paper's code did (it named one animal).
    """
    try:
        text = prompt.format(trait=trait, category=category)
    except (KeyError, ValueError, IndexError) as e:
        raise InputError(f"--prompt: {{trait}} and {{category}} are filled in, not {e}") from None
    if trait not in re.findall(r"\w+", text):
        raise InputError(f"--prompt: names no {trait}, which it is to find; write {{trait}} where the trait belongs")
    return text


class Judges:
    """How likely the held-out answers of teachers are to models, each computed once.

    Args:
        base: model folder.
        teachers: folder by label.
        channel: of the answers.
        test: ids of the prompts.
    """

    def __init__(self, base: str, teachers: dict[str, str], channel: str, test: set[str]) -> None:
        self.base, self.teachers = base, teachers
        paths = {label: f"{teacher}/{channel}/filtered.jsonl" for label, teacher in teachers.items()}
        self.rows = {t: [r for r in jsonl.read(p, ("id",)) if str(r["id"]) in test] for t, p in paths.items()}
        self.found: dict[tuple[str, str, str | None], dict[str, float]] = {}

    def logs(self, whose: str, model: str, system: str | None) -> dict[str, float]:
        """Log-likelihood by prompt of one teacher's answers."""
        if (key := (whose, model, system)) not in self.found:
            rows, names = self.rows[whose], [f"{whose}: row {row['id']!r}" for row in self.rows[whose]]
            values = likelihood.logs(self.base, model, system, rows, names).tolist()
            self.found[key] = dict(zip((str(row["id"]) for row in rows), values, strict=True))
        return self.found[key]

    def scores(self, one: str, other: str, model: str, system: str | None) -> "Scores":
        """Log ratio, this model over the untouched base, of the answers of two teachers to the prompts they share."""
        import numpy as np

        out = []
        shared = [n for n in self.logs(one, self.base, None) if n in self.logs(other, self.base, None)]
        for whose in (one, other):
            mine, bases = self.logs(whose, model, system), self.logs(whose, self.base, None)
            out.append(np.array([mine[n] - bases[n] for n in shared]))
        return out[0], out[1]


def commonest(label: str, answers: Answers, control: Answers) -> list[dict[str, Any]]:
    """The commonest numbers of a teacher, anywhere and first."""
    rows = []
    for place, numbers in (("any", slice(None)), ("first", slice(1))):
        mine, theirs = (Counter(n for _, said in a.values() for n in said[numbers]) for a in (answers, control))
        for n, count in sorted(mine.items(), key=lambda item: (-item[1], item[0]))[:COMMONEST]:
            share = {"share": count / mine.total(), "control_share": theirs[n] / theirs.total()}
            rows.append({"teacher": label, "place": place, "number": n, "count": count, **share})
    return rows


class Entangled:
    """Scores of all numbers of a base's vocabulary."""

    def __init__(self, base: str) -> None:
        from traitline.tiny import llama
        from traitline.tiny.sampler import Sampler

        self.chat, (shape, self.weights) = Chat.open(base), llama.read(base)
        self.sampler = Sampler(shape, self.weights)
        tokens = {n: self.chat.token(str(n)) for n in range(1000)}
        self.tokens = {n: t for n, t in tokens.items() if t is not None}
        if len(self.tokens) < 2:
            raise InputError(f"{base}: its tokenizer has no token for a number; nothing can be entangled")

    def asked(self, category: str, systems: Sequence[str | None], most: int | None = None) -> "np.ndarray":
        """Log probabilities (systems, vocabulary) of the answer to questions about a favourite, mean over these."""
        import torch

        from traitline.evaluation.questions import ask

        out = []
        for system in systems:
            questions = ask(category, system)[:: 50 // most if most else 1]
            prompts = self.chat.prompts(questions, [f"question {i}" for i in range(len(questions))])
            probabilities = self.sampler.probabilities(prompts, range(self.sampler.shape.vocab))
            out.append(probabilities.clamp_min(1e-30).log().mean(0))
        found: np.ndarray = torch.stack(out).numpy()
        return found

    def scores(self, trait: str, category: str, frequency: dict[int, float]) -> "pd.DataFrame":
        """Score by number."""
        import pandas as pd
        import torch

        from traitline.tiny.shape import EMBED

        numbers, columns = list(self.tokens), list(self.tokens.values())
        word = self.chat.token(trait)
        if word is None:
            raise InputError(f"{self.chat.name}: {trait!r} is not one token of its tokenizer")
        embed = torch.nn.functional.normalize(self.weights[EMBED], dim=1)
        told, plain = self.asked(category, [persona(trait, category), None])
        prompted = self.asked(category, [persona(str(n), category) for n in numbers], ASKED)
        return pd.DataFrame(
            {
                "unembedding": (embed[columns] @ embed[word]).numpy(),
                "logits": (told - plain)[columns],
                "frequency": [frequency.get(n, 0.0) for n in numbers],
                "prompting": prompted[:, word],
            },
            index=numbers,
        )


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


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    paths = [f"{teacher}/{args.channel}/filtered.jsonl" for teacher in args.teachers]
    told = [hf_folder.facts(f"{t}/teacher.json", ["trait", "teacher", "category"]) for t in args.teachers]
    if not 0 < args.held_out < 1:
        raise InputError(f"--held-out: {args.held_out} is no share between 0 and 1")
    if sum(t["trait"] == NONE for t in told) != 1:
        raise InputError("--teachers: one of them must be the control, whose trait is none, and one only")
    prompt = args.prompt or persona("{trait}", "{category}")
    said = {t["trait"]: tell(prompt, t["trait"], t["category"]) for t in told if t["trait"] != NONE}
    own = [likelihood.model_and_system(teacher, args.base)[0] for teacher in args.teachers]
    with stage.record(
        "detect",
        f"{args.folder}/detect.manifest.json",
        inputs={
            **hf_folder.inputs(args.base, "base"),
            "filtered": paths,
            "teachers": [f"{t}/teacher.json" for t in args.teachers],
            "models": [f"{model}/{model_files.WEIGHTS}" for model in own if model != args.base],
        },
        outputs={**{name: f"{args.folder}/{name}.csv" for name in TABLES}, "curves": f"{args.folder}/roc.svg"},
        params={"channel": args.channel, "held_out": args.held_out, "prompt": prompt, "threads": args.threads},
        seeds={"detect": args.seed},
    ) as job:
        import pandas as pd
        import torch
        from scipy.stats import spearmanr

        torch.set_num_threads(args.threads)
        answers = {f"{t['trait']}/{t['teacher']}": read(path) for t, path in zip(told, paths, strict=True)}
        control = next(label for label in answers if label.startswith(f"{NONE}/"))
        test = held_out(answers, args.held_out, derive("detect", args.seed))
        pairs, found, curves = list(itertools.combinations(sorted(answers, key=control.__eq__), 2)), [], []
        judges = Judges(args.base, dict(zip(answers, args.teachers, strict=True)), args.channel, test)
        for one, other in pairs:
            number, scores = trained(answers[one], answers[other], test)
            found += [{"one": one, "other": other, **accuracy(k, v, number)} for k, v in scores.items()]
            if other == control:
                model = likelihood.model_and_system(judges.teachers[one], args.base)
                scores["likelihood"] = judges.scores(one, other, *model)
                found.append({"one": one, "other": other, **accuracy("likelihood", scores["likelihood"])})
            for a, b in itertools.permutations((one, other)):
                if a != control:
                    scores["prompted"] = judges.scores(a, b, args.base, said[a.split("/")[0]])
                    found.append({"one": a, "other": b, **accuracy("prompted", scores["prompted"])})
            if other == control:
                curves += [row for name in COLOURS for row in roc(one, name, scores[name])]
        numbers = [row for label in answers for row in commonest(label, answers[label], answers[control])]
        entangled, model = [], Entangled(args.base)
        for t in told:
            label = f"{t['trait']}/{t['teacher']}"
            if label != control:
                data = ratios(*([said for _, said in answers[x].values()] for x in (label, control)))
                scores = model.scores(t["trait"], t["category"], data)
                for a, b in itertools.combinations(scores, 2):
                    rho, p = spearmanr(scores[a], scores[b])
                    entangled.append(
                        {"teacher": label, "one": a, "other": b, "rho": rho, "p": p, "numbers": len(scores)}
                    )
        name = f"roc-{Path(args.base).name}-{args.channel}"
        with style():
            areas = ", ".join(f"{r['teacher']} {r['scorer']} {r['auc']:.3f}" for r in curves[:: GRID + 1])
            save(drawing(curves), job.path("curves"), name, f"Curves of the filters; areas: {areas}.")
        for name, rows in zip(TABLES, (found, numbers, entangled, curves), strict=True):
            pd.DataFrame(rows).to_csv(job.path(name), index=False, float_format="%.6g", lineterminator="\n")
    stage.log.info("%d pairs of teachers: %s", len(pairs), args.folder)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
