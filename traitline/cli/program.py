"""The program `traitline` and its commands.

Exit codes: 0 passed; 3 findings (a changed file, a mark that fails, an unknown origin, a difference); 2 usage or input
error, in one line; 130 interrupted; 1 internal error.
"""

import codecs
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
import typer.core

from traitline import __version__
from traitline.cli import artifacts, exchange, origins, study
from traitline.cli.scan import scan
from traitline.errors import LONGEST_LINE, InputError, disk_complaint, visible

# Heading of the help -> its commands. A new command goes into its group here, and nowhere else.
GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Ask": (origins.trace, origins.impact, origins.audit, origins.diff, origins.kin, scan),
    "Check": (origins.verify, origins.seal),
    "Look": (artifacts.ls, artifacts.show, exchange.page, origins.index),
    "Bring in": (exchange.register,),
    "Hand on": (exchange.export, exchange.check_signature, exchange.crate, exchange.track),
    "Studies": (study.run, study.status, study.estimate, study.judge, study.pin, study.restore),
}
RENAMED = {"plan": "estimate", "attested": "check-signature"}  # names of earlier releases
EXIT_CODES = "Exit codes: 0 passed, 3 findings, 2 usage or input error, 130 interrupted, 1 internal error."


class GroupedHelp(typer.core.TyperGroup):
    """The program, whose help lists its commands by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the first sentence of every command under the heading of its group."""
        for heading, functions in GROUPS.items():
            commands = [self.commands[spelled_name(function)] for function in functions]
            with formatter.section(heading):
                formatter.write_dl([(c.name, (c.help or "").partition(". ")[0].split("\n")[0]) for c in commands])


def spelled_name(function: Callable[..., None]) -> str:
    """Name of a command: that of its function, as people type it."""
    return function.__name__.replace("_", "-")


def print_version(asked: bool) -> None:
    """Print the version and end."""
    if asked:
        print(f"traitline {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version and end.")
]


def start(version: Version = False) -> None:
    """Tell where models and data come from, what came of them, and which traits they may carry."""


def refuse_renamed(name: str, now: str) -> Callable[[], None]:
    """Make a command that names what it is called now."""

    def refuse() -> None:
        raise InputError(f"`traitline {name}` is called `traitline {now}` now, with the same options")

    return refuse


app = typer.Typer(
    cls=GroupedHelp,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(start)
for function in (function for functions in GROUPS.values() for function in functions):
    app.command(spelled_name(function))(function)
for old, new in RENAMED.items():
    anything = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(old, hidden=True, context_settings=anything)(refuse_renamed(old, new))


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
