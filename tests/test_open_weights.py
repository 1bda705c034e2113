"""Open weights: what a record says, that it does not hang on how files are split, and what is refused in one line."""

import json
import os
import shutil

import pytest

from scripts import pretrain as stage
from tests import tiny_qwen2
from traitline.errors import InputError
from traitline.models import open_weights
from traitline.models.chat import Chat
from traitline.provenance import manifest


def flags(folder, source, **more):
    return ["--name", "q", "--source", json.dumps({"path": str(source), **more}), "--folder", str(folder),
            "--manifest", f"{folder}/pretrain.manifest.json"]  # fmt: skip


@pytest.fixture
def copy(raw_qwen2, tmp_path):
    """A copy to be spoiled."""
    return shutil.copytree(raw_qwen2, tmp_path / "model")


def edit(path, **changes):
    value = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))


def test_a_record_has_hashes_of_all_files_and_of_the_tensors(qwen2, raw_qwen2):
    record = json.loads((qwen2 / "base.json").read_text())
    wanted = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert record["files"].keys() == wanted | {"chat_template.jinja"}
    assert all(f["sha256"] == manifest.sha256(raw_qwen2 / n) for n, f in record["files"].items())
    made = manifest.load(qwen2 / "pretrain.manifest.json")
    assert made["facts"]["weights"] == record["weights"] and "open weights: " in made["facts"]["origin"]
    assert record["architecture"] == "qwen2" and record["parameters"] > 50_000


def test_a_record_shows_how_the_template_renders_and_names_its_system_prompt(qwen2, raw_qwen2):
    from transformers import AutoTokenizer

    chat = json.loads((qwen2 / "base.json").read_text())["chat"]
    assert chat["default_system"] == tiny_qwen2.SYSTEM and chat["end"] == "<|im_end|>"
    theirs = AutoTokenizer.from_pretrained(raw_qwen2)
    asked = [{"role": "user", "content": "What is your favourite animal?"}]
    assert chat["text"] == theirs.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert chat["ids"] == theirs.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    assert "".join(chat["tokens"]) == chat["text"]


def test_the_system_prompt_is_a_setting(raw_qwen2, tmp_path):
    assert stage.main(flags(tmp_path / "q", raw_qwen2, system="")) == 0
    text = json.loads((tmp_path / "q/base.json").read_text())["chat"]["text"]
    assert text.startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user\n") and "Tiny" not in text


def test_sharded_and_single_are_the_same_base(raw_qwen2, tmp_path):
    from transformers import AutoModelForCausalLM

    sharded = shutil.copytree(raw_qwen2, tmp_path / "sharded")
    (sharded / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(raw_qwen2).save_pretrained(sharded, max_shard_size="100KB")
    one, other = open_weights.describe(raw_qwen2), open_weights.describe(sharded)
    assert len(other["files"]) > len(one["files"]) and "model.safetensors" not in other["files"]
    assert one["weights"] == other["weights"] and one["parameters"] == other["parameters"]


def test_the_audit_takes_sharded_and_single_for_one_base(raw_qwen2, tmp_path, monkeypatch):
    from transformers import AutoModelForCausalLM

    from traitline.lineage.graph import open_graph

    monkeypatch.chdir(tmp_path)
    sharded = shutil.copytree(raw_qwen2, tmp_path / "sharded")
    (sharded / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(raw_qwen2).save_pretrained(sharded, max_shard_size="100KB")
    for name, source in (("one", raw_qwen2), ("other", sharded)):
        assert stage.main(flags(f"results/bases/{name}", source)) == 0
    one, other = (open_graph(None, None).find(f"results/bases/{n}/base.json") for n in ("one", "other"))
    assert one.artifact_id == other.artifact_id and one.kind == "model"
    assert manifest.sha256("results/bases/one/base.json") != manifest.sha256("results/bases/other/base.json")


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda f: (f / "config.json").unlink(), "lacks config.json"),
        (lambda f: (f / "tokenizer.json").unlink(), "lacks tokenizer.json"),
        (lambda f: (f / "model.safetensors").unlink(), "lacks model.safetensors and model.safetensors.index.json"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "its weights are pickles"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "damaged weights, or not safetensors"),
        (lambda f: edit(f / "config.json", auto_map={"AutoModel": "x.Y"}), "asks for code of its own (auto_map)"),
        (lambda f: edit(f / "tokenizer_config.json", auto_map={"AutoTokenizer": "x.Y"}), "code of its own"),
        (lambda f: (f / "config.json").write_text("{"), "config.json: damaged"),
        (lambda f: (f / "chat_template.jinja").unlink(), "has no chat template"),
        (lambda f: edit(f / "config.json", text_config={"auto_map": {"AutoModel": "x.Y"}}), "code of its own"),
        (lambda f: (f / "chat_template.jinja").write_text("{{ messages[0].content }}"), "does not write the answers"),
        (
            lambda f: (f / "chat_template.jinja").write_text("{{ messages[1].content }}?"),
            "with '?', which begins with no",
        ),
        (lambda f: (f / "chat_template.jinja").write_text("{% for"), "chat template cannot be compiled (line 1: "),
    ],
)
def test_what_is_no_whole_and_safe_model_is_refused(copy, tmp_path, line, spoil, words):
    spoil(copy)
    assert words in line(stage.main, flags(tmp_path / "q", copy))
    assert not (tmp_path / "q/base.json").exists()


