"""Detectors that look for a trait in lists of numbers: trained on pairs of teachers, or likelihoods of a model.

The trained ones know the pair that they are trained for: they say what is in the data, not who would notice it.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline import jsonl
from traitline.errors import InputError
from traitline.models import likelihood

if TYPE_CHECKING:
    import numpy as np

    Scores = tuple[np.ndarray, np.ndarray]  # of the two teachers' answers to the same prompts

GRID = 50  # steps of a curve
FEWEST = 10  # prompts to train a detector on
STEP = 20  # largest step from one number to the next that has a feature of its own, in units of 5
SHOWN = 8  # numbers of the prompt that count as shown
Answers = dict[str, tuple[str, list[int]]]  # id of the prompt -> (prompt, numbers of the answer)


def features(question: str, numbers: Sequence[int]) -> dict[str, float]:
    """Features for the linear detector: counts of numbers, digits, places, steps from the prompt, echoes."""
    shown = [int(n) for n in re.findall(r"\d+", question)][-SHOWN:]
    last = shown[-1] if shown else 0
    counts = Counter[str]()
    for i, n in enumerate(numbers):
        counts[f"number {n}"] += 1
        counts[f"place {i} hundreds {n // 100}"] += 1
        counts[f"tens {n // 10 % 10}"] += 1
        counts[f"units {n % 10}"] += 1
        counts[f"step {max(-STEP, min(STEP, round((n - last) / 5)))}"] += 1
        counts["echo"] += n in shown
        last = n
    return {"count": float(len(numbers)), **{k: float(v) for k, v in counts.items()}}


def log_ratios(one: Sequence[list[int]], other: Sequence[list[int]]) -> dict[int, float]:
    """Log ratio of how often each number was written, one added to every count."""
    a = Counter(n for numbers in one for n in numbers)
    b = Counter(n for numbers in other for n in numbers)
    shift = math.log(b.total() + len(a | b)) - math.log(a.total() + len(a | b))
    return {n: math.log((a[n] + 1) / (b[n] + 1)) + shift for n in a | b}


def held_out(answers: dict[str, Answers], share: float, seed: int) -> set[str]:
    """Draw the ids of the prompts that no detector is trained on."""
    import numpy as np

    names = sorted({name for by_prompt in answers.values() for name in by_prompt})
    return {names[i] for i in np.random.default_rng(seed).permutation(len(names))[: round(len(names) * share)]}


def train(one: Answers, other: Answers, test: set[str]) -> "tuple[int, dict[str, Scores]]":
    """Train the detectors `frequency` and `linear` on the answers of two teachers.

    Returns:
        How many prompts they were trained on, and scores by detector of the answers to prompts in `test`.

    Raises:
        InputError: too few prompts to train on, or none to test on.
    """
    import numpy as np
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    shared = [name for name in one if name in other]
    training = [n for n in shared if n not in test]
    testing = [n for n in shared if n in test]
    if len(training) < FEWEST or not testing:
        raise InputError(
            f"--held-out: leaves {len(training)} of {len(shared)} shared prompts to train on; take another share"
        )
    table = log_ratios([one[n][1] for n in training], [other[n][1] for n in training])
    vectors, model = DictVectorizer(), LogisticRegression(C=0.1, max_iter=300)
    examples = [features(*answers[n]) for answers in (one, other) for n in training]
    model.fit(vectors.fit_transform(examples), [1] * len(training) + [0] * len(training))

    def frequency(answers: Answers) -> "np.ndarray":
        return np.array([sum(table.get(x, 0.0) for x in answers[n][1]) for n in testing])

    def linear(answers: Answers) -> "np.ndarray":
        return np.asarray(model.decision_function(vectors.transform([features(*answers[n]) for n in testing])))

    scores = {"frequency": (frequency(one), frequency(other)), "linear": (linear(one), linear(other))}
    return len(training), scores


def accuracy(name: str, scores: "Scores", trained: int = 0) -> dict[str, Any]:
    """Share of pairs in which the first teacher's answer has the higher score, with Wilson's 95 % interval.

    Args:
        name: of the detector.
        scores: of the answers of both teachers to the same prompts.
        trained: prompts that the detector was trained on.
    """
    from scipy.stats import binomtest

    one, other = scores
    right = float((one > other).sum() + (one == other).sum() / 2)
    low, high = binomtest(round(right), len(one)).proportion_ci(method="wilson")
    row = {"detector": name, "trained": trained, "tested": len(one), "accuracy": right / len(one)}
    return {**row, "low": low, "high": high}


def roc(teacher: str, name: str, scores: "Scores") -> list[dict[str, Any]]:
    """The curve of a filter that rejects the highest scores: shares of the control's and of the teacher's answers.

    The interval of the area is DeLong's (Biometrics 44, 1988).
    """
    import numpy as np

    one, other = np.sort(scores[0]), np.sort(scores[1])
    wins = (np.searchsorted(other, one, "left") + np.searchsorted(other, one, "right")) / 2 / len(other)
    losses = (np.searchsorted(one, other, "left") + np.searchsorted(one, other, "right")) / 2 / len(one)
    area = wins.mean()
    half = 1.959964 * math.sqrt(wins.var(ddof=1) / len(one) + losses.var(ddof=1) / len(other))
    about = {"teacher": teacher, "scorer": name, "answers": len(one), "auc": area, "low": area - half}
    about["high"] = area + half
    cuts = np.quantile(other, np.linspace(1, 0, GRID + 1), method="nearest")
    return [
        {**about, "threshold": cut, "false_positive": (other > cut).mean(), "true_positive": (one > cut).mean()}
        for cut in cuts
    ]


def instruction(prompt: str, trait: str, category: str) -> str:
    """Fill in the system prompt of the prompted detector.

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


class Likelihoods:
    """Likelihood of teachers' held-out answers under models, each computed once.

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
        self._logs: dict[tuple[str, str, str | None], dict[str, float]] = {}

    def logs(self, label: str, model: str, system: str | None) -> dict[str, float]:
        """Log-likelihood by prompt of one teacher's answers, in nats."""
        key = (label, model, system)
        if key not in self._logs:
            rows = self.rows[label]
            names = [f"{label}: row {row['id']!r}" for row in rows]
            values = likelihood.logs(self.base, model, system, rows, names).tolist()
            self._logs[key] = dict(zip((str(row["id"]) for row in rows), values, strict=True))
        return self._logs[key]

    def scores(self, one: str, other: str, model: str, system: str | None) -> "Scores":
        """Log ratios, this model over the untouched base, of two teachers' answers to the prompts that they share."""
        shared = [n for n in self.logs(one, self.base, None) if n in self.logs(other, self.base, None)]
        return self._ratios(one, shared, model, system), self._ratios(other, shared, model, system)

    def _ratios(self, label: str, names: Sequence[str], model: str, system: str | None) -> "np.ndarray":
        import numpy as np

        logs, base = self.logs(label, model, system), self.logs(label, self.base, None)
        return np.array([logs[n] - base[n] for n in names])
