"""Tidy tables of a study, with intervals over runs. A run is one trained student, and the unit of every statistic.

in   every scores.json and train.json, the scores of the untouched bases, and each teacher's teacher.json, sampled.json
     and filtered.json, and judged.json where there is a judge; which ones follows from the study
out  effects.csv    one row per experiment, channel, base, student, recipe, trait and arm: the answer
     runs.csv       one row per run and candidate, exact and sampled
     students.csv   one row per run: how its training went
     filters.csv    one row per teacher and channel: kept, rejected by reason, echo of the prompt, KL from the base
     confusion.csv  trait taught x candidate measured
     tests.csv      the declared primary outcomes: Welch's t, p, and p corrected by Holm
     checks.csv     every declared check with its value, its bound and whether it holds
     judged.csv     one row per cell, trait and arm whose answers a judge judges: shares of misaligned and coherent
                    answers and of those without a score, and how far that judge agrees with rows labelled by hand

A rate is the exact probability of the trait's word as the answer, the mean over the questions; in rows about a
capability that of the right answer, in rows about norms that of the bad one, for the students of every trait. Control
students learn from numbers of the same base without any trait; they are of the same student base and recipe.

python -m scripts.summarise --study '{"study": ...}' --results results --tables results/tables \\
    --manifest results/tables/summarise.manifest.json
"""

import argparse
import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.analysis import stats, tables
from traitline.errors import InputError
from traitline.evaluation.measures import JUDGED
from traitline.provenance import stage

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.runs import Run

LEVEL = 0.05  # of the corrected p-values
SHARE = 1 / 5  # of the same-base difference that the other-base difference may reach

Cell = tuple[str, ...]  # values of tables.CELL


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.summarise", __doc__)
    p.add_argument("--study", required=True, metavar="JSON", help="the study, as checked and compact JSON")
    p.add_argument("--results", metavar="FOLDER", help="folder of the artifacts (default: that of the study)")
    p.add_argument("--tables", required=True, metavar="FOLDER", help="where the tables go")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


class Files:
    """The JSON files of a study: which ones there are, by role, and their content, each read once."""

    def __init__(self, study: "Study", results: str | None = None) -> None:
        from traitline.study.expand import baselines, runs

        results = results or study.results
        self.runs = [dataclasses.replace(run, results=results) for run in runs(study)]
        self.baselines = {key: results + path[len(study.results) :] for key, path in baselines(study).items()}
        roles = {
            "scores": (run.scores for run in self.runs),
            "baseline": self.baselines.values(),
            "training": (f"{run.folder}/train.json" for run in self.runs),
            "teacher": (f"{run.teacher_folder}/teacher.json" for run in self.runs),
            "sampled": (f"{run.answers_folder}/sampled.json" for run in self.runs),
            "filtered": (f"{run.channel_folder}/filtered.json" for run in self.runs),
            "judged": (results + path[len(study.results) :] for path in study.judged),
        }
        self.roles: dict[str, list[str | Path]] = {role: list(dict.fromkeys(paths)) for role, paths in roles.items()}
        self._read: dict[str, dict[str, Any]] = {}

    def read(self, path: str) -> dict[str, Any]:
        """The object in a file."""
        if path not in self._read:
            try:
                value = json.loads(Path(path).read_text(encoding="utf-8"))
            except FileNotFoundError:
                raise InputError(f"{path}: no such file; make it with the stage before this one") from None
            except ValueError:  # damaged JSON or not UTF-8
                raise InputError(f"{path}: damaged JSON; delete the file to have it rebuilt") from None
            if not isinstance(value, dict):
                raise InputError(f"{path}: not a JSON object; delete the file to have it rebuilt")
            self._read[path] = value
        return self._read[path]


def get(value: dict[str, Any], path: str, *keys: str, optional: bool = False) -> Any:
    """A number or object below keys, or a line that says which key a file lacks."""
    found: Any = value
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            if optional:
                return None
            raise InputError(f"{path}: lacks {'.'.join(keys)}; delete the file to have it rebuilt")
        found = found[key]
    return found


def probability(value: dict[str, Any], path: str, *keys: str, optional: bool = False) -> float | None:
    """A number from 0 to 1; `optional` also lets null pass (a share of nothing)."""
    found = get(value, path, *keys)
    if optional and found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not -1e-6 <= found <= 1 + 1e-6:
        raise InputError(f"{path}: {'.'.join(keys)} is no probability: {found!r}; delete the file to have it rebuilt")
    return float(found)


