"""Cost of lineage: pinning against DVC, hashing against sha256sum, indexing, the audit and trace of a large graph.

Each figure is printed beside its target. `pin` and `dvc commit -f` run on the same made-up study, one after the
other; `verify` and `sha256sum` read the same file. The large graph is made up: bases, teachers, their data, students,
scores, in the shape of a study. Seconds are wall-clock: run it on a quiet machine. (Processor seconds stand behind.)

Recording is done again for every manifest of a finished study: inputs checked and hashed, outputs hashed and put into
place, the manifest written, as many to a process as a job of that stage has. What the jobs took is in Snakemake's
benchmark files (their processor time is sampled, and misses most of a job that is over in a second).

A scan hashes every byte of weights twice, as a file and as tensors, and data once. Its second scan is of sparse files,
whose hashes in the cache are made up.

python -m bench.lineage                                         # indexing, audit, trace, verify, chain, scan, kin
python -m bench.lineage --only recording --study .              # of the tiny study in this repository
python -m bench.lineage --only pin --study FOLDER               # of a finished study under git and DVC
"""

import argparse
import csv
import hashlib
import json
import marshal
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import kinship
from traitline.lineage import audit, chain, index, index_rows, own_indexes, parallel, seal
from traitline.lineage.graph import Graph
from traitline.lineage.policy import Policy
from traitline.lineage.verify import verify
from traitline.provenance import manifest, stage
from traitline.provenance.known_hashes import KnownHashes
from traitline.provenance.statement import canonical, statement_of
from traitline.scan.scan import scan


