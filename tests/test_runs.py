"""Names and seeds of independent teachers, and the jobs that a row of several asks for."""

import json

import pytest

from tests import made_up
from traitline.errors import InputError
from traitline.study import config, runs


def several(**changes):
    """A made-up study of three teachers a trait on one base."""
    row = made_up.study().experiments[0].model_dump() | {"bases": ["a"], "students": ["a"], "teachers": 3}
    return made_up.study(experiments=[row | changes])


def test_the_first_teacher_has_the_plain_name_and_the_seeds_of_the_study():
    assert [runs.teacher_name("tuned", k) for k in (1, 2, 12)] == ["tuned", "tuned-2", "tuned-12"]
    assert runs.split_teacher("untrained-3") == ("untrained", 3) and runs.split_teacher("tuned") == ("tuned", 1)
    assert runs.split_teacher("a_tuned-2_numbers_plain_lora-2_1") == ("a_tuned-2_numbers_plain_lora-2_1", 1)
    assert [runs.seed_of(7, name) for name in ("tuned", "tuned-2", "untrained-3")] == [7, 1007, 2007]


def test_a_row_of_several_teachers_has_as_many_controls_and_no_path_twice():
    study = several()
    teachers = {(run.trait, run.teacher, run.draw) for run in study.runs}
    assert {t for t in teachers if t[0] != "owl"} >= {("none", "untrained", 1), ("none", "untrained-3", 3)}
    assert len(teachers) == 9 and len({run.folder for run in study.runs}) == len(study.runs) == 3 * 3 * 3 * 3
    run = next(run for run in study.runs if run.teacher == "tuned-2")
    assert study.control(run).teacher == "untrained-2" and run.teacher_folder == "results/a/owl/tuned-2"


def test_one_teacher_is_the_default_and_changes_no_path():
    study = made_up.study()
    assert {run.draw for run in study.runs} == {1} and {run.teacher for run in study.runs} == {"tuned", "untrained"}


def test_several_teachers_that_are_one_student_are_refused():
    study = several(teachers=1)
    raw = json.loads(study.text) | {"execution": study.execution.model_dump()}
    of = {"experiment": "main", "recipe": "lora", "seed": 1}
    row = raw["experiments"][0] | {"name": "back", "teacher": "student", "of": of, "teachers": 2}
    raw["experiments"].append(row)
    with pytest.raises(InputError, match=r"experiments\[1\].teachers: 2, but `of` names one student; leave it out"):
        config.load(raw)
    raw["experiments"].pop()
    raw["experiments"][0]["teachers"] = 2
    raw["influence"] = {"experiments": ["main"]}
    with pytest.raises(InputError, match="`main` has 2 teachers a trait; leave out `teachers`"):
        config.load(raw)
