"""An audit or a scan as SARIF 2.1.0, which code hosts and editors show beside other findings.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, 2020.
"""

import hashlib
import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from traitline import __version__, atomic
from traitline.errors import visible
from traitline.lineage.marks import MEANINGS

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# Rule -> what it says of an artifact. A mark is a rule of its name.
RULES = {
    **{mark: text for mark, text in MEANINGS.items() if mark != "CLEAN"},
    "CONTRADICTION": "Two statements about it cannot both be true.",
    "LEFT-OUT": "It could not be looked at.",
}


def put(file: str, report: Mapping[str, Any]) -> None:
    """Write the file of what `--json` prints.

    Args:
        file: where.
        report: of shape `traitline-audit/1` or `traitline-scan/1`.
    """
    atomic.put(Path(file), json.dumps(document(report), indent=1) + "\n")


def document(report: Mapping[str, Any]) -> dict[str, Any]:
    """The document of an audit or a scan: a result for each artifact with a mark but CLEAN, one for each objection."""
    results = [_marked(row) for row in report["artifacts"] if row["mark"] != "CLEAN"]
    results += [
        _result("CONTRADICTION", "error", c["artifact"], f"{c['says']}; {c['against']}")
        for c in report.get("contradictions", ())
    ]
    results += [_result("LEFT-OUT", "error", left["path"], left["reason"]) for left in report.get("left_out", ())]
    rules = [{"id": rule, "shortDescription": {"text": text}} for rule, text in RULES.items()]
    objects = any(result["level"] == "error" and "suppressions" not in result for result in results)
    run = {
        "tool": {"driver": {"name": "traitline", "version": __version__, "rules": rules}},
        "invocations": [{"executionSuccessful": True, "exitCode": 3 if objects else 0}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _marked(row: Mapping[str, Any]) -> dict[str, Any]:
    """Result of an artifact under its worst mark. What passes is a note; what somebody accepted is suppressed."""
    marks = row["marks"]
    words = [f"{m['mark']} {m['trait'] or ''}".rstrip() + _origin(m) for m in marks]
    text = f"{'; '.join(dict.fromkeys(words))} ({row.get('standing', 'unknown')})"
    level = "error" if row["fails"] or row["accepted"] else "note"
    result = _result(row["mark"], level, row.get("artifact") or row["path"], text)
    result["properties"] = {"sha256": row["sha256"], "traits": sorted({m["trait"] for m in marks if m["trait"]})}
    if row["accepted"]:
        result["suppressions"] = [{"kind": "external", "justification": visible(row["accepted"])}]
    if steps := [s["artifact"] for s in marks[0]["path"] if "artifact" in s]:
        result["codeFlows"] = [{"threadFlows": [{"locations": [{"location": _location(s)} for s in steps]}]}]
    return result


def _origin(mark: Mapping[str, Any]) -> str:
    """Why a mark is given: a reason in words, or the end of the path that proves it."""
    if mark.get("reason"):
        return f" ({mark['reason']})"
    return f" from {mark['path'][-1]['artifact']}" if len(mark["path"]) > 1 else ""


def _result(rule: str, level: str, path: str, text: str) -> dict[str, Any]:
    """One result; its fingerprint names rule and path, so that a finding is the same one in the next run."""
    digest = hashlib.sha256(f"{rule}\n{path}".encode(errors="surrogatepass")).hexdigest()
    return {
        "ruleId": rule,
        "ruleIndex": list(RULES).index(rule),
        "level": level,
        "message": {"text": visible(f"{path}: {text}")},
        "locations": [_location(path)],
        "partialFingerprints": {"ruleAndPath/v1": digest},
    }


def _location(path: str) -> dict[str, Any]:
    """Where an artifact is. Code hosts want a line; a file of weights has none, so it is the first one."""
    uri = quote(posixpath.normpath(path), safe="/", errors="surrogatepass")
    uri = f"file://{uri}" if posixpath.isabs(path) else uri
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}
