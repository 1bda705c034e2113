"""Contradictions: what is claimed against other claims, against records, and against the bytes themselves."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from traitline import json_files
from traitline.errors import InputError
from traitline.kinship import adapters
from traitline.lineage.claims import BASE, ROLES, Claim
from traitline.plurals import percent
from traitline.scan import foreign_records
from traitline.scan.survey import Survey
from traitline.scan.tree import Item

BLOB = re.compile(r"[0-9a-f]{64}")
SHAPE = ("model_type", "hidden_size", "num_hidden_layers")  # of config.json: what no fine-tuning changes
CYCLE = 100  # claims in a circle that are followed


@dataclass(frozen=True)
class Contradiction:
    """Two statements that cannot both be true; or one that speaks of itself.

    Attributes:
        item: path of the model, the data or the file that it is about.
        says: the first statement, and who states it.
        against: what speaks against it.
    """

    item: str
    says: str
    against: str


def contradictions(survey: Survey) -> list[Contradiction]:
    """All of them, of each kind in order."""
    looks = (
        _bases_by_weights,
        _between_claims,
        _against_records,
        _shapes,
        _adapters,
        _selves,
        _circles,
        _hubs,
        _bytes,
        _attested,
    )
    return list(dict.fromkeys(c for look in looks for c in look(survey)))


def _bases(survey: Survey, item: Item) -> list[Claim]:
    return [c for c in survey.claims_of.get(item.label, []) if c.relation == BASE]


def _bases_by_weights(survey: Survey) -> Iterator[Contradiction]:
    """A card names a base that is here; the weights share nothing with it, but with another model here."""
    for item in survey.items:
        tensors = survey.tensors.get(item.label)
        if tensors is None or item.role not in ("model", "adapter"):
            continue
        for claim in _bases(survey, item):
            named = [b for b in survey.resolved(claim)[0] if b.label in survey.tensors and b != item]
            if not named or any(survey.relation(item.label, b.label) for b in named):
                continue
            closest = max(
                (survey.relation(item.label, label), label) for label in survey.tensors if label != item.label
            )
            share, label = closest
            if share and item.role == "adapter" and not any(survey.relation(label, b.label) for b in named):
                by_test = f"by its update it was trained on {label}, or on what started as that did"
                yield Contradiction(item.label, f"{claim.source} says base {claim.named}", by_test)
            elif share and item.role == "model":
                equal = tensors.share(survey.tensors[label])
                shown = f"{percent(equal)} of its bytes are those of {label}" if equal else f"it started as {label} did"
                yield Contradiction(
                    item.label,
                    f"{claim.source} says base {claim.named}",
                    f"no tensor is that of {named[0].label}; {shown}",
                )


def _between_claims(survey: Survey) -> Iterator[Contradiction]:
    """Two files name one base each, and not the same."""
    for item in survey.items:
        by_file = defaultdict[str, list[Claim]](list)
        for claim in _bases(survey, item):
            by_file[claim.source.rpartition(":")[0]].append(claim)
        single = [claims[0] for claims in by_file.values() if len(claims) == 1 and claims[0].is_hub]
        for claim in single[1:]:
            here = {i.label for i in survey.resolved(single[0])[0]} & {i.label for i in survey.resolved(claim)[0]}
            if claim.target.lower() != single[0].target.lower() and not here:
                yield Contradiction(
                    item.label,
                    f"{single[0].source} says base {single[0].named}",
                    f"{claim.source} says base {claim.named}",
                )


def _against_records(survey: Survey) -> Iterator[Contradiction]:
    """A job of ours made it from other inputs than a card says."""
    hubs = {sha: row[3] for row in survey.records if row[3] for output, *_, sha in row[9] if output}
    for item in survey.items:
        shas = {survey.hashes.sha256.get(file) for file in item.files}
        rows = [row for row in survey.records if any(output and sha in shas for output, *_, sha in row[9])]
        recorded = {sha for row in rows for output, role, *_, sha in row[9] if not output and role == "base"}
        names = {hubs[sha].removeprefix("hub:").partition("@")[0].lower() for sha in recorded if sha in hubs}
        for claim in _bases(survey, item) if recorded else []:
            resolved = {survey.hashes.sha256.get(f) for i in survey.resolved(claim)[0] for f in i.files}
            differs = not resolved & recorded if resolved else names and claim.is_hub
            if differs and claim.target.lower() not in names and (claim.sha256 or "") not in recorded:
                yield Contradiction(
                    item.label,
                    f"{claim.source} says base {claim.named}",
                    f"{rows[0][0]} records another base, {min(recorded)[:12]}",
                )


def _config(item: Item) -> dict[str, object]:
    try:
        table = json_files.read_object(item.folder / "config.json")
    except InputError:
        return {}
    return {key: table[key] for key in SHAPE if isinstance(table.get(key), str | int)}


def _shapes(survey: Survey) -> Iterator[Contradiction]:
    """The settings of a model and of the base that it names have other sizes."""
    for item in survey.items:
        for claim in _bases(survey, item) if item.kind == "model" and item.role == "model" else []:
            for base in survey.resolved(claim)[0]:
                one, other = _config(item), _config(base)
                differs = [key for key in one.keys() & other.keys() if one[key] != other[key]]
                if differs and claim.how != "merge":
                    key = min(differs)
                    yield Contradiction(
                        item.label,
                        f"{claim.source} says base {claim.named}",
                        f"{key} is {one[key]}, of {base.label} {other[key]}",
                    )


def _adapters(survey: Survey) -> Iterator[Contradiction]:
    """An adapter updates modules that the base which it names has not, or has in another size."""
    shapes = {
        label: {t.name: tuple(t.place.shape) for t in tensors.tensors if isinstance(t.place.shape, list)}
        for label, tensors in survey.tensors.items()
    }
    for item in survey.items:
        sizes = adapters.sizes(shapes.get(item.label, {})) if item.role == "adapter" else {}
        for claim in _bases(survey, item) if sizes else []:
            named = [b for b in survey.resolved(claim)[0] if b.role == "model" and b.label in shapes]
            reasons = [adapters.misfits(sizes, shapes[base.label]) for base in named]
            if reasons and all(reasons):
                yield Contradiction(item.label, f"{claim.source} says base {claim.named}", reasons[0][0])


def _selves(survey: Survey) -> Iterator[Contradiction]:
    """A claim names what it is about."""
    for item in survey.items:
        for claim in survey.claims_of.get(item.label, []):
            if claim.relation in ROLES and names_itself(survey, item, claim):
                yield Contradiction(item.label, f"{claim.source} says {claim.relation} {claim.named}", "that is itself")


def names_itself(survey: Survey, item: Item, claim: Claim) -> bool:
    """Tell whether a claim about an item names that item: by its hash, its path, or its identity on the hub."""
    resolved, how = survey.resolved(claim)
    same = {name.lower() for name in survey.identity(item)}
    return (claim.is_hub and claim.target.lower() in same) or (item in resolved and how != "name")


def _circles(survey: Survey) -> Iterator[Contradiction]:
    """Claims that run in a circle: A from B, B from A."""
    parents = {
        item.label: {
            other.label: claim
            for claim in survey.claims_of.get(item.label, [])
            if claim.relation in ROLES
            for other in survey.resolved(claim)[0]
            if other != item
        }
        for item in survey.items
    }
    seen = set[frozenset[str]]()
    for start in parents:
        way, todo = {start: ""}, [start]
        while todo and start not in parents[todo[0]] and len(way) < CYCLE * 100:
            at = todo.pop(0)
            for parent in parents[at]:
                if parent not in way:
                    way[parent] = at
                    todo.append(parent)
        if not todo or start not in parents[todo[0]]:
            continue
        circle = [todo[0]]
        while circle[-1] != start:
            circle.append(way[circle[-1]])
        if frozenset(circle) not in seen:
            seen.add(frozenset(circle))
            claim = parents[todo[0]][start]
            others = ", ".join(circle[:3])
            yield Contradiction(start, f"{claim.source} says {claim.relation} {claim.named}", f"a circle: {others}")


def _hubs(survey: Survey) -> Iterator[Contradiction]:
    """One commit of a hub with two contents, or a file of the cache that is not what its name says."""
    contents = defaultdict[tuple[str, str, str], dict[str, str]](dict)
    for item in survey.items:
        for file in item.files:
            sha, real = survey.hashes.sha256.get(file), os.path.basename(os.path.realpath(file))
            if item.hub and sha:
                contents[(*item.hub, file.name)].setdefault(sha, os.fspath(file))
            if item.hub and sha and BLOB.fullmatch(real) and real != sha:
                yield Contradiction(
                    os.fspath(file), f"the cache names it {real[:12]}", f"its bytes have sha256 {sha[:12]}"
                )
    for (name, revision, _), shas in contents.items():
        if len(shas) > 1:
            one, other, *_ = shas.values()
            yield Contradiction(one, f"is {name}@{revision[:12]} by the cache", f"so is {other}, of other bytes")


def _bytes(survey: Survey) -> Iterator[Contradiction]:
    """A manifest beside a file says other bytes."""
    for row in survey.records:
        folder = Path(row[0]).parent
        for output, _, _, path, sha in row[9]:
            now = survey.hashes.sha256.get(folder / Path(path).name) if output else None
            if now and now != sha:
                yield Contradiction(
                    os.fspath(folder / Path(path).name),
                    f"{row[0]} says sha256 {sha[:12]}",
                    f"its bytes have {now[:12]}",
                )


def _attested(survey: Survey) -> Iterator[Contradiction]:
    """An in-toto statement, or an artifact of W&B, names a file beside it with other bytes."""
    for path in survey.tree.claims:
        try:
            if path.name.endswith((".intoto.json", ".dsse.json")):
                for name, sha in foreign_records.subjects(path):
                    now = survey.hashes.sha256.get(path.parent / Path(name).name)
                    if now and now != sha:
                        yield Contradiction(
                            os.fspath(path.parent / Path(name).name),
                            f"{path} attests sha256 {sha[:12]}",
                            f"its bytes have {now[:12]}",
                        )
            elif path.name == "manifest.json":
                for name, size in foreign_records.wandb_sizes(path).items():
                    file = path.parent / name
                    if file in survey.hashes.sha256 and file.stat().st_size != size:
                        yield Contradiction(
                            os.fspath(file), f"{path} says {size} bytes", f"it has {file.stat().st_size}"
                        )
        except (InputError, OSError):  # it was named when its claims were read
            continue
