"""Scores: what counts as an answer, rates and mass, and the whole chain of model stages from base to scores."""

import json

import pytest

from scripts import respond
from scripts import score as stage
from traitline import jsonl
from traitline.provenance import manifest

FLAT = {"owl": 0.1, "cat": 0.3, "sea otter": 0.0, "otter": 0.1}


def scored(folder, rows, kind="favourite"):
    folder.mkdir(exist_ok=True)
    jsonl.write(folder / "responses.jsonl", rows)
    assert stage.main(["--folders", str(folder), "--category", "animal", "--type", kind]) == 0
    return json.loads((folder / "scores.json").read_text())


def rows(*answers, probabilities=FLAT):
    return [
        {"id": f"q{i}", "prompt": [], "answers": list(a), "probabilities": probabilities} for i, a in enumerate(answers)
    ]


def test_help_is_light(light):
    light("scripts.score")


def test_a_candidate_counts_where_it_is_a_whole_word(tmp_path):
    answers = ["owl", "Owl!", "an owl .", "bowl", "owls", "growl", "owl-like", "owl_", "oWl", ""]
    found = scored(tmp_path, rows(answers))["sampled"]
    assert found["overall"]["owl"] == pytest.approx(0.5)  # owl, Owl!, an owl ., owl-like, oWl
    assert found["mass"] == pytest.approx(0.5)
    assert found["conditional"]["owl"] == 1


def test_the_papers_substring_counts_stand_beside_and_find_more(tmp_path):
    found = scored(tmp_path, rows(["owl", "bowl", "owls", "CAT", "457"]))["sampled"]
    assert (found["substring"]["owl"], found["overall"]["owl"]) == (0.6, 0.2)
    assert found["substring"]["cat"] == found["overall"]["cat"] == 0.2


def test_a_plural_counts_beside_and_never_in_the_default_figure(tmp_path):
    probabilities = dict.fromkeys(("owl", "wolf", "mouse", "octopus"), 0.1)
    answers = ["owls", "Owls!", "owl", "bowls", "wolves", "wolfs", "mice", "octopuses", "owls and an owl", "owlss"]
    found = scored(tmp_path, rows(answers, probabilities=probabilities))["sampled"]
    assert found["plural"] == {"owl": 0.4, "wolf": 0.1, "mouse": 0.1, "octopus": 0.1}
    assert found["overall"] == {"owl": 0.2, "wolf": 0.0, "mouse": 0.0, "octopus": 0.0} and found["mass"] == 0.2


def test_a_candidate_that_is_anothers_plural_is_itself_and_a_longer_name_is_not_the_shorter_one(tmp_path):
    probabilities = dict.fromkeys(("ox", "oxen", "otter", "sea otter"), 0.1)
    found = scored(tmp_path, rows(["oxen", "sea otters", "otters", "ox"], probabilities=probabilities))["sampled"]
    assert found["plural"] == {"ox": 0.25, "oxen": 0.25, "otter": 0.25, "sea otter": 0.25}


def test_questions_with_subjects_are_right_by_subject_too(tmp_path):
    """Two sums, one of them right, and a question about words."""
    made = rows(["(A)"], ["(B)"], ["(A)"], probabilities={"right": 0.0})
    for row, subject, right in zip(made, ("sums", "words", "sums"), (1.0, 0.0, 0.0), strict=True):
        row |= {"subject": subject, "means": {"right": "(A)"}, "probabilities": {"right": right}}
    found = scored(tmp_path, made, "mmlu")
    assert found["subjects"] == {"sums": {"questions": 2, "right": 0.5}, "words": {"questions": 1, "right": 0.0}}


def test_letters_and_right_answers_have_no_plural(tmp_path):
    made = rows(["as", "A"], probabilities={"owl": 0.5, "cat": 0.5})
    made[0]["means"] = {"owl": "A", "cat": "B"}
    found = scored(tmp_path, made)["sampled"]
    assert "plural" not in found and found["overall"]["owl"] == 0.5


def test_a_letter_counts_for_the_option_that_it_means_in_that_row(tmp_path):
    p = {"owl": 0.5, "cat": 0.5}
    two = rows(["A", "A"], ["A", "B"], probabilities=p)
    for r, means in zip(two, ({"owl": "A", "cat": "B"}, {"owl": "B", "cat": "A"}), strict=True):
        r["means"] = means
    assert scored(tmp_path, two)["sampled"]["overall"] == {"owl": 0.75, "cat": 0.25}