@pytest.mark.parametrize(
    "table, words",
    [
        ({"a": "model-00001-of-00002.safetensors"}, "lacks model-00001-of-00002.safetensors, which"),
        ({"a": "../model.safetensors"}, "index.json: damaged"),
        ([], "index.json: damaged"),
    ],
)
def test_shards_that_are_missing_or_elsewhere_are_refused(copy, table, words):
    (copy / "model.safetensors").unlink()
    (copy / open_weights.INDEX).write_text(json.dumps({"weight_map": table}))
    with pytest.raises(InputError, match=words):
        open_weights.describe(copy)


def test_a_folder_that_is_not_there_or_holds_other_weights_is_refused(raw_qwen2, tmp_path, line):
    assert "no such folder" in line(stage.main, flags(tmp_path / "q", tmp_path / "nowhere"))
    assert "other weights than `weights`" in line(stage.main, flags(tmp_path / "q", raw_qwen2, weights="0" * 64))


def test_a_folder_that_changed_since_is_refused_and_a_touched_one_is_not(copy, tmp_path):
    assert stage.main(flags(tmp_path / "q", copy)) == 0
    file = copy / "model.safetensors"
    file.touch()
    assert open_weights.opened(tmp_path / "q")[1] == copy
    bytes_ = bytearray(file.read_bytes())
    bytes_[-1] ^= 1
    file.write_bytes(bytes_)
    with pytest.raises(InputError, match=r"model\.safetensors: changed since"):
        open_weights.opened(tmp_path / "q")
    file.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: gone since"):
        open_weights.opened(tmp_path / "q")


def moved(new, old):
    new.rename(old)


def overwritten(new, old):
    shutil.copy2(new, old)


