"""The program `traitline` and its commands.

Exit codes: 0 nothing to object; 3 there is (a changed file, a mark that fails, an unknown origin, a difference);
2 bad use or bad input, in one line; 130 interrupted; 1 is our bug.
"""

import codecs
import io
import os
import sys
from typing import Any

import typer

from traitline.cli import exchange, origins, study
from traitline.cli.scan import scan
from traitline.errors import LONGEST_LINE, InputError, disk_complaint, visible

app = typer.Typer(
    help="Origins of models and data: where does this come from, what came of it, what may it carry?",
    epilog="Exit codes: 0 nothing to object, 3 there is, 2 bad use or bad input, 130 interrupted, 1 our bug.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    *(
        origins.trace,
        origins.impact,
        origins.verify,
        origins.seal,
        origins.audit,
        origins.diff,
        origins.kin,
        origins.index,
    ),
    *(scan, exchange.export, exchange.attested, exchange.crate, exchange.page, exchange.register),
    *(study.judge, study.estimate, study.pin, study.restore),
):
    app.command()(command)
app.command(hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(study.plan)


USAGE_ERROR: Any = typer.BadParameter.__base__  # of the click that this typer brings along
# Library -> the extra that brings it, where that is not `pipeline`.
EXTRAS = dict.fromkeys(("cryptography", "huggingface_hub", "mlcroissant", "model_signing", "rocrate"), "export")
# What a terminal that knows ASCII or Latin-1 only gets in place of signs of ours.
SIGNS = {"·": "-", "…": "...", "←": "<-"}


def spelled(error: UnicodeError) -> tuple[str, int]:
    """Spell what an encoding lacks; an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(SIGNS.get(c) or c.encode("unicode_escape").decode() for c in text), error.end


def main() -> None:
    """Run the program; what users can correct ends in one line."""
    codecs.register_error("spelled", spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # tests put others there
            stream.reconfigure(errors="spelled")
    try:
        code = app(prog_name="traitline", standalone_mode=False)
        sys.stdout.flush()  # a full disk shows here
        raise SystemExit(code)
    except InputError as e:
        _end(str(e))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        raise SystemExit(0) from None
    except OSError as e:
        if (complaint := disk_complaint(e)) is None:
            raise
        _end(complaint)
    except _database_errors() as e:
        _end(f"the index is damaged ({visible(str(e))}); make it anew with `traitline index`")
    except ModuleNotFoundError as e:
        if (library := str(e.name).partition(".")[0]) in ("None", "traitline"):
            raise
        _end(
            f"this needs {library}, which is not installed; pip install 'traitline[{EXTRAS.get(library, 'pipeline')}]'"
        )
    except USAGE_ERROR as e:
        _end_bad_use(e)


def _database_errors() -> tuple[type[Exception], ...]:
    """Errors of sqlite, where a command has loaded it."""
    loaded = sys.modules.get("sqlite3")
    return (loaded.DatabaseError,) if loaded else ()


def _end(complaint: str) -> None:
    """Print why the program ends, and end it; what is left to write to a full disk is dropped."""
    print(f"traitline: error: {complaint}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(2) from None


def _end_bad_use(error: Any) -> None:
    """Print how the command is used, and end it; a shell's `*` may have put any name among its words."""
    error.message = visible(error.message, LONGEST_LINE)
    error.show()
    raise SystemExit(error.exit_code) from None
