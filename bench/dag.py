"""Cost of launching: planning many jobs, and the tiny study through Slurm against the same run here.

Seconds of planning are those of the processor for `snakemake -n`, so that what else the machine does matters little.
The peer is one bare rule with as many jobs. With --slurm the study runs twice, in clones of this repository: with
`--cores all`, then with `--profile slurm` as it stands on a private Slurm with as many processors (tests/slurm/cluster;
as root on Debian). Those are times by the clock and want a quiet machine.

python -m bench.dag
python -m bench.dag --jobs --slurm
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from traitline.channels.world import CATEGORIES

ROOT = Path(__file__).resolve().parent.parent
BARE = """N = {}
rule all:
    input: [f"o/{{i}}" for i in range(N)]
rule one:
    output: "o/{{i}}"
    shell: "touch {{output}}"
"""


def parse() -> argparse.ArgumentParser:
    """Define the command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.dag", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--jobs", type=int, nargs="*", default=[1000, 5000], metavar="N", help="(default 1000 5000)")
    p.add_argument("--slurm", action="store_true", help="run the tiny study here and through Slurm")
    return p


def plan(*args: str, cwd: Path) -> tuple[float, int]:
    """(processor seconds, jobs) of a dry-run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", *args], cwd=cwd, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("total"))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, jobs


def study(folder: Path, jobs: int) -> Path:
    """An overlay of config.yaml with about so many jobs: teachers of 15 traits, five seeds, one student a job."""
    base = 16 * (4 + 3 * 5)  # jobs of one base: teach, sample, filter, prepare; train, respond, score of each student
    bases = [f"base-{i}" for i in range(1, max(2, round(jobs / base)) + 1)]
    traits = CATEGORIES["animal"][:15]
    row = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))["experiments"][0]
    row |= {"bases": bases, "students": bases, "others": 0, "traits": traits, "recipes": ["biases"]}
    overlay = {
        "folder": f"studies/dag-{jobs}",
        "bases": {label: {"world": "one", "seed": i} for i, label in enumerate(bases, 1)},
        "traits": {word: {"category": "animal"} for word in traits},
        "experiments": [row],
        "primary": {"experiments": [row["name"]], "recipes": ["biases"]},
        "execution": {"stack": 1},
    }
    file = folder / f"{jobs}.yaml"
    file.write_text(yaml.safe_dump(overlay), encoding="utf-8")
    return file


def timed(folder: Path, path: str, *args: str) -> tuple[float, float, str]:
    """(when it began, seconds, what it output) of a run of the tiny study in a clone of its own."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *args], cwd=folder, check=True, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    return began, time.time() - began, done.stdout


def through_slurm(folder: Path) -> None:
    """Print how long the tiny study takes here and through Slurm."""
    cluster, home = ROOT / "tests/slurm/cluster", {**os.environ, "CLUSTER_DIR": str(folder / "cluster")}
    size = ["--cpu-nodes", "1", "--gpu-nodes", "0", "--cpus", str(os.cpu_count())]
    subprocess.run([cluster, "up", *size], env=home, check=True)
    try:
        path = os.pathsep.join([str(folder / "cluster/bin"), *os.get_exec_path()])
        _, here, _ = timed(folder / "here", path, "--cores", "all")
        began, there, output = timed(folder / "there", path, "--profile", "slurm")
        job = next(iter(re.findall(r"submitted with SLURM jobid (\d+)", output)))
        known = subprocess.run(
            [folder / "cluster/bin/scontrol", "-o", "show", "job", job], check=True, text=True, stdout=subprocess.PIPE
        ).stdout
        submit, start = (
            time.mktime(time.strptime(moment, "%Y-%m-%dT%H:%M:%S"))
            for moment in re.findall(r"(?:SubmitTime|StartTime)=(\S+)", known)
        )
        print(f"tiny study: here {here:.0f} s, through Slurm {there:.0f} s, ratio {there / here:.1f}")
        print(f"first job: started {start - submit:.0f} s after its submission, {start - began:.0f} s after the launch")
    finally:
        subprocess.run([cluster, "down"], env=home, check=True)


def main() -> None:
    """Print the figures."""
    args = parse().parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for jobs in args.jobs:
            ours, planned = plan("--configfile", str(study(folder, jobs)), cwd=ROOT)
            (folder / "Snakefile").write_text(BARE.format(planned - 1), encoding="utf-8")
            bare, _ = plan(cwd=folder)
            print(f"{planned:6} jobs: {ours:6.1f} s; bare rules {bare:6.1f} s; ratio {ours / bare:.1f}", flush=True)
        if args.slurm:
            through_slurm(folder)


if __name__ == "__main__":
    main()
