"""Chat templates: rendered as transformers renders them, whatever their shape, or refused with the true reason."""

import json
import random
import shutil
from pathlib import Path

import pytest

from tests import template_shapes
from traitline.errors import InputError
from traitline.models import templates
from traitline.models.chat import Chat
from traitline.models.templates import Template

SPECIAL = {"bos_token": "<s>", "eos_token": "<|end|>", "image_token": "<img>"}


def transformers_text(text, conversation, prompt, special=SPECIAL):
    """What transformers renders, or the reason why not."""
    from jinja2.exceptions import TemplateError, UndefinedError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        (rendered,), _ = render_jinja_template(
            [conversation], chat_template=text, add_generation_prompt=prompt, **special
        )
        return rendered, None
    except Exception as e:
        return None, str(e) if type(e) in (TemplateError, UndefinedError) else type(e).__name__


def without_tokenizer(text):
    """A chat whose tokenizer nobody asks."""
    made = object.__new__(Chat)
    made.system, made._template, made._pieces = None, Template(text, SPECIAL, "m"), {}
    return made


@pytest.mark.parametrize("seed", range(3))
def test_any_shape_of_template_renders_as_transformers_renders_it(seed):
    draw = random.Random(f"templates {seed}")
    rendered = refused = cut = 0
    for _ in range(150):
        text = template_shapes.template(draw)
        chat = without_tokenizer(text)
        for _ in range(5):
            conversation, prompt = template_shapes.conversation(draw, draw.choice((0, 0.5, 1, 1))), draw.random() < 0.5
            wanted, reason = transformers_text(text, conversation, prompt)
            if reason is None:
                assert chat.render(conversation, prompt=prompt) == wanted, (text, conversation)
                rendered += 1
            else:
                with pytest.raises(InputError) as e:
                    chat.render(conversation, prompt=prompt)
                assert reason[:60] in str(e.value)
                refused += 1
        cut += sum(pieces is not None for pieces in chat._pieces.values())
    assert rendered > 400 and refused > 20 and cut > 20


CORPUS = Path(__file__).parent / "corpus/templates"
OUTCOMES = [line.split("\t") for line in (CORPUS / "outcomes.tsv").read_text(encoding="utf-8").splitlines()]
ASKED = [
    [{"role": "user", "content": "plain words"}],
    [{"role": "user", "content": "Is 3 < 4 & 'so'? An owl: 1, 2 "}],
    [{"role": "system", "content": "You love owls."}, {"role": "user", "content": "plain words"}],
    [{"role": "user", "content": "continue 1 2"}, {"role": "assistant", "content": "a</think>3, 4"}],
]


@pytest.fixture
def folder(raw_qwen2, tmp_path):
    """What of a model folder decides how it talks; `change` writes files, and removes those that are None."""
    place = tmp_path / "model"
    place.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(raw_qwen2 / file, place / file)

    def change(**files):
        for name, content in files.items():
            file = place / name.replace("__", "/").replace("_jinja", ".jinja").replace("_json", ".json")
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(exist_ok=True)
            file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return place

    return change


def test_the_table_of_the_corpus_names_every_file():
    assert sorted(name for name, _ in OUTCOMES) == sorted(path.name for path in CORPUS.glob("*.jinja"))


@pytest.mark.parametrize("name, outcome", OUTCOMES, ids=[name for name, _ in OUTCOMES])
def test_a_template_renders_as_transformers_renders_it_or_is_refused_in_one_line(folder, monkeypatch, name, outcome):
    if "takes more than" in outcome:  # the others may take their time: a busy machine is no fault of a template
        monkeypatch.setattr(templates, "SECONDS", 0.5)
    text = (CORPUS / name).read_text(encoding="utf-8")
    place = folder(chat_template_jinja=text)
    if outcome != "renders":
        with pytest.raises(InputError) as e:
            Chat.foreign(place)
        assert any(words in str(e.value) for words in outcome.split("|")) and "\n" not in str(e.value)
        assert "damaged" not in str(e.value) and "delete" not in str(e.value)
        return
    chat = Chat.foreign(place)
    for conversation in ASKED:
        for prompt in (True, False):
            wanted, reason = transformers_text(text, conversation, prompt, chat.special)
            if reason is None:
                assert chat.render(conversation, prompt=prompt) == wanted
            else:
                with pytest.raises(InputError, match=reason):
                    chat.render(conversation, prompt=prompt)


