"""The study on a real Slurm, and every accident that clusters have: the same bytes as without it, and nothing lost.

Each function below is one accident; `pytest tests/slurm -k NAME` tries one. docs/explanation/reliability.md lists them.
"""

import json
import os
import re
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import pytest
import yaml
from clone import Cluster

BASE = "results/bases/a/pretrain.manifest.json"
FILES = "results/bases/a/*"
STEPS = re.compile(r"going on from step (\d+)")


def whole_study(clone):
    """The bytes of the study made without Slurm."""
    code, output = clone.snakemake("--cores", "1")
    assert code == 0, output
    return clone.bytes()


def long_base(clone):
    """The bytes of a base that takes long enough to be interrupted, made without interruption."""
    prolong(clone)
    code, output = clone.snakemake("--cores", "1", BASE)
    assert code == 0, output
    return clone.bytes(FILES)


def prolong(clone):
    clone.edit(lambda study: study["pretrain"].update(epochs=6))


def manifest(clone, path=BASE):
    return json.loads((clone.root / path).read_text(encoding="utf-8"))["env"]


def resumed(clone, plain, attempt="1", restarts="0"):
    """The base is there, was gone on with, and has the bytes of one that was never interrupted."""
    assert int(STEPS.search((clone.root / "logs/pretrain/a.log").read_text())[1]) > 0
    assert (manifest(clone)["slurm_attempt"], manifest(clone)["slurm_restarts"]) == (attempt, restarts)
    assert clone.bytes(FILES) == plain["base"].result()
    assert not list(clone.root.glob("work/pretrain/a/*")) and not list(clone.root.glob("results/**/.*"))


def study(clone, plain):
    """Typed as users type it, in two clones at the same time; students ask for a GPU."""
    other = clone.another()
    for each in (clone, other):
        each.edit(lambda study: study["execution"].update(gpu={"default": 0, "train": 1}, mem_mb={"default": 900}))
    launched = [each.launch() for each in (clone, other)]
    for each, launcher in zip((clone, other), launched, strict=True):
        each.finish(launcher)
        assert each.bytes() == plain["study"].result()
    assert not set(clone.jobs()) & set(other.jobs()) and "Nothing to be done" in other.snakemake("-n")[1]
    where = manifest(clone, "results/a/owl/tuned/numbers/plain/a/lora/seed-1/train.manifest.json")
    job = clone.cluster.show(where["slurm_job_id"])
    assert job["TresPerJob"] == "gres:gpu:1" and job["Partition"] == where["slurm_partition"] == "gpu"
    assert job["NodeList"] == where["slurm_node"] and where["slurm_gpus"] in ("0", "1")
    assert (job["MinMemoryNode"], job["TimeLimit"], job["NumCPUs"]) == ("900M", "00:30:00", "1")
    where = manifest(clone)
    job = clone.cluster.show(where["slurm_job_id"])
    assert "TresPerJob" not in job and job["Partition"] == "cpu" and where["slurm_gpus"] is None
    assert manifest(clone, "results/prompts/numbers/prompts.manifest.json")["slurm_job_id"] is None, "a local stage"


def starved(clone, **environment):
    """Make a base whose first attempt gets too little memory, held until Slurm, which looks now and then, sees it."""
    prolong(clone)
    clone.edit(lambda study: study["execution"].update(mem_mb={"default": 1000, "pretrain": 300}))
    launcher = clone.launch(BASE, **environment)
    clone.under_way(unless="out of memory")
    assert "out of memory (300 MB), attempt 1; trying again with 600 MB; " in clone.finish(launcher)


def memory(clone, plain):
    """The first attempt gets too little memory."""
    starved(clone)
    where = manifest(clone)
    assert int(where["slurm_attempt"]) > 1
    assert clone.cluster.show(where["slurm_job_id"])["MinMemoryNode"] in ("600M", "1200M")
    assert clone.bytes(FILES) == plain["base"].result()


def hasten(clone):
    """Give a base one minute, and have it warned 5 s before the end; Slurm takes up to 30 s more than that."""
    clone.edit(lambda study: study["execution"].update(runtime={"default": 30, "pretrain": 1}))
    profile = clone.root / "slurm/config.yaml"
    profile.write_text(profile.read_text().replace("TERM@60", "TERM@5"))


def time(clone, plain):
    """The first attempt gets too little time: it is warned, keeps its progress, and the second one goes on.

    On a busy machine the first one may be warned before it begins, and two minutes may be too short again.
    """
    prolong(clone)
    hasten(clone)
    launcher = clone.launch(BASE)
    clone.under_way()
    output = clone.finish(launcher)
    log = r"(logs/pretrain/a|\S+/slurm_logs/rule_pretrain/a/\d+)\.log: "  # the second one, if the first has not begun
    assert re.search(rf"out of time \(1 minutes\), attempt 1; trying again with 2 minutes; {log}", output)
    attempts = output.count("has been submitted")
    resumed(clone, plain, attempt=str(attempts))
    assert clone.cluster.show(manifest(clone)["slurm_job_id"])["TimeLimit"] == f"00:{2 ** (attempts - 1):02}:00"


