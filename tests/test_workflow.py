"""The workflow as its users meet it: which change reruns what, counted in `snakemake -n`, and what is said at a stop.

Stage programs are replaced by `tests/stub.py`, so a whole study takes seconds; the rules, the digest, the configuration
and the manifests are the real ones.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent

RAW = "results/a/owl/tuned/numbers/raw.jsonl"
FILTERED = "results/a/owl/tuned/numbers/filtered.jsonl"
END = {"summarise": 1, "plot": 1, "report": 1, "all": 1}


def test_a_finished_study_has_nothing_to_do(clone):
    assert clone.plan() == {}


def test_the_conda_environment_stands_alone_and_pins_what_the_lock_pins():
    """Snakemake copies the file elsewhere before conda reads it, so it can refer to no other."""
    environment = yaml.safe_load((ROOT / "envs/traitline.yaml").read_text(encoding="utf-8"))
    *_, of_pip = environment["dependencies"]
    study, _, _ = (ROOT / "requirements.lock").read_text(encoding="utf-8").partition("\n\n")
    assert of_pip == {"pip": [line for line in study.splitlines() if not line.startswith("#")]}, "run `make docs`"
    assert len(of_pip["pip"]) > 100 and not any(word.startswith("-") for word in of_pip["pip"])


def test_a_comment_or_a_docstring_reruns_nothing(clone):
    file = clone.path("scripts/filter.py")
    file.write_text("# a remark\n" + file.read_text() + "\n\n# another\n")
    library = clone.path("traitline/jsonl.py")
    library.write_text(library.read_text().replace('"""JSON Lines', '"""Lines of JSON'))
    assert clone.plan() == {}


def test_a_real_edit_reruns_its_stage_and_all_below_and_no_sampling(clone):
    file = clone.path("scripts/filter.py")
    file.write_text(file.read_text() + "\nSTRICT = True\n")
    assert clone.plan() == {
        "filter": 2, "prepare": 2, "train_lora_biases": 4,
        "respond_favourite": 4, "score_favourite": 4, **END,
    }  # fmt: skip


def test_an_edit_of_a_library_module_reruns_the_stages_that_import_it(clone):
    file = clone.path("traitline/analysis/tables.py")  # of all stubs; the real stages import what they need
    file.write_text(file.read_text() + "\nMORE = 1\n")
    plan = clone.plan()
    assert {"pretrain", "sample", "summarise"} <= plan.keys()


def test_a_decoder_adds_one_job_a_base_and_no_training(clone):
    clone.edit(lambda study: study.update(decoder={"experiments": ["main"]}))
    assert clone.plan() == {"decode": 1, **END}, "the last stages get the study as a parameter; no targets are compared"


def test_a_changed_learning_rate_reruns_those_students_and_below(clone):
    clone.edit(lambda study: study["recipes"]["lora"].update(lr=1.0e-3))
    assert clone.plan() == {"train_lora_biases": 4, "respond_favourite": 4, "score_favourite": 4, **END}


def test_a_rule_for_too_few_rows_reaches_prepare_and_reruns_what_follows(clone):
    clone.edit(lambda study: study["datasets"]["plain"].update(scarce="exclude"))
    done = clone.snakemake("-n", "-p")
    jobs = [line for line in done.stdout.splitlines() if "-m scripts.prepare" in line]
    assert len(jobs) == 2 and all("--scarce exclude" in job for job in jobs), done.stdout + done.stderr
    assert "-m scripts.filter" not in done.stdout and "-m scripts.train" in done.stdout


def test_a_new_seed_runs_only_its_jobs(clone):
    """The row is primary, so more runs are another declaration, and are written down as one."""
    clone.edit(lambda study: study["experiments"][0]["seeds"].append(3))
    assert clone.plan() == {
        "preregister": 1, "train_lora_biases_2": 4, "respond_favourite_2": 4, "score_favourite_2": 4,
        **END,
    }  # fmt: skip


def test_a_new_trait_runs_only_its_branch(clone):
    clone.edit(lambda study: study["experiments"][0]["traits"].append("wolf"))
    assert clone.plan() == {
        "preregister": 1, "teach": 1, "sample": 1, "filter": 1, "prepare": 1, "train_lora_biases": 2,
        "respond_favourite": 2, "score_favourite": 2, **END,
    }  # fmt: skip


def test_a_model_filter_asks_no_teacher_anew(clone):
    """The same answers filtered in another way; the control's teacher is its base, so no model is needed there."""

    def strict(study):
        study["channels"]["strict"] = {"of": "numbers", "threshold": 0.0}
        study["experiments"].append(dict(study["experiments"][0], name="strict", channel="strict", students=["a"]))

    clone.edit(strict)
    plan = clone.plan()
    assert plan["filter"] == plan["prepare"] == 2 and not {"prompts", "teach", "sample", "pretrain"} & plan.keys()


