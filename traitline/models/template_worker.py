"""Render chat templates in a process of its own, which is ended when it takes too long: templates are foreign code.

`python -m traitline.models.template_worker` answers each request, a line of JSON, with a line of JSON. See
`traitline.models.templates`, which starts it.
"""

import contextlib
import functools
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template

MEMORY = 512  # MB of address space


@functools.lru_cache(maxsize=16)
def compiled(text: str) -> "Template":
    """Compile a template."""
    from traitline.models.template_sandbox import environment

    return environment().from_string(text)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Render what a request asks for.

    Args:
        request: `template`, the `seconds` of computing that it may take, and for a rendering `special`, `prompt` and
            either `conversations` or `roles`.

    Returns:
        `texts`, `pieces`, or the `variables` of the template; or what is wrong with it as `problem`: words that follow
        "its chat template".
    """
    from jinja2.exceptions import TemplateError, TemplateSyntaxError, UndefinedError

    from traitline.models import template_sandbox as sandbox

    try:
        template = compiled(request["template"])
        if "roles" in request:
            names = ("template", "roles", "prompt", "special")
            return {"pieces": sandbox.pieces(*(request[name] for name in names))}
        if "conversations" not in request:
            return {"variables": sorted(sandbox.variables(request["template"]))}
        texts = []
        for conversation in request["conversations"]:
            texts.append(sandbox.render(template, conversation, request["prompt"], request["special"]))
            if len(texts[-1]) > sandbox.MOST:
                return {"problem": f"makes more than {sandbox.MOST:,} characters of a conversation"}
        return {"texts": texts}
    except TemplateSyntaxError as e:
        return {"problem": f"cannot be compiled (line {e.lineno}: {e.message}), by transformers neither"}
    except sandbox.RefusedError as e:
        return {"problem": f"refuses a conversation ({e.message})"}
    except sandbox.UnrepeatableError as e:
        return {"problem": str(e.message)}
    except UndefinedError as e:
        problem = next((why for name, why in sandbox.UNREPEATABLE.items() if f"'{name}' is undefined" in str(e)), None)
        return {"problem": problem or f"fails on a conversation ({e})"}
    except MemoryError:
        return {"problem": f"wants more than {MEMORY} MB of memory"}
    except (TemplateError, *sandbox.FAULTS) as e:
        return {"problem": f"fails on a conversation ({type(e).__name__}: {e})"}


def limit() -> None:
    """Bound this process: no more memory than a template needs, and no core file when it is ended."""
    import resource

    for what, most in ((resource.RLIMIT_AS, MEMORY << 20), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # macOS refuses the first
            resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the program that asks


def main() -> None:
    """Answer line by line until there are no more."""
    limit()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        # The timer ends the process by a signal, which no code of a template can catch or outlast.
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])
        try:
            reply = json.dumps(answer(request))
        except MemoryError:
            reply = json.dumps({"problem": f"wants more than {MEMORY} MB of memory"})
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(reply.encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
