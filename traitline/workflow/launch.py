"""A launch of a study: what it was launched with, which jobs are its, and the way back when the launcher died.

What decides results is locked at launch: see `traitline.provenance.launch_lock`.

    python -m traitline.workflow.launch status              what runs, waits and failed
    python -m traitline.workflow.launch resume              wait for jobs that outlived their launcher, then go on
    python -m traitline.workflow.launch resume --cancel     cancel them instead; they go on from their checkpoints
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from traitline.errors import InputError
from traitline.plurals import counted
from traitline.provenance import manifest
from traitline.provenance.launch_lock import CHANGED, LOCK
from traitline.workflow import slurm, snakemake_plan, succession
from traitline.workflow.launch_record import FOLDER, Launch, place, read

SETTLE = "TRAITLINE_SETTLE"  # in the environment of `settle`
SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def refuse(folder: str) -> None:
    """Refuse to launch a study whose last launcher is gone while jobs of it may still run.

    Raises:
        InputError: they do; or the launcher died before it could write down what they made.
    """
    launch = read(place(folder))
    if (
        launch is None or not launch.name or (not launch.ended and launch.alive)
    ):  # beside a living one Snakemake's own lock refuses
        return
    left = sum(not job.over for job in launch.jobs)
    if launch.ended and not left:
        return
    jobs = f"{left} of its jobs are still there" if left else "its jobs have ended"
    if launch.alive is None and not launch.ended:
        raise InputError(
            f"this study was launched on {launch.host} (process {launch.pid}), and {jobs}; work there, or, if that "
            "process is gone: make resume RESUME=--gone"
        )
    verb = "ended" if launch.ended else "died"
    raise InputError(f"the launcher of this study (process {launch.pid}) {verb}, and {jobs}; go on with: make resume")


def orphans(results: str) -> list[str]:
    """Whole files that jobs made whose launcher could not write it down any more, their manifests among them."""
    whole = []
    for path in sorted(Path(results).rglob("*.manifest.json")):
        m = manifest.load(path)
        if snakemake_plan.record(path.as_posix()).exists() or not m["env"].get("slurm_job_id"):
            continue
        files = [path.parent / Path(entry["path"]).name for entry in m["outputs"]]
        if all(f.exists() and manifest.sha256(f) == e["sha256"] for f, e in zip(files, m["outputs"], strict=True)):
            whole += [*(f.as_posix() for f in files), path.as_posix()]
    return whole


def settle(launch: Launch) -> None:
    """Write down what the orphans made, as their launcher would have, and take away its lock."""
    succession.unlock(launch.results)
    whole = orphans(launch.results)
    if not whole:
        return
    # `--touch` runs nothing: it writes down that these files are as the present settings and code would make them.
    # So it is tried under the lock of the launch, and refused where something was edited since.
    command = [*SNAKEMAKE, *configuration(launch.command), "--cores", "1", "--touch", "--force", "--", *whole]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, LOCK: launch.lock, SETTLE: "1"}
    )
    if CHANGED in done.stderr:
        for path in whole:
            Path(path).unlink()
        print(f"edited since the launch: {counted(len(whole), 'file')} of its jobs will be made again", flush=True)
    elif done.returncode:
        raise InputError(f"snakemake --touch: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    else:
        print(f"keeps {counted(len(whole), 'file')} of jobs that outlived the launcher", flush=True)


def configuration(command: list[str]) -> list[str]:
    """Those arguments of snakemake that say which study it is."""
    kept: list[str] = []
    take = False
    for word in command:
        if word.startswith("-"):
            take = word.split("=")[0] in ("--configfile", "--configfiles", "--config", "-C")
        if take:
            kept.append(word)
    return kept


def resume(launch: Launch, cancel: bool) -> int:
    """Bring the jobs of a dead launcher to an end, settle, launch again with the same arguments."""
    if not launch.name:
        return relaunch(launch)
    printed = ""
    while left := [job for job in launch.jobs if not job.over]:
        ids = [job.id for job in left]
        if cancel:
            subprocess.run(["scancel", *ids], check=False)
        line = f"{'cancelling' if cancel else 'waiting for'} {counted(len(left), 'job')}: {' '.join(ids)}"
        if held := [job.id for job in left if job.held]:
            line += f"; held, so they wait for you: scontrol release {' '.join(held)}"
        if line != printed:
            print(line, flush=True)
            printed = line
        time.sleep(2)
    if not slurm.reachable():
        raise InputError("Slurm does not answer, so nobody knows which jobs still run; try again later")
    settle(launch)
    return relaunch(launch)


def relaunch(launch: Launch) -> int:
    """Take the place of a dead launcher: end what it left behind on this host, and launch with the same arguments."""
    if not launch.name:
        succession.end_jobs(launch.id)
        succession.unlock(launch.results)
    launch.path.unlink(missing_ok=True)
    print(f"snakemake {' '.join(launch.command)}", flush=True)
    return subprocess.run([*SNAKEMAKE, *launch.command], check=False).returncode


def status(launch: Launch) -> None:
    """Print one launch: the launcher, its jobs, its failures."""
    words = {True: "runs", False: "died", None: "on another host"}
    print(
        f"{launch.folder}: launched {launch.started[:19]} on {launch.host}, process {launch.pid}: "
        f"{'ended' if launch.ended else words[launch.alive]}"
    )
    for job in launch.jobs:
        if job.state != "COMPLETED":
            where = f"{job.partition:<8} {job.node or '-':<8}"
            why = f" ({job.reason})" if job.state == "PENDING" else ""
            print(f"  {job.id:>8} {job.state:<10} {where} {job.elapsed:>9} {job.comment}{why}")
    if launch.failures.exists():
        print(launch.failures.read_text(encoding="utf-8"), end="")


def parse() -> argparse.ArgumentParser:
    """Define the command line."""
    p = argparse.ArgumentParser(
        prog="python -m traitline.workflow.launch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("action", choices=("status", "resume"))
    p.add_argument("--study", metavar="FOLDER", help="`folder` of the study's configuration (default: all, or the one)")
    p.add_argument("--cancel", action="store_true", help="cancel the jobs of the dead launcher; do not wait for them")
    p.add_argument("--gone", action="store_true", help="the launcher was on another host, and is gone")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = parse().parse_args(argv)
    paths = [place(args.study)] if args.study else sorted(FOLDER.glob("*.json"))
    launches = [launch for path in paths if (launch := read(path))]
    try:
        if args.action == "status":
            for launch in launches:
                status(launch)
            if not launches:
                print("nothing was launched here through Slurm")
            return 0
        lost = [f for f in launches if f.ended or not f.alive]
        lost = [f for f in lost if not f.ended or any(not job.over for job in f.jobs)]
        if len(lost) != 1:
            names = ", ".join(f.folder for f in lost)
            raise InputError(f"launchers of {names} died; choose one with --study" if lost else "no launcher died here")
        if lost[0].alive is None and not lost[0].ended and not args.gone:
            raise InputError(f"the launcher was on {lost[0].host}; say --gone if it is")
        return resume(lost[0], args.cancel)
    except InputError as error:
        print(f"launch: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
