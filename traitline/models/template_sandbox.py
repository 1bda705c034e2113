"""Chat templates as transformers compiles them: the names and filters that a template may count on, and no others.

Two things differ on purpose, both because a prompt must be the same on every day and in every run: the time
(`strftime_now`) is not defined, so a template that asks whether it is takes its fixed date, and nothing is drawn at
random (`lipsum`, the filter `random`).
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from jinja2 import Template, meta, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

UNREPEATABLE = {
    "strftime_now": "asks for today's date (strftime_now), and prompts must be the same on every day; in a copy of the "
    "folder write a fixed date into the template in its place, and name the copy as `path`",
    "lipsum": "draws text at random (lipsum), and prompts must be the same in every run; take that out of a copy of it",
}
FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, SyntaxError, TypeError, ValueError)
MOST = 1 << 24  # characters that a conversation may become
LEAKS = (nodes.Macro, nodes.FilterBlock, nodes.AssignBlock, nodes.Block, nodes.ImportedName)
NOT_PLAIN = re.compile(r"[^\w.,;?! -]")  # a character that no plain content has


class RefusedError(TemplateError):
    """Complaint of a template by `raise_exception`."""


class UnrepeatableError(TemplateError):
    """The template asks for what differs from run to run."""


class LookedError(Exception):
    """The template does more with a content than to write it."""


class Generation(Extension):
    """`{% generation %}` marks an answer for trainers; it writes what stands inside."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        """Turn the block into a call of what it holds."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_inside"), [], [], body).set_lineno(line)

    def _inside(self, caller: Callable[[], str]) -> str:
        return caller()


class OpenNamespace(Namespace):
    """`namespace` without names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args
        values = dict(*rest, **kwargs)
        for name in values:
            _require_open(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        """Set an attribute, as `{% set space.name = value %}` does."""
        _require_open(name)
        super().__setitem__(name, value)


class Dict:
    """`dict` without the attributes of the class."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """Make one."""
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        """Make one of keys."""
        return dict.fromkeys(*args)


class Content:
    """A content that may be anything plain (see `Chat`), and that a template may only write.

    It answers where all plain contents answer alike: it is a string, not empty, has no white space at its ends and no
    character beyond the plain ones. Anything else raises `LookedError`, so what a template writes around it is the same
    for all plain contents.
    """

    __slots__ = ("parts",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *parts: str) -> None:
        self.parts = parts

    def __bool__(self) -> bool:
        return True

    def __add__(self, other: Any) -> "Content":
        return Content(*self.parts, *_parts(other))

    def __radd__(self, other: Any) -> "Content":
        return Content(*_parts(other), *self.parts)

    def __contains__(self, text: Any) -> bool:
        return self._never(text)

    def startswith(self, text: Any) -> bool:
        """See `str`."""
        return self._never(text)

    endswith = startswith

    def strip(self, characters: Any = None) -> "Content":
        """See `str`."""
        blank = characters is None or (isinstance(characters, str) and re.fullmatch(r"[^\w.,;?!-]*", characters))
        if len(self.parts) > 1 or not blank:
            raise LookedError
        return self

    lstrip = rstrip = strip

    def _never(self, text: Any) -> bool:
        if len(self.parts) > 1 or not isinstance(text, str) or not NOT_PLAIN.search(text):
            raise LookedError
        return False

    def _looked(self, *args: Any) -> NoReturn:
        raise LookedError

    __getattr__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __len__ = __iter__ = __getitem__ = _looked
    __mul__ = __rmul__ = __mod__ = __rmod__ = __str__ = __repr__ = __format__ = _looked


def _parts(text: Any) -> tuple[str, ...]:
    if isinstance(text, Content):
        return text.parts
    if isinstance(text, str):
        return (text,)
    raise LookedError


def _require_open(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace holds no name that begins with an underscore, such as {name!r}")


def _refuse(message: Any = "") -> NoReturn:
    raise RefusedError(str(message))


def _random(*args: Any) -> NoReturn:
    raise UnrepeatableError("draws at random (the filter `random`), and prompts must be the same in every run")


def to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON as it is, in place of Jinja's for HTML pages."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment(finalize: Callable[[Any], Any] | None = None) -> ImmutableSandboxedEnvironment:
    """Build the environment in which templates are compiled."""
    sandbox = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"], finalize=finalize
    )
    sandbox.filters |= {"tojson": to_json, "random": _random}
    sandbox.globals |= {"raise_exception": _refuse, "dict": Dict(), "namespace": OpenNamespace}
    del sandbox.globals["lipsum"]
    return sandbox


def variables(text: str) -> set[str]:
    """Names that a template takes from outside."""
    return meta.find_undeclared_variables(environment().parse(text))


def render(template: Template, conversation: Sequence[dict[str, Any]], prompt: bool, special: dict[str, str]) -> str:
    """Render one conversation with the variables that transformers gives where there are no tools."""
    return template.render(
        messages=conversation, tools=None, documents=None, add_generation_prompt=prompt, **special
    )  # fmt: skip


def pieces(text: str, roles: Sequence[str], prompt: bool, special: dict[str, str]) -> list[str] | None:
    """Text that a template writes before, between and after plain contents, in their order; None if it depends on them.

    Args:
        text: the template.
        roles: of the messages.
        prompt: see `Chat.render`.
        special: texts of the special tokens.
    """
    sandbox = environment(lambda value: "".join(value.parts) if isinstance(value, Content) else value)
    sandbox.filters["trim"] = lambda value, *rest: (value if isinstance(value, Content) else str(value)).strip(*rest)
    sandbox.tests |= {
        name: lambda value, is_one=sandbox.tests[name]: isinstance(value, Content) or is_one(value)
        for name in ("string", "iterable", "sequence")
    }
    tree = sandbox.parse(text)
    if "\0" in text or any(tree.find_all(LEAKS)) or any(loop.recursive for loop in tree.find_all(nodes.For)):
        return None
    calls = tree.find_all(nodes.CallBlock)
    if not all(isinstance(block.call.node, nodes.ExtensionAttribute) for block in calls):
        return None
    asked = [{"role": role, "content": Content(f"\0{i}\0")} for i, role in enumerate(roles)]
    try:
        text = render(sandbox.from_string(tree), asked, prompt, special)
    except (
        LookedError,
        TemplateError,
        *FAULTS,
    ):  # it looks at contents, or refuses them: the template itself has to say so
        return None
    parts = re.split("\0(\\d+)\0", text)
    whole = len(text) <= MOST and parts[1::2] == [str(i) for i in range(len(roles))]
    return parts[::2] if whole else None
