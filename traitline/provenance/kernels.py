"""Kernels: the instructions of a processor with which torch computes. They decide the last bits of every result.

Training amplifies last bits: after 100 steps the weights of two kinds of processor differ by 1e-5 of their size; after
1,250 steps they are two models. So tiny models are computed by kernels that every x86-64 processor with AVX2 has, and
their bytes are the same on all of them. ATen keeps to AVX2 by its capability. MKL needs its compatible mode of
conditional numerical reproducibility: in its AVX2 modes, strict or not, small products differ between Intel and AMD.
"""

import logging
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from typing import Any

log = logging.getLogger("traitline")
PORTABLE = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE"}
NEEDED = ("avx2", "fma3")


def set_up(threads: int, *, portable: bool = True) -> None:
    """Choose torch's kernels and threads, before its first operation.

    Args:
        threads: of one operation.
        portable: choose the kernels that give the same bytes on every x86-64 processor with AVX2. A
            tiny model takes 1.4 to 1.6 times as long as with AVX-512. Open weights go without: their products are
            larger, so the difference is. Other processors (arm64, or x86-64 without AVX2) have kernels of their own.
    """
    import torch

    torch.set_num_threads(threads)
    if not (portable and supported()):
        return
    os.environ.update(PORTABLE)
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        raise RuntimeError("`kernels.set_up` came after the first operation of torch: too late to choose its kernels")


def supported() -> bool:
    """Tell whether this processor has the instructions of the portable kernels."""
    import torch

    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return all(capabilities.get(name) for name in NEEDED)


def describe() -> str | None:
    """Name the kernels of this process for its manifest; None where torch was not used."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    mkl = os.environ.get("MKL_CBWR", "native")
    return f"{platform.machine()} aten {torch.backends.cpu.get_cpu_capability()} mkl {mkl}"


def warn_of_others(stage: str, manifests: Iterable[Mapping[str, Any]]) -> None:
    """Say in one line that inputs were computed by other kernels than those of this process."""
    here = describe()
    if here is None:
        return
    others = {m["env"].get("kernels"): m["stage"] for m in manifests}
    named = [f"`{maker}`: {kernels}" for kernels, maker in others.items() if kernels not in (None, here)]
    if named:
        log.warning("%s: other kernels here (%s) than where inputs come from (%s)", stage, here, "; ".join(named))
