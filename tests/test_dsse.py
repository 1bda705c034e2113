"""Envelopes: another library verifies ours, we verify another library's, and nothing hostile passes."""

import base64
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from traitline.errors import InputError
from traitline.lineage import dsse

SHA = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of `hello`
STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "far/x.bin", "digest": {"sha256": SHA}}]}
PAYLOAD = json.dumps(STATEMENT).encode()


def save(key, name):
    """Both halves of a key as PEM files."""
    pem = serialization.Encoding.PEM
    own = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    Path(f"{name}.pem").write_bytes(own)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    Path(f"{name}.pub").write_bytes(public)
    return key


@pytest.fixture(params=[ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def key(request, tmp_path, monkeypatch):
    """A key in key.pem and key.pub, another one in other.pem and other.pub, and the file of the statement."""
    monkeypatch.chdir(tmp_path)
    Path("x.bin").write_text("hello")
    save(ec.generate_private_key(request.param()), "other")
    return save(ec.generate_private_key(request.param()), "key")


def put(sealed):
    Path("x.dsse.json").write_text(json.dumps(sealed))
    return "x.dsse.json"


def test_the_encoding_is_that_of_the_protocol():
    """Its own example."""
    wanted = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert dsse.encoding(b"hello world", "http://example.com/HelloWorld") == wanted


def test_another_library_verifies_it(key):
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    sealed = dsse.seal(PAYLOAD, "key.pem")
    theirs = Envelope.from_dict(json.loads(json.dumps(sealed)))
    name = sealed["signatures"][0]["keyid"]
    assert theirs.payload == PAYLOAD and theirs.payload_type == "application/vnd.in-toto+json"
    theirs.verify([SSlibKey.from_crypto(key.public_key(), keyid=name)], 1)
    wrong = serialization.load_pem_public_key(Path("other.pub").read_bytes())
    with pytest.raises(VerificationError):
        theirs.verify([SSlibKey.from_crypto(wrong, keyid=name)], 1)


def test_it_verifies_that_of_another_library(key):
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    theirs = Envelope(PAYLOAD, dsse.KIND, {})
    theirs.sign(CryptoSigner(key))
    assert dsse.unseal(put(theirs.to_dict()), "key.pub") == STATEMENT


def test_one_good_signature_of_several_is_enough_and_none_is_not(key):
    ours, other = dsse.seal(PAYLOAD, "key.pem"), dsse.seal(PAYLOAD, "other.pem")
    both = other | {"signatures": other["signatures"] + ours["signatures"]}
    assert dsse.unseal(put(both), "key.pub") == STATEMENT
    assert dsse.unseal(put(other), "key.pub") is None
    assert dsse.unseal(put(ours | {"signatures": []}), "key.pub") is None


@pytest.mark.parametrize("part", ["payload", "payloadType", "signatures"])
def test_an_edited_envelope_is_not_taken(key, part):
    sealed = dsse.seal(PAYLOAD, "key.pem")
    if part == "payload":
        text = PAYLOAD.replace(SHA.encode(), b"0" * 64)
        assert dsse.unseal(put(sealed | {"payload": base64.b64encode(text).decode()}), "key.pub") is None
    elif part == "payloadType":
        with pytest.raises(InputError, match="no DSSE envelope of an in-toto statement"):
            dsse.unseal(put(sealed | {"payloadType": "text/plain"}), "key.pub")
    else:
        broken = [{"sig": base64.b64encode(b"x" * 70).decode()}]
        assert dsse.unseal(put(sealed | {"signatures": broken}), "key.pub") is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 200_000, '{"payload": "%", "payloadType": "application/vnd.in-toto+json", "signatures": []}',
     '{"payload": "", "payloadType": "application/vnd.in-toto+json", "signatures": [1]}', "x" * (17 << 20)],
    ids=["empty", "list", "object", "deep", "no base64", "no signature", "huge"],
)  # fmt: skip
def test_something_else_is_no_envelope(key, text):
    Path("x.dsse.json").write_text(text)
    with pytest.raises(InputError, match=r"^x\.dsse\.json: "):
        dsse.unseal("x.dsse.json", "key.pub")


def test_files_are_hashed_by_name_and_links_are_not_followed(key):
    assert dsse.compare(STATEMENT, ".").good == ["x.bin"]
    Path("x.bin").write_text("hellp")
    assert dsse.compare(STATEMENT, ".").changed == ["x.bin"]
    Path("x.bin").unlink()
    Path("there").write_text("hello")
    os.symlink("there", "x.bin")
    assert dsse.compare(STATEMENT, ".").missing == ["x.bin"]


@pytest.mark.parametrize(
    "subject",
    [1, {}, {"name": "x"}, {"name": "", "digest": {"sha256": SHA}}, {"name": "..", "digest": {"sha256": 1}},
     {"name": "x", "digest": {"sha256": SHA.upper()}}, {"name": "a\0b", "digest": {"sha256": SHA}}],
)  # fmt: skip
def test_a_hostile_subject_is_refused(key, subject):
    with pytest.raises(InputError, match="a subject of the statement"):
        dsse.compare({"subject": [subject]}, ".")


def test_keys_of_other_kinds_are_one_line(key):
    save(rsa.generate_private_key(65537, 2048), "rsa")
    for path in ("rsa.pem", "key.pub", "x.bin"):
        with pytest.raises(InputError, match="wants a private elliptic-curve key in PEM"):
            dsse.seal(PAYLOAD, path)
    for path in ("rsa.pub", "key.pem", "x.bin", "nowhere"):
        with pytest.raises(InputError, match="public elliptic-curve key in PEM"):
            dsse.unseal(put(dsse.seal(PAYLOAD, "key.pem")), path)