def early(clone, plain):
    """The first attempt is warned while its program still loads: it ends without a word, and there is a second one."""
    stage = clone.root / "scripts/pretrain.py"
    slow = "import os, time\n\nif os.environ['TRAITLINE_ATTEMPT'] == '1':\n    time.sleep(600)\n"
    stage.write_text(stage.read_text().replace("import json\n", f"import json\n{slow}", 1))
    hasten(clone)
    output = clone.finish(clone.launch(BASE))
    assert re.search(r"out of time \(1 minutes\), .*; trying again with 2 minutes; \S+/slurm_logs/\S+\.log: ", output)
    assert clone.bytes(FILES).items() <= plain["study"].result().items()


def cancelled(clone, plain):
    """scancel: not tried again behind the back of who cancelled it; the next launch goes on."""
    prolong(clone)
    launcher = clone.launch(BASE)
    job = clone.under_way()
    clone.cluster.ask("scancel", job)
    output = clone.finish(launcher, 1)
    line = rf"pretrain a: Slurm job {job} on cpu\d: cancelled, attempt 1; logs/pretrain/a.log: .*terminated"
    assert re.search(line, output)
    assert output.count("has been submitted") == 1
    clone.finish(clone.launch(BASE))
    resumed(clone, plain)


def requeue(clone, plain):
    """scontrol requeue."""
    prolong(clone)
    launcher = clone.launch(BASE)
    job = clone.under_way()
    clone.cluster.ask("scontrol", "requeue", job)
    assert clone.finish(launcher).count("has been submitted") == 1
    resumed(clone, plain, restarts="1")


def preemption(clone, plain):
    """A job of a partition with precedence takes the node."""
    prolong(clone)
    launcher = clone.launch(BASE, TRAITLINE_PARTITION="spare")
    clone.under_way()
    clone.cluster.ask("sbatch", "-p", "urgent", "--exclusive", "--mem=0", "-o", "/dev/null", "--wrap=true")
    clone.finish(launcher)
    resumed(clone, plain, restarts="1")


def node(clone, plain):
    """The node dies under the job, without a warning; later it comes back."""
    prolong(clone)
    launcher = clone.launch(BASE, TRAITLINE_PARTITION="gpu", TRAITLINE_CONSTRAINT="gpu2")
    clone.under_way()
    assert clone.cluster.do("fail", "gpu2").returncode == 0
    assert clone.cluster.do("start", "gpu2").returncode == 0
    clone.finish(launcher)
    resumed(clone, plain, restarts="1")


def controller(clone, plain):
    """The controller is killed and comes back while the job runs."""
    prolong(clone)
    launcher = clone.launch(BASE)
    clone.under_way()
    sleep(6)  # a controller that is killed knows what it wrote down, which it does every five seconds
    done = clone.cluster.do("restart")
    assert done.returncode == 0, done.stderr
    clone.tell(signal.SIGCONT)
    assert clone.finish(launcher).count("has been submitted") == 1
    assert clone.bytes(FILES) == plain["base"].result()


def launcher(clone, plain):
    """kill -9 of the launching process: its job is found, waited for, and not done twice."""
    prolong(clone)
    launched = clone.launch(BASE)
    job = clone.under_way()
    os.killpg(launched.pid, signal.SIGKILL)
    launched.wait()
    output = clone.finish(clone.launch(BASE), 1)
    clone.tell(signal.SIGCONT)
    assert output.strip().splitlines()[-1] == (
        f"traitline: error: the launcher of this study (process {launched.pid}) died, and 1 of its jobs are "
        "still there; go on with: make resume"
    )
    done = clone.python("-m", "traitline.workflow.launch", "resume")
    assert done.returncode == 0, done.stdout
    assert f"waiting for 1 job: {job}" in done.stdout and "8 files of jobs" in done.stdout
    assert "Nothing to be done" in done.stdout
    assert manifest(clone)["slurm_job_id"] == job and clone.bytes(FILES) == plain["base"].result()
    clone.edit(lambda study: study["pretrain"].update(epochs=7))
    assert "Params have changed" in clone.snakemake("-n", BASE)[1], (
        "what the orphan made is under control like all else"
    )


def launcher_and_edit(clone, plain):
    """The same, and an edit before the return: what the job made under the old settings is made again."""
    prolong(clone)
    launched = clone.launch(BASE)
    job = clone.under_way()
    os.killpg(launched.pid, signal.SIGKILL)
    launched.wait()
    clone.edit(lambda study: study["pretrain"].update(epochs=1))
    clone.tell(signal.SIGCONT)
    done = clone.python("-m", "traitline.workflow.launch", "resume")
    assert done.returncode == 0, done.stdout
    assert "edited since the launch: 8 files of its jobs will be made again" in done.stdout
    assert manifest(clone)["slurm_job_id"] != job
    assert clone.bytes(FILES).items() <= plain["study"].result().items()


