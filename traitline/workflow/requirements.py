"""Missing requirements of a study on open weights: weights, revisions, files from outside, engines, GPUs."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.workflow.gpu_costs import Gpu, shape

if TYPE_CHECKING:
    from traitline.study.config import Study


def open_bases(study: "Study") -> list[str]:
    """Open weights that a study uses."""
    used = dict.fromkeys(base for run in study.runs for base in (run.base, run.student))
    used |= {study.judge.base: None} if study.judge and study.judge.base else {}
    return [label for label in used if study.bases[label].open]


def missing(study: "Study", stages: Sequence[dict[str, Any]], gpu: Gpu) -> list[str]:
    """List what must be corrected or added before a study can run; `stages`: see `estimate.Stage`."""
    lines = _missing_weights(study) + _missing_sources(study)
    if study.engine and study.engine.name == "vllm" and importlib.util.find_spec("vllm") is None:
        lines.append("engine: vllm is not installed here")
    if large := [s["name"] for s in stages if s["memory"] > 4 and not s["gpus"]]:
        lines.append(f"execution.gpu: 0 for {', '.join(large)}; such models want 1")
    if full := [s["name"] for s in stages if s["memory"] > gpu.memory]:
        lines.append(
            f"memory: {', '.join(full)} may not fit; lower `batch`, raise `accumulate`, or share it, `sharded`"
        )
    return lines


def _missing_weights(study: "Study") -> list[str]:
    from traitline.models import gguf_file, open_weights

    lines = []
    for label in open_bases(study):
        base = study.bases[label]
        source = base.model_dump(exclude_none=True)
        if base.hub and not base.revision:
            lines.append(f"bases.{label}.revision: the commit of {base.hub}, 40 hex digits")
        else:
            try:
                if base.gguf:
                    gguf_file.parts(Path(base.gguf_parts[0]))
                else:
                    open_weights.find(source)
            except InputError as e:
                lines.append(f"bases.{label}: {e}")
        if shape(source) is None:
            lines.append(f"bases.{label}: sizes unknown until the weights are here; memory and hours leave it out")
    return lines


def _missing_sources(study: "Study") -> list[str]:
    from traitline.models import open_weights

    lines = []
    for label in study.used_sources:
        source = study.sources[label]
        try:
            if source.hub:
                open_weights.hub(source.hub, str(source.revision), [str(source.file)], data=True)
            elif not Path(str(source.path)).is_file():
                lines.append(f"sources.{label}: {source.path}: no such file; put it there")
        except InputError as e:
            lines.append(f"sources.{label}: {e}")
    return lines
