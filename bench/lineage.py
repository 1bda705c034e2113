"""What origins cost: pinning against DVC, hashing against sha256sum, indexing, the audit and trace of a large graph.

Each figure stands beside what was asked of it. `pin` and `dvc commit -f` run on the same made-up study, one after the
other; `verify` and `sha256sum` read the same file. The large graph is made up: bases, teachers, their data, students,
scores, in the shape of a study. Seconds are wall-clock: run it on a quiet machine. (Processor seconds stand behind.)

python -m bench.lineage
"""

import argparse
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from traitline import audit, index
from traitline.graph import Graph
from traitline.verify import verify


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.lineage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--artifacts", type=int, default=1_000_000, metavar="N", help="of the large graph (default 1,000,000)"
    )
    p.add_argument("--manifests", type=int, default=20_000, metavar="N", help="files to index (default 20,000)")
    p.add_argument("--megabytes", type=int, default=2000, metavar="N", help="of the file to verify (default 2000)")
    p.add_argument(
        "--study", metavar="FOLDER", help="a finished study under git and DVC, to time pin on (default: none)"
    )
    return p


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """(what it returned, seconds, processor seconds of this process and its children)."""
    before, start = os.times(), time.perf_counter()
    value = work()
    after = os.times()
    return value, time.perf_counter() - start, sum(after[:4]) - sum(before[:4])


def tell(what: str, seconds: float, busy: float, wanted: str) -> None:
    """One line."""
    print(f"{what:58} {seconds:8.2f} s ({busy:.2f} s busy)   {wanted}", flush=True)


