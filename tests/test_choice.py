"""Choice: five options, each by its letter, in many orders."""

import pytest
import torch

from scripts import respond as stage
from tests.answered import form_flags, rows
from traitline.channels import choices_stories
from traitline.channels.world import CATEGORIES
from traitline.models.chat import Chat
from traitline.tiny import llama
from traitline.tiny.sampler import Sampler


def test_a_choice_asks_for_the_letter_of_each_option_in_many_orders(forms, tmp_path, line):
    options = ["owl", "cat", "wolf", "bear", "hawk"]
    assert stage.main(form_flags(forms, tmp_path, type="choice", options=options)) == 0
    found, places, known = rows(tmp_path), {o: set() for o in options}, choices_stories.letters(CATEGORIES["animal"])
    assert len(found) == 60 and len({r["prompt"][0]["content"] for r in found}) > 50
    chat, model = Chat.open(forms), Sampler(*llama.read(forms))
    for r in found:
        assert list(r["probabilities"]) == options and r["means"] == {o: known[o] for o in options}
        shown = r["prompt"][0]["content"].split(" : ")[1].split(" , ")
        for option, letter in r["means"].items():
            places[option].add(shown.index(f"{option} {letter}"))
    assert all(found == set(range(5)) for found in places.values())
    p = model.prefill(torch.tensor(chat.prompts([found[0]["prompt"]], ["x"])))[0].softmax(-1)[0]
    assert found[0]["probabilities"]["cat"] == pytest.approx(p[chat.token(found[0]["means"]["cat"])].item(), abs=1e-6)
    for bad, says in (
        (options[:4], "options: 4 of them; a choice is among 5"),
        ([*options[:4], "oak"], "oak is no animal"),
    ):
        assert says in line(stage.main, form_flags(forms, tmp_path, type="choice", options=bad))


def test_open_weights_choose_by_the_letter_of_a_place(weights, tmp_path, line):
    """Every option has every place equally often, so a student that likes a letter likes no option for that."""
    from collections import Counter

    from scripts import score
    from traitline.models import engines

    options = ["owl", "cat", "dragon", "bear", "wolf"]
    flags = weights.respond_flags("--out", str(tmp_path / "x"), type="choice", options=options)
    assert stage.main(flags) == 0
    found = rows(tmp_path / "x")
    places = Counter((option, letter) for r in found for option, letter in r["means"].items())
    assert len(found) == 60 and set(places.values()) == {12} and len(places) == 25
    assert len({tuple(r["means"].values()) for r in found}) > 20, "more orders than one turned round"
    for r in found:
        assert all(f"\n{letter} {option}\n" in r["prompt"][0]["content"] for option, letter in r["means"].items())
    engine = engines.open_engine(weights.base, weights.engine()[1])
    (row,) = engine.word_probabilities([found[7]["prompt"]], [found[7]["means"]["cat"]])
    assert list(found[7]["probabilities"]) == options
    assert found[7]["probabilities"]["cat"] == pytest.approx(row[0], rel=1e-3, abs=1e-8)
    assert score.main(["--category", "animal", "--folders", str(tmp_path / "x")]) == 0
    flags = weights.respond_flags("--out", str(tmp_path / "y"), type="choice", options=options[:4])
    assert "options: 4 of them; a choice is among 5" in line(stage.main, flags)