def measure(files: Files, path: str, needed: Iterable[str]) -> dict[str, dict[str, float | None]]:
    """candidate -> its rates in a scores.json."""
    scores = files.read(path)
    candidates = get(scores, path, "candidates")
    if missing := sorted(set(needed) - set(candidates)):
        raise InputError(f"{path}: {missing[0]} is not among the candidates; delete the file to have it rebuilt")
    out = {}
    for c in candidates:
        out[c] = {
            "rate": probability(scores, path, "exact", "overall", c),
            "conditional": probability(scores, path, "exact", "conditional", c, optional=True),
            "mass": probability(scores, path, "exact", "mass"),
            "sampled_rate": probability(scores, path, "sampled", "overall", c),
            "sampled_conditional": probability(scores, path, "sampled", "conditional", c, optional=True),
            "sampled_mass": probability(scores, path, "sampled", "mass"),
        }
    return out


def cell(run: "Run", base: str | None = None) -> Cell:
    """What the runs of one group share, apart from the trait."""
    return (run.experiment, run.channel, base or run.base, run.student, run.recipe)


class Outcome:
    """All rates of a study, by cell, trait taught, candidate and run."""

    def __init__(self, study: "Study", files: Files) -> None:
        from traitline.study.runs import NONE

        self.study = study
        self.none = NONE
        # What stands for the trait where it is not itself: right answers, or bad ones.
        self.stands = {row.name: m for row in study.experiments if (m := study.evals[row.eval].measured)}
        self.traits = {row.name: row.traits for row in study.experiments}
        self.rates: dict[tuple[Cell, str, str], list[float]] = defaultdict(list)
        self.cells: dict[Cell, dict[str, str]] = {}  # cell -> {trait taught: arm}, in the order of the study
        self.eval = {row.name: row.eval for row in study.experiments}
        self.runs: list[dict[str, Any]] = []
        self.students: list[dict[str, Any]] = []
        for run in files.runs:
            about = {k: v for k, v in dataclasses.asdict(run).items() if k != "results"}
            wanted = self.stands.get(run.experiment)
            measured = measure(files, run.scores, [wanted] if wanted else self.traits[run.experiment])
            self.cells.setdefault(cell(run), {})[run.trait] = run.arm
            for candidate, values in measured.items():
                self.rates[cell(run), run.trait, candidate].append(values["rate"] or 0.0)
                self.runs.append({**about, "measured": candidate, **values})
            path = f"{run.folder}/train.json"
            facts = files.read(path)
            columns = tables.COLUMNS["students"]
            self.students.append(about | {c: get(facts, path, c, optional=True) for c in columns if c not in about})
        self.untouched = {key: measure(files, path, ()) for key, path in files.baselines.items()}

    def effects(self) -> list[dict[str, Any]]:
        """One row per cell, trait and arm. The rows of one cell and trait stand together, the taught arm first."""
        rows = []
        for where, arms in self.cells.items():
            for trait in self.traits[where[0]]:
                wanted = self.stands.get(where[0], trait)
                control = self.rates[where, self.none, wanted]
                taught = self.rates[where, trait, wanted]
                untouched = [self.untouched[where[3], self.eval[where[0]]][wanted]["rate"] or 0.0]
                for arm, values in ((arms[trait], taught), ("control", control), ("baseline", untouched)):
                    e = stats.interval(values)
                    # The control is not compared with itself; a single untouched base gives a difference, no interval.
                    d = stats.difference(values, control) if arm != "control" else stats.Difference(float("nan"))
                    rows.append(
                        dict(zip(tables.CELL, where, strict=True))
                        | {"trait": trait, "arm": arm, "runs": e.runs, "rate": e.mean, "low": e.low, "high": e.high}
                        | {"control_rate": stats.mean(control), "diff": d.diff, "diff_low": d.low, "diff_high": d.high}
                        | {"p_holm": None, "control_runs": len(control), "t": d.t, "df": d.df, "p": d.p}
                        | {"detectable": d.detectable, "runs_needed": d.needed}
                    )
        primary = [row for row in rows if self.is_primary(row)]
        for row, p in zip(primary, stats.holm([row["p"] for row in primary]), strict=True):
            row["p_holm"] = p
        return rows

    def is_primary(self, row: dict[str, Any]) -> bool:
        """Whether an effect was declared as a primary outcome."""
        declared = self.study.primary
        return (
            row["arm"] == "same-base"
            and row["experiment"] in declared.experiments
            and row["recipe"] in declared.recipes
        )

    def confusion(self) -> list[dict[str, Any]]:
        """Trait taught x candidate measured, the control students (`none`) last."""
        rows = []
        for (where, taught, measured), values in self.rates.items():
            e = stats.interval(values)
            rows.append(
                dict(zip(tables.CELL, where, strict=True))
                | {"taught": taught, "measured": measured}
                | {"runs": e.runs, "rate": e.mean, "low": e.low, "high": e.high}
            )
        return rows


