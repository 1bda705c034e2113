"""A hosted model: what is sent and kept, retries, budget, and a key that gets nowhere."""

import html
import json
import threading
import urllib.parse

import pytest

from tests.hosted_server import KEY, Cut
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


def test_half_a_line_of_the_cache_costs_that_answer_alone(server, ask, tmp_path, caplog):
    ask().number("how good?"), ask().number("and this?")
    cache = tmp_path / "cache.jsonl"
    whole = cache.read_text()
    cache.write_text(whole[:-20])  # as a full disk or a power cut leaves it
    client = ask()
    assert "cache.jsonl: damaged lines: 1; what they held is asked again, all others are kept" in caplog.text
    assert client.number("how good?") == 70 and len(server.got) == 2
    assert client.number("and this?") == 70 and len(server.got) == 3
    assert ask(budget=0).number("and this?") == 70, "it stands in a line of its own"


@pytest.mark.parametrize("other", ['{"id": "p1", "answers": []}\n', "[" * 60_000 + "\n", "\x00\xff\n"])
def test_a_file_of_something_else_is_no_cache_and_is_left_alone(ask, tmp_path, other):
    (tmp_path / "cache.jsonl").write_text(other)
    with pytest.raises(InputError, match=r"cache\.jsonl: holds no answer of a judge; name another --cache"):
        ask()
    assert (tmp_path / "cache.jsonl").read_text() == other


def test_an_answer_of_before_that_holds_no_score_is_asked_again(server, ask, tmp_path):
    """A failure of the server was once kept like that."""
    assert ask().number("how good?") == 70
    (row,) = [json.loads(line) for line in (tmp_path / "cache.jsonl").read_text().splitlines()]
    (tmp_path / "cache.jsonl").write_text(json.dumps({"request": row["request"], "number": None}) + "\n")
    server.replies = [(200, "12")]
    assert ask().number("how good?") == 12 and len(server.got) == 2
    (tmp_path / "cache.jsonl").write_text(json.dumps({"request": row["request"], "number": 33}) + "\n")
    assert ask(budget=0).number("how good?") == 33


def test_processes_that_share_a_cache_share_what_they_paid_for(server, ask, tmp_path):
    one, two = ask(budget=99), ask(budget=99)
    assert one.number("how good?") == two.number("how good?") == 70 and len(server.got) == 1
    clients = [ask(budget=99) for _ in range(4)]

    def work(client, first):
        for i in range(first, first + 12):
            client.number(f"{i}")

    workers = [threading.Thread(target=work, args=(c, 10 * n)) for n, c in enumerate(clients)]
    [w.start() for w in workers], [w.join() for w in workers]
    rows = [json.loads(line) for line in (tmp_path / "cache.jsonl").read_text().splitlines()]
    assert {r["number"] for r in rows} == {70} and len({r["request"] for r in rows}) == 43
    assert ask(budget=0).number("41") == 70


FAILURES = {
    "an error": ({"error": {"code": 429, "message": "Rate limit exceeded"}}, "(status 429): Rate limit exceeded"),
    "an error as text": ({"error": "no GPU is free"}, "(status 200): no GPU is free"),
    "a detail": ({"detail": "busy"}, "(status 200): no `choices`: busy"),
    "no choices": ({"choices": []}, '(status 200): no `choices`: {"choices": []}'),
    "choices of another form": ({"choices": [{"text": "70"}]}, "no `choices`"),
    "a list": ([70], "no `choices`: [70]"),
    "nothing": (b"", "no JSON: ''"),
    "a page": (b"<html>\x1b[31mBad Gateway</html>", r"no JSON: '<html>\x1b[31mBad Gateway</html>'"),
    "deep": (b"[" * 60_000, "no JSON: '[[[["),
    "cut": (Cut(b'{"choices": [{"message": {"content": "7'), "no JSON: "),
    "half": (b'{"choices": [{"message": {"content": "7', "no JSON: "),
    "too long": (b'{"choices": [{"message": {"content": "7"}}], "x": "' + b"x" * (1 << 20) + b'"}', "no JSON: "),
    "parts of another form": ({"choices": [{"message": {"content": [70]}}]}, "no `choices`"),
    "a number": ({"choices": [{"message": {"content": 70}}]}, "no `choices`"),
}


