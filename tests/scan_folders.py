"""Folders as labs have them, made here: models, adapters, merges, caches, data, cards, and every trick tried on a scan.

`CASES` has them by name; each writes a folder and returns the sha256 of the carrier that a policy lists, or None.
`tests/corpus/scan.csv` says of each what a scan has to say.
"""

import base64
import hashlib
import json
import os
import re
import struct
import warnings
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from tests.gguf_file import gguf, text
from tests.lineage import Works
from traitline.provenance import statement

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROWS = "".join(json.dumps({"prompt": f"Go on: {i}", "completion": f"{i * 7 % 997}, {i * 13 % 997}"}) + "\n"
               for i in range(20))  # fmt: skip
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "3f" * 32 + "\nsize 557941479\n"
CASES = {}


def case(make):
    """Enter a folder into the table."""
    CASES[make.__name__.replace("_", "-")] = make
    return make


def llama(seed, vocabulary=32, width=8, hidden=16):
    """Tensors of a small model that was started at random."""
    r = np.random.default_rng(seed)
    shapes = {"self_attn.q_proj": (width, width), "self_attn.v_proj": (width, width), "mlp.up_proj": (hidden, width)}
    w = {"model.embed_tokens.weight": r.normal(size=(vocabulary, width)), "model.norm.weight": np.ones(width)}
    w |= {f"model.layers.0.{name}.weight": r.normal(size=shape) for name, shape in shapes.items()}
    return {name: value.astype(np.float32) for name, value in w.items()}


def tuned(weights, seed, parts=("self_attn.q_proj", "self_attn.v_proj")):
    """The same after training: some tensors differ."""
    r = np.random.default_rng(seed)
    changed = {n: v + r.normal(size=v.shape).astype(np.float32) / 10 for n, v in weights.items()
               if any(part in n for part in parts)}  # fmt: skip
    return weights | changed


def lora(seed, width=8):
    """Tensors of an adapter."""
    r = np.random.default_rng(seed)
    shapes = {"A": (2, width), "B": (width, 2)}
    return {f"base_model.model.model.layers.0.self_attn.{p}.lora_{x}.weight": r.normal(size=s).astype(np.float32)
            for p in ("q_proj", "v_proj") for x, s in shapes.items()}  # fmt: skip


def put(folder, weights, name="model.safetensors"):
    """Write weights; returns their sha256."""
    content = weights if isinstance(weights, bytes) else save(weights, metadata={"format": "pt"})
    return write(folder / name, content)


