"""Kernels: the instructions of a processor with which arrays are computed. They decide the last bits of every result.

Training amplifies last bits: after 100 steps the weights of two kinds of processor differ by 1e-5 of their size; after
1,250 steps they are two models. So tiny models are computed by kernels that every x86-64 processor with AVX2 has, and
their bytes are the same on all of them. ATen keeps to AVX2 by its capability. Matrix products are those of the OpenBLAS
that comes with numpy: its Haswell kernels are the same instructions for Intel and AMD, and two to three times as quick
as MKL's compatible mode of conditional numerical reproducibility, which is left for what else ATen asks of MKL. (In
MKL's AVX2 modes, strict or not, small products differ between Intel and AMD.)
"""

import ctypes
import functools
import logging
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger("traitline")
OPENBLAS = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"}  # read when numpy is imported
ATEN = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE"}  # read at torch's first operation
NEEDED = {"avx2", "fma"}


def choose_openblas() -> None:
    """Choose numpy's kernels, and one thread for them; before numpy is imported."""
    if supported():
        os.environ.update(OPENBLAS)


def set_up(threads: int, *, portable: bool = True) -> None:
    """Choose torch's kernels and threads, before its first operation.

    Args:
        threads: of one operation.
        portable: choose the kernels that give the same bytes on every x86-64 processor with AVX2. Open weights go
            without: their products are larger, and torch's own kernels quicker for them. Other processors (arm64, or
            x86-64 without AVX2) have kernels of their own.

    Raises:
        RuntimeError: numpy or torch has chosen already, and something else.
    """
    if portable and "numpy" not in sys.modules:
        choose_openblas()
    import torch

    torch.set_num_threads(threads)
    if not (portable and supported()):
        return
    os.environ.update(ATEN)
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        raise RuntimeError("`kernels.set_up` came after the first operation of torch: too late to choose its kernels")
    if (core := openblas_core()) not in (None, OPENBLAS["OPENBLAS_CORETYPE"]):
        raise RuntimeError(
            f"numpy was imported before `kernels.choose_openblas`: too late to choose its kernels (it has {core})"
        )


@functools.cache
def supported() -> bool:
    """Tell whether this processor has the instructions of the portable kernels; known on Linux, without torch."""
    if platform.machine() != "x86_64":
        return False
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in text.splitlines() if line.startswith("flags")), "")
    return set(flags.split()) >= NEEDED


@functools.cache
def openblas() -> ctypes.CDLL | None:
    """Open the OpenBLAS of numpy's wheels; None where numpy has another library."""
    import numpy as np

    folder = Path(np.__file__).parent
    files = [*folder.parent.glob("numpy.libs/libscipy_openblas64_*"), *folder.glob(".dylibs/libscipy_openblas64_*")]
    if not files:
        return None
    library = ctypes.CDLL(str(files[0]))
    library.scipy_openblas_get_corename64_.restype = ctypes.c_char_p
    return library


def openblas_core() -> str | None:
    """Name the processor for which OpenBLAS computes; None where numpy has another library."""
    library = openblas()
    return None if library is None else library.scipy_openblas_get_corename64_().decode()


def describe() -> str | None:
    """Name the kernels of this process for its manifest; None where torch was not used."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    mkl = os.environ.get("MKL_CBWR", "native")
    blas = f" openblas {openblas_core()}" if openblas.cache_info().currsize and openblas() else ""
    return f"{platform.machine()} aten {torch.backends.cpu.get_cpu_capability()}{blas} mkl {mkl}"


def warn_of_others(stage: str, manifests: Iterable[Mapping[str, Any]]) -> None:
    """Say in one line that inputs were computed by other kernels than those of this process."""
    here = describe()
    if here is None:
        return
    others = {m["env"].get("kernels"): m["stage"] for m in manifests}
    named = [f"`{maker}`: {kernels}" for kernels, maker in others.items() if kernels not in (None, here)]
    if named:
        log.warning("%s: other kernels here (%s) than where inputs come from (%s)", stage, here, "; ".join(named))
