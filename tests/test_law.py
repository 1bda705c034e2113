"""Laws of the rise, the distance page and the cosine of contexts: on invented cells, committed tables, a real base."""

import csv
import json
import math
import random
import shutil
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path

import pytest
import torch

from traitline.analysis import context_cosine, coupled_page, distance_page, law, repository_outcomes, soft_page, stats
from traitline.analysis.conclusions import logits
from traitline.analysis.law import Cell
from traitline.analysis.page_program import read_study
from traitline.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


def cells(names, rise, seed):
    """A cell a base, with nats and cosines drawn at random."""
    r = random.Random(seed)
    drawn = [Cell(name, "dog", r.uniform(20, 400), r.uniform(0, 0.6), r.uniform(0, 9), 0.0) for name in names]
    return [Cell(c.base, c.trait, c.nats, c.cosine, c.score, rise(c, r)) for c in drawn]


def test_a_law_that_holds_is_recovered_and_beats_its_rivals_on_other_bases():
    def rise(cell, r):
        return 0.5 + 0.2 * cell.cosine * cell.nats**0.5

    fitted, held_out = cells("abcdef", rise, 1), cells("ghijkl", rise, 2)
    assert law.fit(fitted, law.LAW) == pytest.approx((0.5, 0.2))
    assert law.rmse(fitted, held_out, law.LAW) < 1e-9
    for model in (law.MEAN, law.NATS):
        assert law.rmse(fitted, held_out, model) > 0.1
        assert law.gain(fitted, held_out, model).mean > 0


def test_a_rise_that_has_nothing_to_do_with_it_gains_nothing():
    gains = []
    for seed in range(40):
        draws = (("abcdef", seed), ("ghijkl", seed + 1000))
        fitted, held_out = (cells(names, lambda c, r: r.gauss(1, 0.5), s) for names, s in draws)
        gains.append(law.gain(fitted, held_out, law.MEAN).mean)
    assert stats.mean(gains) < 0.02  # a slope that was fitted to nothing costs


def test_the_mean_predicts_the_mean():
    fitted = cells("abc", lambda c, r: r.random(), 3)
    assert law.predictions(fitted, fitted, law.MEAN) == pytest.approx([stats.mean([c.rise for c in fitted])] * 3)


def test_the_committed_table_of_distances_is_what_its_bases_give():
    with Path(ROOT, "docs/results/distance.csv").open(encoding="utf-8", newline="") as handle:
        table = list(csv.DictReader(handle))
    assert list(table[0]) == [f.name for f in fields(distance_page.Row)]
    text = Path(ROOT, "docs/results/distance.md").read_text(encoding="utf-8")
    tested = 0
    for _, rows in groupby(table, lambda row: row["distance"]):
        *bases, mean = rows
        if mean["base"] != distance_page.ALL:
            continue  # not done on every base: shown, and not tested
        tested += 1
        t = stats.tested([float(row["rise"]) for row in bases])
        assert float(mean["rise"]) == pytest.approx(t.mean, abs=1e-4)
        assert float(mean["low"]) == pytest.approx(t.low, rel=1e-3)
        assert len(bases) >= stats.LEAST and logits(t.mean) in text
    assert tested


def test_the_page_of_distances_says_where_transfer_stops():
    def row(distance, p, equivalence):
        return distance_page.Row(distance, "all", 0.2, 0.1, 0.5, p_holm=p, p_equivalence=equivalence)

    near, unclear, far = row(0.0, 0.01, 0.9), row(1e-4, 0.2, 0.5), row(0.1, 0.7, 0.01)
    assert "Transfer stops at 0.1." in distance_page.stop([near, unclear, far])
    assert "not shown" not in distance_page.stop([near, far])
    assert "At no distance is it shown" in distance_page.stop([near, unclear])
    assert "A rise is shown at no distance." in distance_page.stop([unclear])