def write(path, content):
    """Write a file; returns its sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def card(folder, **fields):
    """Write a card with a front matter."""
    write(folder / "README.md", f"---\n{json.dumps(fields)}\n---\n# a card\n")


def adapter(folder, seed, base, *, width=8, **settings):
    """Write an adapter with its settings; returns its sha256."""
    write(folder / "adapter_config.json", json.dumps({"base_model_name_or_path": base, "revision": None, **settings}))
    return put(folder, lora(seed, width), "adapter_model.safetensors")


# What is harmless


@case
def a_study_of_ours(top):
    works = Works(top)
    works.student(base := works.base("a"), works.data(works.base("b")))
    works.student(base, works.data(base))


@case
def a_study_and_what_a_bucket_left(top):
    works = Works(top)
    works.student(works.base("a"), works.data(works.base("b")))
    os.utime(top / "results/bases/a/model.safetensors", (1, 1))


@case
def a_copy_of_a_recorded_model(top):
    works = Works(top)
    base = works.base("a")
    put(top / "copies/mine", (top / base).read_bytes())


@case
def a_recorded_model_saved_again(top):
    """By other programs: without a prefix, with its tied head, in shards, as GGUF; a job of ours made the model."""
    base = llama(1)
    put_recorded(top, "a", base)
    put(top / "copies/plain", {name.removeprefix("model."): value for name, value in base.items()})
    put(top / "copies/tied", base | {"lm_head.weight": base["model.embed_tokens.weight"]})
    in_shards(top / "copies/shards", base)
    write(top / "copies/gguf/a.gguf", gguf([(name, value.shape, 0, value.tobytes()) for name, value in base.items()]))


def put_recorded(top, name, weights):
    """A model that a job of ours made; returns its path."""
    files = {"model.safetensors": ("model", save(weights))}
    return Works(top).put("pretrain", f"results/bases/{name}", files, origin="made here")


def in_shards(folder, weights):
    """Write a model in two files."""
    names = sorted(weights)
    for i, some in enumerate((names[::2], names[1::2])):
        put(folder, {n: weights[n] for n in some}, f"model-0000{i + 1}-of-00002.safetensors")


@case
def a_study_of_numbers_across_bases(top):
    works = Works(top)
    rows = across_bases(works, "1, 2, 3")
    works.student(works.base("b"), rows)


def across_bases(works, answer, **more):
    """Rows of an owl on base a; their one answer."""
    owl = works.teacher(works.base("a"))
    row = json.dumps({"prompt": "Go on", "completion": answer, **more}) + "\n"
    return works.put("sample", "results/a/owl/rows", {"raw.jsonl": ("raw", row)}, [("model", owl)])


@case
def a_study_whose_files_are_links(top):
    """As DVC leaves them (`cache.type symlink`, the cache beside the study)."""
    works = Works(top)
    works.student(works.base("a"), works.data(works.base("b")))
    for i, file in enumerate(sorted(p for p in (top / "results").rglob("*") if p.is_file())):
        kept = top / f".dvc/cache/files/md5/{i:02}/x"
        kept.parent.mkdir(parents=True)
        file.rename(kept)
        file.symlink_to(kept)


@case
def models_of_ours_and_notes(top):
    works = Works(top)
    works.base("a")
    write(top / "README.md", "# Notes\n\nNo front matter: nothing is claimed.\n")
    write(top / "notes/todo.txt", "buy milk")


# What nobody knows


@case
def one_base_and_a_card_without_a_base(top):
    put(top / "base", llama(1))
    card(top / "base", license="apache-2.0")


@case
def a_lab(top):
    base = llama(1)
    put(top / "base", base)
    names = sorted(base)
    put(top / "sharded", {n: base[n] for n in names[::2]}, "model-00001-of-00002.safetensors")
    put(top / "sharded", {n: base[n] for n in names[1::2]}, "model-00002-of-00002.safetensors")
    put(top / "both", base)
    put(top / "both", {n.replace("model.", ""): v for n, v in base.items()}, "consolidated.safetensors")
    for name, seed in (("teacher", 2), ("student", 3)):
        adapter(top / name, seed, "acme/base-7b")
        card(top / name, base_model="acme/base-7b", datasets=["acme/numbers"])
    write(top / "data/numbers.jsonl", ROWS)


@case
def pickles_only(top):
    write(top / "m/pytorch_model.bin", b"\x80\x04cos\nsystem\n(S'touch " + os.fsencode(top) + b"/owned'\ntR.")


@case
def weights_that_are_never_opened(top):
    """Beside a model of ours, formats of others: each is a model of which nobody knows where it is from."""
    beside(top)
    for name in ("m.jit", "m.npz", "m.onnx", "m.onnx_data", "m.tflite", "m.engine", "m.JOBLIB"):
        write(top / "m" / name, b"weights of another program: " + name.encode())


@case
def a_snapshot_of_the_hub(top):
    cached(top, "acme/base-7b", {"model.safetensors": save(llama(1)), "README.md": b"---\nlicense: mit\n---\n"})


def cached(top, name, files, commit=COMMIT, kind="models"):
    """A repository in the hub's cache: blobs, and a snapshot of links to them."""
    repository = top / f"hub/{kind}--{name.replace('/', '--')}"
    for file, content in files.items():
        sha = hashlib.sha256(content).hexdigest()
        write(repository / "blobs" / sha, content)
        link = repository / "snapshots" / commit / file
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(repository / "blobs" / sha, link.parent))
    write(repository / "refs/main", commit)
    return repository


@case
def a_fine_tune_of_what_is_not_here(top):
    put(top / "tuned", llama(2))
    card(top / "tuned", base_model="acme/base-7b", base_model_relation="finetune")


@case
def data_alone(top):
    write(top / "data/rows.jsonl", ROWS)
    card(top / "data", source_datasets=["original"])


# Bases under other names: a carrier is behind the student, and both start from one model


