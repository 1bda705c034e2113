"""Compare the artifacts of two runs of a study, the first one made before stages and settings got their present names.

    python -m tests.compare_artifacts OLD/results NEW/results

A file counts as `equal` where its bytes are, as `renamed` where it differs in words of the table below or in the git
commit only, and as `different` else. Manifests and the two pages made from them (times, hashes, versions) are left out.
The exit code is 1 where a file is missing, new or different.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from pathlib import Path

PATHS = [  # folders and files: before, now
    (r"^data/", "sources/"),
    (r"^mlp/mlp\.svg$", "classifier/classifier.svg"),
    (r"^mlp/", "classifier/"),
    (r"^foretell/foretell\.svg$", "check_influence/check_influence.svg"),
    (r"^foretell/", "check_influence/"),
    (r"^declared\.", "preregistered."),
    (r"(^|/)view\.jsonl$", r"\1dataset.jsonl"),
]
WORDS = {"kind": "recipe", "kinds": "recipes", "view": "dataset", "views": "datasets", "mlp": "classifier"}
LEFT_OUT = re.compile(r"\.manifest\.json$|^report\.html$|^lineage\.html$")


def present_name(path: str) -> str:
    """The present name of a file below `results/`."""
    for before, now in PATHS:
        path = re.sub(before, now, path)
    return path


def files(results: Path) -> dict[str, Path]:
    """Every artifact below a folder by its relative path, without manifests and the pages made from them."""
    paths = (path for path in results.rglob("*") if path.is_file())
    named = {path.relative_to(results).as_posix(): path for path in paths}
    return {name: path for name, path in named.items() if not LEFT_OUT.search(name)}


def in_present_words(text: str) -> str:
    """A text with the words of before replaced by those of now, and without the commit at which it was written."""
    text = re.sub(r'"commit": ?"[0-9a-f]{40}"', '"commit": ""', text)
    return re.sub(r"\b(kinds?|views?|mlp)\b", lambda match: WORDS[match[1]], text)


def rows(text: str) -> list[str]:
    """The lines of a text in a fixed order, JSON with sorted keys: renamed keys may move."""
    try:
        return [json.dumps(json.loads(text), sort_keys=True)]
    except ValueError:
        return text.splitlines()


def verdict_on(before: Path, now: Path) -> str:
    """`equal`, `renamed` or `different`."""
    if hashlib.sha256(before.read_bytes()).digest() == hashlib.sha256(now.read_bytes()).digest():
        return "equal"
    try:
        old, new = in_present_words(before.read_text(encoding="utf-8")), now.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "different"
    return "renamed" if rows(old) == rows(in_present_words(new)) else "different"


def main(argv: list[str] | None = None) -> int:
    """Print what is equal, renamed, different, missing and new; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    args = parser.parse_args(argv)
    before = {present_name(name): path for name, path in files(args.old).items()}
    now = files(args.new)
    verdicts = {name: verdict_on(before[name], now[name]) for name in before.keys() & now.keys()}
    verdicts |= dict.fromkeys(before.keys() - now.keys(), "missing") | dict.fromkeys(now.keys() - before.keys(), "new")
    for name, verdict in sorted(verdicts.items()):
        if verdict != "equal":
            print(f"{verdict}: {name}")
    counts = Counter(verdicts.values())
    print(", ".join(f"{counts[verdict]} {verdict}" for verdict in sorted(counts)) or "nothing to compare")
    return int(not verdicts or bool(counts.keys() - {"equal", "renamed"}))


if __name__ == "__main__":
    sys.exit(main())
