"""Shapes of what `--json` prints: schema -> key -> what it is. A key is never renamed or removed within a version.

New keys may come. `docs/reference/commands.md` is made from this.
"""

ARTIFACT = {
    "artifact": "its recorded path",
    "sha256": "of its bytes, or of the list of its files",
    "kind": "`model`, `data` or `other`",
}
SCHEMAS: dict[str, dict[str, str]] = {
    "traitline-trace/1": ARTIFACT
    | {
        "artifacts": "all artifacts that were asked about, each as above",
        "steps": "jobs: `manifest`, `stage`, `params`, `seeds`, `facts`, `code`, `env`, `started`, `ended`;"
        " `inputs` and `outputs`: artifacts with their `role`",
        "origins": "jobs without inputs: `manifest`, `stage`, `origin` (null: none is stated)",
        "unknown": "artifacts of unknown origin",
    },
    "traitline-trace-number/1": {
        "table": "the table",
        "address": "of the row: name of the table and the values that name it",
        "row": "column -> value",
        "scores": "`runs`, `control`, `baseline` -> files of scores (`path`, `sha256`) that it was computed from",
        "behind": "the same -> kind (students, views, teachers, bases, ...) -> paths",
        "changed": "files of scores that are not what the number was computed from",
    },
    "traitline-scan/1": {
        "folders": "that were scanned",
        "contradictions": "`artifact`, `says`, `against`",
        "artifacts": "`path`, `kind`, `role`, `sha256` (file -> hash), `mark`, `marks`, `standing`, `fails`,"
        " `accepted`, `claims` (`relation`, `target`, `revision`, `source`), `evidence`",
        "left_out": "`path`, `reason`",
        "counts": "mark -> models whose worst it is; data where there are no models",
        "failed": "number of them that stop a release",
    },
    "traitline-impact/1": ARTIFACT
    | {"affected": "artifacts, the worst first, with `stage`, `affected` (how) and `steps` (how many away)"},
    "traitline-audit/1": {
        "counts": "mark -> artifacts whose worst mark it is",
        "failed": "number of artifacts that stop a release",
        "artifacts": "artifacts with `mark` (the worst), `marks` (`mark`, `trait`, `path`: the steps that prove it),"
        " `fails`, `accepted` (why it may pass, or null)",
    },
    "traitline-ls/1": {
        "artifacts": "`artifact`, `sha256`, `kind`, `stage` that made it, `mark` (the worst) and `standing`; null for"
        " what is neither a model nor data"
    },
    "traitline-show/1": ARTIFACT
    | {
        "mark": "the worst, or null",
        "standing": "of the marks, or null",
        "marks": "`mark`, `trait`, `reason`",
        "file": "`as recorded`, `changed`, `missing`, or `outside` the working folder and not read",
        "origin": "of a file that no job made, as a job that read it says; or null",
        "jobs": "that made it: `manifest`, `stage`, `started`, `ended`, `params`, `seeds`, `facts`, `code`, `env`,"
        " `trait`, `origin`; `inputs` and `outputs`: artifacts with their `role`",
        "used_by": "stage -> how many of its jobs read it",
    },
    "traitline-diff/1": {
        "one": "an artifact",
        "other": "an artifact",
        "equal": "whether they are the same bytes or weights",
        "differences": "`one`, `other`: artifacts that differ; `steps` back; `says`: lines",
    },
    "traitline-verify/1": {
        "good": "whether all is as recorded",
        "files": "number of files hashed",
        "bytes": "their size",
        "changed": "path, recorded sha256, sha256 now, manifest",
        "missing": "path, manifest",
        "extra": "files that no manifest names",
        "outside": "path, manifest: not below the working folder; not opened",
        "misstated": "manifest, weights it states, weights now",
        "doubted": "manifest, why",
        "uncanonical": "manifests that are not in the form in which manifests are written",
        "broken": "input, manifest that names a statement that no manifest makes",
        "cut": "input, manifest that does not name the statement there is",
        "unsealed": "manifests of an earlier version, which name no statements",
        "seal": "comparison with the trusted root, or null: `folder`, `root`, `now`, `covers`, `differences`,"
        " `manifests`, `hidden`",
        "added": "under a root: rows, parts of models and links that no manifest names",
    },
    "traitline-seal/1": {
        "root": "the one hash",
        "without_pages": "the same without the report and the lineage page",
        "manifests": "how many it stands for",
        "written": "files",
    },
    "traitline-index/1": {
        "written": "files",
        "manifests": "how many were read",
        "artifacts": "how many they name",
        "bytes": "size of the index",
    },
    "traitline-export/1": {"written": "files"},
    "traitline-page/1": {"written": "files"},
    "traitline-crate/1": {"written": "files", "jobs": "how many it describes"},
    "traitline-track/1": {"written": "folders", "runs": "how many: one for each student"},
    "traitline-register/1": {"manifests": "files that were written"},
    "traitline-check-signature/1": {
        "signed": "whether a signature is by the key",
        "good": "whether all files are as signed and none is added that a loader would take",
        "files": "names: `good`, `changed`, `missing`, `extra`",
    },
    "traitline-estimate/1": {
        "study": "its name",
        "gpu": "`name` and what it can do",
        "stages": "`name`, `jobs`, `gpus` a job, `memory` in GiB, `hours` of GPUs",
        "hours": "of GPUs, in all",
        "questions": "to a hosted judge, at most",
        "disk_gib": "what -> GiB",
        "cost": "hours times `--price`, or null",
        "assumed": "`reached`, `tokens`, `load_hours`",
        "missing": "lines: what must be there before it can start",
    },
    "traitline-status/1": {
        "folder": "of its artifacts",
        "jobs": "how many the study has",
        "made": "how many are made",
        "stages": "`stage`, `jobs`, `made`, `missing`, `out_of_date`",
        "to_do": "jobs that Snakemake would run: `job`, `stage`, `state` (`missing` or `out of date`), `reason`"
        " (null: it only reads what others make)",
    },
    "traitline-judge/1": {
        "answers": "how many",
        "unscored": "without a score",
        "share": "`misaligned`, `coherent`: of the scored",
        "agreement": "with labels of people",
        "judge": "what judged",
    },
    "traitline-pin/1": {"pinned": "jobs", "left_out": "job -> why"},
    "traitline-pin-stages/1": {"file": "dvc.yaml"},
    "traitline-pin-check/1": {"wrong": "lines; empty: the pins are up to date"},
    "traitline-restore/1": {
        "same": "files as pinned",
        "other": "files that differ",
        "missing": "files that are not there",
    },
}
