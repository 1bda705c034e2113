"""What jobs ask for, what happens when one fails on Slurm, and what a launch is held to. Local runs pass through here too.

in   STUDY, resources of the profile, environment variables TRAITLINE_PARTITION, _ACCOUNT, _QOS, _CONSTRAINT, _GPU_...
out  hardware(); one line for every failed job, in .traitline/launches/ too; jobs that refuse other settings or code
"""

import json
from collections import defaultdict

from traitline.provenance import launch_lock
from traitline.workflow import launch, slurm
from traitline.study.execution import STAGES

# Why earlier attempts of a job failed: (rule, wildcards) -> causes.
CAUSES = defaultdict(list)
SITE = {"slurm_partition": "PARTITION", "slurm_account": "ACCOUNT", "qos": "QOS", "constraint": "CONSTRAINT"}
GPU_SITE = {"slurm_partition": "PARTITION", "gpu_model": "TYPE", "constraint": "CONSTRAINT"}
ONLY_LOOKS = {
    "-n",
    "--dry-run",
    "--dryrun",
    "--unlock",
    "--lint",
    "--summary",
    "--detailed-summary",
    "--dag",
    "--rulegraph",
}


def site(gpus):
    """Where a job goes: the profile's `gpu_*` for jobs with GPUs, the environment before the profile."""
    asked = {key: os.environ.get(f"TRAITLINE_{name}") for key, name in SITE.items()}
    if gpus:
        given = workflow.resource_settings.default_resources or {}
        for key, name in GPU_SITE.items():
            own = f"gpu_{name.lower()}"
            asked[key] = os.environ.get(f"TRAITLINE_GPU_{name}") or (given[own].raw if own in given else asked.get(key))
    return {key: str(value) for key, value in asked.items() if value}


def hardware(stage, alone=False):
    """Resources of a stage's jobs. Memory and minutes double with every failure for want of them. What runs alone in a
    stage whose other jobs share GPUs has one at most."""

    def grown(what, cause):
        least = STUDY.execution.of(what, stage)
        return lambda wildcards, rulename: least * 2 ** CAUSES[rulename, tuple(wildcards)].count(cause)

    gpus = STUDY.execution.of("gpu", stage)
    gpus = min(gpus, 1) if alone else gpus
    asked = {slurm.GROWS[cause]: grown(slurm.GROWS[cause], cause) for cause in slurm.GROWS}
    return {**asked, "every": STUDY.execution.every, **({"gpu": gpus} if gpus else {}), **site(gpus)}


class Watch(logging.Filter):
    """Sees what Snakemake says: where a launch through Slurm begins, and where a job of it fails."""

    launched = None

    def filter(self, record):
        said = str(record.msg)
        if said.startswith("SLURM run ID: "):
            Watch.launched = launch.begin(STUDY, said.removeprefix("SLURM run ID: "), LOCKED)
        elif self.launched and getattr(record, "event", None) == "job_error" and not hasattr(record, "seen"):
            record.seen = True
            self.failed(record)
        return True

    def failed(self, record):
        """Say why in one line, and try again only what another attempt can help with."""
        job = next(job for job in workflow.dag.jobs if workflow.dag.jobid(job) == record.jobid)
        number = (record.aux or {}).get("external_jobid")
        logs = [str(path).split(" (")[0] for path in record.log]
        text = "\n".join(line for path in logs for line in slurm.tail([path], 20))
        known = slurm.facts(number) if number else {}
        if number:
            cause = slurm.cause(known, text)
        else:
            cause = "submission" if slurm.BUSY.search(str(record.rule_msg or "")) else "program"
        again = cause in slurm.AGAIN and job.attempt <= job.restart_times
        what = f"{job.rule.name} {'/'.join(job.wildcards)}".strip()
        had = {"memory": f" ({job.resources.mem_mb} MB)", "time": f" ({job.resources.runtime} minutes)"}.get(cause, "")
        where = f"Slurm job {number} on {known.get('NodeList') or 'no node'}: " if number else ""
        line = f"{what}: {where}{slurm.WORDS[cause]}{had}, attempt {job.attempt}"
        if again:
            if cause in slurm.GROWS:
                CAUSES[job.rule.name, tuple(job.wildcards)].append(cause)
            more = {
                "memory": f" with {2 * job.resources.mem_mb} MB",
                "time": f" with {2 * job.resources.runtime} minutes",
            }
            line += f"; trying again{more.get(cause, '')}"
        elif job.attempt <= job.restart_times:
            job.attempt = job.restart_times + 1  # the last one: nothing is tried again blindly
        refused = [said for path in logs[1:] for said in slurm.tail([path], 20) if said.startswith("traitline: error")]
        last = refused[-1:] or slurm.tail(logs) or [str(record.rule_msg or "").strip().replace("\n", " ")]
        line += f"; {logs[0] if not refused else logs[-1]}: {' | '.join(last)}"
        print(line, file=sys.stderr, flush=True)
        with open(self.launched.failures, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


LOCKED = launch_lock.lock(STUDY.folder, STUDY.text, {stage: digest(stage) for stage in STAGES})
try:
    if os.environ.get(launch.SETTLE) or not workflow.is_main_process:
        launch_lock.require_same(os.environ.get(launch_lock.LOCK, LOCKED), LOCKED)
    elif not ONLY_LOOKS & set(sys.argv):
        launch.refuse(STUDY.folder)
except InputError as error:
    sys.exit(f"traitline: error: {error}")

os.environ.update({launch_lock.LOCK: LOCKED})
if not workflow.is_main_process:
    # The plugin takes SLURM_ variables away from what runs inside of a job, and tells the attempt to Snakemake alone.
    restarts = os.environ.get("TRAITLINE_RESTARTS") or os.environ.get("SLURM_RESTART_COUNT", "0")
    attempt = sys.argv[sys.argv.index("--attempt") + 1]
    os.environ.update(TRAITLINE_RESTARTS=restarts, TRAITLINE_ATTEMPT=attempt)

for handler in logging.getLogger("snakemake.logging").handlers:
    handler.addFilter(Watch())
