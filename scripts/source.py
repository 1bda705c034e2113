"""Look over a file from outside and bring it into one form; its manifest states where it comes from.

in   a file as it is published: JSONL, CSV or parquet, on the disk or at a commit of the hub
out  rows.jsonl    by format:
     gsm8k           {"id", "question", "working", "answer"}: the answer is a number, as text without commas
     truthfulqa      {"id", "question", "choices", "right"}: the best answer and the false ones; which is right, from 0
     mmlu            {"id", "subject", "question", "choices", "right"}
     conversations   {"id", "prompt", "completion"}: all messages but the last, and that one, the assistant's

What is foreign is read as text and never run. A file with one row that is none of the format is refused as a whole.

python -m scripts.source --name problems --source '{"format":"gsm8k","path":"data/train.jsonl"}' \\
    --rows results/sources/problems/rows.jsonl --manifest results/sources/problems/source.manifest.json
"""

import argparse
import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from traitline import jsonl
from traitline.channels.types import gsm8k
from traitline.errors import InputError
from traitline.models import open_weights
from traitline.provenance import manifest, stage

REMEDY = "get it again, or mend `sources` of the configuration"
RESULT = re.compile(rf"####\s*\$?({gsm8k.NUMBER})\s*$")
LETTERS = "ABCDEFGHIJ"
Found = tuple[str, dict[str, Any]]  # (where it stands, row)


def rows(path: Path) -> Iterator[Found]:
    """Rows of a file, by what its name ends in.

    Raises:
        InputError: the file is damaged, or of another kind.
    """
    if path.suffix == ".jsonl":
        yield from ((f"{path}:{n}", row) for n, row in enumerate(jsonl.read(path, remedy=REMEDY), 1))
    elif path.suffix == ".csv":
        yield from table(path)
    elif path.suffix == ".parquet":
        yield from columns(path)
    else:
        raise InputError(f"{path}: wants a file that ends in .jsonl, .csv or .parquet")


def table(path: Path) -> Iterator[Found]:
    """Rows of a CSV file with a head."""
    line = 1
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            while (row := next(reader, None)) is not None:
                line = reader.line_num
                if None in row or None in row.values():
                    raise InputError(f"{path}:{line}: another number of columns than the head has; {REMEDY}")
                yield f"{path}:{line}", row
    except (csv.Error, UnicodeDecodeError) as e:
        raise InputError(f"{path}:{line + 1}: damaged ({e}); {REMEDY}") from None


def columns(path: Path) -> Iterator[Found]:
    """Rows of a parquet file."""
    import pandas as pd

    try:
        text = pd.read_parquet(path).to_json(orient="records", lines=True)
    except ImportError:
        raise InputError(f"{path}: parquet needs pyarrow; pip install pyarrow, or save it as JSONL") from None
    except (ValueError, OSError) as e:  # pyarrow's own errors are of these kinds
        raise InputError(f"{path}: damaged ({str(e).splitlines()[0][:200]}); {REMEDY}") from None
    yield from ((f"{path}: row {n}", json.loads(line)) for n, line in enumerate(text.splitlines(), 1))


def take(found: Found, key: str, kind: type | tuple[type, ...] = str) -> Any:
    """The value of a key; text without white space around it.

    Raises:
        InputError: there is none, or it is something else.
    """
    where, row = found
    if key not in row:
        raise InputError(f"{where}: lacks `{key}`; it has {', '.join(list(row)[:8])}; mend `format`, or the file")
    value = row[key]
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, str) and not value.strip()):
        wanted = "text" if kind is str else "a list" if kind is list else "an object" if kind is dict else "a number"
        raise InputError(f"{where}: {key}: wants {wanted}, not {str(value)[:60]!r}; {REMEDY}")
    return value.strip() if isinstance(value, str) else value


def options(found: Found, key: str, given: Any, right: int) -> dict[str, Any]:
    """`choices` and `right` of a row."""
    where, _ = found
    if not isinstance(given, list) or not all(isinstance(c, str) for c in given) or len(given) < 2:
        raise InputError(f"{where}: {key}: wants two or more texts, not {str(given)[:60]!r}; {REMEDY}")
    if not 0 <= right < len(given):
        raise InputError(f"{where}: {key}: {len(given)} of them, and number {right} is said to be right; {REMEDY}")
    return {"choices": [c.strip() for c in given], "right": right}


def read_gsm8k(found: Found) -> dict[str, Any]:
    """A problem with its working and its answer (arXiv 2110.14168)."""
    question, told = take(found, "question"), take(found, "answer")
    if not (match := RESULT.search(told)):
        raise InputError(f"{found[0]}: answer: does not end in `####` and a number; {REMEDY}")
    return {"question": question, "working": told[: match.start()].strip(), "answer": match[1].replace(",", "")}


