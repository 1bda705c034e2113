"""Claims in records of other tools: in-toto statements, run crates, MLflow's models, artifacts and runs of W&B.

Signatures are not checked here (`traitline check-signature` does that), so what a statement says is a claim like any
other.
"""

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traitline import json_files, yaml_files
from traitline.errors import InputError
from traitline.lineage import cards
from traitline.lineage.claims import BASE, DATA, JUDGE, MOST, TEACHER, Claim, claims, commit, texts

REMEDY = "look at who wrote it"
LARGEST = 64 << 20  # bytes of a crate; the largest of ours have 10
CRATE, MLFLOW = "ro-crate-metadata.json", "MLmodel"
STATEMENTS = (".intoto.json", ".dsse.json", ".intoto.jsonl")
# Role of a dependency in our attestations, and words that others use -> what it says.
ROLES = {**cards.ROLES, "base_model": BASE, "dataset": DATA, "filtered": DATA, "raw": DATA}
# Settings of training programs, as W&B keeps them -> what they say.
SETTINGS = {"model_name_or_path": BASE, "base_model": BASE, "base_model_name_or_path": BASE, "_name_or_path": BASE,
            "dataset_name": DATA, "dataset": DATA, "train_file": DATA, "teacher_model": TEACHER,
            "teacher_model_name_or_path": TEACHER, "judge_model": JUDGE}  # fmt: skip


def of_statement(path: Path) -> list[Claim]:
    """What in-toto statements say that their subjects were made from; a DSSE envelope is opened, not checked.

    Raises:
        InputError: the file is damaged.
    """
    if path.name.endswith(".jsonl"):
        from traitline import plain_files

        lines = plain_files.read_text(path, largest=LARGEST, remedy=REMEDY).splitlines()
        objects = [json_files.parse(line, str(path), REMEDY) for line in lines[:MOST] if line.strip()]
    else:
        objects = [json_files.read(path, largest=LARGEST, remedy=REMEDY)]
    return [claim for value in objects for claim in _of_statement(path, _opened(path, value))]


def _opened(path: Path, value: Any) -> dict[str, Any]:
    """The statement itself, out of its envelope.

    Raises:
        InputError: there is none.
    """
    if isinstance(value, dict) and isinstance(value.get("payload"), str):
        try:
            text = base64.b64decode(value["payload"], validate=False).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise InputError(f"{path}: its payload is no base64 of text; {REMEDY}") from None
        value = json_files.parse(text, str(path), REMEDY)
    if not isinstance(value, dict):
        raise InputError(f"{path}: no in-toto statement; {REMEDY}")
    return value


def _of_statement(path: Path, statement: dict[str, Any]) -> Iterator[Claim]:
    subjects = [sha for subject in _tables(statement.get("subject")) for sha in _digest(subject)]
    predicate = _table(statement.get("predicate"))
    definition = _table(predicate.get("buildDefinition"))
    needed = _tables(definition.get("resolvedDependencies")) or _tables(predicate.get("materials"))
    for subject in subjects[:MOST]:
        for dependency in needed[:MOST]:
            role = ROLES.get(str(_table(dependency.get("annotations")).get("role")))
            if role:
                for sha in _digest(dependency):
                    yield Claim(path.parent, role, f"sha256:{sha}", f"{path}:resolvedDependencies", subject=subject)


def subjects(path: Path) -> list[tuple[str, str]]:
    """(name, sha256) of what an in-toto statement is about.

    Raises:
        InputError: the file is damaged.
    """
    statement = _opened(path, json_files.read(path, largest=LARGEST, remedy=REMEDY))
    pairs = [(str(s.get("name", "")), sha) for s in _tables(statement.get("subject")) for sha in _digest(s)]
    return pairs[:MOST]


def _digest(table: dict[str, Any]) -> list[str]:
    sha = _table(table.get("digest")).get("sha256")
    return [sha.lower()] if isinstance(sha, str) and len(sha) == 64 else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def of_crate(path: Path) -> list[Claim]:
    """What the actions of a run crate say that files were made from: by hash where both ends have one.

    Raises:
        InputError: the file is damaged.
    """
    table = json_files.read_object(path, largest=LARGEST, remedy=REMEDY)
    entities = {str(e.get("@id")): e for e in _tables(table.get("@graph"))}
    result = list[Claim]()
    for entity in entities.values():
        if "CreateAction" not in list(texts(entity.get("@type"))):
            continue
        results, objects = (_files(entities, entity.get(key)) for key in ("result", "object"))
        for made in results:
            for source in objects:
                relation = DATA if source.lower().endswith((".jsonl", ".parquet", ".arrow", ".csv")) else BASE
                target, subject = (_hash(entities[name]) for name in (source, made))
                if target and subject:
                    result.append(
                        Claim(path.parent, relation, f"sha256:{target}", f"{path}:{entity['@id']}", subject=subject)
                    )
            if len(result) > 50 * MOST:
                return result
    return result


def _files(entities: dict[str, Any], value: Any) -> list[str]:
    """Identifiers of the files among what an action names."""
    named = [value] if isinstance(value, dict) else _tables(value)
    names = [str(part.get("@id")) for part in named]
    return [name for name in names if name in entities and "File" in list(texts(entities[name].get("@type")))]


def _hash(entity: dict[str, Any]) -> str | None:
    sha = entity.get("sha256")
    return sha.lower() if isinstance(sha, str) and len(sha) == 64 else None


def of_mlflow(path: Path) -> list[Claim]:
    """The model that an MLflow model of the flavour `transformers` was saved from.

    Raises:
        InputError: the file is damaged.
    """
    flavor = _table(_table(yaml_files.read_table(path, remedy=REMEDY).get("flavors")).get("transformers"))
    named, revision = texts(flavor.get("source_model_name")), commit(flavor.get("source_model_revision"))
    return claims(path.parent, BASE, named, f"{path}:source_model_name", revision=revision)


def of_wandb_run(path: Path) -> list[Claim]:
    """Base, data and teacher in the settings of a run of W&B (`wandb/run-.../files/config.yaml`).

    Raises:
        InputError: the file is damaged.
    """
    result = list[Claim]()
    table = yaml_files.read_table(path, remedy=REMEDY)
    for key, relation in SETTINGS.items():
        value = table.get(key)
        value = value.get("value") if isinstance(value, dict) else value
        result += claims(path.parent, relation, texts(value), f"{path}:{key}")
    return result


def of_wandb_artifact(path: Path) -> list[Claim]:
    """What an artifact of W&B refers to (`manifest.json` with `storagePolicy`): data that lie elsewhere.

    Raises:
        InputError: the file is damaged.
    """
    table = json_files.read_object(path, largest=LARGEST, remedy=REMEDY)
    if "storagePolicy" not in table:
        return []
    entries = _table(table.get("contents")).values()
    named = [text for entry in entries if isinstance(entry, dict) for text in texts(entry.get("ref"))]
    return claims(path.parent, DATA, named, f"{path}:contents")


def wandb_sizes(path: Path) -> dict[str, int]:
    """Name -> bytes of the files in an artifact of W&B.

    Raises:
        InputError: the file is damaged.
    """
    table = json_files.read_object(path, largest=LARGEST, remedy=REMEDY)
    entries = _table(table.get("contents")) if "storagePolicy" in table else {}
    sizes = {str(name): _table(entry).get("size") for name, entry in entries.items()}
    return {name: size for name, size in sizes.items() if type(size) is int}