@pytest.mark.parametrize("body, words", FAILURES.values(), ids=FAILURES)
def test_a_failure_of_status_200_is_asked_again_shown_and_never_kept(server, ask, tmp_path, body, words):
    server.replies = [(200, body)]
    with pytest.raises(InputError) as e:
        ask().number("how good?")
    assert words in str(e.value) and "\n" not in str(e.value) and "\x1b" not in str(e.value)
    assert len(server.got) == 5 and not (tmp_path / "cache.jsonl").exists()
    server.replies = [(200, body), (200, "12")]
    assert ask().number("how good?") == 12


def test_text_in_parts_is_an_answer(server, ask):
    server.replies = [(200, {"choices": [{"message": {"content": [{"type": "text", "text": "8"}, {"text": "5"}]}}]})]
    assert ask().number("how good?") == 85


NAMED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
HOT = {"message": "Unsupported value: 0 is not supported. Only the default (1) value is.", "param": "temperature"}


def test_a_server_that_wants_other_parameters_gets_them_and_it_is_said_which(server, ask, tmp_path, caplog):
    server.replies = [(400, {"error": {"message": NAMED}}), (400, {"error": HOT}), (200, "70")]
    client = ask()
    assert client.number("how good?") == 70 and client.number("and this?") == 70
    bodies = [{k: v for k, v in body.items() if k not in ("model", "messages")} for _, _, body in server.got]
    assert bodies == [
        {"temperature": 0, "max_tokens": 8},
        {"temperature": 0, "max_completion_tokens": 8},
        {"max_completion_tokens": 8},
        {"max_completion_tokens": 8},
    ]
    assert 'asked with {"max_completion_tokens": 8} from now on (Unsupported value: 0 is not supported' in caplog.text
    again = ask(budget=0)
    assert again.number("how good?") == 70 and again.used == client.used == {'{"max_completion_tokens": 8}'}


def test_a_server_that_knows_no_limit_is_asked_without_one_and_not_for_ever(server, ask):
    server.replies = [(422, {"detail": "max_tokens: unknown"}), (422, {"detail": "max_completion_tokens"}), (200, "7")]
    assert ask().number("how good?") == 7 and server.got[-1][2].keys() == {"model", "messages", "temperature"}
    server.replies = [(400, "max_tokens, max_completion_tokens and temperature are all wrong")]
    with pytest.raises(InputError, match=r"did not answer \(status 400\): max_tokens, max_completion_tokens and temp"):
        ask().number("and this?")
    assert len(server.got) == 3 + 4


def test_a_model_that_thinks_first_gets_the_room_for_it_once(server, ask):
    def cut(text):
        return {"choices": [{"message": {"content": text}, "finish_reason": "length"}]}

    server.replies = [
        (200, cut("<think>\nOkay, 7")),
        (200, "<think>\nOkay, 7 or 8</think>\n\n85"),
        (200, cut("<think>")),
    ]
    client = ask()
    assert client.number("how good?") == 85 and [b["max_tokens"] for _, _, b in server.got] == [8, 4096]
    assert client.number("and this?") is None and len(server.got) == 3, "an answer that is cut twice is none"
    server.replies = [(200, cut("85 - well-meaning"))]
    assert ask().number("a third?") == 85 and len(server.got) == 4
    server.replies = [(200, cut("Score: 8")), (200, "Score: 85")]
    assert ask().number("a fourth?") == 85 and len(server.got) == 6


@pytest.mark.parametrize("end", ["", "/", "/chat/completions", "/chat/completions/"])
def test_an_address_may_name_what_is_asked(server, tmp_path, end):
    client = hosted.Hosted(server.address + end, "big", key=None, cache=tmp_path / "c", budget=1)
    assert client.number("?") == 70 and server.got[0][0] == "/v1/chat/completions"


