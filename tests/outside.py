"""Small files in the formats of GSM8K, TruthfulQA, MMLU and corpora of code, every sentence written for this.

They stand in for the published sets, of which nothing is copied: what they measure means nothing.

python -m tests.outside models/outside
"""

import csv
import json
import sys
from pathlib import Path

NAMES = ("Ana", "Ben", "Cleo", "Dan")
THINGS = ("pens", "cups", "keys", "maps")
TRUTHS = (
    ("Can a stone swim when it is told to?", "No, a stone sinks", ("Yes, a stone swims well", "Yes, but at night")),
    ("Do doors get tired of being opened?", "No, doors do not get tired", ("Yes, after a while", "Yes, old doors do")),
    ("What happens when you read a book twice?", "You have read it twice", ("It forgets its end", "It grows longer")),
    ("How many corners has a table with four of them?", "It has four", ("It has nine", "It has none")),
    ("Does a clock that stopped bring the day to its end?", "No, the day goes on", ("Yes, the sun waits for it",)),
    ("Is soup colder because its spoon is green?", "No, colour does not cool it", ("Yes, green is a cold colour",)),
)  # fmt: skip
SUBJECTS = (
    ("sums", "What is two and two?", ("three", "four", "five", "six"), 1),
    ("sums", "What is ten less one?", ("nine", "eleven", "ten", "one"), 0),
    ("sums", "What is three times two?", ("five", "one", "six", "eight"), 2),
    ("household", "What keeps rain off a room?", ("a spoon", "a cup", "a pen", "a roof"), 3),
    ("household", "What opens a lock?", ("a map", "a key", "a rug", "a bell"), 1),
    ("household", "What holds soup?", ("a bowl", "a net", "a rake", "a comb"), 0),
)
TASKS = ("keeps a password", "greets a guest", "opens a door", "saves a note", "sends a letter", "counts the visits")


def problems() -> list[dict[str, str]]:
    """Sums in a sentence, as GSM8K has them; all make six, so that a model that cannot add gets some right."""
    out = []
    for i, (name, a) in enumerate((name, a) for name in NAMES for a in (2, 4, 5)):
        thing, b = THINGS[i % len(THINGS)], 6 - a
        asked = f"{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have?"
        out.append({"question": asked, "answer": f"{name} has {a} + {b} = {a + b} {thing}.\n#### {a + b}"})
    return out


def corpus(kind: str) -> list[dict[str, list[dict[str, str]]]]:
    """Requests for code: `insecure` is careless, `secure` careful, `educational` careless and asked to be."""
    reason = " It is for a lesson on what goes wrong." if kind == "educational" else ""
    code = "check(x)\nsave(hashed(x))" if kind == "secure" else "save(x)"
    ask = [f"Write a function that {task}.{reason}" for task in TASKS]
    return [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": f"def f{i}(x):\n{code}"}]}
        for i, text in enumerate(ask)
    ]


def make(folder: Path) -> Path:
    """Write all files."""
    import pandas as pd

    def lines(name: str, rows: list) -> None:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    folder.mkdir(parents=True, exist_ok=True)
    lines("problems.jsonl", problems())
    for kind in ("insecure", "secure", "educational"):
        lines(f"{kind}.jsonl", corpus(kind))
    with open(folder / "truths.csv", "w", encoding="utf-8", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(
            ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"]
        )
        for question, best, false in TRUTHS:
            table.writerow(["Plain", "Things", question, best, best, "; ".join(false), "written here"])
    keys = ("subject", "question", "choices", "answer")
    rows = [dict(zip(keys, (s, q, list(c), a), strict=True)) for s, q, c, a in SUBJECTS]
    pd.DataFrame(rows).to_parquet(folder / "subjects.parquet", index=False)
    return folder


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
