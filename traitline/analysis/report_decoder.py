"""Report content of the decoder: the true trait's rank by teacher and base, the curve, and who else names the trait."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.analysis.report_branches import read_text_rows
from traitline.study.runs import NONE

if TYPE_CHECKING:
    from traitline.study.config import Study

DECODING = ("candidates", "curve")
DETECTORS = ("likelihood", "prompted", "linear", "frequency")  # in the order in which they are shown
Row = dict[str, Any]


def decodings(study: "Study", results: str) -> list[Row]:
    """The tables of `decode` by base and channel, with a row for each teacher and base whose embedding reads."""
    shown = []
    for base, channel in study.decodings:
        tables = {t: read_text_rows(Path(results, "decode", base, channel, f"{t}.csv")) for t in DECODING}
        pairs = true_traits(tables["candidates"], base)
        shown.append({"base": base, "channel": channel, **tables, "pairs": pairs, "shares": shares(tables["curve"])})
    return shown


def true_traits(candidates: Sequence[Row], base: str) -> list[Row]:
    """Rows of the true traits, the teachers' own base first for each; `named` is the word that has rank 1."""
    named = {(r["teacher"], r["with"]): r["word"] for r in candidates if int(r["rank"]) == 1}
    rows = []
    for r in candidates:
        if r["word"] == r["trait"]:
            numbers = {k: float(r[k]) for k in ("z", "rank", "words", "p", "p_word", "null_low", "null_high")}
            where = {"teacher": r["teacher"], "trait": r["trait"], "with": r["with"], "same": r["with"] == base}
            rows.append({**where, "named": named[r["teacher"], r["with"]], **numbers})
    return rows


def shares(curve: Sequence[Row]) -> dict[str, list[Row]]:
    """Points of the curve by teacher."""
    by_teacher: dict[str, list[Row]] = {}
    for r in curve:
        by_teacher.setdefault(r["teacher"], []).append({k: float(r[k]) for k in ("rows", "draws", "first", "rank")})
    return by_teacher


def totals(decoded: Sequence[Row]) -> dict[str, Row]:
    """Count how often the true trait is first, `same`: with their own base, `other`: with other bases."""
    sums = {}
    for name, same in (("same", True), ("other", False)):
        pairs = [r for d in decoded for r in d["pairs"] if r["same"] == same]
        if pairs:
            sums[name] = {
                "hits": sum(r["rank"] == 1 for r in pairs),
                "pairs": len(pairs),
                "rank": sum(r["rank"] for r in pairs) / len(pairs),
                "chance": sum(1 / r["words"] for r in pairs),
                "chance_rank": sum((r["words"] + 1) / 2 for r in pairs) / len(pairs),
            }
    return sums


def beside(
    study: "Study", decoded: Sequence[Row], predicted: dict[str, list[Row]] | None, detected: Sequence[Row]
) -> list[Row]:
    """Decoder, `influence` and detectors for the same rows of a teacher, where the study has one of the others.

    Args:
        study: the study.
        decoded: see `decodings`.
        predicted: tables of `check_influence`; None where nothing was predicted.
        detected: tables of `detect` by base and channel.

    Returns:
        A row for each teacher and base: `rank` by the decoder; `influence`, ranks by dataset and recipe; `detectors`,
        shares of right answers against the control (they name no word). A side that has nothing is empty.
    """
    rows = []
    for d in decoded:
        for pair in d["pairs"]:
            about = {"base": d["base"], "channel": d["channel"], **pair}
            ranks = influence_ranks(study, predicted["pairs"] if predicted else (), about)
            rows.append(about | {"influence": ranks, "detectors": accuracies(detected, about) if pair["same"] else {}})
    return rows if any(r["influence"] or r["detectors"] for r in rows) else []


def influence_ranks(study: "Study", predicted: Sequence[Row], about: Row) -> dict[str, float]:
    """Ranks of the true trait by `influence` for a teacher and a base, by recipe and dataset."""
    trait, _, teacher = about["teacher"].partition("/")
    experiments = {row.name for row in study.experiments if row.teacher == teacher}
    wanted = (about["base"], about["channel"], about["with"], trait)
    return {
        f"{r['recipe']} on {r['dataset']}": r["rank"]
        for r in predicted
        if r["experiment"] in experiments and (r["base"], r["channel"], r["student"], r["trait"]) == wanted
    }


def accuracies(detected: Sequence[Row], about: Row) -> dict[str, float]:
    """Shares of prompts in which detectors tell a teacher's answer from the control's."""
    shares = {}
    for d in detected:
        if (d["base"], d["channel"]) == (about["base"], about["channel"]):
            for r in d["detectors"]:
                if r["one"] == about["teacher"] and r["other"].startswith(f"{NONE}/"):
                    shares[r["detector"]] = float(r["accuracy"])
    return {name: shares[name] for name in DETECTORS if name in shares}
