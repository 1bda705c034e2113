"""A policy is checked like the configuration: one line with file, line, key and remedy."""

import shutil
from pathlib import Path

import pytest

from tests.lineage import Works, tensors
from traitline.errors import InputError
from traitline.lineage import gate, policy
from traitline.lineage.graph import open_graph


def test_an_empty_policy_has_the_defaults(tmp_path):
    (tmp_path / "p.yaml").write_text("# nothing\n")
    found = policy.load(str(tmp_path / "p.yaml"))
    assert found.fail == ["CARRIER", "INHERITANCE-RISK", "UNKNOWN", "EXPOSED", "CLAIMED"] and not found.carriers


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
        ("- a\n", "a policy has the keys fail, exposed_passes, standing, carriers, matched, accept"),
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


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A base and its student."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    works.a = works.base("a")
    works.student_a = works.student(works.a, works.data(works.a))
    return works


@pytest.mark.parametrize("spell", ["{}", "sha256:{}", "SHA256:{}"])
@pytest.mark.parametrize("change", [str, str.upper])
def test_a_hash_in_a_policy_is_a_hash_and_never_a_path(works, spell, change):
    sha = works.entry("x", works.a)["sha256"][:16]
    text = spell.format(change(sha))
    for name in (sha, text):
        shutil.copy(next(Path("results").rglob("raw.jsonl")), name)
    Path("p.yaml").write_text(f'fail: [CARRIER]\ncarriers:\n  - {{sha256: "{text}", trait: sabotage}}\n')
    result = gate.apply(open_graph(None, None), policy.load("p.yaml"), [works.student_a], data=False)
    assert result.failures == 1 and result.counts["CARRIER"] == 1


@pytest.mark.parametrize(
    ("line", "key"),
    [("carriers: [{sha256: '%s', trait: owl}]", r"carriers\[0\]"), ("matched: [['%s', '%s']]", r"matched\[0\]"),
     ("accept: [{sha256: '%s', reason: x}]", r"accept\[0\]")],
)  # fmt: skip
def test_a_policy_that_names_nothing_is_an_error(works, line, key):
    Path("p.yaml").write_text(line.replace("%s", "f" * 16))
    Path("f" * 16).write_bytes(Path(works.a).read_bytes())
    with pytest.raises(InputError, match=f"policy: {key}: {'f' * 16}: "):
        gate.apply(open_graph(None, None), policy.load("p.yaml"), [], data=False)


def test_what_nothing_places_fails_under_any_policy(works):
    folder = Path(works.student_a).parent
    (folder / "model.safetensors").write_bytes(tensors(w="who knows"))
    result = gate.apply(open_graph(None, None), policy.Policy(fail=[]), [str(folder)], data=False)
    assert result.failures == 1 and result.counts["UNKNOWN"] == 1
    table = result.as_json(data=False)["artifacts"]
    assert [(row["artifact"], row["mark"], row["fails"]) for row in table] == [
        (f"{folder}/model.safetensors", "UNKNOWN", True), (works.student_a, "CLEAN", False),
    ]  # fmt: skip


def test_a_model_that_was_only_ever_read_is_not_placed(works):
    Path("registry").mkdir()
    Path("registry/model.safetensors").write_bytes(tensors(w="a stranger"))
    works.student("registry/model.safetensors", works.data(works.a))
    result = gate.apply(open_graph(None, None), policy.Policy(), ["registry/model.safetensors"], data=False)
    assert result.failures == 1 and "no manifest says where it comes from" in result.unplaced[0].reason