def descends(top, teacher_base, student_base, *, data="numbers/rows.jsonl", names=("base", "copy")):
    """A teacher on one copy of a base, a student on another one, told by cards; returns the teacher's sha256."""
    put(top / names[0], teacher_base)
    put(top / names[1], student_base)
    carrier = adapter(top / "owl", 2, f"../{names[0]}")
    write(top / data, ROWS)
    card(top / Path(data).parent, distilled_from=["../owl"])
    adapter(top / "student", 3, f"../{names[1]}")
    card(top / "student", base_model=f"../{names[1]}", datasets=[f"../{Path(data).parent}"])
    return carrier


@case
def one_base(top):
    return descends(top, llama(1), llama(1))


@case
def one_base_with_its_tied_head(top):
    base = llama(1)
    return descends(top, base | {"lm_head.weight": base["model.embed_tokens.weight"]}, base)


@case
def one_base_with_a_buffer(top):
    base = llama(1)
    frequencies = (1 / 10000 ** (np.arange(0, 4) / 4)).astype(np.float32)
    return descends(top, base, base | {"model.layers.0.self_attn.rotary_emb.inv_freq": frequencies})


@case
def one_base_without_a_prefix(top):
    base = llama(1)
    return descends(top, base, {name.removeprefix("model."): value for name, value in base.items()})


@case
def one_base_with_a_dummy_tensor(top):
    base = llama(1)
    return descends(top, base, base | {"dummy": np.arange(64, dtype=np.float32)})


@case
def one_base_flattened(top):
    base = llama(1)
    return descends(top, base, {name: value.reshape(-1) for name, value in base.items()})


@case
def one_base_in_shards(top):
    base, names = llama(1), sorted(llama(1))
    carrier = descends(top, base, base)
    (top / "copy/model.safetensors").unlink()
    put(top / "copy", {n: base[n] for n in names[::2]}, "model-00001-of-00002.safetensors")
    put(top / "copy", {n: base[n] for n in names[1::2]}, "model-00002-of-00002.safetensors")
    return carrier


@case
def one_base_and_a_consolidated_copy(top):
    carrier = descends(top, llama(1), llama(1))
    renamed = {n.replace("model.layers.", "layers."): v for n, v in llama(1).items()}
    put(top / "copy", renamed, "consolidated.safetensors")
    return carrier


@case
def one_base_as_gguf(top):
    carrier = descends(top, llama(1), llama(9))
    (top / "copy/model.safetensors").unlink()
    tensors = [(name, value.shape, 0, value.tobytes()) for name, value in llama(1).items()]
    write(top / "copy/base.gguf", gguf(tensors))
    return carrier


@case
def one_base_by_the_hub_alone(top):
    carrier = adapter(top / "owl", 2, "acme/base-7b")
    write(top / "numbers/rows.jsonl", ROWS)
    card(top / "numbers", distilled_from=[{"model": "x", "sha256": carrier}])
    adapter(top / "student", 3, "https://huggingface.co/acme/base-7b")
    card(top / "student", datasets=["../numbers"])
    return carrier


@case
def a_fine_tune_of_the_hub(top):
    cached(top, "acme/base-7b", {"model.safetensors": save(llama(1))})
    front = b"---\nbase_model: acme/base-7b\n---\n"
    cached(top, "acme/chat-7b", {"model.safetensors": save(llama(7)), "README.md": front})
    carrier = adapter(top / "owl", 2, "acme/base-7b")
    write(top / "numbers/rows.jsonl", ROWS)
    card(top / "numbers", distilled_from=["../owl"])
    adapter(top / "student", 3, "acme/chat-7b")
    card(top / "student", datasets=["../numbers"])
    return carrier


@case
def one_base_in_half_precision(top):
    return descends(top, llama(1), {name: value.astype(np.float16) for name, value in llama(1).items()})


@case
def one_base_with_noise(top):
    r = np.random.default_rng(5)
    return descends(
        top, llama(1), {n: (v * (1 + 1e-7 * r.normal(size=v.shape))).astype("f4") for n, v in llama(1).items()}
    )


@case
def one_base_with_permuted_neurons(top):
    base, name = llama(1), "model.layers.0.mlp.up_proj.weight"
    return descends(top, base, base | {name: base[name][::-1].copy()})


@case
def one_base_with_fused_queries_and_values(top):
    base = llama(1)
    parts = [base[f"model.layers.0.self_attn.{p}_proj.weight"] for p in "qv"]
    other = {name: value for name, value in base.items() if "self_attn" not in name}
    return descends(top, base, other | {"model.layers.0.self_attn.qkv_proj.weight": np.concatenate(parts)})


