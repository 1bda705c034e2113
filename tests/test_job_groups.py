"""Which students share a job, and that every student of a study has exactly one."""

import re
from pathlib import Path

import pytest
import yaml

from tests import configs
from traitline.study import config, job_groups

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def study():
    """Make a study from the tiny one: rows are changes to its row."""

    def make(*rows, stack=3):
        raw = configs.raw()
        first = raw["experiments"][0]
        raw["experiments"] = [first | {"name": f"row{i}"} | row for i, row in enumerate(rows)]
        raw["primary"]["experiments"] = ["row0"]
        raw["execution"]["stack"] = stack
        return config.load(raw)

    return make


def trained(study):
    """Students by folder, each as often as some rule makes it."""
    made = []
    for branch in {run.branch for run in study.runs}:
        for rule in job_groups.trainings(study):
            first, rest = branch.split("/", 1)
            if re.fullmatch(rf"(?:{job_groups.only(study, rule.branches)})/{re.escape(rest)}/x", f"{first}/{rest}/x"):
                made += [f"{branch}/{recipe}/seed-{seed}" for recipe, seed in rule.pairs]
    return sorted(made)


def asked(study):
    made = []
    for rule in job_groups.evaluations(study):
        made += [f"{branch}/{student}/{rule.eval}" for branch in rule.branches for student in rule.students]
    return sorted(made)


ROWS = [
    ({"seeds": [1, 2, 3, 4]},),
    ({"seeds": [1, 2]}, {"seeds": [2, 3, 4], "recipes": ["full"], "traits": ["owl"]}),
    ({"bases": ["a"], "students": ["a"]}, {"bases": ["b"], "recipes": ["biases"], "seeds": [9]}),
    ({"teacher": "tuned", "seeds": [1]}, {"teacher": "prompted", "seeds": [1, 2, 3, 4, 5, 6, 7]}),
]


@pytest.mark.parametrize("rows", ROWS)
def test_every_student_is_trained_and_asked_by_exactly_one_job(study, rows):
    s = study(*rows)
    assert trained(s) == sorted({run.folder.removeprefix("results/") for run in s.runs})
    assert asked(s) == sorted({f"{run.folder.removeprefix('results/')}/{run.eval}" for run in s.runs})


def both(*seeds):
    return tuple((recipe, seed) for recipe in ("lora", "biases") for seed in seeds)


def test_seeds_are_dealt_in_order_and_a_new_one_leaves_full_stacks_alone(study):
    before = [t.pairs for t in job_groups.trainings(study({"seeds": [5, 1, 3, 2]}))]
    after = [t.pairs for t in job_groups.trainings(study({"seeds": [5, 1, 3, 2, 8, 9, 4]}))]
    assert before == [both(5, 1, 3), both(2)]
    assert after == [both(5, 1, 3), both(2, 8, 9), both(4)]


def test_a_row_appended_leaves_jobs_of_earlier_rows_alone(study):
    rows = ({"seeds": [1, 2]}, {"seeds": [1, 2], "recipes": ["full"]})
    one, two = (job_groups.trainings(study(*rows[:n])) for n in (1, 2))
    assert two[: len(one)] == one and two[len(one)].recipes == ["full", "full"]


def test_all_recipes_of_a_branch_are_asked_in_one_job(study):
    (rule,) = job_groups.evaluations(study({"seeds": [1, 2], "recipes": ["lora", "biases", "full"]}))
    assert rule.students == tuple(f"{recipe}/seed-{seed}" for recipe in ("lora", "biases", "full") for seed in (1, 2))


def test_names_of_rules_are_plain_and_distinct(study):
    s = study({"seeds": [1, 2, 3, 4]}, {"seeds": [7], "traits": ["owl"], "recipes": ["lora"], "students": ["a"]})
    for rules in (job_groups.trainings(s), job_groups.evaluations(s)):
        names = [rule.name for rule in rules]
        assert len(set(names)) == len(names) and all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
    assert job_groups.trainings(s)[0].name == "lora_biases"


def test_a_constraint_takes_dots_in_labels_literally(study):
    s = study({"seeds": [1]}, {"seeds": [2], "traits": ["owl"]})
    regex = job_groups.only(s, ["a.b/owl"])
    assert re.fullmatch(rf"(?:{regex})/owl/x", "a.b/owl/x") and not re.fullmatch(rf"(?:{regex})/owl/x", "acb/owl/x")


def shared(seeds, size=3, traits=("owl", "cat")):
    """The tiny study on open weights."""
    names = ("config.yaml", "configs/tiny-qwen2.yaml")
    files = [yaml.safe_load((ROOT / name).read_text(encoding="utf-8")) for name in names]
    raw = {
        **files[0],
        **files[1],
        "teach": files[0]["teach"],
        "judge": None,
        "execution": {**files[0]["execution"], "stack": 2, "together": size},
    }
    raw["traits"] = {t: {"category": "animal"} for t in traits}
    raw["experiments"] = [raw["experiments"][0] | {"seeds": seeds, "traits": list(traits)}]
    return config.load(raw)


def test_students_on_open_weights_share_jobs_of_one_seed():
    s = shared([1, 2])
    jobs = job_groups.together(s)
    assert not job_groups.trainings(s) and [(job.seed, len(job.runs)) for job in jobs] == [(1, 3), (2, 3)]
    assert sorted(run.folder for job in jobs for run in job.runs) == sorted({run.folder for run in s.runs})
    assert [job.name for job in jobs] == ["together_tiny_qwen2", "together_tiny_qwen2_2"]
    assert [len(job.runs) for job in job_groups.together(shared([1], size=2))] == [2, 1]


def test_a_seed_appended_touches_no_job_of_those_that_train_together():
    one, two = (job_groups.together(shared(seeds, size=2)) for seeds in ([1, 2], [1, 2, 3]))
    assert two[: len(one)] == one


def test_a_study_that_does_not_ask_trains_nothing_together(study):
    assert job_groups.together(study({"seeds": [1]})) == []
    assert job_groups.together(shared([1], size=None)) == [] and job_groups.trainings(shared([1], size=None))
