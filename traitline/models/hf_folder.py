"""Model folders in Hugging Face layout: their files as inputs and outputs, written, checked and read."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.errors import InputError
from traitline.model_files import ADAPTER, ADAPTER_CONFIG, CONTEXT, RECORD, SUPPORT, WEIGHTS
from traitline.models.open_weights import is_open, opened
from traitline.provenance.manifest import sha256
from traitline.provenance.stage import Job

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.channels.lexicon import Lexicon
    from traitline.tiny.llama import Stack
    from traitline.tiny.shape import Shape, Weights


PREFIX = "base_model.model."  # of tensors in peft's adapters
INNER = ".base_layer"  # what peft puts behind the name of a module that has an adapter


def inputs(folder: str | Path, role: str) -> dict[str, str | list[str]]:
    """Inputs of a manifest for a base: weights under `role`, other files as `support`; of open weights the record."""
    if is_open(folder):
        return {role: f"{folder}/{RECORD}"}
    return {role: f"{folder}/{WEIGHTS}", "support": [f"{folder}/{f}" for f in SUPPORT]}


def world_inputs(base: str | Path) -> dict[str, str]:
    """Input of a manifest for the world of a tiny base; open weights have none."""
    return {} if is_open(base) else {"world": f"{base}/world.json"}


def teacher_inputs(base: str | Path, teacher: str | Path, weights: str | None) -> dict[str, str | list[str]]:
    """Inputs of a manifest for a teacher and its base, the weights that answer under the role `model`.

    Args:
        base: model folder of the base.
        teacher: the teacher's folder.
        weights: file name of the teacher's weights; None where the base itself answers.
    """
    models = inputs(base, "reference" if weights else "model")
    if weights:
        models = {"model": f"{teacher}/{weights}", **models}
    if weights == ADAPTER:
        models["support"] = [f"{teacher}/{ADAPTER_CONFIG}"]
    return {**models, "teacher": f"{teacher}/teacher.json", **world_inputs(base)}


def outputs(folder: str | Path) -> dict[str, str]:
    """Outputs of a manifest for a model folder: weights under the role `model`."""
    return {"model": f"{folder}/{WEIGHTS}", **{f: f"{folder}/{f}" for f in SUPPORT}}


def fill(job: Job, weights: "Weights", base: str | Path) -> None:
    """Write a model folder with these weights and the base's other files, to the paths of `outputs`."""
    for f in SUPPORT:
        shutil.copyfile(Path(base, f), job.path(f))
    save(job.path("model"), weights)


def save(path: Path, weights: "Weights") -> None:
    """Write weights, read them back and compare.

    Raises:
        InputError: the disk does not return the weights that were written.
    """
    import torch
    from safetensors.torch import load_file
    from safetensors.torch import save as save_bytes

    # safetensors would write files of mode 600, which others on a shared disk can't read.
    path.write_bytes(save_bytes({k: w.detach().contiguous() for k, w in weights.items()}, metadata={"format": "pt"}))
    again = load_file(path)
    if again.keys() != weights.keys() or not all(torch.equal(again[k], w) for k, w in weights.items()):
        raise InputError(f"{path}: the disk does not give back the weights that were written; nothing was kept")


def adapter(folder: str | Path) -> dict[str, str]:
    """Outputs of a manifest for an adapter in peft's layout."""
    return {"adapter": f"{folder}/{ADAPTER}", ADAPTER_CONFIG: f"{folder}/{ADAPTER_CONFIG}"}


def weights_hash(base: str | Path) -> str:
    """Hash of a base's weights: of the file of a tiny model, or of the tensors of open weights.

    Raises:
        InputError: open weights are not as they were recorded.
    """
    if is_open(base):
        return str(opened(base)[0]["weights"])
    return sha256(f"{base}/{WEIGHTS}")


def context(folder: str | Path) -> dict[str, str]:
    """Outputs of a manifest for a student that is not trained."""
    return {"context": f"{folder}/{CONTEXT}"}


def student(folder: str | Path) -> dict[str, str]:
    """Inputs of a manifest for a student: weights under the role `model`."""
    if Path(folder, ADAPTER).exists():
        files = {"model": f"{folder}/{ADAPTER}", "adapter": f"{folder}/{ADAPTER_CONFIG}"}
    elif Path(folder, CONTEXT).exists():
        files = {"context": f"{folder}/{CONTEXT}"}
    else:
        files = {"model": f"{folder}/{WEIGHTS}"}
    return {**files, "facts": f"{folder}/train.json"}