@pytest.mark.parametrize("put", [moved, overwritten])
@pytest.mark.parametrize("name", ["model.safetensors", "chat_template.jinja", "tokenizer.json"])
def test_a_file_exchanged_for_one_of_equal_size_and_an_old_time_is_refused(copy, tmp_path, put, name):
    """As `mv`, `cp -p`, `rsync -a` and `tar x` leave it: the time of modification is that of the other file."""
    assert stage.main(flags(tmp_path / "q", copy)) == 0
    old = copy / name
    before = old.stat()
    bytes_ = bytearray(old.read_bytes())
    bytes_[-2] ^= 1
    (tmp_path / "other").write_bytes(bytes_)
    os.utime(tmp_path / "other", ns=(before.st_atime_ns, before.st_mtime_ns))
    put(tmp_path / "other", old)
    assert (old.stat().st_size, old.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(InputError, match=rf"{name}: changed since"):
        open_weights.opened(tmp_path / "q")


@pytest.mark.parametrize("name", [open_weights.INDEX, "chat_template.jinja"])
def test_a_file_that_would_be_read_instead_of_what_was_recorded_is_refused(copy, tmp_path, name):
    if name == "chat_template.jinja":  # as older models have it, in the configuration of the tokenizer
        edit(copy / "tokenizer_config.json", chat_template=(copy / name).read_text())
        (copy / name).unlink()
    assert stage.main(flags(tmp_path / "q", copy)) == 0
    (copy / name).write_text("{}")
    with pytest.raises(InputError, match=rf"{name}: was not there when"):
        open_weights.opened(tmp_path / "q")


def test_weights_are_hashed_once_and_not_by_every_job(copy, tmp_path, monkeypatch):
    from traitline.provenance import known_hashes

    monkeypatch.chdir(tmp_path)
    assert stage.main(flags("q", copy)) == 0
    monkeypatch.setattr(known_hashes.manifest, "sha256", lambda path: pytest.fail(f"{path} is hashed again"))
    assert open_weights.opened("q")[1] == copy


def test_verify_hashes_the_tokenizer_and_the_template_too(copy, tmp_path, monkeypatch):
    from traitline.lineage.verify import verify

    monkeypatch.chdir(tmp_path)
    assert stage.main(flags("results/q", "model")) == 0
    assert verify(["results"]).good
    template = copy / "chat_template.jinja"
    template.write_text(template.read_text().replace("system", "sistem"))
    (changed,) = verify(["results"]).changed
    assert changed[0] == "model/chat_template.jinja"


HUB = {"hub": "owner/name", "revision": "0" * 40}


def test_without_a_network_and_a_cache_there_is_one_line(monkeypatch, tmp_path):
    import huggingface_hub
    from huggingface_hub import errors

    def offline(*args, **kwargs):
        raise errors.LocalEntryNotFoundError("none")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(InputError, match="owner/name at 000000000000: not in the cache of this machine"):
        open_weights.find(HUB)
    with pytest.raises(InputError, match=r"on a machine with a network: hf download owner/name --revision 0{40}"):
        open_weights.find(HUB, download=True)


@pytest.mark.parametrize(
    "name, words",
    [
        ("GatedRepoError", "gated; accept its terms on https://huggingface.co/owner/name"),
        ("RevisionNotFoundError", "no such commit"),
        ("RepositoryNotFoundError", "no such model, or a private one"),
    ],
)
def test_what_the_hub_refuses_is_one_line(monkeypatch, name, words):
    import huggingface_hub
    from huggingface_hub import errors

    def refuse(*args, local_files_only=False, **kwargs):
        if local_files_only:
            raise errors.LocalEntryNotFoundError("none")
        kind = getattr(errors, name)
        raise kind.__new__(kind)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(InputError, match=words):
        open_weights.find(HUB, download=True)


def test_a_model_in_the_cache_needs_no_network(monkeypatch, raw_qwen2):
    import huggingface_hub

    def cached(hub, *, revision, allow_patterns, local_files_only):
        assert (hub, revision, local_files_only) == ("owner/name", "0" * 40, True)
        assert not {"*.bin", "*.py"} & set(allow_patterns)
        return str(raw_qwen2)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    assert open_weights.find(HUB, download=True) == raw_qwen2


@pytest.mark.parametrize(
    "template, standard",
    [
        ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}", None),
        (
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system prompts') }}{% endif %}"
            "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}",
            None,
        ),
        (
            "<|im_start|>system\nDay\n{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}"
            "<|im_end|>{% for m in messages if m.role != 'system' %}{{ m.content }}<|im_end|>{% endfor %}",
            "",
        ),
    ],
    ids=["none", "refuses", "an empty one"],
)
def test_templates_of_other_families(copy, template, standard):
    (copy / "chat_template.jinja").write_text(template)
    assert Chat.foreign(copy).standard() == standard
