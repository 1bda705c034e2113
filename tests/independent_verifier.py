"""A second verifier of sealed studies, written from docs/explanation/security.md with the standard library alone.

It shares no code with traitline: where both agree on good and on bad studies, the format is what its page says.

python tests/independent_verifier.py RESULTS ROOT
"""

import hashlib
import json
import os
import sys

VOLATILE = {"code", "ended", "env", "started"}


def sha256(path):
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def form(value):
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def manifests(results):
    """path below `results` -> bytes."""
    paths = (os.path.join(parent, name) for parent, _, names in os.walk(results) for name in names)
    files = [path for path in paths if path.endswith(".manifest.json")]
    return {os.path.relpath(path, results): open(path, "rb").read() for path in files if not os.path.islink(path)}


def root(files):
    """The hash of the list of these manifests; names with a line break or a backslash are not for this verifier."""
    lines = [b"%s  %s\n" % (hashlib.sha256(c).hexdigest().encode(), os.fsencode(path)) for path, c in files.items()]
    return hashlib.sha256(b"".join(sorted(lines, key=lambda line: line[66:-1]))).hexdigest()


def complaints(results, trusted):
    """What is wrong with a study, one line each."""
    files, wrong, read = manifests(results), [], {}
    if trusted not in (root(files), root({p: c for p, c in files.items() if p != "report.manifest.json"})):
        wrong.append("other manifests than under the root")
    for path, content in files.items():
        try:
            read[path] = json.loads(content)
            if form(read[path]) != content:
                wrong.append(f"{path}: not in canonical form")
        except ValueError:
            wrong.append(f"{path}: no JSON")
    try:
        return wrong + links(read) + hashes(results, read)
    except (KeyError, TypeError, AttributeError):
        return [*wrong, "a manifest without what every manifest has"]


def links(read):
    """Inputs that name another statement than a manifest here makes about them."""
    stated, wrong = set(), []
    for m in read.values():
        statement = hashlib.sha256(form({k: m[k] for k in m if k not in VOLATILE})).hexdigest()
        stated |= {(statement, entry["sha256"]) for entry in m["outputs"]}
    written = {(e["path"], e["sha256"]) for m in read.values() if m["stage"] != "register" for e in m["outputs"]}
    for path, m in read.items():
        for entry in m["inputs"]:
            link = entry.get("statement")
            if link and (link, entry["sha256"]) not in stated:
                wrong.append(f"{path}: {entry['path']}: broken link")
            if not link and (entry["path"], entry["sha256"]) in written:
                wrong.append(f"{path}: {entry['path']}: cut link")
    return wrong


def hashes(results, read):
    """Files that are not as their manifests say."""
    wrong = []
    for path, m in read.items():
        for entry in m["outputs"]:
            file = os.path.join(results, os.path.dirname(path), os.path.basename(entry["path"]))
            if not os.path.isfile(file):
                wrong.append(f"{file}: missing")
            elif sha256(file) != entry["sha256"]:
                wrong.append(f"{file}: changed")
    return wrong


if __name__ == "__main__":
    found = complaints(sys.argv[1], sys.argv[2])
    print("\n".join(found) or "good")
    sys.exit(3 if found else 0)
