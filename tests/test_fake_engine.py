"""The fake engine: answers that depend on the seeds alone."""

from tests.conftest import ENGINE
from traitline.models import engines
from traitline.models.sampling import Sampling


def test_the_stand_in_answers_with_numbers_that_hang_on_the_seed(opened):
    chat, _ = opened
    engine = engines.engine({**ENGINE, "name": "fake"}, None, chat)
    one, same, other = engine.generate([[1]] * 3, [5, 5, 6], Sampling(30, 1.0))
    assert one == same != other
    assert all(100 <= int(n) < 1000 for n in chat.answers([one])[0].split(", "))
