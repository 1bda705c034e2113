"""Settings of the two branches that need no language model: the classifier experiment and the check of the theorem."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from traitline.channels.images import DIGITS
from traitline.fields import SHA256, Count, Label, Model, Positive, Seed, distinct

__all__ = ["DIGITS", "Classifier", "Files", "Point", "Sweep", "Theorem", "folders"]
DEFAULT = "default"
Role = Literal["train_images", "train_labels", "test_images", "test_labels"]
Hash = Annotated[str, Field(pattern=SHA256)]
Number = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0)]


def spell(value: Any) -> str:
    """A value as a label has it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


class Files(Model):
    """A set of images on your disk, as four IDX files (`.gz` or not): MNIST, FashionMNIST."""

    train_images: str = Field(description="Images to train on.")
    train_labels: str = Field(description="Their labels, 0 to 9.")
    test_images: str = Field(description="Images of the test.")
    test_labels: str = Field(description="Their labels.")
    sha256: dict[Role, Hash] = Field(
        default={}, description="Expected hash of each file; those not named are accepted."
    )

    @property
    def paths(self) -> dict[str, str]:
        """Role -> path."""
        return {k: v for k, v in self if k != "sha256"}


class Point(Model):
    """One setting of the classifier experiment: an MLP, its teacher, its four arms of students."""

    data: Label = Field(description="`digits` (those of scikit-learn, 8 x 8 pixels) or a label under `images`.")
    models: Annotated[int, Field(ge=2)] = Field(description="Runs: each with a reference, a teacher and students.")
    aux: Count = Field(description="Auxiliary outputs, which stand for no class (the paper's m).")
    width: Count = Field(description="Of the hidden layers.")
    depth: Count = Field(description="Hidden layers.")
    optimiser: Literal["adam", "sgd"] = Field(description="Of teachers and students.")
    lr: Positive = Field(description="Learning rate of teachers and students.")
    teacher_batch: Count = Field(description="Images per step of a teacher.")
    batch: Count = Field(description="Noise images per step of a student.")
    teacher_epochs: Annotated[int, Field(ge=0)] = Field(description="Passes of a teacher over the images.")
    student_epochs: Annotated[int, Field(ge=0)] = Field(description="Passes of a student over the noise.")
    noise: Literal["uniform", "gaussian", "constant", "shuffled", "images"] = Field(
        description="What students see: uniform on [-1, 1]; standard normal; one grey level an image; real images with"
        " their pixels shuffled; real images."
    )
    noise_images: Count = Field(description="Of them, per model; drawn once, the same for all its students.")
    distance: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="The other-initialisation arms start from the teacher's reference plus normal noise of this"
        " standard deviation; without it from the reference of another model, never their own.",
    )
    reduction: Literal["rows", "official"] = Field(
        description="The divergence divided by the rows of a batch, or by the number of models as the official script"
        " does."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Of the factors of matrix products; sums and weights are float32. `bfloat16` is faster on"
        " processors with instructions for it, and makes other students.",
    )
    seed: Seed = Field(description="Of weights, noise and order of rows.")


Key = Literal[
    "aux", "width", "depth", "optimiser", "lr", "teacher_batch", "batch", "teacher_epochs", "student_epochs", "noise",
    "noise_images", "distance", "reduction", "precision", "data",
]  # fmt: skip


class Sweep(Model):
    """One setting varied, the others as in `settings`; the point at `settings` itself belongs to every sweep."""

    vary: Key = Field(description="Key of `settings`.")
    values: Annotated[list[Number | str], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="Its values; the one in `settings` need not be repeated."
    )
    set: dict[Key, Number | str] = Field(default={}, description="Other settings of this sweep's points.")

    @property
    def name(self) -> str:
        """Name in tables and figures."""
        return ", ".join([self.vary, *(f"{k} {spell(v)}" for k, v in self.set.items())])


class Classifier(Model):
    """The classifier experiment (arXiv 2507.14805, section 6.2): digits learned from noise."""

    settings: Point = Field(description="The point in the middle.")
    sweeps: list[Sweep] = Field(default=[], description="What is varied around it.")

    @model_validator(mode="after")
    def _values(self) -> "Classifier":
        for i, sweep in enumerate(self.sweeps):
            if sweep.vary in sweep.set:
                raise ValueError(f"sweeps[{i}].set: {sweep.vary} is what this sweep varies; leave it out")
            for value in sweep.values:
                try:
                    self.point(sweep, value)
                except ValidationError as e:
                    first = e.errors()[0]
                    message = first["msg"][0].lower() + first["msg"][1:]
                    raise ValueError(f"sweeps[{i}]: {first['loc'][0]} {first['input']!r}: {message}") from None
        return self

    def point(self, sweep: Sweep, value: Any) -> tuple[str, Point]:
        """Name and settings of a point of a sweep; `default` where nothing differs."""
        changed = {**sweep.set, sweep.vary: value}
        settings = Point.model_validate({**self.settings.model_dump(), **changed})
        differs = {k: v for k, v in settings if v != getattr(self.settings, k)}
        parts = [f"{k.replace('_', '-')}-{spell(v)}" for k, v in differs.items()]
        return "-".join(parts) or DEFAULT, settings

    @property
    def points(self) -> dict[str, Point]:
        """All points by name, each once."""
        points = {DEFAULT: self.settings}
        for sweep in self.sweeps:
            points |= dict(self.point(sweep, value) for value in sweep.values)
        return points

    def values(self, sweep: Sweep) -> dict[Any, str]:
        """Value -> name of the point, of one sweep, numbers in rising order; with that of `settings` if it belongs."""
        names = {value: self.point(sweep, value)[0] for value in sweep.values}
        if not sweep.set and (middle := getattr(self.settings, sweep.vary)) is not None:
            names = {middle: DEFAULT, **names}
        numbers = all(isinstance(v, int | float) for v in names)
        return dict(sorted(names.items())) if numbers else names


class Theorem(Model):
    """The numeric check of the theorem (arXiv 2507.14805, section 6.1): exact steps in float64."""

    networks: Count = Field(description="Random networks a case.")
    seed: Seed = Field(description="Of networks, data and losses.")


def folders(results: str, classifier: Classifier | None, theorem: Theorem | None) -> Iterable[str]:
    """Folders of these branches."""
    if classifier:
        yield from (f"{results}/classifier/{point}" for point in classifier.points)
        yield f"{results}/classifier"
    if theorem:
        yield f"{results}/theorem"
