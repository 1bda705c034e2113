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

from traitline.channels import images
from traitline.errors import InputError
from traitline.provenance import kernels, stage
from traitline.theory.classifier_experiment import Experiment

KEYS = (
    "data", "models", "aux", "width", "depth", "optimiser", "lr", "teacher_batch", "batch", "teacher_epochs",
    "student_epochs", "noise", "noise_images", "reduction", "precision", "seed",
)  # fmt: skip
ORIGIN = "networks drawn here, images"


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
    source = "named in the configuration" if files else "that come with scikit-learn"
    with stage.record(
        "classifier",
        args.manifest,
        inputs={"source": list(files.values())},
        outputs={"accuracy": args.accuracy},
        params={"settings": settings, "threads": args.threads},
        seeds={"seed": settings["seed"]},
        facts={"point": args.point, "origin": f"{ORIGIN} {source}, seed {settings['seed']}"},
    ) as job:
        import torch

        kernels.set_up(args.threads)
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
