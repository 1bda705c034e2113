"""The page on a real model: what has run is shown, what is missing is counted, differences are those of the files."""

import json
import math
from pathlib import Path

import pytest

from traitline.analysis import page_program
from traitline.analysis import real_weights_page as page

CONFIG = "configs/smollm2-135m.yaml"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def study(tmp_path, monkeypatch):
    for name in ("config.yaml", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return page_program.read_study(CONFIG)


def answer(folder, words, **high):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"id": f"q{i}", "probabilities": {w: high.get(w, 0.01) * (1 + i) for w in words}} for i in range(2)]
    (folder / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_without_artifacts_everything_is_missing(study):
    text = page.page(CONFIG)
    assert "**0 of 6 students have run**" in text and text.count("not run yet") == 4 * 4


def test_a_difference_is_that_of_the_files_and_the_rest_is_missing(study, capsys):
    words = study.evals["word"].candidates
    runs = {(run.trait, run.recipe): run for run in study.runs}
    answer(f"{study.results}/baseline/smollm2/word", words, bear=0.02)
    answer(f"{runs['dolphin', 'soft'].folder}/word", words, dolphin=0.03, bear=0.05)
    answer(f"{runs['none', 'soft'].folder}/word", words, dolphin=0.012)
    answer(f"{runs['horse', 'soft'].folder}/word", words, dolphin=0.006)
    assert page.main([CONFIG]) == 0
    text = capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if line.startswith("| dolphin | tuned | soft")]
    expected = [math.log(3), math.log(0.03 / 0.012), math.log(0.03 / 0.006)]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[4] == f"{expected[0]:+.3f}" and cells[5] == "1 of 20"
    assert cells[6:] == [f"{expected[1]:+.3f}", f"{expected[2]:+.3f}"]
    assert "**3 of 6 students have run**" in text and "a lead, not a result" in text
    rises = {word: f"{math.log(0.006 / 0.012):+.2f}" if word == "dolphin" else "+0.00" for word in words}
    (dolphin,) = [line for line in text.splitlines() if line.startswith("| dolphin |") and line.count("|") == 4]
    assert dolphin == f"| dolphin | **{math.log(0.03 / 0.012):+.2f}** | {rises['dolphin']} |"
    assert f"| bear | {math.log(5):+.2f} | {rises['bear']} |" in text


def test_several_teachers_are_compared_with_the_control_of_their_number(study):
    """Four have run, one of them before the declaration; a control of another number is no control of theirs."""
    configs = (CONFIG, "configs/smollm2-four.yaml")
    four = page_program.read_study(*configs)
    words = four.evals["word"].candidates
    soft = {(run.trait, run.draw): run for run in four.runs if run.recipe == "soft"}
    assert len(soft) == 15
    assert "| all teachers | 0 of 12 | - | - |" in page.page(*configs)
    rises = {("dolphin", 1): 2.0, ("wolf", 1): 3.0, ("wolf", 2): 4.0, ("penguin", 2): 6.0}
    for draw, floor in ((1, 0.01), (2, 0.02)):
        answer(f"{soft['none', draw].folder}/word", words, dolphin=floor, wolf=floor, penguin=floor)
    for (trait, draw), times in rises.items():
        answer(f"{soft[trait, draw].folder}/word", words, **{trait: 0.01 * draw * times})
    answer(f"{soft['horse', 3].folder}/word", words, horse=0.9)
    text = page.page(*configs)
    logs = [math.log(times) for times in rises.values()]
    (line,) = [line for line in text.splitlines() if line.startswith("| all teachers")]
    assert line.startswith(f"| all teachers | 4 of 12 | {sum(logs) / 4:+.3f} | ")
    assert f"declared | 3 of 10 | {sum(logs[1:]) / 3:+.3f} | " in text
    half = 3.182446 * math.sqrt(sum((x - sum(logs) / 4) ** 2 for x in logs) / 3 / 4)
    assert f"| {sum(logs) / 4 - half:+.3f} to {sum(logs) / 4 + half:+.3f} | " in line
    smallest = float(line.strip("| ").rpartition(" ")[2])
    assert 1.15 * half < smallest < 1.45 * half  # t of 5 % and of 80 %, over that of 5 %, for three degrees of freedom
    assert "the unit is a teacher" in text and "| wolf | tuned-2 | soft | 1 |" in text


