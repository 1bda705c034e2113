"""Attestations under signature: DSSE envelopes (https://github.com/secure-systems-lab/dsse, protocol 1.0.2) by key.

What is signed is the type and the bytes of the payload, never JSON that two readers could read in two ways.
"""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.errors import InputError
from traitline.lineage.folders import is_loaded
from traitline.lineage.links import DvcCache
from traitline.plain_files import read_bytes, read_text
from traitline.provenance import manifest
from traitline.provenance.manifest import HASH, LARGEST

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

KIND = "application/vnd.in-toto+json"


def encoding(payload: bytes, kind: str = KIND) -> bytes:
    """The bytes that are signed: the protocol's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def seal(payload: bytes, key: str | Path) -> dict[str, Any]:
    """A payload in an envelope, signed (ECDSA).

    Args:
        payload: an in-toto statement, as it stands in its file.
        key: PEM file of a private elliptic-curve key.

    Raises:
        InputError: the key is not one.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    private = private_key(key)
    signature = private.sign(encoding(payload), ECDSA(_hash(private)))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": KIND,
        "signatures": [{"keyid": _name(private.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def unseal(path: str | Path, key: str | Path) -> dict[str, Any] | None:
    """The statement in an envelope; None where no signature in it is good for the key.

    Args:
        path: the envelope.
        key: PEM file of a public elliptic-curve key.

    Raises:
        InputError: no envelope of an in-toto statement, or no such key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    public = public_key(key)
    if not Path(path).is_file() or Path(path).stat().st_size > LARGEST:
        raise InputError(f"{path}: no such file, or larger than {LARGEST >> 20} MiB; wants an envelope")
    try:
        envelope = json_files.parse(read_text(path, largest=LARGEST), str(path))
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(s["sig"], validate=True) for s in envelope["signatures"]]
        if envelope["payloadType"] != KIND:
            raise ValueError
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise InputError(f"{path}: no DSSE envelope of an in-toto statement") from None
    for signature in signatures:
        try:
            public.verify(signature, encoding(payload), ECDSA(_hash(public)))
        except InvalidSignature:
            continue
        try:
            statement = json_files.parse(payload.decode(), str(path))
        except ValueError:
            statement = None
        if not isinstance(statement, dict) or not isinstance(statement.get("subject"), list):
            raise InputError(f"{path}: signed, but no in-toto statement is in it")
        return statement
    return None


@dataclass
class Attested:
    """Files of a folder beside a statement: names as attested, changed, and those that are not there.

    Attributes:
        good, changed, missing: names in the statement.
        extra: files in the folder that the statement does not name.
    """

    good: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def unsigned(self) -> list[str]:
        """Extra files that a loader would take for a part of the model: weights, settings, code."""
        return [n for n in self.extra if is_loaded(n)]


def compare(statement: dict[str, Any], folder: str | Path) -> Attested:
    """Hash the subjects of a statement: files of these names in a folder, wherever the statement says they lay.

    Raises:
        InputError: a subject is none.
    """
    files, cache = Attested(), DvcCache()
    for subject in statement["subject"]:
        try:
            name, sha = Path(subject["name"]).name, subject["digest"]["sha256"]
            if not name or "\0" in name or not HASH.fullmatch(sha):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise InputError("a subject of the statement has no name or no sha256; it is not ours") from None
        file = Path(folder, name)
        if not cache.is_artifact(file):  # any other link could lead anywhere
            files.missing.append(name)
            continue
        with open(file, "rb") as handle:
            same = hashlib.file_digest(handle, "sha256").hexdigest() == sha
        (files.good if same else files.changed).append(name)
    known = {*files.good, *files.changed, *files.missing}
    listed = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    names = [name for name in listed if not Path(folder, name).is_dir()]
    files.extra = [name for name in names if name not in known and not _is_record(statement, Path(folder, name))]
    return files


def _is_record(statement: dict[str, Any], file: Path) -> bool:
    """Tell whether a file is the manifest that the statement was made from."""
    try:
        records = statement["predicate"]["runDetails"]["byproducts"]
        hashes = [r["digest"]["sha256"] for r in records if Path(r["name"]).name == file.name]
    except (KeyError, TypeError):
        return False
    return bool(hashes) and file.is_file() and manifest.sha256(file) in hashes


def private_key(path: str | Path) -> "EllipticCurvePrivateKey":
    """A key that signs.

    Raises:
        InputError: it is none.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = read_bytes(path, largest=LARGEST, missing="name the file of a private key")
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as e:  # damaged, of another kind, or behind a password
        raise InputError(f"{path}: {str(e).splitlines()[0]}; wants a private elliptic-curve key in PEM") from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise InputError(f"{path}: of another kind; wants a private elliptic-curve key in PEM")
    return key


def public_key(path: str | Path) -> "EllipticCurvePublicKey":
    """A key that checks.

    Raises:
        InputError: it is none, or not there.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(read_bytes(path, largest=LARGEST))
    except ValueError:  # InputError is one
        raise InputError(f"{path}: wants the file of a public elliptic-curve key in PEM") from None
    if not isinstance(key, EllipticCurvePublicKey):
        raise InputError(f"{path}: of another kind; wants a public elliptic-curve key in PEM")
    return key


def _hash(key: "EllipticCurvePrivateKey | EllipticCurvePublicKey") -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256() if key.key_size <= 256 else hashes.SHA384() if key.key_size <= 384 else hashes.SHA512()


def _name(key: "EllipticCurvePublicKey") -> str:
    """A key's fingerprint: a hint which one to check with, no proof."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