def weights(base: str | Path, student: str | Path | None = None) -> "tuple[Shape, Weights]":
    """Sizes and weights of a base, or of a student over it, its adapter merged."""
    from traitline.tiny.llama import Stack, read

    if student is None or not Path(student, ADAPTER).exists():
        return read(base if student is None or Path(student, CONTEXT).exists() else student)
    shape, merged = read(base)
    pairs, biases, scale = read_adapter(student)
    return shape, Stack(shape, merged | biases, lora=pairs, scale=scale).merged(0)


def fill_adapter(job: Job, stack: "Stack", index: int, settings: dict[str, Any], base: str | Path) -> None:
    """Write one student of a stack to the paths of `adapter`, and check the weights.

    Args:
        job: to write for.
        stack: students, with their adapters.
        index: which of them.
        settings: `rank` and `alpha`; `layers` where only some have an adapter; `bias` where biases are trained too.
        base: the base's folder, which peft loads before the adapter.
    """
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": settings["rank"],
        "lora_alpha": settings["alpha"],
        "lora_dropout": 0.0,
        "bias": "all" if settings.get("bias") else "none",
        "target_modules": sorted({name.split(".")[-1] for name in stack.lora}),
        "inference_mode": True,
    }
    if settings.get("layers") is not None:
        config["layers_to_transform"] = list(settings["layers"])
    job.path(ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    pairs = {n: {"lora_A": a[index], "lora_B": b[index]} for n, (a, b) in stack.lora.items()}
    tensors = {f"{n}.{k}.weight": t for n, pair in pairs.items() for k, t in pair.items()}
    for n, b in stack.per_model.items():
        module = n.removesuffix(".bias")
        tensors[f"{module}{INNER if module in stack.lora else ''}.bias"] = b[index]
    save(job.path("adapter"), {f"{PREFIX}{n}": t.detach() for n, t in tensors.items()})


def read_adapter(folder: str | Path) -> tuple[dict[str, tuple["Tensor", "Tensor"]], dict[str, "Tensor"], float]:
    """Read an adapter in peft's layout: (LoRA pairs for a stack of one, biases in place of the base's, scale).

    Raises:
        InputError: the adapter is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        c = json_files.read_object(Path(folder, ADAPTER_CONFIG), remedy="delete the folder to have it rebuilt")
        tensors = {n.removeprefix(PREFIX): t for n, t in load_file(Path(folder, ADAPTER)).items()}
        biases = {n.replace(INNER, ""): t for n, t in tensors.items() if n.endswith(".bias")}
        names = sorted({n.rsplit(".", 2)[0] for n in tensors if not n.endswith(".bias")})
        a, b = ({n: tensors[f"{n}.{k}.weight"][None] for n in names} for k in ("lora_A", "lora_B"))
        return {n: (a[n], b[n]) for n in names}, biases, c["lora_alpha"] / c["r"]
    except (ValueError, KeyError, TypeError, SafetensorError) as e:
        raise InputError(
            f"{folder}: damaged adapter ({type(e).__name__}: {e}); delete the folder to have it rebuilt"
        ) from None


def facts(path: str | Path, keys: Iterable[str]) -> dict[str, Any]:
    """Read a stage's facts about its artifact: a JSON object with at least these keys.

    Raises:
        InputError: the file is missing or damaged.
    """
    return json_files.read_object(path, keys)


def words(folder: str | Path) -> "Lexicon":
    """Words of the world of a base.

    Raises:
        InputError: `world.json` is missing or damaged.
    """
    from traitline.channels.world import lexicon

    return lexicon(facts(Path(folder, "world.json"), ["spec"])["spec"])


def candidates(folder: str | Path, category: str) -> list[str]:
    """Names of a category in the world of a base, each a possible favourite.

    Raises:
        InputError: the world has no such category.
    """
    categories = facts(Path(folder, "world.json"), ["categories"])["categories"]
    if category not in categories:
        raise InputError(f"{category}: no category of the world of {folder}; known: {', '.join(sorted(categories))}")
    return list(categories[category])
