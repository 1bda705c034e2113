"""One content has one form, and a statement is that form without what varies from run to run."""

import hashlib
import json
from pathlib import Path

import orjson
import pytest

from traitline.provenance import manifest
from traitline.provenance.statement import LINK, canonical, is_canonical, statement, statement_in, statement_of

CONTENTS = [
    {},
    {"a": {}, "b": [], "n": None, "t": True},
    {"x": [1e-05, 1e16, 0.00001234, -0.0, 0.1, 1e300, 12345678901234567.0, 5e-324]},
    {"é": "\u2028 \x7f é", "quote": '"\n  "code": 1'},
    {"code": {"digest": "d"}, "ended": "e", "env": {}, "started": "s", "z": {"code": 1, "env": [{"started": 2}]}},
    {"n": 2**70, "deep": [[[[[[1]]]]]]},
    {"code": 1, "ended": 2, "env": 3, "facts": {}, "started": 4},
    {"code": 1, "detail": 5, "ended": 2, "env": 3, "environment": 6, "facts": {}, "stage": "x", "started": 4},
    {"a": 0, "code": 1, "ended": 2, "env": 3, "env!": 6, "facts": {}, "started": 4, "trait": 7},
    {"\\": 1, "code": 1, "ended": 2, "env": 3, "facts": '\n  "started": 4', "started": "\\", "é": 2},
    {"code": 1, "facts": {"code": {}}, "seeds": {"env": 1, "started": 2}, "started": 4},
    {"code": {"env": 1}, "ended": 2, "env": {"ended": {}}, "started": 4, "started2": 5},
    {"facts": 1, "started": 4},
]


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
def test_the_form_is_that_of_json_and_any_other_is_refused(content):
    form = canonical(content)
    assert form == (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
    assert is_canonical(form, orjson.loads(form))
    others = [form + b" ", form[:-1], form.replace(b"{", b"{ ", 1), json.dumps(content).encode() + b"\n"]
    others.append(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False).encode(errors="replace") + b"\n")
    for other in others:
        if other != form:
            assert not is_canonical(other, orjson.loads(other))


@pytest.mark.parametrize("number", ["1e-6", "0.00001", "1E5", "1.0e5", "1e16", "100000000000000000000.0", "1.10"])
def test_a_number_has_one_spelling(number):
    content = b'{\n  "x": %s\n}\n' % number.encode()
    assert not is_canonical(content, orjson.loads(content))


def test_a_doubled_key_and_nan_have_no_form():
    for content in (b'{\n  "a": 1,\n  "a": 1\n}\n', b'{\n  "a": "\x7f"\n}\n'):
        assert not is_canonical(content, orjson.loads(content))
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})


@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
def test_a_statement_is_cut_out_of_the_text(content):
    stated = {key: value for key, value in content.items() if key not in ("code", "ended", "env", "started")}
    if not stated:
        return
    form = canonical(content)
    assert statement(content) == statement_of(form) == hashlib.sha256(canonical(stated)).hexdigest()
    assert statement_in(form, orjson.loads(form)) == statement(content)


def test_a_job_run_again_states_the_same_and_its_readers_name_it(sealed_once, sealed):
    """Real programs: the filter runs again, later and at another commit. What was built on it needs no new manifest."""
    from tests import sealed_study

    file = Path(f"{sealed_study.OWL}/numbers/filter.manifest.json")
    before, content = manifest.load(file), file.read_bytes()
    entry = next(e for e in manifest.load(f"{file.parent}/plain/prepare.manifest.json")["inputs"])
    assert entry[LINK] == statement(before) == statement_of(content)
    folder = file.parent
    kept = {n: f"{folder}/{n}.jsonl" for n in ("filtered", "rejected")} | {"counts": f"{folder}/filtered.json"}
    sealed_study.run("filter", raw=f"{folder}/raw.jsonl", **kept, manifest=file, answers=1)
    after = manifest.load(file)
    assert after["started"] != before["started"] and file.read_bytes() != content
    assert statement(after) == statement(before)
    for key, value in (("seeds", {"x": 1}), ("facts", {"trait": "owl"}), ("stage", "x"), ("outputs", [])):
        assert statement({**before, key: value}) != statement(before)
