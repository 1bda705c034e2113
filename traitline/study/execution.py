"""The stages, and how their jobs run."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from traitline.errors import nearest
from traitline.fields import Count, Model

STAGES = (
    "preregister",
    "convert",
    "pretrain",
    "source",
    "prompts",
    "teach",
    "sample",
    "filter",
    "mark_divergence",
    "detect",
    "decode",
    "prepare",
    "influence",
    "train",
    "respond",
    "score",
    "judge",
    "summarise",
    "plot",
    "check_influence",
    "classifier",
    "classifier_summary",
    "theorem",
    "compare_paper",
    "report",
)


class Execution(Model):
    """Settings of how jobs run. Memory, minutes and GPUs decide no result, and changing them reruns nothing. Only the
    number of GPUs that share a training on open weights decides the last bits."""

    stack: Count = Field(description="Students trained together in one job: the seeds of a row, so many at a time.")
    together: Count | None = Field(
        default=None,
        description="Students on open weights that train together over one frozen base, in one forward pass: those of"
        " one base and seed, so many at a time, whatever their traits, datasets, recipes. Without it, one after"
        " the other.",
    )
    threads: Count = Field(
        description="Threads of a job. 1 and many jobs beat many threads. Decides the last bits, so a change reruns."
    )
    mem_mb: dict[str, Count] = Field(description="Memory of a job in MB, by stage; `default` for the others.")
    runtime: dict[str, Count] = Field(description="Minutes of a job, by stage; `default` for the others.")
    gpu: dict[str, Annotated[int, Field(ge=0)]] = Field(
        description="GPUs of a job, by stage; `default` for the others. Several of `train`, or of `teach` with a"
        " corpus, share every step on open weights."
    )
    sharded: bool = Field(
        default=False,
        description="GPUs that share a training on open weights hold a share each of the base, not all of it: for a"
        " base that is too large for one. Decides no more than rounding; a change trains anew.",
    )
    shards: Count = Field(
        default=1,
        description="Jobs that share the sampling of one teacher. Decides no byte; a change samples anew.",
    )
    every: Count = Field(default=60, description="Seconds between checkpoints of what can go on after an interruption.")
    local: list[str] = Field(
        default=[], description="Stages that the launching process of `--profile slurm` does itself: they take seconds."
    )

    @model_validator(mode="after")
    def _stages(self) -> "Execution":
        for stage in self.local:
            if stage not in STAGES:
                raise ValueError(f"local: {stage!r} is no stage; {nearest(stage, STAGES)}")
        for name in ("mem_mb", "runtime", "gpu"):
            table, known = getattr(self, name), (*STAGES, "default")
            for key in table:
                if key not in known:
                    raise ValueError(f"{name}.{key}: no such stage; {nearest(key, known)}")
            if "default" not in table:
                raise ValueError(f"{name}.default is missing")
        return self

    def of(self, what: Literal["mem_mb", "runtime", "gpu"], stage: str) -> int:
        """A resource of one stage's jobs."""
        table: dict[str, int] = getattr(self, what)
        return table.get(stage, table["default"])

    def processes(self, stage: str) -> int:
        """Number of processes for a training of a stage on open weights: one for each GPU, or one."""
        return max(1, self.of("gpu", stage))