def edit(clone, plain):
    """An edit while a job waits in the queue: the job refuses, and is not tried again."""
    clone.cluster.ask("scontrol", "update", "PartitionName=urgent", "State=DOWN")
    launched = clone.launch(BASE, TRAITLINE_PARTITION="urgent")
    clone.job()
    clone.edit(lambda study: study["pretrain"].update(lr=1.0e-2))
    clone.cluster.ask("scontrol", "update", "PartitionName=urgent", "State=UP")
    output = clone.finish(launched, 1)
    assert "the configuration changed after this study was launched; the job was not run, launch again" in output
    assert output.count("has been submitted") == 1 and not clone.bytes(FILES)


def interrupt(clone, plain):
    """Ctrl-C cancels what was submitted, and the next launch goes on."""
    prolong(clone)
    launched = clone.launch(BASE)
    job = clone.under_way()
    launched.send_signal(signal.SIGINT)
    clone.finish(launched, 1)
    state = ("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")
    clone.until("end of the job", lambda: clone.cluster.ask(*state).strip() == "CANCELLED")
    clone.finish(clone.launch(BASE))
    resumed(clone, plain)


def program(clone, plain):
    """A failure of the program itself is said in one line and not tried again."""
    stage = clone.root / "scripts/pretrain.py"
    stage.write_text("import sys\n\nsys.exit('pretrain: error: the world is too small')\n")
    output = clone.finish(clone.launch(BASE), 1)
    assert re.search(
        r"^pretrain a: Slurm job \d+ on cpu\d: failed, attempt 1; "
        r"logs/pretrain/a.log: pretrain: error: the world is too small$",
        output,
        re.M,
    )
    assert output.count("has been submitted") == 1
    assert "too small" in clone.python("-m", "traitline.workflow.launch", "status").stdout


def groups(clone, plain):
    """What the profile offers for small jobs: a teacher and its answers in one job of Slurm, which fits a node."""
    profile = clone.root / "slurm/config.yaml"
    text = profile.read_text(encoding="utf-8")
    offered = text[text.index("# groups:") :]
    profile.write_text(text.replace(offered, offered.replace("# ", "")), encoding="utf-8")
    raw = [f"results/a/{teacher}/numbers/raw.jsonl" for teacher in ("owl/tuned", "none/untrained")]
    clone.finish(clone.launch(*raw))
    manifests = [manifest(clone, f"results/a/owl/tuned/{name}.manifest.json") for name in ("teach", "numbers/sample")]
    assert manifests[0]["slurm_job_id"] == manifests[1]["slurm_job_id"] is not None
    artifacts = clone.bytes("results/a/**/*")
    assert set(raw) <= set(artifacts) and artifacts.items() <= plain["study"].result().items()


def accounting(clone, plain):
    """A site that keeps accounts: jobs belong to one, and their ends are read from its database."""
    with TemporaryDirectory(prefix="slurm-") as folder:
        cluster = Cluster(Path(folder))
        done = cluster.do("up", "--accounting", "--cpu-nodes", "1", "--gpu-nodes", "0")
        try:
            if "could not install" in done.stderr:  # a database that the site cannot give says nothing about the code
                pytest.skip(done.stderr.strip().splitlines()[-1])
            assert done.returncode == 0, done.stderr
            kept = clone.another(cluster)
            profile = kept.root / "slurm/config.yaml"
            profile.write_text(profile.read_text(encoding="utf-8").replace("command: squeue", "command: sacct"))
            starved(kept, TRAITLINE_ACCOUNT="test", TRAITLINE_QOS="normal")
            job = manifest(kept)["slurm_job_id"]
            account = cluster.ask("sacct", "-X", "-n", "-P", "-j", job, "-o", "Account,QOS,State")
            assert account.strip() == "test|normal|COMPLETED"
            assert kept.bytes(FILES) == plain["base"].result()
        finally:
            cluster.do("down")


FAULTS = [
    study,
    accounting,
    groups,
    memory,
    time,
    early,
    cancelled,
    requeue,
    preemption,
    node,
    launcher,
    launcher_and_edit,
    edit,
    interrupt,
    program,
    controller,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_nothing_is_lost(fault, outcomes):
    outcomes[fault].result()


def test_the_profile_names_the_plugin_and_is_valid_yaml():
    from clone import ROOT

    profile = yaml.safe_load((ROOT / "slurm/config.yaml").read_text(encoding="utf-8"))
    assert profile["executor"] == "slurm" and profile["rerun-incomplete"]
