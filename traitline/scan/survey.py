"""What a scan knows of some folders: items, their hashes, claims about them, and the records of traitline.

A claim is *resolved* to items here by hash, by path, by the identity of the hub's cache, or by a name alone. It says
nothing about bytes that are not here.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

from traitline.errors import InputError
from traitline.lineage import cards
from traitline.lineage.claims import BASE, DATA, SELF, Claim
from traitline.lineage.index_rows import Part, Row, read_row
from traitline.provenance.tensor_sets import TensorSet
from traitline.scan import foreign_records, gguf_keys
from traitline.scan.hashing import Hashes, hash_all, named
from traitline.scan.tree import Item, Tree, walk

READERS: dict[str, Callable[[Path], list[Claim]]] = {
    **cards.READERS, "config.json": cards.of_config, foreign_records.CRATE: foreign_records.of_crate,
    foreign_records.MLFLOW: foreign_records.of_mlflow, "manifest.json": foreign_records.of_wandb_artifact,
    "config.yaml": foreign_records.of_wandb_run,
}  # fmt: skip


@dataclass
class Survey:
    """See above.

    Attributes:
        tree: items and files.
        hashes: of the items.
        claims: all that were read, about whatever.
        records: rows of traitline's manifests.
        kin: pairs of labels that a test finds to start from the same weights -> log10 of p.
    """

    tree: Tree
    hashes: Hashes
    claims: list[Claim] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)
    kin: dict[frozenset[str], float] = field(default_factory=dict)
    _resolved: dict[Claim, tuple[list[Item], str]] = field(default_factory=dict)

    @property
    def items(self) -> list[Item]:
        """All models and data."""
        return self.tree.items

    @cached_property
    def tensors(self) -> dict[str, TensorSet]:
        """Label of a model -> its tensors, where they can be read."""
        known = {item.label: self.hashes.of(item) for item in self.items}
        return {label: tensors for label, tensors in known.items() if tensors and tensors.tensors}

    def relation(self, one: str, other: str) -> float:
        """How close two models are by their bytes: share of equal tensors, or 1 in 1000 by a test alone; 0: nothing."""
        if one in self.tensors and other in self.tensors and (share := self.tensors[one].share(self.tensors[other])):
            return share
        return 0.001 if frozenset((one, other)) in self.kin else 0.0

    @cached_property
    def made(self) -> dict[str, bool]:
        """sha256 of what manifests say was made -> whether people say it, and no job."""
        made = dict[str, bool]()
        for row in self.records:
            for output, _, kind, _, sha in row[9]:
                if output and kind in ("model", "data"):
                    made[sha] = made.get(sha, True) and row[6]
        return made

    @cached_property
    def known_models(self) -> dict[str, list[Part]]:
        """What weights are known by (`names`) -> files of the models that manifests record of them, as inputs."""
        result, items = defaultdict[str, list[Part]](list), self.by_sha256
        for row in self.records:
            parts = [
                (0, "base", kind, path, sha) for output, _, kind, path, sha in row[9] if output and kind == "model"
            ]
            here = [self.names(item) for *_, sha in parts for item in items.get(sha, []) if self.is_listed(item)]
            for name in dict.fromkeys([*filter(None, [row[4]]), *(name for names in here for name in names)]):
                result[name] += parts
        return result

    @cached_property
    def _known_weights(self) -> dict[str, bool]:
        """What weights are known by -> whether people say it, and no job."""
        return {name: all(self.made[sha] for *_, sha in parts) for name, parts in self.known_models.items() if parts}

    def standing(self, item: Item) -> str | None:
        """Whether manifests know an item: `recorded` by a job, `claimed` by people; None where none does."""
        if self.is_listed(item):
            return "claimed" if all(self.made[self.hashes.sha256[file]] for file in item.files) else "recorded"
        known = [by_people for by_people in map(self._known_weights.get, self.names(item)) if by_people is not None]
        return ("claimed" if all(known) else "recorded") if known else None

    def is_listed(self, item: Item) -> bool:
        """Tell whether manifests name each file of an item by its hash."""
        return bool(item.files) and all(self.hashes.sha256.get(file) in self.made for file in item.files)

    def names(self, item: Item) -> list[str]:
        """What the weights of an item are known by: the hash that manifests state, and the identity of its tensors."""
        tensors = self.tensors.get(item.label)
        if tensors is None or item.problem or not any(not tensor.buffer for tensor in tensors.tensors):
            return []
        return [*filter(None, [named(tensors)]), tensors.identity]

    @cached_property
    def _folders(self) -> dict[Path, list[Item]]:
        folders = defaultdict[Path, list[Item]](list)
        for item in self.items:
            folders[item.folder].append(item)
        return folders

    @cached_property
    def _by_file(self) -> dict[Path, Item]:
        return {file: item for item in self.items for file in item.files}

    @cached_property
    def by_sha256(self) -> dict[str, list[Item]]:
        """sha256 -> items that have a file of it."""
        items = defaultdict[str, list[Item]](list)
        for item in self.items:
            for sha in {self.hashes.sha256.get(file) for file in item.files} - {None}:
                items[str(sha)].append(item)
        return items

    def about(self, claim: Claim) -> list[Item]:
        """Items that a claim is about."""
        if claim.subject:
            return self.by_sha256.get(claim.subject, [])
        if claim.about in self._by_file:
            return [self._by_file[claim.about]]
        beside = [item for item in self._folders.get(claim.about, []) if item.kind == "model"]
        if beside:
            adapters = [item for item in beside if item.role == "adapter"]
            return adapters if claim.how == "adapter" and adapters else beside
        return [i for folder, items in self._folders.items() if folder.is_relative_to(claim.about) for i in items]

    @cached_property
    def claims_of(self) -> dict[str, list[Claim]]:
        """Label of an item -> claims about it. What config.json was loaded from counts where nothing else is said."""
        result = defaultdict[str, list[Claim]](list)
        for claim in self.claims:
            for item in self.about(claim):
                if claim not in result[item.label]:
                    result[item.label].append(claim)
        for item in self.items:
            said = result[item.label]
            weak = [c for c in said if c.source.endswith("config.json:_name_or_path")]
            strong = [c for c in said if c.relation == BASE and c not in weak]
            useless = [c for c in weak if strong or not c.is_hub or item in self.resolved(c)[0]]
            result[item.label] = [c for c in said if c not in useless]
        return result

    def identity(self, item: Item) -> set[str]:
        """Names on a hub that an item is said to have."""
        names = {item.hub[0]} if item.hub else set()
        return names | {c.target for c in self.claims_of.get(item.label, []) if c.relation == SELF}

    @cached_property
    def _hubs(self) -> dict[str, list[Item]]:
        """Name on a hub, in small letters -> items of that identity: by the cache's folders, or by records."""
        hubs = defaultdict[str, list[Item]](list)
        for item in self.items:
            if item.hub:
                hubs[item.hub[0].lower()].append(item)
        by_sha = {sha: item for item in self.items for f in item.files if (sha := self.hashes.sha256.get(f))}
        for row in self.records:
            if row[3] and row[3].startswith("hub:"):
                name = row[3].removeprefix("hub:").partition("@")[0].lower()
                hubs[name] += [by_sha[sha] for output, *_, sha in row[9] if output and sha in by_sha]
        return hubs

    def resolved(self, claim: Claim) -> tuple[list[Item], str]:
        """(items that a claim names, by what: hash, path, hub or name)."""
        if claim not in self._resolved:
            self._resolved[claim] = self._resolve(claim)
        return self._resolved[claim]

    def _resolve(self, claim: Claim) -> tuple[list[Item], str]:
        kinds = ("data",) if claim.relation == DATA else ("model",)
        if claim.sha256:
            return self.by_sha256.get(claim.sha256, []), "hash"
        if by_path := [i for i in self._at(claim) if i.kind in kinds]:
            return by_path, "path"
        if claim.is_hub and (by_hub := [i for i in self._hubs.get(claim.target.lower(), []) if i.kind in kinds]):
            return list({i.label: i for i in by_hub}.values()), "hub"
        named = self._by_name.get(PurePath(claim.target).name.lower(), [])
        # A quantised copy often has the name of what it was made from, and is not that.
        return [i for i in named if i.kind in kinds and claim.about not in (i.folder, *i.files)], "name"

    @cached_property
    def _by_name(self) -> dict[str, list[Item]]:
        items = defaultdict[str, list[Item]](list)
        for item in self.items:
            for name in _names(item):
                items[name].append(item)
        return items

    def _at(self, claim: Claim) -> list[Item]:
        """Items at a path that a claim names, from its own folder or from the working folder; never outside."""
        folder = claim.about if claim.about in self._folders or not claim.about.suffix else claim.about.parent
        if "://" in claim.target or "\0" in claim.target:
            return []
        for start in (folder, Path()):
            place = Path(os.path.normpath(start / claim.target))
            if here := [self._by_file[place]] if place in self._by_file else self._folders.get(place, []):
                return here
        return []