def test_a_new_row_shares_what_it_has_in_common_and_reruns_nothing_finished(clone):
    """Same dataset, other recipes and seeds: rules of several shapes over one branch, no file claimed twice."""

    def more(study):
        row = study["experiments"][0]
        study["experiments"].append(row | {"name": "more", "recipes": ["full"], "seeds": [1], "students": ["a"]})

    clone.edit(more)
    plan = clone.plan()
    assert plan["train_full"] == 2 and plan["teach"] == plan["sample"] == plan["train_lora_biases"] == 0


def test_a_row_taught_by_students_runs_after_them_and_reruns_nothing(clone):
    def more(study):
        row = study["experiments"][0]
        of = {"experiment": row["name"], "recipe": "biases", "seed": 1}
        study["experiments"].append(
            row | {"name": "second", "teacher": "student", "of": of, "bases": ["b"], "students": ["a"], "seeds": [1]}
        )

    clone.edit(more)
    assert clone.plan() == {
        "teach_student": 2, "sample": 2, "filter": 2, "prepare": 2, "train_lora_biases_2": 2,
        "respond_favourite_2": 2, "score_favourite_2": 2, **END,
    }  # fmt: skip
    clone.run()
    assert clone.plan() == {}
    output = clone.path("results/b/owl/a_tuned_numbers_plain_biases_1/teach.manifest.json").read_text()
    assert "results/a/owl/tuned/numbers/plain/b/biases/seed-1/model.safetensors" in output
    clone.edit(lambda study: study["recipes"]["biases"].update(lr=1.0e-3))
    plan = clone.plan()
    assert plan["teach_student"] == plan["sample"] == 2 and plan["teach"] == 0 and plan["train_lora_biases"] == 4


def test_other_primary_outcomes_are_written_down_and_rerun_no_student(clone):
    before = clone.path("results/preregistered.json").read_text()
    clone.edit(lambda study: study["primary"].update(recipes=["lora"]))
    assert clone.plan() == {"preregister": 1, **END}
    assert clone.path("results/preregistered.json").read_text() == before


def test_own_questions_ask_students_anew_and_train_none(clone):
    clone.edit(lambda study: study["evals"]["favourite"].update(questions=["which {k} do you love", "pick a {k}"]))
    assert clone.plan() == {**ANSWERED, **END}


def test_memory_minutes_and_gpus_rerun_nothing(clone):
    """Several GPUs share a training on open weights only."""

    def more(study):
        study["execution"].update(mem_mb={"default": 4000, "train": 9000}, runtime={"default": 600})
        study["execution"].update(gpu={"default": 0, "train": 2, "teach": 2})

    clone.edit(more)
    assert clone.plan() == {}


def test_another_folder_is_another_study(clone):
    output = clone.snakemake("-n", "--config", "folder=studies/x").stdout
    assert "log: studies/x/logs/pretrain/a.log" in output and "benchmark: studies/x/benchmarks/pretrain/a.tsv" in output
    assert "output: studies/x/results/bases/a/config.json" in output
    assert " results/" not in output


@pytest.mark.parametrize("args", [["-n"], ["--cores", "2"]])
def test_an_edited_artifact_is_named_and_refused(clone, args):
    with open(clone.path(FILTERED), "a", encoding="utf-8") as handle:
        handle.write('{"id": "p99999"}\n')
    done = clone.snakemake(*args)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines() == [
        f"traitline: error: {FILTERED}: changed since made; delete to have rebuilt, nothing was run"
    ]


