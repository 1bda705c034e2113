"""A private Slurm, and clones of the repository that launch studies on it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent


class Cluster:
    """The private Slurm."""

    def __init__(self, folder):
        self.script, self.folder = Path(__file__).parent / "cluster", folder
        self.environment = {**os.environ, "CLUSTER_DIR": str(folder)}

    def do(self, *args):
        return subprocess.run([self.script, *args], env=self.environment, capture_output=True, text=True, check=False)

    def ask(self, *command):
        """What a command of Slurm says."""
        done = subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def show(self, job):
        """Facts of a job, as the scheduler has them."""
        return dict(re.findall(r"(?:^| )([A-Za-z/:]+)=(\S*)", self.ask("scontrol", "-o", "show", "job", job)))


class Clone:
    """A copy of the repository with the small study, and launches of it as users type them."""

    def __init__(self, root, cluster):
        self.root, self.cluster = root, cluster
        for name in ("Snakefile", "config.yaml", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, root)
        for name in ("rules", "scripts", "traitline", "report", "envs", "slurm"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(Path(__file__).parent / "study.yaml", root)
        profile = root / "slurm/config.yaml"  # a cluster of our own may be asked often
        profile.write_text(profile.read_text(encoding="utf-8").replace("status-checks: 20", "status-checks: 2"))
        path = os.pathsep.join([str(cluster.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": str(root)}
        self.log = root / "launcher.log"

    def another(self, cluster=None):
        """A second clone, on this cluster or on one of its own."""
        root = self.root.parent / f"{self.root.name}-other"
        root.mkdir()
        return Clone(root, cluster or self.cluster)

    def jobs(self):
        """Numbers of the jobs that were submitted."""
        return re.findall(r"submitted with SLURM jobid (\d+)", self.log_text())

    def edit(self, change):
        """Change the configuration of the study."""
        file = self.root / "study.yaml"
        study = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(study)
        file.write_text(yaml.safe_dump(study), encoding="utf-8")

    def snakemake(self, *args, **environment):
        """Run Snakemake to its end; (exit code, what it said)."""
        done = subprocess.run(
            ["snakemake", *split(args)], cwd=self.root, text=True, check=False,
            env={**self.environment, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout

    def launch(self, *args, **environment):
        """`snakemake --profile slurm`, in the background; what it says is in `self.log`."""
        with open(self.log, "w", encoding="utf-8") as log:
            self.launcher = subprocess.Popen(
                ["snakemake", "--profile", "slurm", *split(args)],
                cwd=self.root, env={**self.environment, **environment}, stdout=log, stderr=subprocess.STDOUT,
                # A shell starts what it puts in the background deaf to Ctrl-C, and the deafness is inherited.
                start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        return self.launcher

    def python(self, *args):
        """A program of the clone, run to its end."""
        return subprocess.run(
            [sys.executable, *args], cwd=self.root, env=self.environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, what, true, seconds=900):
        """Wait until something is true, and return it."""
        end = time.monotonic() + seconds
        while not (value := true()):
            assert time.monotonic() < end, f"no {what} after {seconds} s\n{self.log_text()[-3000:]}\n{self.queue()}"
            time.sleep(0.2)
        return value

    def queue(self):
        """All jobs and nodes as the scheduler has them, for who wonders why nothing happens."""
        jobs = self.cluster.ask("squeue", "--states=all", "--format=%i %P %T %r %N %M %Z")
        return jobs + self.cluster.ask("sinfo", "-N", "-o", "%N %P %T %E")

    def finish(self, launcher, code=0):
        """Wait for the end of a launch."""
        self.until("end of the launch", lambda: launcher.poll() is not None)
        assert (launcher.returncode == 0) == (code == 0), self.log_text()[-5000:]
        return self.log_text()

    def job(self):
        """Number of the job that was submitted last."""
        return self.until("job", self.jobs)[-1]

    def under_way(self, unless=None):
        """Number of a job that has written a checkpoint and is held there, so that it does not end before its accident.

        Slurm lets a stopped program go on when it ends the job; `tell(SIGCONT)` does otherwise. A job that the launcher
        has already said something about (`unless`) is not waited for.
        """
        job = self.job()
        checkpoints = "work/pretrain/a/*/fit.safetensors"

        def ended():
            return unless is not None and unless in self.log_text()

        def written():
            assert self.launcher.poll() is None, f"the launch ended before a checkpoint\n{self.log_text()[-3000:]}"
            return list(self.root.glob(checkpoints))

        self.until("checkpoint", lambda: ended() or written())
        if not ended():
            self.tell(signal.SIGSTOP)
        return job

    def tell(self, what):
        """Send the program of the job a signal."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                ours = os.readlink(process / "cwd") == str(self.root.resolve())
                if ours and b"\0-m\0scripts.pretrain\0" in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), what)
            except (FileNotFoundError, ProcessLookupError, PermissionError):  # it ended meanwhile, or is not ours
                continue

    def bytes(self, pattern="results/**/*"):
        """Content of the artifacts, by path; manifests and the pages that show them say when and where all was made."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.glob(pattern)
            if path.is_file() and not path.name.endswith(".manifest.json") and path.suffix != ".html"
        }


def split(args):
    """Options, the configuration of the study, then targets: --configfile would take them for files of its own."""
    last = max((i + 1 for i, word in enumerate(args) if word.startswith("-") or word.isdigit()), default=0)
    return [*args[:last], "--configfile", "study.yaml", "--", *args[last:]]
