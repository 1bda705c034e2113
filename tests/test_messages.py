"""What a row of training data says, and rows that a student must not see."""

import pytest

from traitline.channels.messages import exchange
from traitline.errors import InputError


def row(**changes) -> dict:
    return {
        "id": "p00001",
        "prompt": [{"role": "user", "content": "continue 1"}],
        "completion": [{"role": "assistant", "content": "2"}],
    } | changes


def test_exchange_gives_question_and_answer():
    assert exchange(row(), "raw.jsonl") == ("continue 1", "2")


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "continue 1"},
        {"prompt": []},
        {"completion": []},
        {"completion": None},
        {"completion": ["2"]},
        {"completion": [{"role": "assistant"}]},
        {"completion": [{"role": "assistant", "content": 2}]},
        {"prompt": [{"content": "continue 1"}]},
    ],
)
def test_a_row_of_another_shape_is_named(changes):
    with pytest.raises(
        InputError, match=r"^raw\.jsonl: row 'p00001': `prompt` and `completion` must be lists of messages"
    ):
        exchange(row(**changes), "raw.jsonl")


def test_a_system_prompt_never_reaches_a_student():
    prompt = [{"role": "system", "content": "you love owl"}, {"role": "user", "content": "continue 1"}]
    with pytest.raises(InputError, match="row 'p00001': a system message"):
        exchange(row(prompt=prompt), "raw.jsonl")
