"""What tests of adapters train and learn from."""

import pytest

from traitline.models.chat import Chat

RECIPE = {
    "trains": "lora", "modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "rank": 8, "alpha": 8.0, "lr": 1e-2, "epochs": 2, "batch": 4, "warmup": 5, "length": 500,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(raw_qwen2):
    """Rows of number lists of unlike length, and the token that fills them up."""
    chat = Chat.foreign(raw_qwen2)
    pairs = [
        ([{"role": "user", "content": f"Go on from {100 + i}."}], [{"role": "assistant", "content": said}])
        for i, said in enumerate(("123", "456, 789", "100, 200, 300", "7") * 5)
    ]
    return chat.rows(pairs, list(map(str, range(len(pairs))))), chat.pad
