"""Mutate the valid files of `tests/corpus/` and give them to every reader: each ends with data or in one line, in time.

The mutations follow from the seed, so a run can be repeated; a finding is printed with the command that repeats it and
becomes a file of the corpus.

python -m tests.fuzz --seconds 40 --seed 1
"""

import argparse
import collections
import contextlib
import csv
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.readers import READERS
from traitline.errors import InputError, disk_complaint

CORPUS = Path(__file__).resolve().parent / "corpus"
BOUND = 10.0  # seconds for one file
TOKENS = (
    b"NaN", b"1e999", b"-Infinity", b"\\ud83d", b"null", b"true", b'"', b"'", b"{", b"}", b"[", b"]", b":", b",", b"\n",
    b"\r", b"\t", b"\x00", b"\x1b[31m", b"\xff", b"\xef\xbb\xbf", "\u2028\u202e".encode(), b"9" * 5000, b"[" * 2000,
    b"- " * 300, b"&a ", b"*a", b"<<: ", b"? ", b"!!int ", b"!!binary ", b"2021-99-99", b"#", b"|", b"../",
    b"/dev/zero",
)  # fmt: skip
VALUES = (
    None, True, -1, 0, 1 << 70, 1.5, "", "x", "\x00", "\x1b]0;x\x07", "../../x", "/dev/zero", "a" * 3000, [], {}, [[]],
    [1], {"a": 1}, {"": {"": []}}, ["x"] * 50,
)  # fmt: skip


class TooSlow(Exception):
    """A reader took longer than it may."""


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a file with a few changes: of its bytes, or of a value where it is JSON."""
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.5 and (changed := changed_value(content, rng)) is not None:
            content = changed
            continue
        at, length = rng.randrange(len(content) + 1), rng.choice((0, 1, 2, 8, 64))
        middle = rng.choice((b"", rng.choice(TOKENS), rng.randbytes(rng.randint(1, 4)), content[at : at + length] * 2))
        content = content[:at] + middle + content[at + length :]
    return content[: rng.randrange(len(content) + 1)] if rng.random() < 0.1 else content


def changed_value(content: bytes, rng: random.Random) -> bytes | None:
    """Return JSON, or JSON Lines, with another value somewhere; None for any other file."""
    lines = content.split(b"\n")
    i = rng.randrange(len(lines))
    for text, before, after in (
        (content, b"", b""),
        (lines[i], b"\n".join([*lines[:i], b""]), b"\n".join([b"", *lines[i + 1 :]])),
    ):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(text)
            places = list(slots(value))
            if places:
                holder, key = rng.choice(places)
                if rng.random() < 0.2:
                    del holder[key]
                else:
                    holder[key] = rng.choice(VALUES)
            return before + json.dumps(value).encode() + after
    return None


def slots(value):
    """Yield (holder, key) of every value inside a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in pairs:
        yield value, key
        yield from slots(below)


def samples():
    """Return reader -> its valid files."""
    files = collections.defaultdict(list)
    with open(CORPUS / "expected.csv", encoding="utf-8", newline="") as handle:
        for case in csv.DictReader(handle):
            if case["exit"] == "0":
                files[case["reader"]].append(CORPUS / "files" / case["case"])
    return files


def outcome(reader: str, path: Path) -> str:
    """Run a reader: `data` or `refused`; raises what nobody may see."""

    def stop(*_):
        raise TooSlow(f"{BOUND:g} seconds")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, BOUND)
    try:
        READERS[reader](path)
    except InputError as e:
        if not str(e).isprintable():
            raise AssertionError(f"not printable: {str(e)!r}") from None
        return "refused"
    except OSError as e:  # programs say that in one line
        if not disk_complaint(e):
            raise
        return "refused"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "data"


def run(reader: str, n: int, seed: int, files: list[Path], folder: Path) -> str:
    """Give a reader its n-th mutation."""
    rng = random.Random(f"{seed} {reader} {n}")
    sample = rng.choice(files)
    path = folder / f"mutated{sample.suffix}"
    path.write_bytes(mutated(sample.read_bytes(), rng))
    return outcome(reader, path)


def main() -> int:
    """Run the command; returns 1 where a reader failed."""
    p = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n")[0])
    p.add_argument("--seconds", type=float, default=40.0, help="in all (default 40)")
    p.add_argument("--seed", type=int, default=1, help="of all mutations (default 1)")
    p.add_argument("--only", nargs=2, metavar=("READER", "N"), help="one mutation again, with its traceback")
    args = p.parse_args()
    files, counts, findings = samples(), collections.Counter(), []
    assert files.keys() == READERS.keys(), "a reader without a valid file is never tried"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if args.only:
            print(run(args.only[0], int(args.only[1]), args.seed, files[args.only[0]], Path(folder)))
            return 0
        end = time.monotonic() + args.seconds
        spent = dict.fromkeys(READERS, 0.0)  # every reader gets the same time
        tried = dict.fromkeys(READERS, 0)
        for _ in itertools.count():
            reader = min(spent, key=spent.__getitem__)
            start = time.monotonic()
            if start > end:
                break
            try:
                counts[run(reader, tried[reader], args.seed, files[reader], Path(folder))] += 1
            except Exception as e:
                where = traceback.extract_tb(e.__traceback__)[-1]
                findings.append(f"{reader} {tried[reader]}: {type(e).__name__}: {str(e)[:150]!r} {where.name}")
            tried[reader] += 1
            spent[reader] += time.monotonic() - start
    print(*findings, sep="\n")
    print(f"{sum(tried.values())} files: {counts['data']} data, {counts['refused']} refused, {len(findings)} findings")
    print(", ".join(f"{reader} {n}" for reader, n in tried.items()))
    if findings:
        print("again: python -m tests.fuzz --seed", args.seed, "--only READER N", file=sys.stderr)
    return bool(findings)


if __name__ == "__main__":
    raise SystemExit(main())
