"""Our classifier experiment against one model at a time in plain PyTorch, and against one batch of all models.

All sides train the same networks for as long: teachers on images, then four arms of students on noise, Adam, the same
batches. `plain` is what one writes for one model: `nn.Sequential`, `torch.optim.Adam`, autograd, one arm after the
other. `batched` is how the official script does it, written anew: every model's weights on a first axis, `torch.bmm`,
autograd, one Adam over all. Of `plain` only --some models are trained and the time is scaled up, because a model's time
does not depend on how many there are. All sides have as many threads. Seconds by the clock need a quiet machine;
processor seconds do not, but leave out waiting. The last lines give a lower bound: the networks' matrix products at the
speed of one core on large ones.

python -m bench.classifier
"""

import argparse
import json
import tempfile
import time
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

SETTINGS = {
    "data": "digits", "models": 100, "aux": 3, "width": 256, "depth": 2, "optimiser": "adam", "lr": 3e-4,
    "teacher_batch": 24, "batch": 256, "teacher_epochs": 5, "student_epochs": 5, "noise": "uniform",
    "noise_images": 15000, "reduction": "rows", "precision": "float32", "seed": 0,
}  # fmt: skip


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.classifier", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--models", type=int, default=100, metavar="N", help="models (default 100)")
    p.add_argument("--epochs", type=int, default=5, metavar="N", help="passes of teachers and of students (default 5)")
    p.add_argument("--noise", type=int, default=15000, metavar="N", help="noise images a model (default 15000)")
    p.add_argument("--some", type=int, default=2, metavar="N", help="models that `plain` really trains (default 2)")
    p.add_argument("--precision", nargs="+", choices=["float32", "bfloat16"], default=["float32"],
                   help="of the factors of products, of every side (default float32)")  # fmt: skip
    p.add_argument("--threads", type=int, default=2, metavar="N", help="of every side (default 2)")
    return p


def now() -> "np.ndarray":
    """Seconds by the clock, and of the processor."""
    import numpy as np

    return np.array([time.perf_counter(), time.process_time()])


def ours(settings: dict[str, object], threads: int) -> "np.ndarray":
    """Seconds of the stage, reading and writing included."""
    from scripts import classifier

    with tempfile.TemporaryDirectory() as out:
        flags = ["--point", "bench", "--settings", json.dumps(settings), "--accuracy", f"{out}/accuracy.json"]
        start = now()
        if classifier.main([*flags, "--manifest", f"{out}/classifier.manifest.json", "--threads", str(threads)]):
            raise SystemExit("bench.classifier: our side failed")
        return now() - start


def data(args: argparse.Namespace, models: int) -> "tuple[Tensor, Tensor, Tensor]":
    """Images, labels and noise."""
    import torch
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images[:1437] / 8 - 1, dtype=torch.float32), torch.tensor(labels[:1437])
    return x, y, torch.rand(models, args.noise, x.shape[1]) * 2 - 1


def plain(args: argparse.Namespace) -> "np.ndarray":
    """Seconds a model, all arms."""
    import copy

    import torch
    from torch import nn
    from torch.nn import functional as F

    x, y, noise = data(args, args.some)
    classes = 10 + int(SETTINGS["aux"])

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Linear(x.shape[1], 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, classes)
        )

    start = now()
    for i in range(args.some):
        reference, other = network(), network()
        teacher = copy.deepcopy(reference)
        adam = torch.optim.Adam(teacher.parameters(), lr=3e-4)
        for _ in range(args.epochs):
            for rows in torch.randperm(len(x)).split(24):
                adam.zero_grad()
                F.cross_entropy(teacher(x[rows])[:, :10], y[rows]).backward()
                adam.step()
        for begin, part in ((reference, slice(10, None)), (reference, slice(None)),
                            (other, slice(10, None)), (other, slice(None))):  # fmt: skip
            student = copy.deepcopy(begin)
            adam = torch.optim.Adam(student.parameters(), lr=3e-4)
            for _ in range(args.epochs):
                for rows in torch.randperm(args.noise).split(256):
                    with torch.no_grad():
                        goal = teacher(noise[i, rows])[:, part].log_softmax(-1)
                    adam.zero_grad()
                    outputs = student(noise[i, rows])[:, part].log_softmax(-1)
                    F.kl_div(outputs, goal, log_target=True, reduction="batchmean").backward()
                    adam.step()
    return (now() - start) / args.some


