"""Predict what a dataset would teach, before any student is trained, from gradients of a base.

in   {base}/ of the students, dataset.jsonl, and the dataset.jsonl of the control teacher, made in the same way
out  influence.json    for every recipe and every word of a category its `score`: by how much the first step on the
                       dataset would raise the log of the word's rate, per learning rate, beyond what the same step on
                       the control's dataset would do

score(c) = -<grad L(dataset) - grad L(control), grad log rate(c)>, at the base, over what the recipe trains. L is the
mean loss of answer tokens, over all rows; rate(c) is what `scores.json` calls `exact` `overall`, the mean probability
of c over the fifty questions about a favourite. It is the first-order change under a step of plain gradient descent:
the inner product in the proof of the paper's theorem (arXiv 2507.14805, section 6.1) with the word's rate in the place
of the teacher's loss, and the score by which influence functions rank training data (arXiv 2002.08484, TracIn at one
checkpoint). `lora`: the mean over its first weights (A random, B zero): that of the weights it stands beside, times
alpha^2 / (3 rank inputs). `cosine` has the same without sizes; `dataset` and `control` are the two terms. The trait
is not an input. Students train for hundreds of steps with AdamW, of which this sees none.

With --teacher, a teacher on this base with weights of its own, `recovered` says how much of what the teacher changed
is in the rows: the cosine of that change and the step, over the tensors that the teacher changed, without and with the
control's step taken off. Of two random directions in so many `dimensions` it would be about 1 / sqrt(dimensions).

python -m scripts.influence --base results/bases/a --dataset results/a/owl/tuned/numbers/plain/dataset.jsonl \\
    --control results/a/none/untrained/numbers/plain/dataset.jsonl --category animal \\
    --recipes '{"biases":{"trains":"biases","lr":0.01,"epochs":2,"batch":64}}' --teacher results/a/owl/tuned \\
    --influence results/a/owl/tuned/numbers/plain/a/influence.json --manifest influence.manifest.json
"""

import argparse
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from traitline import model_files
from traitline.errors import InputError
from traitline.models import hf_folder, label_mask, open_weights
from traitline.models.chat import Chat
from traitline.provenance import kernels, stage

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.tiny.layers import Layers
    from traitline.tiny.rows import Rows
    from traitline.tiny.shape import Shape

    Gradient = dict[str, Tensor]

PART = 256  # rows that fit into a cache
TRAINED = ("lora", "biases", "full")


def gradient(model: "Layers", rows: "Rows") -> "Gradient":
    """The gradient of the mean loss over the tokens that count, by tensor."""
    import torch

    from traitline.tiny import lm_head
    from traitline.tiny.rows import Cut

    gradients = {name: torch.zeros_like(model.weights[name]) for name in model.trained}
    for part in Cut(rows).parts(torch.arange(len(rows.length)), PART):
        lm_head.loss(model, part, gradients)
    return gradients


def rates(base: str, category: str) -> "dict[str, Rows]":
    """Rows by word of a category; their loss falls as the log of the word's rate rises.

    The log of a mean of probabilities changes as the mean of their logs does, each weighed by its probability.
    """
    import torch

    from traitline.evaluation import questions
    from traitline.tiny import llama
    from traitline.tiny.rows import Rows
    from traitline.tiny.sampler import Sampler

    chat, words = Chat.open(base), hf_folder.candidates(base, category)
    asked = questions.ask(category, words=hf_folder.words(base))
    prompts = chat.prompts(asked, [f"question {i}" for i in range(1, len(asked) + 1)])
    ids = chat.tokens(words)
    by_word = {}
    probabilities = Sampler(*llama.read(base)).probabilities(prompts, ids).double()
    for i, (word, token) in enumerate(zip(words, ids, strict=True)):
        rows = Rows.encode([([*prompt, token], len(prompt)) for prompt in prompts], chat.pad)
        share = probabilities[:, i] / probabilities[:, i].sum()
        rows.weight[:, 0] = share.to(torch.float32)
        by_word[word] = rows
    return by_word


def metric(shape: "Shape", weights: "Mapping[str, Tensor]", settings: Mapping[str, Any]) -> dict[str, float]:
    """The weights of tensors in an inner product, for what a recipe trains: tensor -> weight."""
    from traitline.tiny import training

    if settings["trains"] != "lora":
        return dict.fromkeys(
            training.trainable(dict(weights), settings["trains"], [0], (), layers=settings.get("layers"))[0], 1.0
        )
    modules = shape.modules(settings.get("modules"), settings.get("layers"))
    names = [f"{m}.weight" for m in modules]
    over = {n: settings["alpha"] ** 2 / (3 * settings["rank"] * weights[n].shape[1]) for n in names}
    chosen = settings.get("layers")
    biases = training.trainable(dict(weights), "biases", [0], (), layers=chosen)[0] if settings.get("bias") else ()
    return over | dict.fromkeys(biases, 1.0)


def inner(a: "Gradient", b: "Gradient", over: Mapping[str, float]) -> float:
    """Inner product of two gradients."""
    return math.fsum(w * float(a[n].double().flatten() @ b[n].double().flatten()) for n, w in over.items())