def _names(item: Item) -> set[str]:
    """Names by which an item may be called: of its folder, and of a data file."""
    stem = {item.files[0].stem.lower(), item.files[0].name.lower()} if item.files and item.kind == "data" else set()
    parent = item.folder.parent.name
    return {item.folder.name.lower(), f"{parent}--{item.folder.name}".lower(), *stem} - {""}


def survey(folders: list[str], cache: Path) -> Survey:
    """Look at some folders.

    Args:
        folders: to scan.
        cache: folder in which hashes are remembered.

    Raises:
        InputError: one of them is none.
    """
    tree = walk(folders)
    hashes = hash_all(tree.items, cache)
    for file, reason in hashes.problems.items():
        tree.leave_out(file, reason.removeprefix(f"{os.path.realpath(file)}: "))
    result = Survey(tree, hashes)
    result.claims = list(dict.fromkeys(_claims(tree)))
    for path in tree.manifests:
        try:
            result.records.append(read_row(os.fspath(path)))
        except (InputError, OSError) as e:
            tree.leave_out(path, str(e).removeprefix(f"{path}: "))
    return result


def _claims(tree: Tree) -> Iterable[Claim]:
    """Claims of all files that may hold some; a damaged one is left out."""
    for path in tree.claims:
        try:
            yield from _reader(path)(path)
        except (InputError, OSError) as e:
            tree.leave_out(path, str(e).removeprefix(f"{path}: ").removeprefix(f"{path}:"))


def _reader(path: Path) -> Callable[[Path], list[Claim]]:
    if path.name.endswith(foreign_records.STATEMENTS):
        return foreign_records.of_statement
    return gguf_keys.of_gguf if path.name.endswith(".gguf") else READERS[path.name]