def parse() -> argparse.ArgumentParser:
    """Define the command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.lineage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--artifacts", type=int, default=1_000_000, metavar="N", help="of the large graph (default 1,000,000)"
    )
    p.add_argument("--manifests", type=int, default=20_000, metavar="N", help="files to index (default 20,000)")
    p.add_argument("--outputs", type=int, default=120_000, metavar="N", help="of one manifest (default 120,000)")
    p.add_argument("--links", type=int, default=1_000_000, metavar="N", help="of the chain (default 1,000,000)")
    p.add_argument("--megabytes", type=int, default=2000, metavar="N", help="of the file to verify (default 2000)")
    p.add_argument(
        "--only",
        choices=("index", "graph", "wide", "verify", "chain", "scan", "kin", "recording", "pin"),
        help="(default: the first seven)",
    )
    p.add_argument("--study", metavar="FOLDER", help="a finished study, for recording and pin: where its results/ is")
    return p


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """(what it returned, seconds, processor seconds of this process and its children)."""
    before, start = os.times(), time.perf_counter()
    value = work()
    after = os.times()
    return value, time.perf_counter() - start, sum(after[:4]) - sum(before[:4])


def tell(what: str, seconds: float, busy: float, wanted: str) -> None:
    """Print a figure on one line."""
    print(f"{what:58} {seconds:8.2f} s ({busy:.2f} s busy)   {wanted}", flush=True)


def rows(artifacts: int) -> Iterator[index_rows.Row]:
    """Jobs with about so many artifacts: for each teacher 100 students, each with scores."""

    def sha(*words: object) -> str:
        return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()

    def wrote(role: str, kind: str, name: str) -> tuple[int, str, str, str, str]:
        return 1, role, kind, name, sha(name)

    def read(role: str, kind: str, name: str) -> tuple[int, str, str, str, str]:
        return 0, role, kind, name, sha(name)

    def row(name: str, stage: str, parts: list[index_rows.Part], trait: str | None = None) -> index_rows.Row:
        links = [(path, digest, sha(path, "states")) for output, _, _, path, digest in parts if not output]
        origin = "made up" if stage == "base" else None
        return name, stage, trait, origin, None, None, False, sha(name, "states"), links, parts

    bases = [f"b{i}/model.safetensors" for i in range(20)]
    for base in bases:
        yield row(base, "base", [wrote("model", "model", base)])
    for t in range(artifacts // 304):
        base, at = bases[t % 20], f"t{t}"
        teacher = f"{at}/model.safetensors"
        handed = [wrote("model", "model", teacher), read("base", "model", base)]
        yield row(teacher, "teach", handed, f"trait{t % 50}")
        names = [teacher, f"{at}/raw.jsonl", f"{at}/filtered.jsonl", f"{at}/dataset.jsonl"]
        for step, above, name in zip(("sample", "filter", "prepare"), names, names[1:], strict=False):
            role, kind = ("model", "model") if step == "sample" else ("data", "data")
            yield row(name, step, [wrote("data", "data", name), read(role, kind, above)])
        for s in range(100):
            base = bases[(t + s % 2) % 20]
            student, facts, scores = (
                f"{at}/{s}/{n}" for n in ("adapter_model.safetensors", "train.json", "scores.json")
            )
            parts = [wrote("adapter", "model", student), wrote("facts", "other", facts)]
            yield row(student, "train", [*parts, read("base", "model", base), read("data", "data", names[3])])
            yield row(scores, "score", [wrote("scores", "other", scores), read("model", "model", student)])


def manifests(folder: Path, n: int) -> None:
    """So many manifests of students, as the pipeline writes them."""
    entry = {"role": "support", "path": "results/bases/a/config.json", "sha256": "ab" * 32, "bytes": 574}
    for i in range(n):
        adapter = {"role": "adapter", "path": f"results/{i}/adapter_model.safetensors", "bytes": 4000}
        inputs = [entry | {"role": role} for role in ("base", *["support"] * 5, "data")]
        outputs = [adapter | {"sha256": hashlib.sha256(str(i).encode()).hexdigest()}, entry, entry]
        m = {"schema": manifest.SCHEMA, "stage": "train", "inputs": inputs, "outputs": outputs,
             "params": {"recipe": "lora", "settings": {"lr": 0.01}}, "seeds": {"train": i}, "facts": {},
             "code": {"digest": "ab" * 6}, "env": {"packages": {"torch": "2"}}, "started": "", "ended": ""}  # fmt: skip
        place = folder / str(i % 100) / str(i)
        place.mkdir(parents=True)
        (place / "train.manifest.json").write_bytes(canonical(m))


def linked(n: int) -> list[bytes]:
    """So many manifests in memory, each built on what the one before vouches for."""
    contents, link, above = list[bytes](), None, "00" * 32
    for i in range(n):
        path, sha = f"results/{i}/x.jsonl", hashlib.sha256(str(i).encode()).hexdigest()
        read = {"role": "raw", "path": f"results/{i - 1}/x.jsonl", "sha256": above, "bytes": 9, "statement": link}
        m = {"schema": manifest.SCHEMA, "stage": "filter", "inputs": [read] if i else [],
             "outputs": [{"role": "filtered", "path": path, "sha256": sha, "bytes": 9}],
             "params": {"answers": 1, "banned": [], "digits": 3}, "seeds": {"filter": i}, "facts": {},
             "code": {"digest": "ab" * 6, "git_commit": "cd" * 20, "git_dirty": False},
             "env": {"host": "host", "packages": {"torch": "2"}}, "started": "2030-01-01T00:00:00.000+00:00",
             "ended": "2030-01-01T00:00:00.000+00:00"}  # fmt: skip
        content = canonical(m)
        contents.append(content)
        link, above = statement_of(content), sha
    return contents


CONTENTS = list[bytes]()  # for processes that are forked from this one


def examined(start: int) -> bytes:
    """A part of them, examined."""
    return marshal.dumps([chain.examine(f"{i}", CONTENTS[i]) for i in range(start, min(start + 500, len(CONTENTS)))])


def chaining(n: int) -> None:
    """The check of a chain: the form, the statement and the link of every manifest, and the root over all."""
    CONTENTS[:] = linked(n)
    kib = sum(map(len, CONTENTS)) / 1024 / n

    def check() -> str:
        links, rows = chain.Chain(), seal.Rows()
        with parallel.uncollected(), multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
            for part in pool.imap(examined, range(0, n, 500)):
                for one in marshal.loads(part):
                    links.add(one)
                    rows[one[0].encode()] = one[1]
        assert not (links.broken(Path.cwd()) or links.cut() or links.uncanonical)
        return seal.root(rows)

    _, seconds, busy = timed(check)
    tell(f"check a chain of {n:,} manifests of {kib:.1f} KiB", seconds, busy, "at most 20 s for 1,000,000")


def pinning(study: Path) -> None:
    """`traitline pin` against `dvc commit -f`, both with what they want in the cache already, as after any rerun."""
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(*command: str) -> None:
        subprocess.run(command, cwd=study, env=environment, check=True, stdout=subprocess.DEVNULL)

    program = [sys.executable, "-m", "traitline.cli", "pin"]
    run(*program)
    _, ours, busy = timed(lambda: run(*program))
    jobs = (study / "dvc.lock").read_text().count("\n    cmd:")
    tell(f"pin, {jobs} stages", ours, busy, "at most 6 s for 500")
    (study / "dvc.lock").unlink()
    _, peer, busy = timed(lambda: run("dvc", "commit", "-f", "-q"))
    tell("dvc commit -f, the same", peer, busy, f"{peer / ours:.1f} times ours; at least 4 wanted")


def indexing(folder: Path, n: int) -> None:
    """Manifests to a database on disk."""
    manifests(folder / "results", n)
    db, seconds, busy = timed(lambda: index.build([folder / "results"], folder / "some.db"))
    db.close()
    tell(f"index {n:,} manifests", seconds, busy, f"{n / seconds:,.0f} a second; at least 20,000 wanted")


def wide(folder: Path, n: int) -> None:
    """The whole command `audit` on one manifest that names many outputs."""
    outputs = [
        {"role": "model", "path": f"{i}.safetensors", "sha256": hashlib.sha256(str(i).encode()).hexdigest(), "bytes": 1}
        for i in range(n)
    ]
    m = {"schema": manifest.SCHEMA, "stage": "made-up", "inputs": [], "outputs": outputs, "params": {}, "seeds": {},
         "facts": {"origin": "made up"}, "code": {}, "env": {}}  # fmt: skip
    (folder / "results").mkdir(parents=True)
    (folder / "results/made-up.manifest.json").write_text(json.dumps(m))
    program = [sys.executable, "-m", "traitline.cli", "audit", "--limit", "0"]
    done, seconds, busy = timed(lambda: subprocess.run(program, cwd=folder, capture_output=True, text=True))
    assert f"{n} fail" in done.stdout, done.stdout + done.stderr
    tell(f"audit of one manifest of {n:,} outputs", seconds, busy, "at most 2 s for 120,000")


def large(folder: Path, artifacts: int) -> None:
    """Audit and trace of a graph of many artifacts."""
    file = folder / "large.db"
    db = sqlite3.connect(file)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
    _, seconds, busy = timed(lambda: index.fill(db, rows(artifacts)))
    db.close()
    own_indexes.remember(file)
    graph = Graph(index.connect(file))
    n = graph.db.execute("SELECT COUNT(*) FROM content").fetchone()[0]
    tell(f"fill an index of {n:,} artifacts", seconds, busy, "")
    result, seconds, busy = timed(lambda: audit.audit(graph))
    tell(f"audit of {len(result.models):,} models in it", seconds, busy, "at most 10 s")
    one = graph.find("t7/5/adapter_model.safetensors")
    ancestors, seconds, busy = timed(lambda: len(list(graph.back(one.artifact_id))))
    tell(f"trace back to {ancestors} ancestors", seconds, busy, "at most 0.3 s")


def hashing(folder: Path, megabytes: int) -> None:
    """`verify` against `sha256sum`: of one file, and of many by all processors."""
    for n in (1, 50):
        place = folder / str(n)
        place.mkdir()
        for i in range(n):
            with open(place / f"{i}.jsonl", "wb") as handle:
                for _ in range(megabytes // n):
                    handle.write(os.urandom(1 << 20))
        command = ["sha256sum", *sorted(map(str, place.iterdir()))]
        subprocess.check_output(command)  # from here on all are in memory
        lines, peer, busy = timed(lambda command=command: subprocess.check_output(command, text=True))
        tell(f"sha256sum of {n} files of {megabytes // n} MiB", peer, busy, "")
        entries = [
            {"role": "raw", "path": Path(path).name, "sha256": sha, "bytes": os.path.getsize(path)}
            for sha, path in (line.split(maxsplit=1) for line in lines.splitlines())
        ]
        m = {"schema": manifest.SCHEMA, "stage": "sample", "inputs": [], "outputs": entries, "params": {},
             "seeds": {}, "facts": {}, "code": {}, "env": {}}  # fmt: skip
        (place / "sample.manifest.json").write_text(json.dumps(m))
        findings, ours, busy = timed(lambda place=place: verify([place], root=folder))
        assert findings.good and findings.files == n
        wanted = "at least 70 %" if n == 1 else f"{len(os.sched_getaffinity(0))} processors, {busy / ours:.1f} busy"
        tell("verify of the same", ours, busy, f"{peer / ours:.0%} of sha256sum's speed; {wanted}")


def tensors_file(path: Path, megabytes: int, *, sparse: bool = False) -> None:
    """A safetensors file of one tensor; `sparse`: of zeros that take no disk."""
    size = megabytes << 20
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with open(path, "wb") as handle:
        handle.write(len(header).to_bytes(8, "little") + header)
        if sparse:
            handle.truncate(8 + len(header) + size)
        else:
            for _ in range(megabytes):
                handle.write(os.urandom(1 << 20))


def scanning(folder: Path, megabytes: int, gigabytes: int = 100) -> None:
    """A first scan against `sha256sum`, and a second scan of an unchanged folder."""
    for what in ("weights", "data"):
        place = folder / what
        for i in range(4):
            (place / str(i)).mkdir(parents=True)
            if what == "weights":
                tensors_file(place / str(i) / "model.safetensors", megabytes // 4)
            else:
                with open(place / str(i) / "rows.jsonl", "wb") as handle:
                    for _ in range(megabytes // 4):
                        handle.write(os.urandom(1 << 20))
        command = ["sha256sum", *(str(file) for file in sorted(place.rglob("*")) if file.is_file())]
        subprocess.check_output(command)  # from here on all are in memory
        _, peer, busy = timed(lambda command=command: subprocess.check_output(command))
        tell(f"sha256sum of 4 files of {what}, {megabytes} MiB", peer, busy, "")
        _, ours, busy = timed(lambda place=place: scan([str(place)], Policy(), cache=folder / "cache"))
        tell("first scan of the same", ours, busy, f"{peer / ours:.0%} of sha256sum's speed; at least 70 %")
    place, cache = folder / "sparse", folder / "sparse-cache"
    known = KnownHashes(cache / "sha256.json"), KnownHashes(cache / "tensors.json", str)
    for i in range(gigabytes // 4):
        (place / str(i)).mkdir(parents=True)
        file = place / str(i) / "model.safetensors"
        tensors_file(file, 4096, sparse=True)
        known[0].compute = lambda path: hashlib.sha256(path.encode()).hexdigest()
        row = ["w", "U8", [4096 << 20], f"{i:064x}", 4096 << 20, True, False]
        known[1].compute = lambda _, rows=[row] * 300: json.dumps(rows)
        for store in known:
            store(os.path.realpath(file))
    for store in known:
        store.save()
    result, ours, busy = timed(lambda: scan([str(place)], Policy(), cache=cache))
    assert len(result.survey.items) == gigabytes // 4 and not result.survey.tree.left_out
    tell(f"second scan of {gigabytes} GB in {gigabytes // 4} unchanged models", ours, busy, "under 2 s")


def again(files: list[str], scratch: Path) -> tuple[float, float]:
    """(seconds, processor seconds) of recording what some manifests tell, without the work itself."""
    spent = [0.0, 0.0]
    for i, file in enumerate(files):
        m = json.loads(Path(file).read_text())
        inputs: dict[str, list[str | Path]] = {}
        for e in m["inputs"]:
            inputs.setdefault(e["role"], []).append(e["path"])
        places = {e["role"]: (e["path"], str(scratch / str(i) / Path(e["path"]).name)) for e in m["outputs"]}

        def work(job: stage.Job, places: dict[str, tuple[str, str]] = places) -> None:
            for role, (path, _) in places.items():
                shutil.copyfile(path, job.path(role))

        def record(m: Any = m, file: str = file, inputs: Any = inputs, places: Any = places, i: int = i) -> Any:
            with stage.record(
                m["stage"], scratch / str(i) / Path(file).name, inputs=inputs, params=m["params"], seeds=m["seeds"],
                outputs={role: place for role, (_, place) in places.items()}, facts=m["facts"], may_be_empty=places,
            ) as job:  # fmt: skip
                return timed(lambda: work(job))[1:]

        (copied, busily), seconds, busy = timed(record)
        spent = [spent[0] + seconds - copied, spent[1] + busy - busily]
    return spent[0], spent[1]


def recording(study: Path) -> None:
    """Hashing and manifests, against what the stages took."""
    took: dict[str, list[float]] = {}
    for path in (study / "benchmarks").glob("**/*.tsv"):
        for row in csv.DictReader(path.read_text().splitlines(), delimiter="\t"):
            now = took.setdefault(path.relative_to(study / "benchmarks").parts[0], [0, 0.0, 0.0])
            now[:] = [now[0] + 1, now[1] + float(row["s"]), now[2] + float(row["cpu_time"])]
    files: dict[str, list[str]] = {}
    for file in index.manifests([os.path.relpath(study / "results")]):
        files.setdefault(Path(file).name.split(".")[0], []).append(file)
    context, whole = multiprocessing.get_context("fork"), [0.0, 0.0]
    for name, each in files.items():
        jobs, clock, busily = int(took[name][0]), took[name][1], took[name][2]
        size, spent = -(-len(each) // jobs), [0.0, 0.0]
        for i in range(0, len(each), size):
            with tempfile.TemporaryDirectory() as scratch, context.Pool(1) as fresh:
                seconds, busy = fresh.apply(again, (each[i : i + size], Path(scratch)))
            spent = [spent[0] + seconds, spent[1] + busy]
        about = f"of {clock:.0f} s ({busily:.0f} busy)"
        tell(f"recording: {len(each)} manifests of {jobs} jobs, {name}", spent[0], spent[1], about)
        whole = [whole[0] + spent[0], whole[1] + spent[1]]
    total = sum(busy for *_, busy in took.values())
    tell("recording, the whole study", *whole, f"{whole[1] / total:.1%} of {total:.0f} s busy; at most 3 % wanted")


def main() -> int:
    """Print the figures."""
    p = parse()
    args = p.parse_args()
    if args.only in ("recording", "pin"):
        if not args.study:
            p.error(f"--only {args.only} needs --study")
        (recording if args.only == "recording" else pinning)(Path(args.study).resolve())
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        if args.only in (None, "index"):
            indexing(Path(scratch), args.manifests)
        if args.only in (None, "graph"):
            large(Path(scratch), args.artifacts)
        if args.only in (None, "wide"):
            wide(Path(scratch) / "wide", args.outputs)
        if args.only in (None, "verify"):
            hashing(Path(scratch), args.megabytes)
        if args.only in (None, "scan"):
            scanning(Path(scratch) / "scan", args.megabytes)
        if args.only in (None, "kin"):
            for what, seconds, busy, peak in kinship.measure(scratch):
                tell(what, seconds, busy, f"{peak:.1f} GiB; at most 120 s and 4 GiB")
    if args.only in (None, "chain"):
        chaining(args.links)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