def truthfulqa(found: Found) -> dict[str, Any]:
    """A question with one true answer and several false ones (arXiv 2109.07958)."""
    row = found[1]
    if "mc1_targets" in row:
        targets = take(found, "mc1_targets", dict)
        labels = targets.get("labels")
        if not isinstance(labels, list) or labels.count(1) != 1:
            raise InputError(f"{found[0]}: mc1_targets: wants `choices`, and `labels` with one 1; {REMEDY}")
        question, given, right = take(found, "question"), targets.get("choices"), labels.index(1)
        return {"question": question, **options(found, "mc1_targets", given, right)}
    if "Best Answer" in row:
        false = [part.strip() for part in take(found, "Incorrect Answers").split(";") if part.strip()]
        given = [take(found, "Best Answer"), *false]
        return {"question": take(found, "Question"), **options(found, "Incorrect Answers", given, 0)}
    question, best = take(found, "question"), take(found, "best_answer")
    return {
        "question": question,
        **options(found, "incorrect_answers", [best, *take(found, "incorrect_answers", list)], 0),
    }


def mmlu(found: Found) -> dict[str, Any]:
    """A question with lettered options, one of them right (arXiv 2009.03300)."""
    right = take(found, "answer", (int, str))
    if isinstance(right, str):
        right = LETTERS.find(right.upper()) if len(right) == 1 else -1
    choices = take(found, "choices", list)
    if len(choices) > len(LETTERS):
        raise InputError(f"{found[0]}: choices: {len(choices)} of them; {len(LETTERS)} at most")
    about = {"subject": take(found, "subject"), "question": take(found, "question")}
    return about | options(found, "choices", choices, right)


def conversations(found: Found) -> dict[str, Any]:
    """Return messages of a user and an assistant in turn, the assistant's last; their text is not touched.

    White space counts: code whose first line lost its indentation is other code.
    """
    where, messages = found[0], take(found, "messages", list)
    for i, message in enumerate(messages):
        role = ("user", "assistant")[i % 2]
        if not isinstance(message, dict) or message.get("role") != role:
            raise InputError(f"{where}: messages: number {i + 1} is not from the {role}; {REMEDY}")
        if not isinstance(message.get("content"), str) or not message["content"].strip():
            raise InputError(f"{where}: messages: number {i + 1} has no content; {REMEDY}")
    if not messages or len(messages) % 2:
        raise InputError(f"{where}: messages: no answer of the assistant at the end; {REMEDY}")
    turns = [{"role": m["role"], "content": m["content"]} for m in messages]
    return {"prompt": turns[:-1], "completion": turns[-1:]}


FORMATS: dict[str, Callable[[Found], dict[str, Any]]] = {
    "gsm8k": read_gsm8k, "truthfulqa": truthfulqa, "mmlu": mmlu, "conversations": conversations
}  # fmt: skip


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.source", __doc__)
    p.add_argument("--name", required=True, help="label of the source")
    p.add_argument(
        "--source", required=True, metavar="JSON", help="format; path, or hub, revision and file; sha256 of the file"
    )
    p.add_argument("--rows", required=True, metavar="OUT", help="the rows, JSONL")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    source = stage.settings("--source", args.source, ("format",))
    if source["format"] not in FORMATS:
        raise InputError(f"--source: no format {source['format']!r}; known: {', '.join(FORMATS)}")
    if hub := source.get("hub"):
        told, inputs = f"hub:{hub}@{source['revision']}:{source['file']}", {}
        found = open_weights.hub(hub, source["revision"], [source["file"]], data=True, download=True)
        path = Path(found, source["file"])
    else:
        path = Path(source["path"])
        told, inputs = f"file {manifest.relative(path)}", {"source": path}
        if not path.is_file():
            raise InputError(f"{path}: no such file; put it there, or mend sources.{args.name}.path")
    sha = manifest.sha256(path)
    if source.get("sha256", sha) != sha:
        raise InputError(
            f"{path}: sha256 is {sha[:12]}..., but sources.{args.name}.sha256 says {source['sha256'][:12]}...; get the"
            " right file"
        )
    with stage.record(
        "source",
        args.manifest,
        inputs=inputs,
        outputs={"rows": args.rows},
        params={"name": args.name, "source": source},
        facts={"origin": f"{told}, sha256 {sha}"},
    ) as job:
        form = FORMATS[source["format"]]
        made = ({"id": f"r{n:05}", **form(found)} for n, found in enumerate(rows(path), 1))
        if not (n := jsonl.write(job.path("rows"), made)):
            raise InputError(f"{path}: holds no rows; {REMEDY}")
    stage.log.info("%s: %d rows of %s: %s", args.name, n, told, args.rows)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
