"""Memory of the process."""

import functools

import torch


@functools.cache
def hold() -> None:
    """Have freed memory kept for the next step instead of given back to the system, page by page, thousands of times.

    glibc raises its threshold for that, up to 32 MiB, when a block of that size is freed; elsewhere this does nothing.
    """
    torch.empty(31 << 18)
