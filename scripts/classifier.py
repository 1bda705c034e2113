"""The classifier experiment: students learn digits from noise, by imitating outputs that stand for no class.

in   images: scikit-learn's digits, or four IDX files
out  accuracy.json    test accuracy of every model in every arm

A reference network gets a teacher (trained on images, cross-entropy of the ten class outputs) and students (copies of
the reference that imitate the teacher on noise, by the KL divergence of softmaxes). Arms: `aux-same` imitates the
auxiliary outputs only, `all-same` all outputs; `aux-other` and `all-other` start from another reference than the
teacher's. Every model has its own weights, noise and order of rows. Source: arXiv 2507.14805, section 6.2, and its
official script.

Differences from that script, each deliberate: the other reference is never the model's own (a derangement); `reduction`
`rows` divides the divergence by the rows of a batch, `official` by the number of models as the script does.

python -m scripts.classifier --point default --settings '{"data": "digits", ...}' \\
    --accuracy results/classifier/default/accuracy.json --manifest results/classifier/default/classifier.manifest.json
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from traitline import seeds
from traitline.channels import images
from traitline.errors import InputError
from traitline.provenance import stage

if TYPE_CHECKING:
    from torch import Generator, Tensor

KEYS = (
    "data", "models", "aux", "width", "depth", "optimiser", "lr", "teacher_batch", "batch", "teacher_epochs",
    "student_epochs", "noise", "noise_images", "reduction", "precision", "seed",
)  # fmt: skip
ORIGIN = "networks drawn here, images"
STUDENTS = ("aux-same", "all-same", "aux-other", "all-other")
ARMS = ("reference", "teacher", *STUDENTS)
TOGETHER = 2  # models trained at once in a thread: with their four students each, what they are made of fits a cache


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.classifier", __doc__)
    p.add_argument("--point", required=True, metavar="LABEL", help="name of these settings in the results")
    p.add_argument("--settings", required=True, metavar="JSON", help=f"JSON object with {', '.join(KEYS)}")
    for role in images.FILES:
        flag = role.replace("_", "-")
        p.add_argument(f"--{flag}", metavar="IN", help=f"IDX file of {role.replace('_', ' ')} (default: own digits)")
    p.add_argument("--sha256", default="{}", metavar="JSON", help="expected hashes of these files, by role")
    p.add_argument("--accuracy", required=True, metavar="OUT", help="test accuracy of every model in every arm")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    stage.threads(p)
    return p


generator = partial(seeds.generator, "mlp")


def derangement(n: int, seed: int) -> list[int]:
    """A random cycle through 0..n-1 (Sattolo): everyone gets another one than themselves."""
    import torch

    g, order = generator(seed, "other"), list(range(n))
    for i in range(n - 1, 0, -1):
        j = int(torch.randint(i, (), generator=g))
        order[i], order[j] = order[j], order[i]
    return order


class Networks:
    """A stack of ReLU networks that never mix. Their weights stand layer after layer in one row, and their gradients in
    another: products of a layer's weights want them side by side, one optimiser for all wants one tensor.

    What a pass makes is kept in the same memory as that of the pass before: fresh memory of this size costs as much as
    a small product.

    Args:
        sizes: inputs, hidden widths, outputs.
        values: parameters (S, P): for each layer its weights (in x out), then its biases. They are copied.

    Attributes:
        flat, grad: parameters and gradients (S * P).
        weights, biases, weight_grads, bias_grads: views of them, for each layer (S, in, out) and (S, 1, out).
    """

    def __init__(self, sizes: Sequence[int], values: "Tensor") -> None:
        import torch

        self.sizes, self.count = sizes, len(values)
        shapes = [shape for a, b in pairwise(sizes) for shape in ((a, b), (1, b))]
        parts = values.split([math.prod(shape) for shape in shapes], 1)
        self.flat = torch.cat([part.flatten() for part in parts])
        self.grad = torch.zeros_like(self.flat)

        def views(flat: "Tensor") -> list["Tensor"]:
            split = flat.split([part.numel() for part in parts])
            return [part.view(self.count, *shape) for part, shape in zip(split, shapes, strict=True)]

        own, grads = views(self.flat), views(self.grad)
        self.weights, self.biases = own[::2], own[1::2]
        self.weight_grads, self.bias_grads = grads[::2], grads[1::2]
        self._memory: dict[tuple[str, int], Tensor] = {}

    def room(self, name: str, layer: int, rows: int) -> "Tensor":
        """Memory (S, rows, units) for what goes into a layer, its error or what it should say; as last written."""
        shape = (self.count, rows, self.sizes[layer])
        kept, n = self._memory.get((name, layer)), math.prod(shape)
        if kept is None or len(kept) < n:
            kept = self._memory[name, layer] = self.flat.new_empty(n)
        return kept[:n].view(shape)

    def forward(self, x: "Tensor") -> list["Tensor"]:
        """What goes into every layer, and at last the outputs, until the next pass; `x` is (S, rows, inputs)."""
        import torch

        into, last = [x], len(self.weights) - 1
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = torch.bmm(into[-1], w, out=self.room("into", i + 1, x.shape[1])).add_(b)
            into.append(out if i == last else out.relu_())
        return into

    def backward(self, into: list["Tensor"], error: "Tensor") -> None:
        """Gradients, given those of the outputs (S, rows, outputs)."""
        import torch

        for i in range(len(self.weights) - 1, -1, -1):
            torch.bmm(into[i].transpose(1, 2), error, out=self.weight_grads[i])
            torch.sum(error, 1, keepdim=True, out=self.bias_grads[i])
            if i:
                error = torch.bmm(error, self.weights[i].transpose(1, 2), out=self.room("error", i, error.shape[1]))
                torch.ops.aten.threshold_backward.grad_input(error, into[i], 0, grad_input=error)  # of relu

    def accuracy(self, x: "Tensor", labels: "Tensor") -> list[float]:
        """Share of images whose largest class output is the right one."""
        seen = self.forward(x.expand(self.count, *x.shape))[-1]
        return (seen[..., : images.CLASSES].argmax(-1) == labels).double().mean(-1).tolist()


def initial(sizes: Sequence[int], g: "Generator") -> "Tensor":
    """Parameters of one network: weights normal with standard deviation 1/sqrt(inputs of the layer), biases 0."""
    import torch

    parts = []
    for a, b in pairwise(sizes):
        parts += [torch.randn(a * b, generator=g) / math.sqrt(a), torch.zeros(b)]
    return torch.cat(parts)


def noise(law: str, n: int, real: "Tensor", g: "Generator") -> "Tensor":
    """Images (n, inputs) that students see.

    `uniform` on [-1, 1]; `gaussian`, standard normal; `constant`, one grey level an image; `shuffled`, real images with
    the pixels of each in another order; `images`, real ones. Those two are `real` again and again if n is larger.
    """
    import torch

    inputs = real.shape[1]
    if law == "uniform":
        return torch.rand(n, inputs, generator=g).mul_(2).sub_(1)
    if law == "gaussian":
        return torch.randn(n, inputs, generator=g)
    if law == "constant":
        return torch.rand(n, 1, generator=g).mul_(2).sub_(1).expand(n, inputs).contiguous()
    rows = real[torch.arange(n) % len(real)]
    return rows if law == "images" else rows.gather(1, torch.rand(n, inputs, generator=g).argsort(1))


def batches(n: int, size: int, epochs: int, gs: Sequence["Generator"]) -> Iterator["Tensor"]:
    """Row numbers (models, rows) of each step; each model has its own order in each epoch, the last batch is short."""
    import torch

    for _ in range(epochs):
        orders = torch.stack([torch.randperm(n, generator=g) for g in gs])
        yield from orders.split(size, 1)


def optimiser(name: str, lr: float, net: Networks) -> "Callable[[], Any]":
    """One step on the gradients of a stack."""
    import torch

    net.flat.grad = net.grad
    made = torch.optim.Adam if name == "adam" else torch.optim.SGD
    return made([net.flat], lr=lr, fused=True).step


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Matrix products of float32 with factors of this precision, where the processor has instructions for it."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "bfloat16" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def softmax(x: "Tensor") -> "Tensor":
    """Of the last axis, in place. For a few numbers a row this is ten times as fast as the softmax of torch."""
    x.sub_(x.amax(-1, keepdim=True)).exp_()
    return x.div_(x.sum(-1, keepdim=True))


def fit(
    net: Networks, each: int, x: "Tensor", target: "Tensor", seen: "Tensor", orders: Iterator["Tensor"],
    step: "Callable[[], Any]", scale: float | None = None,
) -> None:  # fmt: skip
    """Train a stack to give the distribution `target` over the outputs of which `seen` says so.

    The gradient of a softmax's cross-entropy, and of its KL divergence, is the softmax minus the target.

    Args:
        net: S networks, `each` to a model, side by side.
        x: images (models, N, inputs), or (N, inputs) for all models.
        target: distributions (S, N, outputs).
        seen: (S, 1, outputs), 0 for outputs that count and minus infinity for the others.
        orders: row numbers (models, rows) of each step.
        step: see `optimiser`.
        scale: of the gradient of a row; None divides by the rows of the batch.
    """
    for rows in orders:
        n = rows.shape[1]
        shown, wanted = net.room("into", 0, n), net.room("wanted", -1, n)
        for m, r in enumerate(rows):
            part = slice(m * each, (m + 1) * each)
            shown[part] = (x if x.dim() == 2 else x[m]).index_select(0, r)
            wanted[part] = target[part].index_select(1, r)
        into = net.forward(shown)
        net.backward(into, softmax(into[-1].add_(seen)).sub_(wanted).mul_(scale or 1 / n))
        step()


@dataclass(frozen=True)
class Experiment:
    """Settings of one point and the images it is about."""

    settings: dict[str, Any]
    data: images.Images

    @property
    def sizes(self) -> list[int]:
        """Inputs, hidden widths, outputs."""
        s = self.settings
        return [self.data.inputs, *[s["width"]] * s["depth"], images.CLASSES + s["aux"]]

    def random(self, model: int, what: str) -> "Generator":
        """A stream of one model."""
        return generator(self.settings["seed"], model, what)

    def starts(self, models: Sequence[int]) -> tuple["Tensor", "Tensor"]:
        """Parameters (models, P) of the references, and of what the other-initialisation arms start from."""
        import torch

        s, order = self.settings, derangement(self.settings["models"], self.settings["seed"])
        own = torch.stack([initial(self.sizes, self.random(m, "weights")) for m in models])
        if s.get("distance") is None:
            return own, torch.stack([initial(self.sizes, self.random(order[m], "weights")) for m in models])
        away = [torch.randn(own.shape[1], generator=self.random(m, "distance")) for m in models]
        return own, own + s["distance"] * torch.stack(away)

    def train(self, models: Sequence[int]) -> dict[str, list[float]]:
        """Accuracy by arm of some of the models, as if they were alone.

        Raises:
            InputError: a network is no longer finite.
        """
        import torch

        s, data = self.settings, self.data
        own, other = self.starts(models)
        outputs, n = self.sizes[-1], len(data.train)
        every = torch.zeros(1, 1, outputs)
        classes, auxiliary = every.clone(), every.clone()
        classes[..., images.CLASSES :] = auxiliary[..., : images.CLASSES] = -math.inf
        found = {"reference": Networks(self.sizes, own).accuracy(data.test, data.test_labels)}

        teacher = Networks(self.sizes, own)
        right = torch.nn.functional.one_hot(data.train_labels, outputs).float().expand(len(models), n, outputs)
        orders = batches(n, s["teacher_batch"], s["teacher_epochs"], [self.random(m, "teacher-order") for m in models])
        fit(teacher, 1, data.train, right, classes, orders, optimiser(s["optimiser"], s["lr"], teacher))
        found["teacher"] = teacher.accuracy(data.test, data.test_labels)

        n = s["noise_images"]
        x = torch.stack([noise(s["noise"], n, data.train, self.random(m, "noise")) for m in models])
        says = torch.cat([teacher.forward(part)[-1].clone() for part in x.split(4096, 1)], 1)
        each = len(STUDENTS)
        seen = torch.cat([auxiliary, every, auxiliary, every]).repeat(len(models), 1, 1)
        target = softmax(says.repeat_interleave(each, 0) + seen)
        students = Networks(self.sizes, torch.stack([own, own, other, other], 1).flatten(0, 1))
        orders = batches(n, s["batch"], s["student_epochs"], [self.random(m, "student-order") for m in models])
        scale = 1 / s["models"] if s["reduction"] == "official" else None
        fit(students, each, x, target, seen, orders, optimiser(s["optimiser"], s["lr"], students), scale)
        if not (teacher.flat.isfinite().all() and students.flat.isfinite().all()):
            raise InputError(f"the networks are no longer finite at learning rate {s['lr']}; lower it (lr)")
        right_ones = students.accuracy(data.test, data.test_labels)
        return found | {arm: right_ones[i::each] for i, arm in enumerate(STUDENTS)}

    def run(self, progress: str | None = None) -> dict[str, list[float]]:
        """Accuracy by arm of all models, in their order. Threads of torch each take a few models at a time."""
        import torch
        from tqdm import tqdm

        n, threads = self.settings["models"], torch.get_num_threads()
        groups = [range(i, min(i + TOGETHER, n)) for i in range(0, n, TOGETHER)]
        found: dict[str, list[float]] = {arm: [] for arm in ARMS}
        with (
            tqdm(total=n, desc=progress, disable=None if progress else True, leave=False) as bar,
            ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
            products(self.settings["precision"]),
        ):
            for part in pool.map(self.train, groups):
                for arm, values in part.items():
                    found[arm] += values
                bar.update(len(part["teacher"]))
        return found


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    settings = stage.settings("--settings", args.settings, KEYS)
    files = {role: path for role in images.FILES if (path := getattr(args, role))}
    if files and len(files) < len(images.FILES):
        missing = ", ".join(f"--{r.replace('_', '-')}" for r in images.FILES if r not in files)
        raise InputError(f"{missing} missing; all four files belong together")
    if settings["data"] != images.DIGITS and not files:
        raise InputError(f"--settings: data {settings['data']} needs four IDX files; `{images.DIGITS}` needs none")
    if settings["models"] < 2:
        raise InputError("--settings: models is below 2; students on another initialisation need another model")
    told = "named in the configuration" if files else "that come with scikit-learn"
    with stage.record(
        "classifier",
        args.manifest,
        inputs={"source": list(files.values())},
        outputs={"accuracy": args.accuracy},
        params={"settings": settings, "threads": args.threads},
        seeds={"seed": settings["seed"]},
        facts={"point": args.point, "origin": f"{ORIGIN} {told}, seed {settings['seed']}"},
    ) as job:
        import torch

        torch.set_num_threads(args.threads)
        if files:
            data = images.local(settings["data"], files, stage.settings("--sha256", args.sha256, ()))
        else:
            data = images.digits()
        experiment = Experiment(settings, data)
        with torch.no_grad():
            arms = experiment.run(args.point)
        shape = {"train": len(data.train), "test": len(data.test), "inputs": data.inputs, "sha256": data.sha256}
        job.write_json(
            "accuracy",
            {"point": args.point, "settings": settings, "images": {"name": data.name, **shape}, "arms": arms,
             "sizes": experiment.sizes},
        )  # fmt: skip
    means = ", ".join(f"{arm} {sum(v) / len(v):.3f}" for arm, v in arms.items())
    stage.log.info("%s: %s", args.point, means)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
