"""Resources of jobs, and the lock of a launch: its jobs refuse other settings or code. Local runs pass through here too.

in   STUDY, resources of the profile, environment variables TRAITLINE_PARTITION, _ACCOUNT, _QOS, _CONSTRAINT, _GPU_...
out  hardware(), CAUSES of failed attempts, LOCKED
"""

from collections import defaultdict

from traitline.provenance import launch_lock
from traitline.study.execution import STAGES
from traitline.workflow import launch, slurm

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
    """Partition, account and the like of a job: the environment before the profile, whose `gpu_*` is for jobs with GPUs."""
    asked = {key: os.environ.get(f"TRAITLINE_{name}") for key, name in SITE.items()}
    if gpus:
        given = workflow.resource_settings.default_resources or {}
        for key, name in GPU_SITE.items():
            setting = f"gpu_{name.lower()}"
            asked[key] = os.environ.get(f"TRAITLINE_GPU_{name}") or (
                given[setting].raw if setting in given else asked.get(key)
            )
    return {key: str(value) for key, value in asked.items() if value}


def hardware(stage, alone=False):
    """Resources of a stage's jobs. Memory and minutes double with every failure for want of them.

    Args:
        alone: these jobs have one GPU at most, though other jobs of the stage share several.
    """

    def grown(what, cause):
        least = STUDY.execution.of(what, stage)
        return lambda wildcards, rulename: least * 2 ** CAUSES[rulename, tuple(wildcards)].count(cause)

    gpus = STUDY.execution.of("gpu", stage)
    gpus = min(gpus, 1) if alone else gpus
    asked = {slurm.GROWS[cause]: grown(slurm.GROWS[cause], cause) for cause in slurm.GROWS}
    return {**asked, "every": STUDY.execution.every, **({"gpu": gpus} if gpus else {}), **site(gpus)}


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
