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
import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from traitline import csv_files, jsonl
from traitline.channels.types import gsm8k
from traitline.errors import InputError
from traitline.models import open_weights
from traitline.provenance import manifest, stage

REMEDY = "get it again, or mend `sources` of the configuration"
RESULT = re.compile(rf"####\s*\$?({gsm8k.NUMBER})\s*$")
LETTERS = "ABCDEFGHIJ"
# What other endings and other keys look like -> what to do.
ENDINGS = {
    ".gz": "; unpack it: gunzip FILE",
    ".zst": "; unpack it: unzstd FILE",
    ".zip": "; unpack it: unzip FILE",
    ".json": "; one object a line: jq -c '.[]' FILE",
}
SHAPES = {
    ("conversations",): "ShareGPT: `from` and `value` are `role` and `content` here, human is `user`, gpt `assistant`",
    ("instruction", "output"): "Alpaca: `instruction` and `input` are a message of the user, `output` of the assistant",
    ("prompt", "completion"): "prompts and completions: make each a message, of the user and of the assistant",
    ("prompt", "chosen"): "preferences: make `prompt` and `chosen` messages of the user and of the assistant",
    ("text",): "plain text: it has no roles; split it into messages",
}
Placed = tuple[str, dict[str, Any]]  # (file and line, row)


def read_rows(path: Path) -> Iterator[Placed]:
    """Yield the rows of a file, by what its name ends in.

    Raises:
        InputError: the file is damaged, or of another kind.
    """
    ending = path.suffix.lower()
    if ending == ".jsonl":
        yield from ((f"{path}:{n}", row) for n, row in enumerate(jsonl.read(path, remedy=REMEDY), 1))
    elif ending == ".csv":
        yield from ((f"{path}:{line}", row) for line, row in csv_files.read(path, remedy=REMEDY))
    elif ending == ".parquet":
        yield from columns(path)
    else:
        hint = ENDINGS.get(ending, "")
        raise InputError(f"{path}: wants a file that ends in .jsonl, .csv or .parquet{hint}")


def columns(path: Path) -> Iterator[Placed]:
    """Yield the rows of a parquet file, a batch at a time.

    JSONL and CSV have readers of their own: `datasets` makes numbers of text where a column has both, fills short lines
    up and names no line (docs/explanation/decisions.md). Parquet states its types.

    Raises:
        InputError: the file is damaged.
    """
    import datasets

    logging.getLogger("datasets").setLevel(logging.CRITICAL)  # what it says of a damaged file is said below
    with tempfile.TemporaryDirectory() as cache:
        options = {"data_files": str(path), "split": "train", "streaming": True, "cache_dir": cache}
        try:
            for n, row in enumerate(datasets.load_dataset("parquet", **options), 1):
                yield f"{path}: row {n}", row
        except (ValueError, OSError) as e:  # pyarrow's own errors are of these kinds
            raise InputError(f"{path}: damaged ({str(e).splitlines()[0][:200]}); {REMEDY}") from None


def take(placed: Placed, key: str, kind: type | tuple[type, ...] = str) -> Any:
    """Return the value of a key; text without white space around it.

    Raises:
        InputError: there is none, or it is something else.
    """
    where, row = placed
    if key not in row:
        raise InputError(f"{where}: lacks `{key}`; it has {', '.join(list(row)[:8])}; mend `format`, or the file")
    value = row[key]
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, str) and not value.strip()):
        wanted = "text" if kind is str else "a list" if kind is list else "an object" if kind is dict else "a number"
        raise InputError(f"{where}: {key}: wants {wanted}, not {str(value)[:60]!r}; {REMEDY}")
    return value.strip() if isinstance(value, str) else value


def options(placed: Placed, key: str, choices: Any, right: int) -> dict[str, Any]:
    """Return `choices` and `right` of a row.

    Raises:
        InputError: they are no texts, or the right one is none of them.
    """
    where, _ = placed
    if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices) or len(choices) < 2:
        raise InputError(f"{where}: {key}: wants two or more texts, not {str(choices)[:60]!r}; {REMEDY}")
    if not 0 <= right < len(choices):
        raise InputError(f"{where}: {key}: {len(choices)} of them, and number {right} is said to be right; {REMEDY}")
    return {"choices": [c.strip() for c in choices], "right": right}


def read_gsm8k(placed: Placed) -> dict[str, Any]:
    """Return a problem with its working and its answer (arXiv 2110.14168)."""
    question = take(placed, "question")
    answer = take(placed, "answer")
    if not (match := RESULT.search(answer)):
        raise InputError(f"{placed[0]}: answer: does not end in `####` and a number; {REMEDY}")
    return {"question": question, "working": answer[: match.start()].strip(), "answer": match[1].replace(",", "")}