def batched(args: argparse.Namespace) -> "np.ndarray":
    """Seconds of all models."""
    import torch
    from torch.nn import functional as F

    n = args.models
    x, y, noise = data(args, n)
    sizes = (x.shape[1], 256, 256, 10 + int(SETTINGS["aux"]))

    def networks() -> "list[Tensor]":
        weights = []
        for a, b in pairwise(sizes):
            weights += [torch.randn(n, a, b) * a**-0.5, torch.zeros(n, 1, b)]
        return weights

    def forward(weights: "list[Tensor]", into: "Tensor") -> "Tensor":
        for w, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            into = torch.relu(torch.baddbmm(b, into, w))
        return torch.baddbmm(weights[-1], into, weights[-2])

    start = now()
    reference = networks()
    teacher = [w.clone().requires_grad_() for w in reference]
    adam = torch.optim.Adam(teacher, lr=3e-4)
    for _ in range(args.epochs):
        for rows in torch.randperm(len(x)).split(24):
            outputs = forward(teacher, x[rows].expand(n, -1, -1))[..., :10]
            adam.zero_grad()
            (F.cross_entropy(outputs.flatten(0, 1), y[rows].repeat(n)) * n).backward()
            adam.step()
    order = torch.randperm(n)
    other = [w[order] for w in reference]
    for begin, part in ((reference, slice(10, None)), (reference, slice(None)),
                        (other, slice(10, None)), (other, slice(None))):  # fmt: skip
        student = [w.clone().requires_grad_() for w in begin]
        adam = torch.optim.Adam(student, lr=3e-4)
        for _ in range(args.epochs):
            for rows in torch.randperm(args.noise).split(256):
                with torch.no_grad():
                    goal = forward(teacher, noise[:, rows])[..., part].log_softmax(-1)
                adam.zero_grad()
                outputs = forward(student, noise[:, rows])[..., part].log_softmax(-1)
                F.kl_div(outputs, goal, log_target=True, reduction="batchmean").backward()
                adam.step()
    return now() - start


def products(args: argparse.Namespace) -> float:
    """GFLOP of the matrix products of all models: forward, gradients of weights, and of all inputs but the images."""
    sizes = (64, 256, 256, 10 + int(SETTINGS["aux"]))
    layers = [2 * a * b for a, b in pairwise(sizes)]
    trained, forward = 3 * sum(layers) - layers[0], sum(layers)
    rows = args.epochs * (1437 + 4 * args.noise)
    return args.models * (rows * trained + args.noise * forward) / 1e9


def peak() -> float:
    """GFLOP a second of one core on matrices of 1,024 x 1,024, the best of a few tries, by seconds of the processor."""
    import torch

    x, threads, best = torch.rand(1024, 1024), torch.get_num_threads(), float("inf")
    torch.set_num_threads(1)
    for _ in range(30):
        start = time.process_time()
        x @ x
        best = min(best, time.process_time() - start)
    torch.set_num_threads(threads)
    return 2 * 1024**3 / best / 1e9


def main(argv: list[str] | None = None) -> int:
    """Print seconds and ratios."""
    import torch

    from traitline.theory.stacked_networks import products as precise_products

    args = parse().parse_args(argv)
    torch.set_num_threads(args.threads)
    changed = {"models": args.models, "noise_images": args.noise, "teacher_epochs": args.epochs}
    print(f"{args.models} models, {args.epochs} epochs, {args.threads} threads: seconds by the clock, processor")
    sides = {}
    for precision in args.precision:
        settings = {**SETTINGS, **changed, "student_epochs": args.epochs, "precision": precision}
        sides[f"traitline, {precision}"] = ours(settings, args.threads)
        with precise_products(precision):
            sides[f"plain ({args.some} timed), {precision}"] = plain(args) * args.models
            sides[f"batched, {precision}"] = batched(args)
    first = next(iter(sides.values()))
    for name, (clock, processor) in sides.items():
        ratio = f"{clock / first[0]:6.2f} and {processor / first[1]:.2f} times the first"
        print(f"{name:27} {clock:8.1f} {processor:8.1f}   {ratio}")
    work, speed = products(args), peak()
    least = work / speed
    print(f"matrix products: {work:,.0f} GFLOP; at {speed:.0f} GFLOP/s, as one core on large ones, {least:.1f} s of it")
    for name, (_, processor) in sides.items():
        print(f"{name:27} {work / processor:8.1f} GFLOP/s, {least / processor:.0%} of that")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
