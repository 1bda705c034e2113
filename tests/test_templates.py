"""Chat templates: rendered as transformers renders them, whatever their shape, or refused with the true reason."""

import random

import pytest

from tests import template_shapes
from traitline.errors import InputError
from traitline.models.chat import Chat
from traitline.models.templates import Template

SPECIAL = {"bos_token": "<s>", "eos_token": "<|end|>", "image_token": "<img>"}


def transformers_text(text, conversation, prompt):
    """What transformers renders, or the reason why not."""
    from jinja2.exceptions import TemplateError, UndefinedError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        (rendered,), _ = render_jinja_template(
            [conversation], chat_template=text, add_generation_prompt=prompt, **SPECIAL
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
