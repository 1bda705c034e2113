"""Programs that write a page of results, from the repository's root."""

import argparse
import sys
from collections.abc import Callable, Sequence

from traitline.errors import InputError


def run_page(module: str, about: str, write: Callable[[], None], argv: Sequence[str] | None) -> int:
    """Run a program without arguments that writes a page; return its exit code.

    Args:
        module: name of the program's module.
        about: what `--help` says.
        write: writes the page; raises `InputError` where it can't.
        argv: the arguments, of which there are none but `--help`.
    """
    p = argparse.ArgumentParser(
        prog=f"python -m {module}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.parse_args(argv)
    try:
        write()
    except InputError as e:
        print(f"{module.rpartition('.')[2]}: error: {e}", file=sys.stderr)
        return 2
    return 0