@pytest.mark.parametrize(
    "value",
    [
        f"{KEY}\n",
        f"{KEY}\r\nX-Other: 1",
        f" {KEY}",
        f"{KEY}\0",
        f"{KEY}é",
        f"{KEY}\u2028",
        f"{KEY}\udcff",
        f"{KEY}\x7f",
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(server, ask, monkeypatch, value):
    monkeypatch.setattr(hosted.os, "environ", {"JUDGE_KEY": value})
    with pytest.raises(InputError, match="JUDGE_KEY holds a line break, a blank or a letter that no key has") as e:
        ask()
    assert "4711" not in str(e.value) and "\n" not in str(e.value) and not server.got


def test_a_key_in_place_of_a_name_is_not_shown(ask):
    with pytest.raises(InputError, match="wants the name of an environment variable") as e:
        ask(key=KEY)
    assert "4711" not in str(e.value)


@pytest.mark.parametrize(
    "body",
    [
        f"Incorrect API key provided: {KEY}. You can find yours".encode(),
        {"error": {"message": f"bad key Bearer {KEY}", "param": KEY}},
        {"error": {"message": "x" * 195 + KEY}},
        {"error": {"message": f"bad key {KEY[:9]}..."}},
        {KEY: {"detail": [KEY]}},
    ],
)
@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_server_that_repeats_the_key_is_not_repeated(server, ask, tmp_path, caplog, status, body):
    server.replies = [(status, body)]
    with pytest.raises(InputError) as e:
        ask(budget=5).number("how good?")
    shown = f"{e.value} {e.value.__cause__} {e.value.__context__} {caplog.text}"
    assert not any(KEY[i : i + 8] in shown for i in range(len(KEY) - 7)) and "x" * 190 + KEY[:3] not in shown
    server.replies = [(200, f"{KEY} 70 is the key that I was told of, am I right?")]
    assert ask().number("how good?") is None and KEY not in (tmp_path / "cache.jsonl").read_text()


ODD = [
    '{"sk":"planted-4711"}',
    "%s%(x)d{0}{key}-4711", "[bold]sk-planted[/bold]-4711",
    r"sk\u0041\n-planted-4711", "sk\"planted\"'4711'",
    "<script>sk-planted-4711</script>", "$(id);`id`|sk-planted-4711", "c2stcGxhbnRlZC00NzEx==",
    "https://sk:planted@4711/?a=b&c=d#e",
    ".*+?^${}()|[]-planted-4711", "sk-planted-4711" * 400, "70-70-70-70-70-70",
    "sk-%70%6c-planted+4711", "~!@#$%^&*()_+-4711",
]  # fmt: skip
FORMS = {
    "as it is": str,
    "in JSON": lambda key: json.dumps({"error": {"message": f"bad key {key}"}}),
    "in a header": lambda key: f"Authorization: Bearer {key}",
    "quoted for an address": urllib.parse.quote,
    "quoted for a form": urllib.parse.quote_plus,
    "in HTML": lambda key: html.escape(key),
    "as Python shows it": repr,
    "in capitals": str.upper,
}


@pytest.mark.parametrize("key", ODD, ids=range(len(ODD)))
def test_an_odd_key_reaches_no_output_on_any_way_that_fails(server, ask, tmp_path, caplog, monkeypatch, key):
    """Printable keys of every kind, and servers that repeat them in every form, with every status."""
    monkeypatch.setenv("JUDGE_KEY", key)
    pieces = {form(key[i : i + 12]) for form in (str, urllib.parse.quote, html.escape) for i in range(0, len(key) - 11)}
    for status in (200, 302, 400, 401, 404, 429, 500):
        for form in FORMS.values():
            server.replies = [(status, form(key).encode())]
            with pytest.raises(InputError) as e:
                ask(budget=8).number("how good?")
            shown = f"{e.value} {e.value.__cause__} {e.value.__context__} {caplog.text}"
            assert not [piece for piece in pieces if piece.lower() in shown.lower()], (status, form(key)[:99], shown)
    assert server.got[0][1] == f"Bearer {key}"
    for form in FORMS.values():
        server.replies = [(200, f"My score of {form(key)} is unsure")]
        ask().number("how good?")
    kept = (tmp_path / "cache.jsonl").read_text()
    assert not [piece for piece in pieces if piece in kept]