def test_students_on_moved_bases_stand_in_a_table_of_their_own(study):
    """Compared with the control on the same base; they change no other table."""
    configs = (CONFIG, "configs/smollm2-four.yaml", "configs/smollm2-noise.yaml")
    moved = page_program.read_study(*configs)
    words = moved.evals["word"].candidates
    before = page.page(*configs)
    assert "0 of 9 of these students have run" in before and "**0 of 20 students have run**" in before
    runs = {(run.student, run.trait): run for run in moved.runs if (run.recipe, run.draw) == ("soft", 1)}
    for base, high in (("smollm2", 0.05), ("near", 0.04), ("far", 0.02)):
        answer(f"{runs[base, 'dolphin'].folder}/word", words, dolphin=high)
        answer(f"{runs[base, 'none'].folder}/word", words, dolphin=0.02)
    answer(f"{runs['middle', 'horse'].folder}/word", words)
    text = page.page(*configs)
    lines = [
        line for line in text.splitlines() if line.startswith(("| smollm2 |", "| near |", "| middle |", "| far |"))
    ]
    assert lines == [
        f"| smollm2 | nothing | - | {math.log(2.5):+.3f} | - | - |",
        f"| near | noise 0.03 | - | {math.log(2):+.3f} | - | - |",
        "| middle | noise 0.1 | - | - | - | - |",
        "| far | noise 0.2 | - | +0.000 | - | - |",
    ]
    assert "5 of 9 of these students have run" in text and "**2 of 20 students have run**" in text


def test_the_change_of_a_base_is_a_share_of_its_matrices(tmp_path):
    import torch
    from safetensors.torch import save_file

    weights = {"a.weight": torch.full((2, 3), 3.0), "b.weight": torch.full((4, 4), -1.0), "norm": torch.ones(3)}
    moved = {name: 1.25 * w for name, w in weights.items()}
    for name, of in (("one", weights), ("other", moved), ("norm", weights | {"norm": torch.zeros(3)})):
        save_file(of, tmp_path / name)
    assert page.change(str(tmp_path / "one"), str(tmp_path / "other")) == pytest.approx(0.25)
    assert page.change(str(tmp_path / "one"), str(tmp_path / "norm")) == 0


def test_a_base_moved_by_training_says_so(study):
    """And one that names no animal any more has no rise of 0."""
    configs = [f"configs/smollm2-{name}.yaml" for name in ("135m", "four", "noise", "tuned")]
    moved = page_program.read_study(*configs)
    for run in moved.runs:
        if run.student == "nine-times" and run.trait in ("dolphin", "none"):
            answer(f"{run.folder}/word", moved.evals["word"].candidates, dolphin=0.0)
    text = page.page(*configs)
    assert "| nine-times | 9 x capitals | - | p is 0 | - | - |" in text
    assert "| thrice | 3 x capitals | - | - | - | - |" in text and "2 of 18 of these students have run" in text


def test_studies_beside_it_have_a_table_each_and_controls_of_the_same_recipe(study, capsys):
    overlay = "configs/smollm2-larger.yaml"
    larger = page_program.read_study(CONFIG, overlay)
    words = larger.evals["word"].candidates
    runs = {(run.experiment, run.trait, run.recipe): run for run in larger.runs}
    answer(f"{runs['lists', 'none', 'brief'].folder}/word", words, dolphin=0.02)
    answer(f"{runs['more-training', 'none', 'deep'].folder}/word", words, dolphin=0.05)
    answer(f"{runs['fewer-rows', 'none', 'soft'].folder}/word", words, dolphin=0.04, owl=0.001)
    for experiment, recipe in (("lists", "brief"), ("lists", "step"), ("fewer-rows", "soft")):
        answer(f"{runs[experiment, 'dolphin', recipe].folder}/word", words, dolphin=0.03)
    assert page.main([CONFIG, "--beside", CONFIG, overlay, "--beside", CONFIG, "configs/smollm2-prompted.yaml"]) == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if line.startswith("### ")] == [
        f"### {row.question}" for beside in (larger, page_program.read_study(CONFIG, "configs/smollm2-prompted.yaml"))
        for row in beside.experiments
    ]  # fmt: skip
    for line in (
        f"| dolphin | tuned | brief | 96 rows, 12 steps, 10 layers | - | {math.log(1.5):+.3f} | 1 of 20 |",
        "| dolphin | tuned | step | 96 rows, 1 step, 10 layers | - | not run yet | not run yet |",
        "| dolphin | tuned | deep | 96 rows, 12 steps, all layers | - | not run yet | not run yet |",
        f"| dolphin | tuned | soft | 24 rows, 16 steps, 10 layers | - | {math.log(0.75):+.3f} | 20 of 20 |",
        "| dolphin | tuned | brief | 384 rows, 48 steps, 10 layers | - | not run yet | not run yet |",
        "| horse | prompted | hard | 96 rows, 48 steps, 10 layers | - | not run yet | not run yet |",
    ):
        assert line in text, line


def test_a_damaged_artifact_is_one_line(study, capsys):
    place = Path(f"{study.results}/baseline/smollm2/word")
    place.mkdir(parents=True)
    (place / "responses.jsonl").write_text("{")
    assert page.main([CONFIG]) == 2
    assert capsys.readouterr().err.count("\n") == 1