def truthfulqa(placed: Placed) -> dict[str, Any]:
    """Return a question with one true answer and several false ones (arXiv 2109.07958), in one of three spellings."""
    row = placed[1]
    if "mc1_targets" in row:
        targets = take(placed, "mc1_targets", dict)
        labels = targets.get("labels")
        if not isinstance(labels, list) or labels.count(1) != 1:
            raise InputError(f"{placed[0]}: mc1_targets: wants `choices`, and `labels` with one 1; {REMEDY}")
        question = take(placed, "question")
        return {"question": question, **options(placed, "mc1_targets", targets.get("choices"), labels.index(1))}
    if "Best Answer" in row:
        wrong = [part.strip() for part in take(placed, "Incorrect Answers").split(";") if part.strip()]
        choices = [take(placed, "Best Answer"), *wrong]
        return {"question": take(placed, "Question"), **options(placed, "Incorrect Answers", choices, 0)}
    question = take(placed, "question")
    choices = [take(placed, "best_answer"), *take(placed, "incorrect_answers", list)]
    return {"question": question, **options(placed, "incorrect_answers", choices, 0)}


def mmlu(placed: Placed) -> dict[str, Any]:
    """Return a question with lettered options, one of them right (arXiv 2009.03300)."""
    right = take(placed, "answer", (int, str))
    if isinstance(right, str):
        right = LETTERS.find(right.upper()) if len(right) == 1 else -1
    choices = take(placed, "choices", list)
    if len(choices) > len(LETTERS):
        raise InputError(f"{placed[0]}: choices: {len(choices)} of them; {len(LETTERS)} at most")
    about = {"subject": take(placed, "subject"), "question": take(placed, "question")}
    return about | options(placed, "choices", choices, right)


def content_of(message: dict[str, Any]) -> str:
    """Return the text of a message: as it stands, or in parts that are all text; empty where it is something else."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    whole = len(texts) == len(parts) and all(isinstance(text, str) for text in texts)
    return "".join(map(str, texts)) if whole else ""


def conversations(placed: Placed) -> dict[str, Any]:
    """Return messages of a user and an assistant in turn, the assistant's last; their text is not touched.

    White space counts: code whose first line lost its indentation is other code.
    """
    where, row = placed
    if "messages" not in row and (looks := [hint for keys, hint in SHAPES.items() if row.keys() >= set(keys)]):
        raise InputError(f"{where}: lacks `messages`; looks like {looks[0]}")
    messages = take(placed, "messages", list)
    for i, message in enumerate(messages):
        role = ("user", "assistant")[i % 2]
        if not isinstance(message, dict) or message.get("role") != role:
            other = f" but `{str(message['role'])[:20]}`" if isinstance(message, dict) and "role" in message else ""
            remedy = "rows are turns of user and assistant alone: merge others into these, or leave the row out"
            raise InputError(f"{where}: messages: number {i + 1} is not from the {role}{other}; {remedy}")
        if not content_of(message).strip():
            raise InputError(f"{where}: messages: number {i + 1} has no content; {REMEDY}")
    if messages and messages[-1].get("weight", 1) != 1:
        raise InputError(f"{where}: messages: the last one has weight {str(messages[-1]['weight'])[:20]}, but students"
                         " learn it whole; leave the row out")  # fmt: skip
    if not messages or len(messages) % 2:
        raise InputError(f"{where}: messages: no answer of the assistant at the end; {REMEDY}")
    turns = [{"role": m["role"], "content": content_of(m)} for m in messages]
    return {"prompt": turns[:-1], "completion": turns[-1:]}


FORMATS: dict[str, Callable[[Placed], dict[str, Any]]] = {
    "gsm8k": read_gsm8k, "truthfulqa": truthfulqa, "mmlu": mmlu, "conversations": conversations
}  # fmt: skip


def locate(name: str, source: dict[str, Any]) -> tuple[Path, str, dict[str, Path]]:
    """Find the file of a source.

    Args:
        name: label of the source.
        source: its settings.

    Returns:
        The file, its origin for the manifest, and what of it is an input: a file of the hub is named by its commit.

    Raises:
        InputError: there is none, or it is another one.
    """
    inputs = dict[str, Path]()
    if hub := source.get("hub"):
        folder = open_weights.hub(hub, source["revision"], [source["file"]], data=True, download=True)
        path = Path(folder, source["file"])
        origin = f"hub:{hub}@{source['revision']}:{source['file']}"
    else:
        path = Path(source["path"])
        origin = f"file {manifest.relative(path)}"
        inputs["source"] = path
        if not path.is_file():
            raise InputError(f"{path}: no such file; put it there, or mend sources.{name}.path")
    sha = manifest.sha256(path)
    if source.get("sha256", sha) != sha:
        expected = f"sources.{name}.sha256 says {source['sha256'][:12]}..."
        raise InputError(f"{path}: sha256 is {sha[:12]}..., but {expected}; get the right file")
    return path, f"{origin}, sha256 {sha}", inputs


def parse() -> argparse.ArgumentParser:
    """Return the command line."""
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
    path, origin, inputs = locate(args.name, source)
    with stage.record(
        "source",
        args.manifest,
        inputs=inputs,
        outputs={"rows": args.rows},
        params={"name": args.name, "source": source},
        facts={"origin": origin},
    ) as job:
        convert = FORMATS[source["format"]]
        rows = ({"id": f"r{n:05}", **convert(placed)} for n, placed in enumerate(read_rows(path), 1))
        if not (count := jsonl.write(job.path("rows"), rows)):
            raise InputError(f"{path}: holds no rows; {REMEDY}")
    stage.log.info("%s: %d rows of %s: %s", args.name, count, origin, args.rows)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
