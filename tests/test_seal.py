"""Under the root of a study nothing can be changed, added or left out: every field of every manifest is tried."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.independent_verifier import complaints
from tests.sealed_study import OWL, STUDENT, mutations
from traitline.cli.program import app
from traitline.errors import InputError
from traitline.lineage import seal
from traitline.lineage.verify import verify
from traitline.provenance.statement import canonical

FIND = r"find . -type f -name '*.manifest.json' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"


def root_of(folder="results"):
    return seal.root(seal.rows_of(folder)[0])


def holds(root):
    """Whether both verifiers find the study as it was under the root; they must agree."""
    good = seal.compare("results", seal.Trusted(root)).covers is not None and verify(["results"]).good
    assert good == (not complaints("results", root))
    return good


def test_the_root_is_what_the_tools_of_every_machine_compute(sealed):
    # FIND is the line of the docs, a pipe of common tools: a shell runs it, as a reader's would.
    done = subprocess.run(FIND, shell=True, cwd="results", capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == root_of()
    assert FIND in seal.__doc__


def test_both_verifiers_find_an_untouched_study_good(sealed):
    assert holds(root_of()) and not holds("0" * 64)


def test_every_mutation_of_every_manifest_is_found(sealed, tell):
    """One field at a time, all manifests: no root holds. Both verifiers look at each of them, whole, now and then."""
    root, tried = root_of(), 0
    for file in sorted(Path("results").rglob("*.manifest.json")):
        content = file.read_bytes()
        for changed in mutations(json.loads(content)):
            file.write_bytes(canonical(changed))
            assert seal.compare("results", seal.Trusted(root)).covers is None, (file, changed)
            if tried % 200 == 0:
                assert complaints("results", root)
            tried += 1
        for same in (content + b" ", content.replace(b"\n", b"\r\n"), content.replace(b'": ', b'":'), content[:-1]):
            file.write_bytes(same)
            assert seal.compare("results", seal.Trusted(root)).covers is None
            tried += 1
        file.unlink()
        assert not holds(root)
        file.write_bytes(content)
        tried += 1
    assert holds(root)
    tell(f"{tried:,} mutations of manifests, all found")
    assert tried > 1500


def test_every_region_of_every_artifact_is_covered(sealed, tell):
    root, tried = root_of(), 0
    files = [p for p in Path("results").rglob("*") if p.is_file() and not p.name.endswith(".manifest.json")]
    for file in sorted(files):
        content = file.read_bytes()
        places = {0, len(content) // 2, len(content) - 1}
        edits = [
            content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in sorted(places) if 0 <= i < len(content)
        ]
        for edited in (*edits, content + b"\n", content[:-1]):
            file.write_bytes(edited)
            if edited != content:
                assert complaints("results", root) and file.as_posix() in {p for p, *_ in verify(["results"]).changed}
                tried += 1
        file.unlink()
        assert not holds(root)
        file.write_bytes(content)
        tried += 1
    tell(f"{tried:,} changes of artifacts, all found")
    assert tried > 100 and holds(root)


@pytest.mark.parametrize("place", ["x", ".hidden/x", "bases/a"])
def test_an_added_manifest_is_found_wherever_it_hides(sealed, place):
    root = root_of()
    folder = Path("results", place)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "more.manifest.json").write_bytes(Path(STUDENT, "train.manifest.json").read_bytes())
    assert seal.compare("results", seal.Trusted(root)).covers is None and complaints("results", root)


def test_hidden_files_and_links_are_named(sealed):
    Path("results/.hidden").mkdir()
    Path("results/.hidden/model.safetensors").write_bytes(b"x")
    os.symlink("bases", "results/link")
    assert seal.rows_of("results")[1] == ["results/.hidden/model.safetensors", "results/link"]
    os.symlink("../bases/a/pretrain.manifest.json", "results/prompts/x.manifest.json")
    with pytest.raises(InputError, match="a link or no plain file"):
        seal.rows_of("results")


def test_a_list_names_what_differs(sealed):
    Path("list").write_bytes(seal.text(seal.rows_of("results")[0]))
    known = seal.trusted("list")
    assert known.root == root_of() and seal.compare("results", known).differences == []
    Path(f"{OWL}/teach.manifest.json").write_text("{}")
    Path(f"{STUDENT}/train.manifest.json").rename(f"{STUDENT}/y.manifest.json")
    below = STUDENT.removeprefix("results/")
    assert seal.compare("results", known).differences == [
        ("added", f"{below}/y.manifest.json"),
        ("changed", f"{OWL.removeprefix('results/')}/teach.manifest.json"),
        ("lost", f"{below}/train.manifest.json"),
    ]


def test_names_that_a_list_has_to_escape_come_back():
    rows = {b"a\nb.manifest.json": "0" * 64, b"c\\n.manifest.json": "1" * 64, b"\xff\r": "2" * 64}
    assert seal._parse(seal.text(rows), "list") == rows and len(seal.text(rows).splitlines()) == 3


@pytest.mark.parametrize("content", ["x\n", f"{'0' * 64}  b\n{'0' * 64}  a\n", f"{'0' * 64} a\n", f"{'0' * 64}  a"])
def test_what_is_no_list_is_one_line(sealed, content):
    Path("list").write_text(content)
    with pytest.raises(InputError, match=r"^list: no list of manifests"):
        seal.trusted("list")
    with pytest.raises(InputError, match="--root nowhere: wants 64 hex digits"):
        seal.trusted("nowhere")


@pytest.fixture
def keys(tmp_path):
    """Names of two pairs of keys in PEM files: `us.pem` and `us.pub`, `them.pem` and `them.pub`."""
    pem = serialization.Encoding.PEM
    for name in ("us", "them"):
        private = ec.generate_private_key(ec.SECP256R1())
        secret = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(secret)
        public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(public)
    return tmp_path


def command(*words):
    """Run `traitline` in this process; its exit code."""
    return app([str(word) for word in words], prog_name="traitline", standalone_mode=False)


def test_a_signed_seal_holds_for_its_key_and_for_no_other(sealed, keys, capsys):
    assert command("seal", "results", "--key", keys / "us.pem") in (0, None)
    assert command("verify", "--key", keys / "us.pub") == 0
    assert root_of() in capsys.readouterr().out
    assert command("verify", "--key", keys / "them.pub") == 3, "somebody else's key"
    assert "no signature in results.seal.json is by" in capsys.readouterr().out
    assert command("seal", "results", "--key", keys / "them.pem") in (0, None)
    assert command("verify", "--key", keys / "us.pub") == 3, "somebody else sealed it anew"


def test_what_changes_after_the_signature_is_named(sealed, keys, capsys):
    assert command("seal", "results", "--key", keys / "us.pem") in (0, None)
    path = Path(f"{OWL}/teach.manifest.json")
    path.write_bytes(path.read_bytes().replace(b'"owl"', b'"cat"'))
    assert command("verify", "--key", keys / "us.pub") == 3
    assert (
        f"changed  {OWL.removeprefix('results/')}/teach.manifest.json: not as under the root" in capsys.readouterr().out
    )


def test_a_seal_is_of_its_own_text_and_must_be_there(sealed, keys, capsys):
    with pytest.raises(InputError, match=r"results.seal.json: no such file; `traitline seal results --key PEM`"):
        command("verify", "--key", keys / "us.pub")
    command("seal", "results", "--key", keys / "us.pem")
    envelope = Path("results.seal.json")
    payload = json.loads(envelope.read_text())
    text = base64.b64decode(payload["payload"]).replace(root_of().encode(), b"0" * 64)
    envelope.write_text(json.dumps(payload | {"payload": base64.b64encode(text).decode()}))
    assert command("verify", "--key", keys / "us.pub") == 3, "an edited text has no good signature"
    with pytest.raises(InputError, match="one of --root and --key"):
        command("verify", "--key", keys / "us.pub", "--root", "0" * 64)


def test_a_moved_study_has_the_root_that_it_had(sealed):
    root = root_of()
    os.rename("results", "moved")
    assert root_of("moved") == root


def audited(*words):
    """(exit code, mark and standing by path) of `traitline audit`."""
    from typer.testing import CliRunner

    from traitline.cli.program import app

    done = CliRunner().invoke(app, ["audit", "--data", "--json", *words])
    rows = json.loads(done.stdout)["artifacts"] if done.stdout.startswith("{") else []
    return done.exit_code, {row["artifact"]: (row["mark"], row["standing"]) for row in rows}


def test_marks_are_proven_under_a_root_and_recorded_without_one(sealed):
    base, student = "results/bases/a/model.safetensors", f"{STUDENT}/adapter_model.safetensors"
    assert audited()[1][base] == ("CLEAN", "recorded")
    code, rows = audited("--root", root_of())
    assert code == 3 and rows[base] == ("CLEAN", "proven") and rows[student] == ("INHERITANCE-RISK", "proven")
    assert {standing for _, standing in rows.values()} == {"proven"}
    assert audited("--root", "0" * 64) == (3, {}), "no answer under a root that is not that of the study"
    code, _ = audited("--root", root_of(), "--index", "x")
    assert code == 1


def test_what_lies_beside_a_sealed_study_is_not_proven(sealed):
    from tests.sealed_study import run

    where = {"dataset": "registry/x/dataset.jsonl", "manifest": "registry/x/prepare.manifest.json"}
    run("prepare", filtered=f"{OWL}/numbers/filtered.jsonl", **where, rows=8, seed=1)
    _, rows = audited("--root", root_of())
    assert rows["registry/x/dataset.jsonl"] == ("EXPOSED", "recorded")
    assert rows[f"{OWL}/numbers/filtered.jsonl"] == ("EXPOSED", "proven")


@pytest.mark.parametrize(
    "name",
    ["bases/a/extra.safetensors", "bases/a/.extra.safetensors", ".hidden/rows.jsonl", "bases/a/pytorch_model.bin",
     "bases/a/vocab.txt", "bases/a/adapter_config.json", "bases/a/modeling_a.py", "bases/a/Merges.txt",
     "bases/a/.tokenizer.json", "more/rows.csv", "more/rows.JSONL.gz"],
)  # fmt: skip
def test_what_is_added_beside_a_sealed_study_stops_verify(sealed, name, capsys):
    """No manifest and no file of the study is touched, and a loader could take what was added."""
    place, root = Path("results", name), root_of()
    assert command("verify", "--root", root) == 0
    place.parent.mkdir(exist_ok=True)
    assert not place.exists(), "it would be an artifact that was changed"
    place.write_bytes(b"x")
    assert command("verify", "--root", root) == 3 and str(place) in capsys.readouterr().out
    place.unlink()
    place.symlink_to("../bases/a/model.safetensors")
    assert command("verify", "--root", root) == 3
    place.unlink()
    Path("results/bases/a/notes.txt").write_text("mine")
    assert command("verify", "--root", root) == 0 and "notes.txt: no manifest names it" in capsys.readouterr().out
