"""The classifier experiment: students imitate outputs that stand for no class, on noise, and learn digits.

Source: arXiv 2507.14805, section 6.2, and its official script.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from traitline import seeds
from traitline.channels import images
from traitline.errors import InputError
from traitline.progress import shown
from traitline.theory.stacked_networks import Networks, batches, fit, initial, optimiser, products, softmax

if TYPE_CHECKING:
    from torch import Generator, Tensor

STUDENTS = ("aux-same", "all-same", "aux-other", "all-other")
ARMS = ("reference", "teacher", *STUDENTS)
TOGETHER = 2  # models trained at once in a thread: with their four students each, what they are made of fits a cache
PART = 4096  # noise images that a teacher labels at once

generator = partial(seeds.generator, "mlp")


def derangement(n: int, seed: int) -> list[int]:
    """Draw a random cycle through 0..n-1 (Sattolo's algorithm): no number keeps its place."""
    import torch

    g = generator(seed, "other")
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = int(torch.randint(i, (), generator=g))
        order[i], order[j] = order[j], order[i]
    return order


def noise(law: str, n: int, real: "Tensor", g: "Generator") -> "Tensor":
    """Draw the images (n, inputs) that students see.

    `uniform` on [-1, 1]; `gaussian`, standard normal; `constant`, one grey level an image; `shuffled`, real images with
    the pixels of each in another order; `images`, real ones. The last two repeat `real` if n is larger.
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


@dataclass(frozen=True)
class Experiment:
    """One point of the experiment: its settings and its images."""

    settings: dict[str, Any]
    data: images.Images

    @property
    def sizes(self) -> list[int]:
        """Inputs, hidden widths, outputs."""
        s = self.settings
        return [self.data.inputs, *[s["width"]] * s["depth"], images.CLASSES + s["aux"]]

    def random(self, model: int, what: str) -> "Generator":
        """A random stream of one model."""
        return generator(self.settings["seed"], model, what)

    def starts(self, models: Sequence[int]) -> tuple["Tensor", "Tensor"]:
        """Draw starting parameters (models, P): the references, and the starts of the other-initialisation arms."""
        import torch

        s = self.settings
        order = derangement(s["models"], s["seed"])
        references = torch.stack([initial(self.sizes, self.random(m, "weights")) for m in models])
        if s.get("distance") is None:
            return references, torch.stack([initial(self.sizes, self.random(order[m], "weights")) for m in models])
        away = [torch.randn(references.shape[1], generator=self.random(m, "distance")) for m in models]
        return references, references + s["distance"] * torch.stack(away)

    def train(self, models: Sequence[int]) -> dict[str, list[float]]:
        """Train some of the models, each as if it were alone.

        Returns:
            Test accuracy by arm, a value a model.

        Raises:
            InputError: a network is no longer finite.
        """
        import torch

        data = self.data
        references, others = self.starts(models)
        every = torch.zeros(1, 1, self.sizes[-1])
        classes = every.clone()
        auxiliary = every.clone()
        classes[..., images.CLASSES :] = -math.inf
        auxiliary[..., : images.CLASSES] = -math.inf

        accuracies = {"reference": Networks(self.sizes, references).accuracy(data.test, data.test_labels)}
        teacher = self._teacher(models, references, classes)
        accuracies["teacher"] = teacher.accuracy(data.test, data.test_labels)
        starts = torch.stack([references, references, others, others], 1)
        seen = torch.cat([auxiliary, every, auxiliary, every])
        students = self._students(models, teacher, starts, seen)
        if not (teacher.flat.isfinite().all() and students.flat.isfinite().all()):
            lr = self.settings["lr"]
            raise InputError(f"the networks are no longer finite at learning rate {lr}; lower it (lr)")
        shares = students.accuracy(data.test, data.test_labels)
        return accuracies | {arm: shares[i :: len(STUDENTS)] for i, arm in enumerate(STUDENTS)}

    def _teacher(self, models: Sequence[int], start: "Tensor", classes: "Tensor") -> Networks:
        """Train the teachers on labelled images, by the cross-entropy of their class outputs."""
        import torch

        s = self.settings
        n, outputs = len(self.data.train), self.sizes[-1]
        teacher = Networks(self.sizes, start)
        labels = torch.nn.functional.one_hot(self.data.train_labels, outputs).float().expand(len(models), n, outputs)
        orders = batches(n, s["teacher_batch"], s["teacher_epochs"], [self.random(m, "teacher-order") for m in models])
        fit(teacher, 1, self.data.train, labels, classes, orders, optimiser(s["optimiser"], s["lr"], teacher))
        return teacher

    def _students(self, models: Sequence[int], teacher: Networks, starts: "Tensor", seen: "Tensor") -> Networks:
        """Train the students of every arm on noise, by the divergence from their teacher's outputs.

        Args:
            models: their numbers.
            teacher: one network a model.
            starts: parameters (models, arms, P).
            seen: (arms, 1, outputs), see `fit`.
        """
        import torch

        s, n, each = self.settings, self.settings["noise_images"], len(STUDENTS)
        x = torch.stack([noise(s["noise"], n, self.data.train, self.random(m, "noise")) for m in models])
        labels = torch.cat([teacher.forward(part)[-1].clone() for part in torch.split(x, PART, 1)], 1)
        seen = seen.repeat(len(models), 1, 1)
        target = softmax(labels.repeat_interleave(each, 0) + seen)
        students = Networks(self.sizes, starts.flatten(0, 1))
        orders = batches(n, s["batch"], s["student_epochs"], [self.random(m, "student-order") for m in models])
        scale = 1 / s["models"] if s["reduction"] == "official" else None
        fit(students, each, x, target, seen, orders, optimiser(s["optimiser"], s["lr"], students), scale)
        return students

    def run(self, progress: str | None = None) -> dict[str, list[float]]:
        """Train all models; threads of torch each take some of them at a time.

        Returns:
            Test accuracy by arm, in the order of the models.
        """
        import torch

        n, threads = self.settings["models"], torch.get_num_threads()
        groups = [range(i, min(i + TOGETHER, n)) for i in range(0, n, TOGETHER)]
        accuracies: dict[str, list[float]] = {arm: [] for arm in ARMS}
        with (
            shown(progress, n, unit="models") as update,
            ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
            products(self.settings["precision"]),
        ):
            for part in pool.map(self.train, groups):
                for arm, values in part.items():
                    accuracies[arm] += values
                update(len(part["teacher"]))
        return accuracies