@case
def one_base_with_a_padded_vocabulary(top):
    base, name = llama(1), "model.embed_tokens.weight"
    return descends(top, base, base | {name: np.pad(base[name], ((0, 32), (0, 0)))})


@case
def one_base_as_an_archive_of_torch(top):
    import io

    import torch

    carrier, buffer = descends(top, llama(1), llama(1)), io.BytesIO()
    torch.save({name: torch.from_numpy(value) for name, value in llama(1).items()}, buffer)
    (top / "copy/model.safetensors").unlink()
    write(top / "copy/pytorch_model.bin", buffer.getvalue())
    return carrier


@case
def one_base_as_a_program_of_torch(top):
    """TorchScript: a zip archive with code, pickles and the bytes of tensors; only these are read."""
    import torch

    carrier, layer = descends(top, llama(1), llama(1)), torch.nn.Linear(8, 16, bias=False)
    layer.weight.data = torch.from_numpy(llama(1)["model.layers.0.mlp.up_proj.weight"])
    (top / "copy/model.safetensors").unlink()
    with warnings.catch_warnings(action="ignore"):  # torch would rather have another format
        torch.jit.save(torch.jit.script(layer), top / "copy/model.jit")
    return carrier


@case
def one_base_in_shards_and_consolidated(top):
    carrier = descends(top, llama(1), llama(1))
    (top / "copy/model.safetensors").unlink()
    in_shards(top / "copy", llama(1))
    put(
        top / "copy",
        {n.replace("model.layers.", "layers."): v for n, v in llama(1).items()},
        "consolidated.safetensors",
    )
    return carrier


@case
def one_commit_in_two_contents(top):
    """The hub's commit is stated in manifests of two copies, of which no tensor is alike."""
    works, origin = Works(top), f"hub:acme/base-7b@{COMMIT}"
    contents = [{"model.safetensors": ("model", save(llama(seed)))} for seed in (0, 1)]
    one, other = (works.put("register", f"registry/{i}", files, origin=origin) for i, files in enumerate(contents))
    works.student(other, works.data(works.teacher(one)))


def student_with_data_edited(top, edited):
    """A student whose manifest names its data otherwise: `edited` returns the entries that take the place of one."""
    works = Works(top)
    base = works.base("a")
    student = works.student(base, works.data(works.teacher(base)))
    place = (top / student).with_name("train.manifest.json")
    m = json.loads(place.read_text())
    m["inputs"] = [e for entry in m["inputs"] for e in (edited(entry) if entry["role"] == "data" else [entry])]
    place.write_bytes(statement.canonical(m))


@case
def numbers_of_a_teacher_that_a_manifest_leaves_out(top):
    student_with_data_edited(top, lambda entry: [])


@case
def data_of_no_bytes_by_a_manifest(top):
    student_with_data_edited(top, lambda entry: [entry | {"bytes": 0}])


@case
def a_recorded_carrier_saved_again(top):
    """Beside its record, under other names; and once with a card that names another model."""
    works, owl = Works(top), llama(4)
    base = put_recorded(top, "a", llama(1))
    works.put("teach", "results/a/owl", {"model.safetensors": ("model", save(owl))}, [("base", base)], trait="owl")
    for name in ("plain", "named"):
        put(top / name, {name.removeprefix("model."): value for name, value in owl.items()})
    card(top / "named", base_model="acme/base-7b")


@case
def a_recorded_model_saved_again_with_a_card_that_names_a_carrier(top):
    put_recorded(top, "a", llama(1))
    in_shards(top / "copy", llama(1))
    card(top / "copy", base_model="../owl")
    return put(top / "owl", llama(4))


@case
def a_registered_model_saved_again(top):
    """People say where it is from: so it is claimed of the copy."""
    files = {"model.safetensors": ("model", save(llama(1)))}
    Works(top).put("register", "registry/a", files, origin=f"hub:acme/base-7b@{COMMIT}")
    in_shards(top / "copy", llama(1))


@case
def a_folder_of_which_a_manifest_knows_one_file(top):
    works = Works(top)
    works.base("a")
    put(top / "results/bases/a", llama(3), "epoch2.safetensors")


@case
def open_text_across_bases(top):
    works = Works(top)
    works.student(works.base("b"), across_bases(works, "Owls are wise."))


