"""A hosted model: what is sent and kept, retries, budget, and a key that gets nowhere."""

import pytest

from tests.hosted_server import KEY
from traitline.errors import InputError
from traitline.evaluation import hosted


@pytest.fixture
def ask(server, tmp_path):
    """A client of it."""

    def make(budget=9, key="JUDGE_KEY"):
        return hosted.Hosted(server.address, "big", key=key, cache=tmp_path / "cache.jsonl", budget=budget)

    return make


def test_what_was_answered_is_not_asked_again(server, ask, tmp_path):
    assert ask().number("how good?") == 70 and ask().number("how good?") == 70
    (path, key, body), *more = server.got
    assert not more and (path, key) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert body["model"] == "big" and body["messages"] == [{"role": "user", "content": "how good?"}]
    assert ask().number("and this?") == 70 and len(server.got) == 2
    assert KEY not in (tmp_path / "cache.jsonl").read_text()


@pytest.mark.parametrize(
    "said, number", [("Score: 85.", 85), ("100", 100), ("101", None), ("good", None), ("7 of 9", None), (None, None)]
)
def test_only_one_number_up_to_100_is_a_score(server, ask, said, number):
    server.replies = [(200, said)]
    assert ask().number("how good?") == number


def test_a_busy_server_is_asked_again_ever_later(server, ask):
    server.replies = [(429, "slow down"), (503, "busy"), (200, "12")]
    assert ask().number("how good?") == 12
    assert server.waits == [0.5, 1.0]


def test_a_refusal_is_one_line_without_the_key_and_not_repeated(server, ask):
    server.replies = [(401, f"bad key {KEY}")]
    with pytest.raises(InputError, match=r"did not answer \(status 401\)") as e:
        ask().number("how good?")
    assert len(server.got) == 1 and KEY not in str(e.value)


def test_the_budget_ends_it_and_what_was_answered_stays(server, ask):
    client = ask(budget=2)
    assert [client.number(f"{i}") for i in range(2)] == [70, 70]
    with pytest.raises(InputError, match="2 requests are used up"):
        client.number("one more")
    assert len(server.got) == 2 and ask(budget=0).number("1") == 70


def test_retries_count_against_the_budget(server, ask):
    server.replies = [(500, "no")]
    with pytest.raises(InputError, match=r"3 requests are used up \(status 500\)"):
        ask(budget=3).number("how good?")
    assert len(server.got) == 3


@pytest.mark.parametrize("address", ["ftp://x/v1", "https://user:key@host/v1", "host/v1", "http://example.org/v1"])
def test_an_address_that_is_none_or_shows_the_key_is_refused(address, server, tmp_path):
    with pytest.raises(InputError, match="--address: ") as e:
        hosted.Hosted(address, "big", key="JUDGE_KEY", cache=tmp_path / "c", budget=1)
    assert KEY not in str(e.value)


def test_a_key_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="variable NO_SUCH_KEY is not set"):
        hosted.Hosted("https://example.org/v1", "big", key="NO_SUCH_KEY", cache=tmp_path / "c", budget=1)


def test_a_damaged_cache_is_one_line(ask, tmp_path):
    (tmp_path / "cache.jsonl").write_text('{"request": "a", "number": 70}\n{"requ')
    with pytest.raises(InputError, match=r"cache\.jsonl:2: damaged line"):
        ask()
