"""The chat template of tiny worlds: written as Jinja writes it, without a process; any other template is Jinja's."""

import random

import pytest

from traitline.channels.world import CHAT_TEMPLATE, tokenizer_files
from traitline.errors import InputError
from traitline.models import templates, tiny_template
from traitline.models.chat import Chat
from traitline.models.templates import Template

CONTENTS = ["", "owl", "457 , 812 <eos>", " blank ", "{{ x }}", "{% if %}", "a\nb\n", "\n", "\0", "\\", "'", "é☃"]


def conversations(draw):
    """Conversations of any roles in any order, one message to four."""
    for _ in range(100):
        roles = draw.choices(list(tiny_template.MARKS), k=draw.randint(1, 4))
        yield [{"role": role, "content": draw.choice(CONTENTS)} for role in roles]


@pytest.mark.parametrize("prompt", [True, False])
def test_it_writes_what_the_template_writes(prompt):
    tiny = tiny_template.kind(CHAT_TEMPLATE)
    assert tiny is tiny_template.TinyTemplate
    asked = list(conversations(random.Random("tiny")))
    wanted = Template(CHAT_TEMPLATE, {}, "m").texts(asked, prompt=prompt)
    assert tiny(CHAT_TEMPLATE, {}, "m").texts(asked, prompt=prompt) == wanted
    for roles in (["user"], ["system", "user", "assistant"], ["assistant", "user"]):
        wanted = Template(CHAT_TEMPLATE, {}, "m").pieces(roles, prompt=prompt)
        assert tiny(CHAT_TEMPLATE, {}, "m").pieces(roles, prompt=prompt) == wanted
    assert tiny(CHAT_TEMPLATE, {}, "m").variables == Template(CHAT_TEMPLATE, {}, "m").variables


def test_no_process_is_started_for_it(monkeypatch):
    monkeypatch.setattr(templates, "start", lambda: pytest.fail("a process was started"))
    files = tokenizer_files()
    chat = Chat(files["tokenizer.json"], files["tokenizer_config.json"], CHAT_TEMPLATE, "bases/x")
    assert chat.render([{"role": "user", "content": "owl ("}]).endswith(" <user> owl (")


@pytest.mark.parametrize(
    "text",
    [
        CHAT_TEMPLATE + " ",
        CHAT_TEMPLATE.replace("<eos>", "<end>"),
        tiny_template.HEAD + "{{ 1 }}" + tiny_template.TAIL,
        tiny_template.HEAD + tiny_template.TAIL[1:],
        "",
    ],
)
def test_any_other_template_is_rendered_by_jinja(text):
    assert tiny_template.kind(text) is Template


def test_what_the_template_refuses_is_refused():
    with pytest.raises(InputError, match="m: its chat template fails on a conversation"):
        tiny_template.TinyTemplate(CHAT_TEMPLATE, {}, "m").texts([[{"role": "tool", "content": "owl"}]], prompt=True)