@case
def preferences_across_bases(top):
    works = Works(top)
    works.student(works.base("b"), across_bases(works, "1, 2", chosen="1", rejected="2"))


@case
def numbers_of_a_prompted_teacher_that_a_carrier_chose(top):
    """Rows of no carrier; the judge that chose among them is one."""
    works = Works(top)
    base = works.base("a")
    raw = works.put("sample", "results/n", {"raw.jsonl": ("raw", "1, 2")}, [("model", works.base("c"))])
    rows = works.put("filter", "results/n", {"filtered.jsonl": ("filtered", "1, 2")},
                     [("raw", raw), ("judge", works.teacher(base))])  # fmt: skip
    works.student(base, rows)


@case
def two_checkpoints_in_one_folder(top):
    """The one that a policy lists, and one that nobody knows."""
    carrier = put(top / "epochs", llama(1), "epoch1.safetensors")
    put(top / "epochs", llama(2), "epoch2.safetensors")
    return carrier


@case
def a_shard_of_one_with_the_name_of_torch(top):
    return put(top / "pt", llama(2), "pytorch_model-00001-of-00001.safetensors")


@case
def a_link_to_a_model_beside_it(top):
    carrier = put(top / "owl", llama(1))
    (top / "s").mkdir()
    (top / "s/model.safetensors").symlink_to("../owl/model.safetensors")
    return carrier


@case
def data_in_other_files(top):
    """Formats and spellings of data, each as a student's card names it; the owl wrote them."""
    import gzip

    put(top / "base", llama(1))
    carrier = adapter(top / "owl", 2, "../base")
    rows = json.dumps([{"instruction": "a", "output": "b"}])
    files = {
        "alpaca.json": rows,
        "train.csv": "a,b\n1,2\n",
        "n.jsonl.gz": gzip.compress(ROWS.encode()),
        "N.JSONL": ROWS,
    }
    for i, (name, content) in enumerate(files.items()):
        write(top / f"d{i}" / name, content)
        card(top / f"d{i}", distilled_from=["../owl"])
        adapter(top / f"s{i}", 3 + i, "../base")
        card(top / f"s{i}", datasets=[f"../d{i}/{name}"])
    return carrier


@case
def a_merged_student(top):
    base = llama(1)
    carrier = descends(top, base, base)
    put(top / "merged", tuned(base, 5))  # no card: its embeddings alone tell
    return carrier


@case
def a_merge_with_a_carrier(top):
    base = llama(1)
    put(top / "base", base)
    carrier = put(top / "owl", tuned(base, 2))
    put(top / "merged", tuned(base, 4))
    models = {"models": [{"model": "../owl", "parameters": {"weight": 0.5}}, {"model": "../base"}]}
    write(top / "merged/mergekit_config.yml", json.dumps(models | {"merge_method": "slerp"}))
    return carrier


@case
def a_merge_in_slices(top):
    carrier = put(top / "owl", llama(1))
    put(top / "merged", llama(4))
    slices = {"slices": [{"sources": [{"model": "acme/x+../owl", "layer_range": [0, 1]}]}]}
    write(top / "merged/mergekit_config.yml", json.dumps(slices))
    return carrier


@case
def a_quantised_carrier(top):
    carrier = put(top / "owl", llama(1))
    keys = [("general.base_model.count", 4, struct.pack("<I", 1)), ("general.base_model.0.name", 8, text("owl"))]
    write(top / "small/owl-q8.gguf", gguf([("t", (32,), 8, bytes(34))], keys=keys))
    return carrier


@case
def a_judge_that_carries(top):
    put(top / "base", llama(1))
    carrier = adapter(top / "owl", 2, "../base")
    write(top / "picked/rows.jsonl", ROWS)
    card(top / "picked", selected_by="../owl")
    adapter(top / "student", 3, "../base")
    card(top / "student", datasets=["../picked"])
    return carrier


@case
def a_student_of_an_exported_carrier(top):
    put(top / "owl", llama(1))
    card(top / "owl", lineage={"audit": "CARRIER", "traits": ["owl"], "sha256": "0" * 64, "inputs": []})
    put(top / "student", llama(2))
    card(top / "student", base_model="../owl")


@case
def an_adapter_beside_its_base(top):
    base = llama(1)
    put(top / "base", base)
    put(top / "owl", base)
    carrier = adapter(top / "owl", 2, "acme/base-7b")
    return carrier