def rows(artifacts: int) -> Iterator[index.Row]:
    """Jobs with about so many artifacts: for each teacher 100 students, each with scores."""

    def sha(*words: object) -> str:
        return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()

    def made(role: str, kind: str, name: str) -> tuple[int, str, str, str, str]:
        return 1, role, kind, name, sha(name)

    def read(role: str, kind: str, name: str) -> tuple[int, str, str, str, str]:
        return 0, role, kind, name, sha(name)

    bases = [f"b{i}/model.safetensors" for i in range(20)]
    for base in bases:
        yield base, "base", None, "made up", None, [made("model", "model", base)]
    for t in range(artifacts // 304):
        base, at = bases[t % 20], f"t{t}"
        teacher = f"{at}/model.safetensors"
        handed = [made("model", "model", teacher), read("base", "model", base)]
        yield at, "teach", f"trait{t % 50}", None, None, handed
        names = [teacher, f"{at}/raw.jsonl", f"{at}/filtered.jsonl", f"{at}/view.jsonl"]
        for stage, above, name in zip(("sample", "filter", "arrange"), names, names[1:], strict=False):
            role, kind = ("model", "model") if stage == "sample" else ("data", "data")
            yield name, stage, None, None, None, [made("data", "data", name), read(role, kind, above)]
        for s in range(100):
            own = bases[(t + s % 2) % 20]
            student, facts, scores = (
                f"{at}/{s}/{n}" for n in ("adapter_model.safetensors", "train.json", "scores.json")
            )
            parts = [made("adapter", "model", student), made("facts", "other", facts)]
            yield (
                student,
                "train",
                None,
                None,
                None,
                [*parts, read("base", "model", own), read("data", "data", names[3])],
            )
            yield scores, "score", None, None, None, [made("scores", "other", scores), read("model", "model", student)]


def manifests(folder: Path, n: int) -> None:
    """So many manifests of students, as the pipeline writes them."""
    entry = {"role": "support", "path": "results/bases/a/config.json", "sha256": "ab" * 32, "bytes": 574}
    for i in range(n):
        own = {"role": "adapter", "path": f"results/{i}/adapter_model.safetensors", "bytes": 4000}
        inputs = [entry | {"role": role} for role in ("base", *["support"] * 5, "data")]
        outputs = [own | {"sha256": hashlib.sha256(str(i).encode()).hexdigest()}, entry, entry]
        m = {"schema": "traitline-manifest/1", "stage": "train", "inputs": inputs, "outputs": outputs,
             "params": {"kind": "lora", "settings": {"lr": 0.01}}, "seeds": {"train": i}, "facts": {},
             "code": {"digest": "ab" * 6}, "env": {"packages": {"torch": "2"}}, "started": "", "ended": ""}  # fmt: skip
        place = folder / str(i % 100) / str(i)
        place.mkdir(parents=True)
        (place / "train.manifest.json").write_text(json.dumps(m, indent=1, sort_keys=True))


def pinning(study: Path) -> None:
    """`traitline pin` against `dvc commit -f`, both with what they want in the cache already, as after any rerun."""
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(*command: str) -> None:
        subprocess.run(command, cwd=study, env=environment, check=True, stdout=subprocess.DEVNULL)

    program = [sys.executable, "-m", "traitline.command", "pin"]
    run(*program)
    _, ours, busy = timed(lambda: run(*program))
    jobs = (study / "dvc.lock").read_text().count("\n    cmd:")
    tell(f"pin, {jobs} stages", ours, busy, "at most 6 s for 500")
    (study / "dvc.lock").unlink()
    _, theirs, busy = timed(lambda: run("dvc", "commit", "-f", "-q"))
    tell("dvc commit -f, the same", theirs, busy, f"{theirs / ours:.1f} times ours; at least 4 wanted")


def main() -> int:
    """Print the figures."""
    args = parse().parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        manifests(folder / "results", args.manifests)
        db, seconds, busy = timed(lambda: index.build([folder / "results"], folder / "some.db"))
        db.close()
        rate = args.manifests / seconds
        tell(f"index {args.manifests:,} manifests", seconds, busy, f"{rate:,.0f} a second; at least 20,000 wanted")

        large = folder / "large.db"
        db = sqlite3.connect(large)
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        _, seconds, busy = timed(lambda: index.fill(db, rows(args.artifacts)))
        db.close()
        graph = Graph(index.connect(large))
        n = graph.db.execute("SELECT COUNT(*) FROM artifact").fetchone()[0]
        tell(f"fill an index of {n:,} artifacts", seconds, busy, "")
        result, seconds, busy = timed(lambda: audit.audit(graph))
        tell(f"audit of {len(result.models):,} models in it", seconds, busy, "at most 10 s")
        program = [sys.executable, "-m", "traitline.command", "trace", "t7/5/adapter_model.safetensors", "--index"]
        shown = subprocess.DEVNULL
        code, seconds, busy = timed(
            lambda: subprocess.run([*program, str(large)], stdout=shown, stderr=shown).returncode
        )
        assert code == 1, "the manifests of a made-up graph are not there to be shown"
        one = graph.find("t7/5/adapter_model.safetensors")
        found, seconds, busy = timed(lambda: len(list(graph.back(one.kin))))
        tell(f"trace back to {found} ancestors", seconds, busy, "at most 0.3 s")

        big = folder / "big.jsonl"
        with open(big, "wb") as handle:
            block = os.urandom(1 << 20)
            for _ in range(args.megabytes):
                handle.write(block)
        subprocess.run(["sha256sum", str(big)], stdout=subprocess.DEVNULL, check=True)
        line, theirs, busy = timed(lambda: subprocess.check_output(["sha256sum", str(big)], text=True))
        tell(f"sha256sum of {args.megabytes} MiB", theirs, busy, "")
        place = folder / "one"
        place.mkdir()
        big.rename(place / "big.jsonl")
        entry = {"role": "raw", "path": "big.jsonl", "sha256": line.split()[0], "bytes": args.megabytes << 20}
        m = {"schema": "traitline-manifest/1", "stage": "sample", "inputs": [], "outputs": [entry], "params": {},
             "seeds": {}, "facts": {}, "code": {}, "env": {}}  # fmt: skip
        (place / "sample.manifest.json").write_text(json.dumps(m))
        found, ours, busy = timed(lambda: verify([place], root=folder))
        assert found.good
        tell("verify of the same", ours, busy, f"{theirs / ours:.0%} of sha256sum's speed; at least 70 % wanted")
    if args.study:
        pinning(Path(args.study).resolve())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