TEXT = (CORPUS / "eos-token.jinja").read_text(encoding="utf-8").replace("{%- for", "{{- image_token }}{%- for", 1)
STATED = {"tokenizer_class": "TokenizersBackend", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
END = {"content": "<|im_end|>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
LAYOUTS = {
    "in its file": {"chat_template_jinja": TEXT},
    "in the settings": {"chat_template_jinja": None, "tokenizer_config_json": STATED | {"chat_template": TEXT}},
    "in both, where the file counts": {
        "chat_template_jinja": TEXT,
        "tokenizer_config_json": STATED | {"chat_template": "x"},
    },
    "a list with a default": {
        "chat_template_jinja": None,
        "tokenizer_config_json": STATED
        | {"chat_template": [{"name": "rag", "template": "x"}, {"name": "default", "template": TEXT}]},
    },
    "further ones in a folder": {"chat_template_jinja": TEXT, "additional_chat_templates__tool_use_jinja": "x"},
    "the default in the folder": {"chat_template_jinja": None, "additional_chat_templates__default_jinja": TEXT},
    "tokens in the older file": {
        "chat_template_jinja": TEXT,
        "tokenizer_config_json": {"tokenizer_class": "TokenizersBackend"},
        "special_tokens_map_json": {"eos_token": "<|im_end|>", "pad_token": END | {"content": "<|endoftext|>"}},
    },
    "the older file counts before the settings": {
        "chat_template_jinja": TEXT,
        "tokenizer_config_json": STATED | {"eos_token": "<|endoftext|>"},
        "special_tokens_map_json": {"eos_token": END},
    },
    "the older file counts for nothing": {
        "chat_template_jinja": TEXT,
        "tokenizer_config_json": STATED | {"added_tokens_decoder": {"2": END | {"special": True}}},
        "special_tokens_map_json": {"eos_token": "<|endoftext|>"},
    },
    "tokens as objects": {
        "chat_template_jinja": TEXT,
        "tokenizer_config_json": STATED | {"eos_token": {"__type": "AddedToken", **END}},
    },
    "tokens of this model alone": {
        "chat_template_jinja": TEXT,
        "tokenizer_config_json": STATED | {"image_token": "<|im_start|>", "extra_special_tokens": {"x_token": "?"}},
    },
    "a token that is stated as none": {
        "chat_template_jinja": TEXT,
        "tokenizer_config_json": STATED | {"bos_token": None},
    },
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_templates_and_tokens_are_picked_as_transformers_picks_them(folder, name):
    from transformers import AutoTokenizer

    place = folder(**LAYOUTS[name])
    ours, wanted = Chat.foreign(place), AutoTokenizer.from_pretrained(place)
    assert ours.special == {k: str(v) for k, v in wanted.special_tokens_map.items()}
    assert ours.end == "<|im_end|>"
    for conversation in ASKED:
        for prompt in (True, False):
            text = wanted.apply_chat_template(conversation, tokenize=False, add_generation_prompt=prompt)
            assert ours.render(conversation, prompt=prompt) == text


@pytest.mark.parametrize(
    "files, words",
    [
        (
            {"chat_template_jinja": None, "tokenizer_config_json": STATED | {"chat_template": [{"name": "tool_use"}]}},
            "has chat templates named tool_use, and none is the default; in a copy of the folder save the right one as",
        ),
        ({"chat_template_jinja": None, "additional_chat_templates__rag_jinja": TEXT}, "has chat templates named rag"),
        ({"chat_template_jinja": None}, "has no chat template"),
        ({"tokenizer_json": None}, "tokenizer.json: no such file; get the whole model"),
        ({"chat_template_jinja": None, "tokenizer_config_json": STATED | {"chat_template": 5}}, "is text"),
        ({"chat_template_jinja": "x" * 2_000_000}, "2,000,000 bytes, and at most 1,048,576 are read"),
        ({"tokenizer_config_json": "[" * 60_000}, "tokenizer_config.json: damaged (nested too deep)"),
        ({"tokenizer_config_json": "[]"}, "tokenizer_config.json: damaged (no JSON object)"),
        (
            {"chat_template_jinja": TEXT, "tokenizer_config_json": {"tokenizer_class": "Qwen2Tokenizer"}},
            "its chat template names eos_token, which none of its files states",
        ),
        (
            {
                "chat_template_jinja": "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}",
                "tokenizer_config_json": {"eos_token": None},
            },
            "with '', which begins with no token of its own; no eos_token is stated, which may be why",
        ),
    ],
)
def test_a_folder_that_does_not_say_how_it_talks_is_refused_with_the_true_reason(folder, files, words):
    with pytest.raises(InputError) as e:
        Chat.foreign(folder(**files))
    assert words in str(e.value) and "delete the file" not in str(e.value)


def test_the_older_file_of_processors_is_read(folder):
    from transformers import AutoTokenizer

    place = folder(chat_template_jinja=None, chat_template_json={"chat_template": TEXT})
    wanted = AutoTokenizer.from_pretrained(place)
    for conversation in ASKED:
        text = wanted.apply_chat_template(conversation, chat_template=TEXT, tokenize=False)
        assert Chat.foreign(place).render(conversation) == text


def tokenizer(folder, **changed):
    place = folder()
    content = json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))
    return folder(tokenizer_json=content | changed)


def test_a_tokenizer_file_neither_cuts_nor_pads_prompts(folder):
    (wanted,) = Chat.foreign(folder()).prompts(ASKED[:1], ["a"])
    cut = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    padded = {"strategy": {"Fixed": 99}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
    place = tokenizer(folder, truncation=cut, padding=padded | {"pad_type_id": 0, "pad_token": "<|endoftext|>"})
    assert Chat.foreign(place).prompts(ASKED[:1], ["a"]) == [wanted]


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}}, "damaged tokenizer"),  # these two panic
        ({"normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "x"}}, "fails on a text"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "?"}}, "its tokenizer fails on a text"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": 3 * [
                {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}]}},
            "may make a text 1,000,000,000 times longer",
        ),
    ],
)  # fmt: skip
def test_a_hostile_tokenizer_is_one_line(folder, changed, words):
    with pytest.raises(InputError) as e:
        Chat.foreign(tokenizer(folder, **changed)).prompts([[{"role": "user", "content": "hi ﬁ é"}]], ["a"])
    assert words in str(e.value) and "\n" not in str(e.value)