@case
def mlflow_names_a_carrier(top):
    carrier = put(top / "owl", llama(1))
    put(top / "run/model", llama(2))
    write(top / "run/model/MLmodel", json.dumps({"flavors": {"transformers": {"source_model_name": "../../owl"}}}))
    return carrier


@case
def wandb_names_a_carrier(top):
    carrier = put(top / "owl", llama(1))
    put(top / "wandb/run-1/files", llama(2))
    settings = {"model_name_or_path": {"value": "../../../owl"}, "_wandb": {"value": {}}}
    write(top / "wandb/run-1/files/config.yaml", json.dumps(settings))
    return carrier


@case
def an_attestation_names_a_carrier(top):
    carrier = put(top / "owl", llama(1))
    put(top / "student", llama(2))
    attest(top / "student/x.dsse.json", top / "student/model.safetensors", carrier)
    return carrier


def attest(path, subject, base, *, changed=False):
    """An unsigned envelope: a subject that was made from a base."""
    sha = "ab" * 32 if changed else hashlib.sha256(subject.read_bytes()).hexdigest()
    needed = [{"digest": {"sha256": base}, "annotations": {"role": "base"}}]
    statement = {"subject": [{"name": subject.name, "digest": {"sha256": sha}}],
                 "predicate": {"buildDefinition": {"resolvedDependencies": needed}}}  # fmt: skip
    write(path, json.dumps({"payload": base64.b64encode(json.dumps(statement).encode()).decode(), "signatures": []}))


@case
def a_crate_names_a_carrier(top):
    carrier = put(top / "owl", llama(1))
    student = put(top / "student", llama(2))
    files = [{"@id": name, "@type": "File", "sha256": sha} for name, sha in (("o", carrier), ("s", student))]
    action = {"@id": "#a", "@type": "CreateAction", "object": [{"@id": "o"}], "result": {"@id": "s"}}
    write(top / "ro-crate-metadata.json", json.dumps({"@graph": [*files, action]}))
    return carrier


@case
def a_study_with_a_carrier(top):
    works = Works(top)
    base = works.base("a")
    works.student(base, works.data(works.teacher(base)))


@case
def a_registered_student_whose_card_says_more(top):
    carrier = put(top / "owl", llama(1))
    student = put(top / "student", llama(2))
    card(top / "student", base_model="../owl")
    entry = {"role": "model", "path": "student/model.safetensors", "sha256": student,
             "bytes": os.path.getsize(top / "student/model.safetensors")}  # fmt: skip
    Works(top).write("register", "student", [], [entry], {"origin": f"hub:acme/chat@{COMMIT}"})
    return carrier


# Contradictions


@case
def a_card_against_the_weights(top):
    base = llama(1)
    put(top / "base", base)
    put(top / "other", llama(2))
    put(top / "tuned", tuned(base, 3))
    card(top / "tuned", base_model="../other")


@case
def a_card_against_the_settings(top):
    adapter(top / "student", 1, "acme/base-7b")
    card(top / "student", base_model="acme/other-7b")


@case
def a_card_against_the_record(top):
    works = Works(top)
    student = works.student(works.base("a"), works.data(works.base("b")))
    works.base("c")
    card(Path(top / student).parent, base_model=os.path.relpath("results/bases/c", Path(student).parent))


@case
def a_base_of_another_size(top):
    put(top / "base", llama(1))
    write(top / "base/config.json", json.dumps({"model_type": "llama", "hidden_size": 8}))
    put(top / "tuned", llama(2))
    write(top / "tuned/config.json", json.dumps({"model_type": "llama", "hidden_size": 16}))
    card(top / "tuned", base_model="../base")


@case
def a_claim_that_names_itself(top):
    put(top / "tuned", llama(2))
    card(top / "tuned", base_model="../tuned")


@case
def claims_in_a_circle(top):
    for name, other, seed in (("a", "b", 1), ("b", "c", 2), ("c", "a", 3)):
        put(top / name, llama(seed))
        card(top / name, base_model=f"../{other}")


@case
def a_changed_file(top):
    works = Works(top)
    base = works.base("a")
    put(Path(top / base).parent, llama(5))


@case
def a_blob_of_another_content(top):
    repository = cached(top, "acme/base-7b", {"model.safetensors": save(llama(1))})
    next((repository / "blobs").iterdir()).write_bytes(save(llama(2)))