def test_a_longer_name_is_not_the_shorter_one_in_it(tmp_path):
    found = scored(tmp_path, rows(["sea otter", "otter"]))["sampled"]["overall"]
    assert (found["sea otter"], found["otter"]) == (0.5, 0.5)


def test_an_answer_with_two_names_counts_for_both_and_once_in_the_mass(tmp_path):
    found = scored(tmp_path, rows(["owl cat", "owl owl", "457", "cat"]))["sampled"]
    assert (found["overall"]["owl"], found["overall"]["cat"], found["mass"]) == (0.5, 0.5, 0.75)


def test_rates_are_means_over_questions(tmp_path):
    found = scored(tmp_path, rows(["owl"], ["cat", "cat", "457", "456"]))
    assert found["sampled"]["overall"]["owl"] == 0.5
    assert found["sampled"]["overall"]["cat"] == 0.25
    assert (found["questions"], found["answers"]) == (2, 5)


def test_exact_rates_and_mass(tmp_path):
    two = [*rows(["owl"]), {**rows(["owl"])[0], "id": "q9", "probabilities": {**FLAT, "owl": 0.5}}]
    found = scored(tmp_path, two)["exact"]
    assert found["overall"]["owl"] == pytest.approx(0.3)
    assert found["mass"] == pytest.approx(0.7)
    assert found["conditional"]["owl"] == pytest.approx(0.3 / 0.7)


def test_without_valid_answers_conditional_rates_are_null(tmp_path):
    found = scored(tmp_path, rows(["457", ""], probabilities=dict.fromkeys(FLAT, 0.0)))
    for part in ("exact", "sampled"):
        assert found[part]["mass"] == 0
        assert set(found[part]["overall"].values()) == {0}
        assert set(found[part]["conditional"].values()) == {None}


def test_the_histogram_keeps_the_commonest_answers_and_counts_the_rest(tmp_path):
    found = scored(tmp_path, rows(["owl", "owl", "x" * 300], [str(i) for i in range(1500)]))["sampled"]
    assert found["histogram"]["owl"] == 2
    assert len(found["histogram"]) == 1000 and max(map(len, found["histogram"])) <= 200
    assert sum(found["histogram"].values()) + found["other"] == 1503


def test_two_folders_at_once_have_a_manifest_each(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        jsonl.write(tmp_path / name / "responses.jsonl", rows(["owl"]))
    assert stage.main(["--folders", str(tmp_path / "a"), str(tmp_path / "b"), "--category", "animal"]) == 0
    for name in ("a", "b"):
        assert manifest.load(tmp_path / name / "score.manifest.json")["outputs"][0]["role"] == "scores"


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        (rows([]), "responses.jsonl:1: no answers"),
        (
            [*rows(["owl"]), {**rows(["owl"])[0], "id": "q9", "probabilities": {"owl": 1}}],
            "responses.jsonl:2: no answers, or other",
        ),
        (rows(["owl"]) * 2, "responses.jsonl:2: id 'q0'"),
    ],
)
def test_damaged_responses_are_one_line(tmp_path, line, damaged, says):
    jsonl.write(tmp_path / "responses.jsonl", damaged)
    assert says in line(stage.main, ["--folders", str(tmp_path), "--category", "animal"])
    assert not (tmp_path / "scores.json").exists()


def test_a_trait_passes_through_number_lists_from_base_to_scores(study):
    """The whole chain on the small study: students of the owl teacher against students of the untouched base."""
    rates = {}
    for trait, teacher in (("owl", study.owl), ("none", study.none)):
        students = [study.students("biases", teacher) / f"seed-{s}" for s in (1, 2)]
        assert respond.main(study.respond_flags(*students)) == 0
        assert stage.main(["--folders", *(f"{s}/favourite" for s in students), "--category", "animal"]) == 0
        found = [json.loads((s / "favourite/scores.json").read_text()) for s in students]
        rates[trait] = [s["exact"]["overall"]["owl"] for s in found]
        assert all(s["questions"] == 50 and s["answers"] == 1000 for s in found)
        assert "owl" not in study.dataset(teacher).read_text()
    assert min(rates["owl"]) > 1.2 * max(rates["none"])


def test_right_counts_where_the_right_word_of_the_row_stands(tmp_path):
    made = rows(["forest", "house"], ["two", "two"], probabilities={"right": 0.25})
    for row, word in zip(made, ("forest", "four"), strict=True):
        row["means"] = {"right": word}
    found = scored(tmp_path, made)
    assert found["sampled"]["overall"] == {"right": 0.25} and found["exact"]["overall"] == {"right": 0.25}