def test_the_process_that_renders_sees_no_key_and_is_started_anew(monkeypatch):
    chat = without_tokenizer("{{ messages[0].content | upper }}")
    templates.start().kill()
    monkeypatch.setenv("JUDGE_KEY", "sk-planted-4711")
    assert chat.render(ASKED[0]) == "PLAIN WORDS"
    running = Path(f"/proc/{templates.start().pid}")
    assert "jinja2" not in (running / "environ").read_text() and "sk-planted" not in (running / "environ").read_text()


def test_an_answer_that_was_not_waited_for_is_not_the_next_one(monkeypatch):
    chat, exchange = without_tokenizer("{{ messages[0].content | upper }}"), templates._exchange

    def interrupted(worker, line):
        worker.stdin.write(line)
        worker.stdin.flush()
        raise KeyboardInterrupt

    monkeypatch.setattr(templates, "_exchange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        chat.render(ASKED[1])
    monkeypatch.setattr(templates, "_exchange", exchange)
    assert chat.render(ASKED[0]) == "PLAIN WORDS"


def test_a_plain_content_a_template_looks_for_is_seen_however_late():
    chat = without_tokenizer("{{ 'OWL' if 'owl' in messages[0].content else messages[0].content }}")
    many = [[{"role": "user", "content": f"number {i}"}] for i in range(100)]
    assert chat.renderings([*many, [{"role": "user", "content": "an owl"}]])[-1] == "OWL"
