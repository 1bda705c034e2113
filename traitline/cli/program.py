"""The program `traitline` and its commands.

Exit codes: 0 nothing to object; 3 there is (a changed file, a mark that fails, an unknown origin, a difference);
2 bad use or bad input, in one line; 130 interrupted; 1 is our bug.
"""

import sys

import typer

from traitline.cli import exchange, origins, study
from traitline.errors import InputError

app = typer.Typer(
    help="Origins of models and data: where does this come from, what came of it, what may it carry?",
    epilog="Exit codes: 0 nothing to object, 3 there is, 2 bad use or bad input, 130 interrupted, 1 our bug.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    *(origins.trace, origins.impact, origins.verify, origins.seal, origins.audit, origins.diff, origins.index),
    *(exchange.export, exchange.attested, exchange.crate, exchange.page, exchange.register),
    *(study.judge, study.estimate, study.pin, study.restore),
):
    app.command()(command)
app.command(hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(study.plan)


def main() -> None:
    """Run the program; what users can correct ends in one line."""
    try:
        app(prog_name="traitline")
    except InputError as e:
        print(f"traitline: error: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        raise SystemExit(0) from None