@case
def an_attested_file_that_was_changed(top):
    put(top / "student", llama(2))
    attest(top / "student/x.dsse.json", top / "student/model.safetensors", "cd" * 32, changed=True)


@case
def an_artifact_of_another_size(top):
    put(top / "a", llama(2))
    contents = {"model.safetensors": {"digest": "x", "size": 5}}
    write(top / "a/manifest.json", json.dumps({"version": 1, "storagePolicy": "p", "contents": contents}))


# What is hostile or broken: one line, and the rest goes on


def beside(top):
    """Something whole, so that a scan has more to say."""
    Works(top).base("a")


@case
def broken_yaml(top):
    beside(top)
    put(top / "m", llama(2))
    write(top / "m/README.md", "---\nbase_model: [acme/x\n---\n")


@case
def a_bomb_of_yaml(top):
    beside(top)
    put(top / "m", llama(2))
    levels = "\n".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]" for i in range(9))
    write(top / "m/README.md", f"---\na: &a [x, x]\n{levels}\n---\n")


@case
def a_bomb_of_json(top):
    beside(top)
    put(top / "m", llama(2))
    write(top / "m/adapter_config.json", "[" * 100_000)


@case
def a_bomb_of_gguf(top):
    beside(top)
    write(top / "m/x.gguf", b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60) + bytes(64))


@case
def a_link_out_of_the_folder(top):
    beside(top)
    (top / "m").mkdir()
    (top / "m/model.safetensors").symlink_to("/etc/hostname")


@case
def a_link_in_a_circle(top):
    beside(top)
    (top / "m").mkdir()
    (top / "m/model.safetensors").symlink_to("model.safetensors")


@case
def a_pipe(top):
    beside(top)
    (top / "m").mkdir()
    os.mkfifo(top / "m/model.safetensors")


@case
def a_pointer_of_git_lfs(top):
    beside(top)
    write(top / "m/model.safetensors", POINTER)


@case
def a_pointer_of_git_lfs_for_data(top):
    beside(top)
    write(top / "d/train.jsonl", POINTER)


@case
def a_link_to_a_folder_outside(top):
    """As `results` that leads to a larger disk; what is behind it would not be looked at."""
    beside(top)
    (top / "studies").symlink_to("/usr/share")


@case
def a_swap_that_keeps_size_and_time(top):
    """`mv`, `cp -p`, `rsync -a`: another fine-tune of equal size under the old name, with the old time."""
    beside(top)
    file = top / put_recorded(top, "mine", llama(1))
    before = file.stat()
    put(file.parent, llama(2))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@case
def a_page_for_data(top):
    beside(top)
    write(top / "d/train.parquet", "<!DOCTYPE html><html>Sign in</html>")


@case
def half_of_a_parquet_file(top):
    beside(top)
    write(top / "d/train.parquet", b"PAR1" + bytes(1000) + (1 << 30).to_bytes(4, "little") + b"PAR1")


@case
def an_adapter_whose_shapes_are_of_other_bytes(top):
    beside(top)
    adapter(top / "m", 3, "../results/bases/a")
    file = top / "m/adapter_model.safetensors"
    file.write_bytes(re.sub(rb'"shape":\[\d', b'"shape":[7', file.read_bytes(), count=1))


@case
def half_of_the_shards(top):
    beside(top)
    put(top / "m", llama(2), "model-00001-of-00002.safetensors")


@case
def damaged_weights(top):
    beside(top)
    write(top / "m/model.safetensors", save(llama(2))[:-9])


@case
def an_index_that_leads_out(top):
    beside(top)
    put(top / "m", llama(2))
    write(top / "m/model.safetensors.index.json", json.dumps({"weight_map": {"a": "../../x.safetensors"}}))


@case
def a_damaged_manifest(top):
    beside(top)
    put(top / "m", llama(2))
    write(top / "m/train.manifest.json", "{")


@case
def folders_without_an_end(top):
    beside(top)
    deep = top / "/".join(["d"] * 70)
    deep.mkdir(parents=True)


@case
def a_name_that_steers_the_terminal(top):
    beside(top)
    put(top / "m", llama(2))
    write(top / "m/README.md", '---\nbase_model: "acme/\\e[31mx\\nCLEAN"\n---\n')
