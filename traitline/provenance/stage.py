"""Frame of stage programs: one-line errors, outputs that appear whole or not at all, a manifest as the last act."""

import argparse
import contextlib
import glob
import hashlib
import json
import logging
import os
import platform
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from traitline import json_files, signals
from traitline.errors import LONGEST_LINE, InputError, disk_complaint, visible
from traitline.provenance import kernels, manifest, weights
from traitline.provenance.digest import digest
from traitline.provenance.launch_lock import require_same_code
from traitline.provenance.statement import canonical

log = logging.getLogger("traitline")
MODELS = ("model", "adapter")  # roles of outputs that are weights


class Visible(logging.Formatter):
    """Log lines that may quote names of others: what would steer a terminal is spelled out."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line without a traceback, which stands below it."""
        return visible(super().formatMessage(record), LONGEST_LINE)


def run(
    parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], None], argv: list[str] | None = None
) -> int:
    """Parse, work, and report user-fixable errors in one line on stderr.

    Exit codes: 0 done; 2 bad use or bad input; 130 interrupted, 143 terminated; 1 (with a traceback) is our bug.
    """
    args = parser.parse_args(argv)
    name = parser.prog.split(".")[-1]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Visible(f"%(asctime)s {name}: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    signals.install()
    kernels.choose_openblas()
    try:
        work(args)
    except InputError as e:
        print(f"{name}: error: {e}", file=sys.stderr)
        return 2
    except OSError as e:
        place = os.path.dirname(getattr(args, "manifest", "")) or getattr(args, "folder", ".")  # of what it writes
        if (complaint := disk_complaint(e, place)) is None:
            raise
        print(f"{name}: error: {complaint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing half-written is left, run again to go on", file=sys.stderr)
        return 130
    except signals.Halt:
        print(f"{name}: terminated; nothing half-written is left, run again to go on", file=sys.stderr)
        return 143
    return 0


def parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """An argument parser that shows the module's docstring; every stage has `--manifest`.

    A word `@FILE` stands for the words in that file, one a line: a command line of bash holds 128 kB.
    """
    p = argparse.ArgumentParser(
        prog=f"python -m {module}" if "." in module else module,
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fromfile_prefix_chars="@",
    )
    p.prog = f"scripts.{p.prog.split('.')[-1]}"
    return p


def threads(p: argparse.ArgumentParser) -> None:
    """The flag of stages that compute."""
    p.add_argument("--threads", type=int, default=1, metavar="N", help="of torch; decides the last bits (default 1)")


def state(p: argparse.ArgumentParser) -> None:
    """The flag of stages that keep what is done of their work."""
    p.add_argument("--state", metavar="DIR", help="folder of checkpoints until the stage is done (default: none)")


def long_running(p: argparse.ArgumentParser) -> None:
    """Flags of stages that compute for long enough to be interrupted."""
    threads(p)
    state(p)
    p.add_argument("--every", type=float, default=60.0, metavar="S", help="seconds between checkpoints (default 60)")


def settings(flag: str, text: str, keys: Collection[str]) -> dict[str, Any]:
    """Settings that came as one JSON object on the command line.

    Raises:
        InputError: no JSON object, or a key is missing.
    """
    value = json_files.parse(text, flag, 'write it as {"key": value}', what="not JSON")
    missing = sorted(set(keys) - value.keys()) if isinstance(value, dict) else sorted(keys)
    if missing:
        raise InputError(
            f"{flag}: {', '.join(missing)} missing; a JSON object with {', '.join(sorted(keys))} is wanted"
        )
    return dict(value)


class Job:
    """One artifact being made. `path(role)` is where to write; the real name appears only when all is whole.

    Attributes:
        facts: statements for the manifest.
        fingerprint: of everything that decides the bytes: stage, code, content of the inputs, settings, seeds.
    """

    def __init__(self, stage: str, outputs: Mapping[str, str | Path]) -> None:
        self.stage = stage
        self.outputs = {role: Path(p) for role, p in outputs.items()}
        self.facts: dict[str, Any] = {}
        self.fingerprint = ""

    def path(self, role: str) -> Path:
        """The temporary file that becomes the output `role`. Unique per attempt and host."""
        final = self.outputs[role]
        return final.with_name(f".{final.name}.{platform.node()}-{os.getpid()}.tmp")

    def write_json(self, role: str, value: Any) -> None:
        """Write an output as indented JSON with sorted keys."""
        self.path(role).write_text(
            json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8"
        )


def _require_distinct(stage: str, inputs: Sequence[str | Path], outputs: Sequence[Path]) -> None:
    """Refuse outputs that are one file, or an input; called before anything is deleted.

    An old output may be a link into DVC's cache. It is replaced, never written through, so where it leads does not
    matter; where an input leads does.

    Raises:
        InputError: an output is named twice.
    """
    places = [_place(p) for p in outputs]
    taken = {place for p in inputs for place in (_place(p), Path(p).resolve())}
    for final, place in zip(outputs, places, strict=True):
        if place in taken or places.count(place) > 1:
            raise InputError(f"{final}: named twice among the files of `{stage}`; give each a file of its own")


def _place(path: str | Path) -> Path:
    """Absolute path of a file, which is not followed if it is a link."""
    return Path(path).parent.resolve() / Path(path).name


def _sweep(final: Path) -> None:
    """Remove temporary files of attempts on this host that were killed; those of living ones are theirs."""
    for tmp in final.parent.glob(f".{glob.escape(final.name)}.{glob.escape(platform.node())}-*.tmp"):
        try:
            os.kill(int(tmp.name[:-4].rpartition("-")[2]), 0)
        except ProcessLookupError:
            tmp.unlink(missing_ok=True)
        except (PermissionError, ValueError):  # another user's process; a name that is not ours
            continue


def checkpoints(root: str | None, *jobs: Job) -> Path | None:
    """Folder in `root` in which these jobs keep what they need to go on after an interruption.

    The name holds all that decides their bytes: a job never goes on from the checkpoint of another one.
    """
    name = hashlib.sha256(" ".join(j.fingerprint for j in jobs).encode()).hexdigest()[:16]
    return Path(root, name) if root else None


def forget(state: Path | None) -> None:
    """Remove checkpoints that have served."""
    if state:
        shutil.rmtree(state, ignore_errors=True)


@contextlib.contextmanager
def record(
    stage: str,
    manifest_path: str | Path,
    *,
    inputs: Mapping[str, str | Path | Sequence[str | Path]],
    outputs: Mapping[str, str | Path],
    params: Mapping[str, Any] | None = None,
    seeds: Mapping[str, int] | None = None,
    facts: Mapping[str, Any] | None = None,
    may_be_empty: Collection[str] = (),
) -> Iterator[Job]:
    """Make one artifact: check and hash inputs, let the body write, hash and rename outputs, write the manifest last.

    Args:
        stage: the stage's name.
        manifest_path: where the manifest goes; it is renamed into place after every output.
        inputs: role -> file or list of files. `base` (weights start from it), `data` (trained on it) and `model`
            (sampled or scored) carry meaning for the audit of origins; `support` (vocabulary, chat template, shape of a
            model: equal bytes in many folders, nothing learned) carries none.
        outputs: role -> file.
        params: every setting that decides the bytes.
        seeds: name -> seed.
        facts: statements such as a teacher's trait or a base's origin.
        may_be_empty: roles of outputs whose emptiness says something, such as rejects where nothing was rejected. All
            empty files have one hash, but no data pass through 0 bytes: never join origins at an entry of 0 `bytes`.

    Raises:
        InputError: an input is missing, is not what its manifest vouches for, or changed while the job ran; an output
            is empty, or would overwrite an input or another output; the code was edited since the launch.
    """
    started = manifest.now()
    require_same_code(stage)
    files = [(role, p) for role, v in inputs.items() for p in ([v] if isinstance(v, str | Path) else v)]
    references = [manifest.reference_input(role, p) for role, p in files]
    job = Job(stage, {**outputs, "manifest": manifest_path})
    job.facts.update(facts or {})
    decides = [stage, digest(stage), [r["sha256"] for r in references], dict(params or {}), dict(seeds or {})]
    job.fingerprint = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
    _require_distinct(stage, [p for _, p in files], list(job.outputs.values()))
    for final in job.outputs.values():
        final.parent.mkdir(parents=True, exist_ok=True)
        final.unlink(missing_ok=True)  # an old whole must not stand beside a new half
        _sweep(final)
    try:
        yield job
        kernels.warn_of_others(stage, (origin[0] for _, p in files if (origin := manifest.maker(p))))
        entries = _output_entries(job, list(outputs), may_be_empty)
        for (_, p), before in zip(files, references, strict=True):
            if manifest.sha256(p) != before["sha256"]:
                raise InputError(f"{manifest.relative(p)}: changed while `{stage}` was reading it; run again")
        m = {
            "schema": manifest.SCHEMA,
            "stage": stage,
            "inputs": references,
            "outputs": entries,
            "params": dict(params or {}),
            "seeds": dict(seeds or {}),
            "facts": job.facts,
            "code": manifest.code(digest(stage)),
            "env": manifest.environment(),
            "started": started,
            "ended": manifest.now(),
        }
        job.path("manifest").write_bytes(canonical(m))
        for role, final in job.outputs.items():  # the manifest is last
            with open(job.path(role), "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(job.path(role), final)
    finally:
        for role in job.outputs:
            job.path(role).unlink(missing_ok=True)


def _output_entries(job: Job, roles: Sequence[str], may_be_empty: Collection[str]) -> list[dict[str, Any]]:
    """Make the manifest's entries of all outputs from their temporary files; states the identity of weights as a fact.

    Raises:
        InputError: an output is empty and may not be.
    """
    entries = []
    for role in roles:
        tmp = job.path(role)
        if not tmp.exists() or (tmp.stat().st_size == 0 and role not in may_be_empty):
            raise InputError(f"{job.outputs[role]}: `{job.stage}` made an empty {role}; nothing was kept")
        entries.append({**manifest.reference(role, tmp), "path": manifest.relative(job.outputs[role])})
    models = [job.path(role) for role in roles if role in MODELS and job.outputs[role].suffix == weights.SUFFIX]
    if models and (identity := weights.identity(models)):
        job.facts["weights"] = identity
    return entries