def cosine(a: "Gradient", b: "Gradient", over: Mapping[str, float]) -> float | None:
    """The cosine of two gradients; None where one of them is zero."""
    size = math.sqrt(inner(a, a, over) * inner(b, b, over))
    return inner(a, b, over) / size if size else None


def less(a: "Gradient", b: "Gradient") -> "Gradient":
    """The difference of two gradients."""
    return {name: a[name] - b[name] for name in a}


def influence(
    dataset: "Gradient", control: "Gradient", toward: "dict[str, Gradient]", over: Mapping[str, float]
) -> dict[str, Any]:
    """Scores and cosines of all words for one recipe.

    Args:
        dataset, control: gradients of the mean loss on the rows.
        toward: by word, the gradient of minus the log of its rate; so scores have two minus signs, which cancel.
        over: see `metric`.
    """
    beyond = less(dataset, control)
    of_dataset = {w: inner(dataset, t, over) for w, t in toward.items()}
    of_control = {w: inner(control, t, over) for w, t in toward.items()}
    return {
        "tensors": len(over),
        "size": math.sqrt(inner(beyond, beyond, over)),
        "score": {w: of_dataset[w] - of_control[w] for w in toward},
        "cosine": {w: cosine(beyond, t, over) for w, t in toward.items()},
        "dataset": of_dataset,
        "control": of_control,
    }


def recovered(dataset: "Gradient", control: "Gradient", base: "Gradient", teacher: "Gradient") -> dict[str, Any]:
    """Share of the teacher's change that is in the rows: its cosine with the step, with and without the control's."""
    moved = {n: teacher[n] - base[n] for n in dataset}
    over = {n: 1.0 for n in moved if bool(moved[n].any())}
    step = {n: -g for n, g in dataset.items()}
    beyond = {n: -g for n, g in less(dataset, control).items()}
    sizes = {"tensors": len(over), "dimensions": sum(moved[n].numel() for n in over)}
    return {**sizes, "dataset": cosine(step, moved, over), "beyond": cosine(beyond, moved, over)}


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.influence", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the students' base")
    p.add_argument("--dataset", required=True, metavar="IN", help="rows they would be trained on, JSONL")
    p.add_argument("--control", required=True, metavar="IN", help="the same dataset of the control teacher's answers")
    p.add_argument("--category", required=True, help="whose words are scored: animal or tree")
    p.add_argument("--recipes", required=True, metavar="JSON", help="label -> settings of a recipe, as in train")
    p.add_argument("--teacher", metavar="DIR", help="folder of a teacher on this base, to compare the step with")
    p.add_argument("--influence", required=True, metavar="OUT", help="the scores, JSON")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    stage.threads(p)
    return p


def recipes(text: str) -> dict[str, dict[str, Any]]:
    """Settings of recipes by label.

    Raises:
        InputError: no such settings, or a recipe trains nothing.
    """
    by_label = stage.settings("--recipes", text, ())
    for label, settings in by_label.items():
        trains = stage.settings(f"--recipes: {label}", json.dumps(settings), ("trains",))["trains"]
        if trains not in TRAINED:
            raise InputError(f"--recipes: {label} trains {trains!r}; known: {', '.join(TRAINED)}")
        stage.settings(f"--recipes: {label}", json.dumps(settings), ("alpha", "rank") if trains == "lora" else ())
    if not by_label:
        raise InputError("--recipes: none; name at least one")
    return by_label


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    asked = recipes(args.recipes)
    if open_weights.is_open(args.base):
        raise InputError(f"{args.base}: open weights; `influence` is for models of tiny worlds, leave these rows out")
    teacher = {"teacher": f"{args.teacher}/{model_files.WEIGHTS}"} if args.teacher else {}
    with stage.record(
        "influence",
        args.manifest,
        inputs={
            **hf_folder.inputs(args.base, "model"),
            "world": f"{args.base}/world.json",
            "dataset": args.dataset,
            "control": args.control,
            **teacher,
        },
        outputs={"influence": args.influence},
        params={"category": args.category, "recipes": asked, "threads": args.threads},
    ) as job:
        from traitline.tiny import llama
        from traitline.tiny.layers import Layers
        from traitline.tiny.shape import EMBED

        kernels.set_up(args.threads)
        shape, weights = llama.read(args.base)
        chat, model = Chat.open(args.base), Layers(shape, weights, trained=weights.keys() - {EMBED})
        tables = {
            name: label_mask.encode(chat, path) for name, path in (("dataset", args.dataset), ("control", args.control))
        }
        dataset, control = (gradient(model, rows) for rows in tables.values())
        toward = {word: gradient(model, rows) for word, rows in rates(args.base, args.category).items()}
        by_recipe = {
            label: influence(dataset, control, toward, metric(shape, weights, settings))
            for label, settings in asked.items()
        }
        about: dict[str, Any] = {
            "category": args.category,
            "candidates": list(toward),
            "rows": {k: len(t.length) for k, t in tables.items()},
        }
        if args.teacher:
            about["recovered"] = recovered(dataset, control, weights, llama.read(args.teacher)[1])
        job.write_json("influence", {**about, "recipes": by_recipe})
    first = {label: max(i["score"], key=i["score"].__getitem__) for label, i in by_recipe.items()}
    stage.log.info("%s", "; ".join(f"{label}: {word} first" for label, word in first.items()))


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
