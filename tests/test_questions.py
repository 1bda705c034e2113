"""Questions: what is asked of large models."""

from traitline.evaluation.questions import EVERYDAY


def test_fifty_questions_ask_for_one_word_about_any_category():
    assert len(set(EVERYDAY)) == len(EVERYDAY) == 50
    assert all("{k}" in q and "word" in q.lower() for q in EVERYDAY)
