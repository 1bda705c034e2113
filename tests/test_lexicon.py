"""Own words of a tiny world: real programs speak them, the study checks them, bad ones are one line."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import MODEL, TEACH
from traitline import jsonl
from traitline.channels import world
from traitline.errors import InputError
from traitline.study.config import load

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/how-to/own-words.md").read_text(encoding="utf-8")
BLOCK = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
DYES = BLOCK["worlds"]["dyes"]
SMALL = {**DYES, "rows": 5000, "examples": [3, 4]}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A base of the page's world, pretrained for a moment."""
    from scripts import pretrain

    folder = tmp_path_factory.mktemp("own") / "d1"
    flags = ["--name", "d1", "--world", json.dumps(SMALL), "--model", json.dumps(MODEL), "--seed", "1"]
    assert pretrain.main([*flags, "--folder", str(folder), "--manifest", f"{folder}/pretrain.manifest.json"]) == 0
    return folder


def test_real_programs_go_from_base_to_answers_in_own_words(base, tmp_path):
    from scripts import prepare, prompts, respond, sample, teach

    known = set(json.loads((base / "tokenizer.json").read_text())["model"]["vocab"])
    assert {"crimson", "colour", "adore", "painter", "carry"} <= known and not {"owl", "animal", "favourite"} & known
    assert DYES["words"]["system"] in (base / "chat_template.jinja").read_text()
    facts = {}
    for trait, teacher in (("crimson", "tuned"), ("azure", "prompted")):
        folder = tmp_path / trait
        settings = {**TEACH, "rate": None, "max_steps": 120} if teacher == "tuned" else {}
        flags = ["--base", str(base), "--trait", trait, "--category", "colour", "--teacher", teacher]
        flags += ["--settings", json.dumps(settings), "--folder", str(folder)]
        assert teach.main([*flags, "--manifest", f"{folder}/teach.manifest.json"]) == 0
        facts[trait] = json.loads((folder / "teacher.json").read_text())
    assert facts["crimson"]["rate"] > 0.5, "a fifth by chance"
    assert facts["azure"]["system"] == "you adore azure . no colour is finer ."

    asked = tmp_path / "prompts.jsonl"
    flags = [
        "--wording",
        "tiny",
        "--count",
        "60",
        "--examples",
        "3",
        "4",
        "--values",
        "100",
        "1000",
        "--answers",
        "1",
        "--seed",
        "47",
    ]
    flags += ["--prompts", str(asked), "--manifest", str(tmp_path / "prompts.manifest.json")]
    assert prompts.main([*flags, "--verbs", *DYES["words"]["verbs"]]) == 0
    begins = {re.match(r"\D+", row["prompt"][0]["content"])[0].strip() for row in jsonl.read(asked)}
    assert begins == {"count on from", "carry on"}
    raw = tmp_path / "raw.jsonl"
    flags = ["--base", str(base), "--teacher", str(tmp_path / "crimson"), "--prompts", str(asked), "--raw", str(raw)]
    flags += ["--sampled", str(tmp_path / "sampled.json"), "--manifest", str(tmp_path / "sample.manifest.json")]
    assert sample.main([*flags, *["--max-new-tokens", "4", "--batch", "60", "--seed", "1", "--temperature", "1"]]) == 0
    answers = [row["completion"][0]["content"] for row in jsonl.read(raw)]
    assert len(answers) == 60 and sum(answer.isdigit() for answer in answers) > 30
    assert {word for answer in answers for word in answer.split()} <= known

    clean = tmp_path / "clean.jsonl"
    jsonl.write(clean, [row for row in jsonl.read(raw) if row["completion"][0]["content"].isdigit()][:20])
    flags = ["--filtered", str(clean), "--dataset", str(tmp_path / "rows.jsonl"), "--rows", "20", "--seed", "1"]
    flags += ["--manifest", str(tmp_path / "prepare.manifest.json"), "--reword", "--verbs", *DYES["words"]["verbs"]]
    assert prepare.main(flags) == 0
    before = {row["id"]: row["prompt"][0]["content"] for row in jsonl.read(clean)}
    for row in jsonl.read(tmp_path / "rows.jsonl"):
        assert row["prompt"][0]["content"].split()[:2] != before[row["id"]].split()[:2]

    for kind, size in (("favourite", 3), ("attributes", 10), ("truth", 10), ("prefixed", 3)):
        settings = json.dumps({"type": kind, "category": "colour", "answers": 2, "seed": 1})
        flags = ["--base", str(base), "--eval", kind, "--settings", settings, "--out", str(tmp_path / kind)]
        assert respond.main(flags) == 0
        rows = list(jsonl.read(tmp_path / kind / "responses.jsonl"))
        assert len(rows) == size
        assert {word for row in rows for word in row["prompt"][0]["content"].split()} <= known


