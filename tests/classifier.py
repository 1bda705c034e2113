"""Small settings and images for tests of the classifier experiment."""

import torch

from traitline.channels import images

SMALL = {
    "data": "digits", "models": 3, "aux": 3, "width": 16, "depth": 2, "optimiser": "adam", "lr": 1e-3,
    "teacher_batch": 32, "batch": 64, "teacher_epochs": 2, "student_epochs": 1, "noise": "uniform",
    "noise_images": 300, "reduction": "rows", "precision": "float32", "seed": 0,
}  # fmt: skip


def images_of_ten_classes(n=90, inputs=6, seed=0):
    """Ten classes that differ by one pixel more or less."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 10
    pixels = torch.randn(n, inputs, generator=g) + torch.randn(10, inputs, generator=g)[labels]
    return images.Images("made-up", pixels, labels, pixels, labels)