def test_cosines_of_contexts_are_those_of_transformers(study):
    from transformers import AutoModelForCausalLM

    from traitline.evaluation import questions
    from traitline.models.chat import Chat

    prompts = Chat.open(study.base).prompts(questions.ask("animal")[:3], ["a", "b", "c"])
    model = AutoModelForCausalLM.from_pretrained(study.base)
    read = [[] for _ in model.model.layers]
    for layer, kept in zip(model.model.layers, read, strict=True):
        layer.self_attn.o_proj.register_forward_hook(lambda _, given, out, kept=kept: kept.append(given[0][0, -1]))
    with torch.no_grad():
        for prompt in prompts:
            model(torch.tensor([prompt]))
    for ours, theirs in zip(context_cosine.directions(study.base, prompts), read, strict=True):
        expected = torch.nn.functional.normalize(torch.stack(theirs).double(), dim=1)
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
    values = context_cosine.cosines(str(study.base), str(study.prompts))
    assert len(values) == len(read) and all(-1 <= value <= 1 for value in values)


def test_the_declared_outcomes_of_the_distances_are_those_of_its_table():
    """Rise and TOST at every distance, with the unit of the page; what is kept beside it is made of the same rows."""
    mean = distance_page.Row(0.1, distance_page.ALL, 0.2, 0.1, -0.5, -1.0, 0.25, p=0.5, p_equivalence=0.02)
    head, rise, equal = distance_page.outcomes([replace(mean, base="n1"), mean], 3).splitlines()
    assert head == ",".join(repository_outcomes.COLUMNS)
    assert rise == "distance,at 0.1,biases,rise,base,3,-0.5,-1,0.25,0.5"
    assert equal == "distance,at 0.1,biases,equivalence,base,3,-0.5,-1,0.25,0.02"
    kept = (ROOT / "docs/results/outcomes-distance.csv").read_text().splitlines()
    table = list(csv.DictReader((ROOT / "docs/results/distance.csv").open()))
    over = [row for row in table if row["base"] == distance_page.ALL]
    assert len(kept) == 1 + 2 * len(over)
    for row, line in zip(over, kept[1::2], strict=True):
        assert line.split(",")[6:] == [row["rise"], row["low"], row["high"], row["p"]]


def test_a_page_of_a_study_that_did_not_run_is_one_line(tmp_path, monkeypatch, capsys):
    for file in ("config.yaml", "configs/coupled.yaml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    monkeypatch.chdir(tmp_path)
    assert coupled_page.main([]) == 2
    error = capsys.readouterr().err
    assert "no student was asked; run configs/coupled.yaml first" in error and error.count("\n") == 1
    assert not coupled_page.PAGE.exists()


def test_the_page_of_soft_labels_pairs_recipes_base_by_base(tmp_path, monkeypatch):
    """Rates whose logits are round numbers: what is tested, what is paired and who is left out can be read off."""
    for file in ("config.yaml", soft_page.CONFIG):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    monkeypatch.chdir(tmp_path)
    study = read_study(soft_page.CONFIG)
    with pytest.raises(InputError, match="too few bases are done"):
        soft_page.page(study)
    size = {"hard": 1.0, "soft": 3.0, "numbers": 1.5}
    for run in study.runs:
        place = int(run.base[1:]) - 1
        if run.base == "s9":
            continue
        shown = -3 + (0 if run.trait == "none" else size[run.recipe] + 0.01 * place)
        words = {trait: 1 / (1 + math.exp(-shown)) for trait in study.traits}
        reached = (run.base, run.trait) != ("s8", "dog")
        kept = 1999 if (run.base, run.trait) == ("s7", "none") else 2000
        files = {
            run.scores: {"exact": {"overall": words}},
            f"{run.teacher_folder}/teacher.json": {"reached": reached},
            f"{run.channel_folder}/filtered.json": {"kept": kept},
        }
        for path, content in files.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(json.dumps(content))
    text = soft_page.page(study)
    assert "| numbers | primary | 7 | +1.53 (" in text and "| soft less hard | secondary | 7 | +2.00" in text
    assert "| numbers less hard | secondary | 7 | +0.50" in text
    assert (
        "Left out by name, as declared: dog on s8, the control on s7 (1,999 answers of 2,000). **Not run**: s9." in text
    )
    assert "| s8 | +1.07 | +3.07 | +1.57 |" in text and "| s7 |" not in text