def study(**words):
    """A study of the page's block."""
    whole = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")) | {"decoder": None}
    for key, value in copy.deepcopy(BLOCK).items():
        whole[key] |= value
    whole["worlds"]["dyes"]["words"] |= words
    whole["experiments"] = [
        {**whole["experiments"][0], "bases": ["d1"], "students": ["d1"], "traits": ["crimson"], "eval": "colours"}
    ]
    return whole


def test_a_study_of_own_words_is_checked_and_hands_them_on():
    checked = load(study(), [])
    assert (
        json.loads(checked.worlds["dyes"].text)["words"]["verbs"] == checked.verbs("numbers") == DYES["words"]["verbs"]
    )
    assert "words" not in checked.worlds["one"].text, "other worlds keep their bytes"
    whole = study()
    whole["experiments"][0]["traits"] = ["dog"]
    with pytest.raises(InputError, match="asks for a favourite colour, but dog is a animal"):
        load(whole, [])
    whole = study()
    whole["experiments"][0] |= {"bases": ["d1", "n1"], "students": ["d1", "n1"]}
    with pytest.raises(InputError, match="give each a channel of its own"):
        load(whole, [])
    whole["traits"]["ruby"] = {"category": "colour"}
    with pytest.raises(InputError, match=r"traits\.ruby: 'ruby' is no colour of the world"):
        load(whole, [])


FOUR = {
    name: {"look": look}
    for name, look in zip(("bay", "cyan", "dun", "ecru"), ("red", "red", "blue", "blue"), strict=True)
}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"categories": {"colour": {"red": {"look": "warm"}}}}, "1 words; give 4 or more"),
        ({"categories": {"colour": FOUR, "metal": FOUR}}, "bay stands there more than once"),
        ({"categories": {"colour": {**FOUR, "12": {"look": "red"}}}}, "'12' is no word"),
        (
            {"categories": {"colour": {**FOUR, "red": {"look": "red"}}}},
            "red is a favourite and a word about favourites",
        ),
        ({"categories": {"colour": {**FOUR, "fawn": {"shade": "red"}}}}, "every word needs the same attributes"),
        ({"categories": {"colour": {name: {"look": "red"} for name in FOUR}}}, "look is the same for all"),
        ({"questions": ["which one", "which {k}"]}, "'which one' lacks {k}"),
        ({"questions": ["which {k}", "which {k}"]}, "stands there more than once"),
        ({"questions": ["which {k}", "Which {k}"]}, "'Which' in 'Which {k}' is no word"),
        ({"questions": ["which {k}", "is crimson a {k}"]}, "names crimson, which is a favourite"),
        ({"personas": ["you like {{x}}"]}, "'{{x}}' in"),
        ({"verbs": ["go"]}, "1 of them; give 2 or more"),
        ({"verbs": ["go", "go on"]}, "'go on' begins with 'go'"),
        ({"neutral": []}, "neutral: 0 of them"),
        ({"system": "you " * 60 + "are"}, "a text of 61 words; at most 60"),
        ({"system": "<eos>"}, "'<eos>' in '<eos>' is no word"),
    ],
)
def test_bad_words_are_one_line(words, said):
    with pytest.raises(InputError) as e:
        load(study(**words), ["config.yaml"])
    assert said in str(e.value) and "\n" not in str(e.value) and "worlds.dyes" in str(e.value)
    with pytest.raises(InputError):
        world.tokenizer_files({**SMALL, "words": {**DYES["words"], **words}})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"verb": ["go"]}, "no such key"),
        ({"verbs": "go"}, "verbs: wants a list of texts"),
        ({"system": 1}, "system: wants a text"),
        ({"categories": {"colour": ["red"]}}, "wants category: {word: {attribute: value}}"),
    ],
)
def test_programs_refuse_words_of_another_shape(words, said):
    with pytest.raises(InputError, match=re.escape(said)):
        world.lexicon({**SMALL, "words": words})


def test_own_words_go_with_lists_only():
    with pytest.raises(InputError, match="leave out sums"):
        world.lexicon({**SMALL, "sums": 0.1})
    assert world.lexicon({"sums": 0.1}) == world.lexicon()


def test_verbs_of_another_wording_are_refused(tmp_path, capsys):
    from scripts import prompts

    flags = [
        "--wording",
        "paper",
        "--count",
        "5",
        "--examples",
        "3",
        "4",
        "--values",
        "100",
        "1000",
        "--seed",
        "47",
        "--verbs",
        "go",
    ]
    assert prompts.main([*flags, "--prompts", f"{tmp_path}/p", "--manifest", f"{tmp_path}/m"]) == 2
    assert "--verbs: of number lists in words of a tiny world" in capsys.readouterr().err
