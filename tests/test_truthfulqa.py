"""TruthfulQA: options are answered as whole texts, and have no letters."""

from scripts import respond as stage
from tests.answered import outside_flags, rows


def test_an_option_is_a_whole_text_and_the_question_does_not_list_it(weights, outside_rows, tmp_path):
    assert stage.main(outside_flags(weights, outside_rows, "truthfulqa", "--out", str(tmp_path))) == 0
    found = rows(tmp_path)
    assert found and "subject" not in found[0]
    for r in found:
        assert r["means"]["right"] in r["options"] and len(r["nats"]) == len(r["options"])
        assert not any(option in r["prompt"][0]["content"] for option in r["options"])