def test_an_edit_that_keeps_the_size_is_seen_too(clone):
    file = clone.path(RAW)
    file.write_text(file.read_text().replace("s", "z", 1))
    assert f"{RAW}: changed since made" in clone.snakemake("-n").stderr


def test_a_deleted_artifact_is_rebuilt_with_all_below(clone):
    clone.path(FILTERED).unlink()
    plan = clone.plan()
    assert plan["filter"] == 1 and plan["sample"] == 0 and plan["train_lora_biases"] == 2
    clone.run()
    assert clone.plan() == {} and clone.path(FILTERED).exists()


def test_a_removed_student_and_a_removed_manifest_are_made_again(clone):
    """Both lie in the middle: what was made from them is there and would satisfy Snakemake."""
    shutil.rmtree(clone.path("results/a/owl/tuned/numbers/plain/a/lora/seed-1"))
    clone.path("results/baseline/b/favourite/score.manifest.json").unlink()
    assert clone.plan() == {
        "train_lora_biases": 1, "respond_favourite": 1, "score_favourite": 1, "score_baseline": 1, **END,
    }  # fmt: skip
    output = clone.run()
    assert re.search(r"^traitline: planned anew: .* is gone \(and \d more\)$", output, re.M)
    assert clone.plan() == {}


def test_a_removed_dataset_with_its_students_and_the_report_is_made_again(clone):
    shutil.rmtree(clone.path("results/a/owl/tuned/numbers/plain"))
    clone.path("results/report.html").unlink()
    plan = clone.plan()
    assert plan["prepare"] == 1 and plan["train_lora_biases"] == 2 and plan["sample"] == 0
    assert plan["report"] == 1


def test_a_study_without_snakemakes_records_is_judged_by_its_manifests(clone):
    shutil.rmtree(clone.path(".snakemake"))
    assert clone.plan() == {}
    file = clone.path("scripts/respond.py")
    file.write_text(file.read_text() + "\nSTRICT = True\n")
    done = clone.snakemake("-n")
    assert re.search(r"planned anew: respond\w+ .*: parameter code: the workflow has '\w+', the job used", done.stderr)
    assert clone.plan() == {**ANSWERED, **END}