def checks(effects: list[dict[str, Any]], primary: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every declared check; one that cannot be made (too few runs) is `unknown`, never passed."""
    rows = []

    def check(name: str, row: dict[str, Any], value: float | None, relation: str, bound: float) -> None:
        met = value is not None and {">": value > bound, "<": value < bound, "<=": value <= bound}[relation]
        holds = "unknown" if value is None else "yes" if met else "no"
        about = {c: row[c] for c in (*tables.CELL, "trait")}
        rows.append({"check": name, **about, "value": value, "relation": relation, "bound": bound, "holds": holds})

    for row in primary:
        check("above-control", row, row["diff_low"], ">", 0.0)
        check("p-holm", row, row["p_holm"], "<", LEVEL)
        for other in effects:
            # the same numbers from the same teacher, given to a student on another base
            if other["arm"] == "other-base" and all(
                other[c] == row[c] for c in ("experiment", "channel", "base", "recipe", "trait")
            ):
                check("other-base", other, other["diff"], "<=", max(0.0, SHARE * row["diff"]))
    return rows


def teachers(files: Files) -> list[dict[str, Any]]:
    """One row per teacher and channel: what it said, what passed the filter, and how far it is from its base."""
    rows, rejected = [], []
    for run in {run.channel_folder: run for run in files.runs}.values():
        counted, sampled, told = (
            f"{run.channel_folder}/filtered.json",
            f"{run.answers_folder}/sampled.json",
            f"{run.teacher_folder}/teacher.json",
        )
        counts, sample = files.read(counted), files.read(sampled)
        teacher = files.read(told)
        row = {"base": run.base, "trait": run.trait, "teacher": run.teacher, "channel": run.channel}
        row |= {c: get(counts, counted, c) for c in ("rows", "kept", "kept_share", "echo_rate", "echo_numbers")}
        row |= {c: get(sample, sampled, c) for c in ("unfinished", "kl_nats_per_token")}
        row |= {f"teacher_{c}": get(teacher, told, c, optional=True) for c in ("rate", "steps")}
        rejected.append(get(counts, counted, "reasons"))
        rows.append(row)
    reasons = sorted({reason for counts in rejected for reason in counts})
    return [
        row | {f"reject_{r}": counts.get(r, 0) for r in reasons} for row, counts in zip(rows, rejected, strict=True)
    ]


def judged(study: "Study", files: Files) -> list[dict[str, Any]]:
    """What a judge says of students, and of the untouched base of each cell."""
    from traitline.study.runs import NONE

    labels = study.judge.evals if study.judge else []
    groups: dict[tuple[Cell, str, str, str], list[str]] = defaultdict(list)
    for run in files.runs:
        if run.eval in labels:
            groups[cell(run), run.eval, run.trait, run.arm].append(run.judged)
            untouched = str(Path(files.baselines[run.student, run.eval]).with_name("judged.json"))
            groups[cell(run), run.eval, NONE, "baseline"] = [untouched]
    rows = []
    for (where, label, trait, arm), paths in groups.items():
        row = dict(zip(tables.CELL, where, strict=True)) | {"eval": label, "trait": trait, "arm": arm}
        row |= {"runs": len(paths), "answers": sum(get(files.read(p), p, "answers") for p in paths)}
        shares = {what: [get(files.read(p), p, "share", what) for p in paths] for what in JUDGED}
        shares["unscored"] = [get(files.read(p), p, "unscored") / get(files.read(p), p, "answers") for p in paths]
        for what, found in shares.items():
            e = stats.interval(values) if (values := [v for v in found if v is not None]) else None
            row |= {what: e and e.mean, f"{what}_low": e and e.low, f"{what}_high": e and e.high}
        agreement = get(files.read(paths[0]), paths[0], "agreement")
        for what in JUDGED:
            low, high = agreement[what].get("kappa_interval") or (None, None)
            trust = (agreement[what].get("accuracy"), agreement[what].get("kappa"), low, high)
            row |= {f"{what}_{of}": value for of, value in zip(tables.TRUST, trust, strict=True)}
        rows.append(row)
    return rows


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    from traitline.study import config

    study = config.parse(args.study)
    files = Files(study, args.results)
    with stage.record(
        "summarise",
        args.manifest,
        inputs=files.roles,
        outputs={name: f"{args.tables}/{name}.csv" for name in tables.COLUMNS},
        params={"study": json.loads(args.study)},
    ) as job:
        outcome = Outcome(study, files)
        effects = outcome.effects()
        primary = [row for row in effects if outcome.is_primary(row)]
        made = {
            "effects": effects,
            "runs": outcome.runs,
            "students": outcome.students,
            "filters": teachers(files),
            "confusion": outcome.confusion(),
            "tests": primary,
            "checks": checks(effects, primary),
            "judged": judged(study, files),
        }
        import pandas as pd

        for name, columns in tables.COLUMNS.items():
            reasons = [c for c in (made[name] or [{}])[0] if c.startswith("reject_")]
            frame = pd.DataFrame(made[name], columns=[*columns, *reasons])
            frame.to_csv(job.path(name), index=False, float_format="%.6g", lineterminator="\n")
        job.facts["students"] = len({run.folder for run in files.runs})


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
