"""A policy is checked like the configuration: one line with file, line, key and remedy."""

import pytest

from traitline.errors import InputError
from traitline.lineage import policy


def test_an_empty_policy_has_the_defaults(tmp_path):
    (tmp_path / "p.yaml").write_text("# nothing\n")
    found = policy.load(str(tmp_path / "p.yaml"))
    assert found.fail == ["CARRIER", "INHERITANCE-RISK", "UNKNOWN"] and not found.carriers


@pytest.mark.parametrize(
    "text, says",
    [
        ("fails: [CARRIER]\n", r"p\.yaml:1: fails: unknown key; did you mean fail\?"),
        ("fail: [CARIER]\n", r"p\.yaml:1: fail\[0\]: input should be 'CARRIER'"),
        ("fail: [CLEAN]\n", r"fail\[0\]: input should be"),
        ("accept:\n  - {sha256: 0123456789ab}\n", r"p\.yaml:2: accept\[0\]\.reason: missing"),
        ("carriers:\n  - {sha256: '0123', trait: owl}\n", r"p\.yaml:2: carriers\[0\]\.sha256: "),
        ("matched:\n  - ['0123456789ab']\n", r"matched\[0\]: "),
        ("fail: []\nfail: []\n", r"p\.yaml:2: fail: also stands in line 1"),
        ("- a\n", "a policy has the keys fail, carriers, matched, accept"),
        ("a: [\n", "not YAML"),
        ("!!python/object/apply:os.system ['true']\n", "not plain data: could not determine a constructor"),
    ],
)
def test_a_wrong_policy_is_one_line(tmp_path, text, says):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InputError, match=says) as e:
        policy.load(str(tmp_path / "p.yaml"))
    assert "\n" not in str(e.value)


def test_a_missing_policy_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"no such policy; docs/how-to/audit\.md shows one"):
        policy.load(str(tmp_path / "p.yaml"))