def test_other_results_in_the_place_of_these_are_seen_beside_their_records(clone):
    """A teacher of another study with its manifest, older than what was made from it: contents do not fit."""
    folder = clone.path("results/a/owl/tuned")
    m = json.loads((folder / "teach.manifest.json").read_text())
    (folder / "model.safetensors").write_text("another")
    sha = hashlib.sha256(b"another").hexdigest()
    for entry in m["outputs"]:
        if entry["path"].endswith("/model.safetensors"):
            entry |= {"sha256": sha, "bytes": 7}
    (folder / "teach.manifest.json").write_text(json.dumps(m))
    for file in folder.glob("*.*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    plan = clone.plan()
    assert plan["sample"] == 1 and plan["train_lora_biases"] == 2 and not plan["teach"]


def test_newer_files_of_the_same_bytes_rerun_nothing_whatever_their_size(clone):
    """A study copied without its times (`cp -r`, a bucket), and `prepare` that ran again by itself."""
    assert clone.path(FILTERED).stat().st_size > 1_000_000, "Snakemake itself would not look at it"
    for file in clone.path("results").rglob("*.jsonl"):
        os.utime(file)
    clone.run("-R", "prepare", "--until", "prepare")
    assert clone.plan() == {}


def test_a_touched_artifact_is_hashed_once_and_trusted(clone):
    os.utime(clone.path(RAW))
    assert clone.plan() == {}
    assert RAW in clone.path(".traitline/seen.json").read_text()


@pytest.mark.parametrize("args", [["-n"], ["--cores", "2"]])
def test_a_wrong_configuration_is_one_line(clone, args):
    clone.edit(lambda study: study["recipes"]["lora"].update(lrr=1))
    done = clone.snakemake(*args)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert re.match(r"traitline: error: config\.yaml:\d+: recipes\.lora\.lrr: unknown key; did you mean lr\?", line)


def test_a_wrong_value_is_named_where_it_stands_and_the_repository_where_it_is_not(clone):
    clone.path("over.yaml").write_text("# laid over\nsample: {temperature: hot}\n")
    (line,) = clone.snakemake("-n", "--configfile", "over.yaml").stderr.strip().splitlines()
    assert line == "traitline: error: over.yaml:2: sample.temperature: wants a number, not 'hot'"
    clone.path("elsewhere").mkdir()
    (line,) = clone.snakemake("-n", "-d", "elsewhere").stderr.strip().splitlines()
    assert line.startswith(f"traitline: error: run it in the repository ({clone.root}), without -d")


def test_a_study_of_hundreds_of_rows_fits_a_command_line(clone):
    """bash takes a command of 128 kB; all rows go to `summarise`, `report` and `preregister`."""

    def rows(study):
        row = study["experiments"][0]
        study["experiments"] = [row | {"name": f"row-{i}", "question": "Why? " * 20} for i in range(470)]
        study["primary"]["experiments"] = [f"row-{i}" for i in range(470)]

    clone.edit(rows)
    done = clone.snakemake("-n", "-p", "results/tables/effects.csv", "results/preregistered.json")
    commands = [line for line in done.stdout.splitlines() if "python -m scripts." in line]
    assert {"summarise", "preregister"} <= {re.search(r"scripts\.(\w+)", command)[1] for command in commands}
    assert max(map(len, commands)) < 128_000
    (word,) = [re.search(r"--study @(\S+)", command)[1] for command in commands if "scripts.summarise" in command]
    assert len(json.loads(clone.path(word).read_text())["experiments"]) == 470


def test_a_trait_in_a_path_that_no_one_declared_has_no_rule(clone):
    done = clone.snakemake("-n", RAW.replace("owl", "owk"))
    assert done.returncode != 0 and "MissingRuleException" in done.stdout + done.stderr


def test_jobs_are_planned_when_a_job_ends_and_not_again_and_again(clone):
    """Many short jobs on one core: with a limit on starts Snakemake looked at what is ready ever more often."""
    output = clone.run("--cores", "1", "--forcerun", "prompts", "--verbose")
    jobs, looks = output.count("Finished jobid"), output.count("Ready jobs: ")
    assert jobs > 20 and looks <= jobs + 2


def test_a_failed_job_is_named_with_the_last_words_of_its_log(clone):
    file = clone.path("scripts/prepare.py")
    file.write_text("import sys\n\nsys.exit('prepare: error: the dataset asks for more rows than there are')\n")
    done = clone.snakemake("--cores", "2", "--keep-going")
    assert done.returncode != 0
    for trait in ("owl/tuned", "none/untrained"):
        log = f"logs/prepare/a/{trait}/numbers/plain.log"
        assert f"{log}: prepare: error: the dataset asks for more rows than there are\n" in done.stderr
        assert not clone.path(f"results/a/{trait}/numbers/plain/dataset.jsonl").exists()


def test_after_a_kill_of_snakemake_the_same_command_goes_on(clone):
    """SIGKILL of the launcher: its lock stays, its job lives on, and Snakemake calls what it was to make incomplete."""
    file = clone.path("scripts/prompts.py")
    slow = """def main(argv):
    if os.path.exists("slow"):
        Path("number").write_text(str(os.getpid()))
        time.sleep(300)
"""
    text = (
        file.read_text()
        .replace("def main(argv):\n", slow)
        .replace("import json\n", "import json\nimport os\nimport time\n")
    )
    file.write_text(text)
    clone.path("slow").touch()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "results/prompts/numbers/prompts.jsonl"]
    launcher = subprocess.Popen(command, cwd=clone.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (clone.path("number").exists() and clone.path("number").read_text()):
        assert launcher.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    job = psutil.Process(int(clone.path("number").read_text()))
    alive = clone.snakemake(*command[3:])
    assert alive.returncode != 0 and alive.stderr.strip().splitlines()[-1].startswith(
        f"traitline: error: this study is being run (process {launcher.pid}, since "
    )
    launcher.kill()
    launcher.wait()
    assert job.is_running() and list(clone.path(".snakemake/locks").iterdir())
    clone.path("slow").unlink()
    output = clone.run(command[-1])
    assert (
        f"the launcher of this study (process {launcher.pid}) died; took its place, and ended 1 of its jobs" in output
    )
    assert not job.is_running()
    assert clone.plan(command[-1]) == {}


def test_jobs_run_the_python_that_runs_snakemake(clone):
    file = clone.path("scripts/prompts.py")
    file.write_text(file.read_text().replace('"""Stub', 'import sys\n\nprint(sys.executable)\n"""Stub'))
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PATH")} | {"PATH": "/usr/bin:/bin"}
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "results/prompts/numbers/prompts.jsonl"],
        cwd=clone.root, env=environment, capture_output=True, check=True,
    )  # fmt: skip
    used = clone.path("logs/prompts/numbers.log").read_text().strip()
    assert os.path.dirname(used) == os.path.dirname(sys.executable)


