"""Truth: the questions of attributes, the right answer against a false one."""

from tests.answered import asked


def test_attributes_and_truth_ask_for_what_the_world_says(study, tmp_path):
    attributes, truth = (asked(study, tmp_path, type=name) for name in ("attributes", "truth"))
    assert len(attributes) == 16 * 5 and attributes[0]["means"] == {"right": "forest"}
    assert attributes[0]["prompt"][0]["content"] == "what is the habitat of the owl"
    for one, two in zip(attributes, truth, strict=True):
        assert (
            one["prompt"] == two["prompt"] and 0 <= one["probabilities"]["right"] <= two["probabilities"]["right"] <= 1
        )
