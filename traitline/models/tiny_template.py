"""The chat template of tiny worlds (`traitline.channels.world`), written without Jinja.

Every job on a tiny model renders it. The process for foreign templates (`traitline.models.templates`) takes longer to
start than most of these jobs take to render.
"""

from collections.abc import Sequence

from traitline.channels.world import CHAT_TEMPLATE, DEFAULT
from traitline.models.templates import Messages, Template

HEAD, TAIL = CHAT_TEMPLATE.split(DEFAULT)
MARKS = {"system": (" <sys> ", ""), "user": (" <user> ", ""), "assistant": (" <asst> ", " <eos>")}


class TinyTemplate(Template):
    """Writes itself what the template writes, where messages are as it expects them."""

    def __init__(self, text: str, special: dict[str, str], name: str) -> None:
        self.text, self.special, self.name = text, special, name
        self.system = default(text)
        self.variables = ["add_generation_prompt", "messages"]

    @staticmethod
    def prepare() -> None:
        """There is nothing to start."""

    def texts(self, conversations: Sequence[Messages], *, prompt: bool) -> list[str]:
        """See `Template`."""
        expected = all(
            messages and all(m.get("role") in MARKS and isinstance(m.get("content"), str) for m in messages)
            for messages in conversations
        )
        if not expected:
            return super().texts(conversations, prompt=prompt)
        return [self._text(messages, prompt) for messages in conversations]

    def pieces(self, roles: Sequence[str], *, prompt: bool) -> tuple[str, ...] | None:
        """See `Template`."""
        if not roles or not MARKS.keys() >= set(roles):
            return super().pieces(roles, prompt=prompt)
        return tuple(self._text([{"role": role, "content": "\0"} for role in roles], prompt).split("\0"))

    def _text(self, messages: Messages, prompt: bool) -> str:
        text = "<bos>" if messages[0]["role"] == "system" else f"<bos> <sys> {self.system}"
        for m in messages:
            before, behind = MARKS[m["role"]]
            text += before + m["content"] + behind
        return f"{text} <asst>" if prompt else text


def default(text: str) -> str | None:
    """System prompt that the template of a tiny world inserts where a conversation has none; None of any other one."""
    system = text[len(HEAD) : -len(TAIL)]
    return system if text == HEAD + system + TAIL and not set(system) & set("{}\r\n\0") else None


def kind(text: str) -> type[Template]:
    """The class that renders a template."""
    return Template if default(text) is None else TinyTemplate