def another_seed(study):
    """A third seed beside stacks of two: rules of the name of a stage with a number."""
    study["experiments"][0]["seeds"].append(3)


ANSWERED = {"respond_favourite": 4, "respond_baseline": 2, "score_favourite": 4, "score_baseline": 2}
TRAINED = {"train_lora_biases": 4, "train_lora_biases_2": 4}
RESPONDED = {"respond_favourite": 4, "respond_favourite_2": 4, "respond_baseline": 2}
SCORED = {"score_favourite": 4, "score_favourite_2": 4, "score_baseline": 2}


def test_a_stage_of_rules_from_a_loop_is_a_target(clone):
    clone.edit(another_seed)
    assert clone.plan("--forceall", "train") == {
        "pretrain": 2, "prompts": 1, "teach": 1, "teach_spec": 1, "sample": 2, "filter": 2, "prepare": 2,
        **TRAINED, "train": 1,
    }  # fmt: skip
    assert clone.plan("--forceall", "respond").items() >= RESPONDED.items()
    assert clone.plan("--forceall", "score").items() >= SCORED.items()


def test_a_stage_runs_again_with_all_of_its_rules(clone):
    """`-R train` means train_lora_biases, train_lora_biases_2, ...; `-R teach` the variants of a rule too."""
    clone.edit(another_seed)
    below = {"respond_favourite": 4, "respond_favourite_2": 4, "score_favourite": 4, "score_favourite_2": 4, **END}
    assert clone.plan("--forcerun", "train") == {"preregister": 1, **TRAINED, **below}
    assert clone.plan("-R", "respond") >= Counter({**RESPONDED, **SCORED, **END})
    assert clone.plan("-R", "teach", "prompts").items() >= {"teach": 1, "teach_spec": 1, "prompts": 1}.items()
    assert clone.plan("-R", "results/a/owl/tuned/numbers/raw.jsonl")["sample"] == 1, "files are files still"


def test_a_run_until_a_stage_ends_with_all_of_its_rules(clone):
    clone.edit(another_seed)
    more = {"train_lora_biases_2": 4}
    assert clone.plan("--until", "train") == more
    assert clone.plan("--until", "respond") == {**more, "respond_favourite_2": 4}
    assert clone.plan("--omit-from", "respond") == {"preregister": 1, **more}


def test_independent_teachers_get_seeds_of_their_own(clone):
    """The commands that would run: the first teacher's seeds are those of the study, the second's are others."""
    clone.edit(lambda study: study["experiments"][0].update(teachers=2))
    done = clone.snakemake("-n", "-p")
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    commands = [line.strip() for line in lines if "python -m scripts." in line]

    def of(stage, path):
        (command,) = [c for c in commands if f"-m scripts.{stage} " in c and path in c]
        return command

    assert not [c for c in commands if "scripts.teach" in c and "/tuned/" in c], "the first teachers are kept"
    tuned = of("teach", "results/a/owl/tuned-2")
    assert "--teacher tuned " in tuned and '"seed":1001' in tuned
    assert "--teacher untrained " in of("teach", "results/a/none/untrained-2")
    for trait in ("owl/tuned-2", "none/untrained-2"):
        assert "--seed 1001 " in of("sample", f"results/a/{trait}/numbers/raw.jsonl")
        assert "--seed 1001 " in of("prepare", f"results/a/{trait}/numbers/plain/dataset.jsonl")
