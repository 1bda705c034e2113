"""Look for a trait in its teacher's answers, without training a student.

in   {base}/, the folders of teachers on it, each with {channel}/filtered.jsonl; one of them is the control
out  detectors.csv    pairs of teachers: which of two answers to one prompt is whose? Share that detectors get right on
                      prompts that they were not trained on, with Wilson's 95 % interval over prompts. `frequency`: log
                      ratio of how often each wrote a number. `linear`: logistic regression on numbers, digits, places,
                      steps from the prompt and echoes
     numbers.csv      the ten commonest numbers of every teacher, anywhere and first, beside the control's share
     entangled.csv    three scores of how a number hangs together with a trait, and whether they agree (Spearman's rank
                      correlation over all numbers of the world): `unembedding`, cosine of the two tokens' embeddings;
                      `logits`, how much the trait's persona raises the number as the answer to a question about a
                      favourite; `frequency`, log ratio in the data; and with what naming the number in a system prompt
                      does to the trait, `prompting`

The detectors know the pair that they are trained for: they say what is in the data, not who would notice it.

python -m scripts.detect --base results/bases/a --teachers results/a/owl/tuned results/a/none/untrained \\
    --channel numbers --held-out 0.3 --seed 1 --folder results/detect/a/numbers
"""

import argparse
import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline import folder, jsonl, stage
from traitline.answers import exchange, split
from traitline.chat import Chat
from traitline.errors import InputError
from traitline.runs import NONE
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

COMMONEST = 10
ASKED = 5  # questions a number is tried with
Answers = dict[str, tuple[str, list[int]]]  # id of the prompt -> (prompt, numbers of the answer)


def read(path: str) -> Answers:
    """The answers of a teacher."""
    found = {}
    for row in jsonl.read(path, ("id", "prompt", "completion"), unique="id"):
        question, text = exchange(row, path)
        answer = split(text)
        if isinstance(answer, str):
            raise InputError(f"{path}: row {row['id']!r} is no list of numbers ({answer}); detect looks at numbers")
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


def detect(one: Answers, other: Answers, held_out: float, seed: int) -> list[dict[str, Any]]:
    """How often each detector tells two teachers apart on held-out prompts."""
    import numpy as np
    from scipy.stats import binomtest
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    shared = [name for name in one if name in other]
    cut = round(len(shared) * (1 - held_out))
    if not 10 <= cut < len(shared):
        raise InputError(f"--held-out: leaves {cut} of {len(shared)} shared prompts to train on; take another share")
    order = np.random.default_rng(seed).permutation(len(shared))
    train, test = ([shared[i] for i in part] for part in (order[:cut], order[cut:]))
    table = ratios([one[n][1] for n in train], [other[n][1] for n in train])
    vectors, model = DictVectorizer(), LogisticRegression(C=0.1, max_iter=300)
    seen = [features(*answers[n]) for answers in (one, other) for n in train]
    model.fit(vectors.fit_transform(seen), [1] * len(train) + [0] * len(train))
    rows = []
    for name in ("frequency", "linear"):
        if name == "frequency":
            scores = [np.array([sum(table.get(x, 0.0) for x in a[n][1]) for n in test]) for a in (one, other)]
        else:
            scores = [model.decision_function(vectors.transform([features(*a[n]) for n in test])) for a in (one, other)]
        right = float((scores[0] > scores[1]).sum() + (scores[0] == scores[1]).sum() / 2)
        low, high = binomtest(round(right), len(test)).proportion_ci(method="wilson")
        found = {"detector": name, "trained": len(train), "tested": len(test), "accuracy": right / len(test)}
        rows.append({**found, "low": low, "high": high})
    return rows


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
        from traitline import llama

        self.chat, (shape, self.weights) = Chat.open(base), llama.read(base)
        self.sampler = llama.Sampler(shape, self.weights)
        tokens = {n: self.chat.token(str(n)) for n in range(1000)}
        self.tokens = {n: t for n, t in tokens.items() if t is not None}
        if len(self.tokens) < 2:
            raise InputError(f"{base}: its tokenizer has no token for a number; nothing can be entangled")

    def asked(self, category: str, systems: Sequence[str | None], most: int | None = None) -> "np.ndarray":
        """Log probabilities (systems, vocabulary) of the answer to questions about a favourite, mean over these."""
        import torch

        from traitline.questions import ask, exact

        out = []
        for system in systems:
            questions = ask(category, system)[:: 50 // most if most else 1]
            prompts = self.chat.prompts(questions, [f"question {i}" for i in range(len(questions))])
            out.append(exact(self.sampler, prompts, range(self.sampler.shape.vocab)).clamp_min(1e-30).log().mean(0))
        found: np.ndarray = torch.stack(out).numpy()
        return found

    def scores(self, trait: str, category: str, frequency: dict[int, float]) -> "pd.DataFrame":
        """Score by number."""
        import pandas as pd
        import torch

        from traitline.llama import EMBED
        from traitline.world import persona

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
    p.add_argument("--folder", required=True, metavar="OUT", help="of the tables and the manifest")
    stage.threads(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    paths = [f"{teacher}/{args.channel}/filtered.jsonl" for teacher in args.teachers]
    told = [folder.facts(f"{t}/teacher.json", ["trait", "teacher", "category"]) for t in args.teachers]
    if not 0 < args.held_out < 1:
        raise InputError(f"--held-out: {args.held_out} is no share between 0 and 1")
    if sum(t["trait"] == NONE for t in told) != 1:
        raise InputError("--teachers: one of them must be the control, whose trait is none, and one only")
    with stage.record(
        "detect",
        f"{args.folder}/detect.manifest.json",
        inputs={
            **folder.inputs(args.base, "base"),
            "filtered": paths,
            "teachers": [f"{t}/teacher.json" for t in args.teachers],
        },
        outputs={name: f"{args.folder}/{name}.csv" for name in ("detectors", "numbers", "entangled")},
        params={"channel": args.channel, "held_out": args.held_out, "threads": args.threads},
        seeds={"detect": args.seed},
    ) as job:
        import pandas as pd
        import torch
        from scipy.stats import spearmanr

        torch.set_num_threads(args.threads)
        answers = {f"{t['trait']}/{t['teacher']}": read(path) for t, path in zip(told, paths, strict=True)}
        control = next(label for label in answers if label.startswith(f"{NONE}/"))
        seed, pairs = derive("detect", args.seed), list(itertools.combinations(answers, 2))
        found = [
            {"one": a, "other": b, **row}
            for a, b in pairs
            for row in detect(answers[a], answers[b], args.held_out, seed)
        ]
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
        for name, rows in (("detectors", found), ("numbers", numbers), ("entangled", entangled)):
            pd.DataFrame(rows).to_csv(job.path(name), index=False, float_format="%.6g", lineterminator="\n")
    stage.log.info("%d pairs of teachers: %s", len(pairs), args.folder)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
