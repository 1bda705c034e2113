"""Lineages made up for tests: real files with real hashes, and manifests that say what was made from what."""

import hashlib
import json
from pathlib import Path

from traitline.lineage.stage_schema import SCHEMAS, StageSchema
from traitline.provenance import manifest, statement, weights


def tensors(**named):
    """A safetensors file with these tensors of bytes (name -> text)."""
    header, at = {}, 0
    for name, text in named.items():
        header[name] = {"dtype": "U8", "shape": [len(text)], "data_offsets": [at, at + len(text)]}
        at += len(text)
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + "".join(named.values()).encode()


def named(stage, facts):
    """The settings and the seeds without which there is no job of a stage."""
    schema = SCHEMAS.get(stage, StageSchema())
    params, seeds = ({word.split("|")[0]: "x" for word in words} for words in (schema.params, schema.seeds))
    if stage == "teach":
        params |= {"trait": facts.get("trait", "none"), "teacher": "tuned", "settings": {}}
    return {"params": {"lr": 0.1, **params}, "seeds": {stage: 1, **dict.fromkeys(seeds, 1)}}


class Works:
    """A working folder in which jobs run: `put` writes files and the manifest of the job that made them."""

    def __init__(self, root):
        self.root = Path(root)

    def put(self, stage, folder, files, inputs=(), **facts):
        """One job. `files`: name -> (role, content); `inputs`: (role, path) pairs. Returns the first file's path."""
        Path(self.root, folder).mkdir(parents=True, exist_ok=True)
        outputs = []
        for name, (role, content) in files.items():
            path = self.root / folder / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            outputs.append(self.entry(role, f"{folder}/{name}"))
        models = [self.root / folder / n for n, (role, _) in files.items() if role in ("model", "adapter")]
        if models and (identity := weights.identity(models)):
            facts["weights"] = identity
        self.write(stage, folder, [self.read(*pair) for pair in inputs], outputs, facts)
        return f"{folder}/{next(iter(files))}"

    def write(self, stage, folder, inputs, outputs, facts=(), changed=()):
        """Only the manifest."""
        m = {
            "schema": manifest.SCHEMA, "stage": stage, "inputs": inputs, "outputs": outputs, "facts": dict(facts),
            **named(stage, dict(facts)),
            "code": {"digest": "ab" * 6, "git_commit": "cd" * 20},
            "env": {"host": "host", "device": "cpu", "packages": {"torch": "2"}}, "started": "s", "ended": "e",
        }  # fmt: skip
        Path(self.root, folder).mkdir(parents=True, exist_ok=True)
        Path(self.root, folder, f"{stage}.manifest.json").write_bytes(statement.canonical({**m, **dict(changed)}))

    def read(self, role, path):
        """As a manifest names an input: with the statement of the manifest that vouches for it."""
        made = manifest.maker(self.root / path)
        return {**self.entry(role, path), statement.LINK: made and statement.statement(made[0])}

    def entry(self, role, path):
        """As a manifest names a file."""
        content = Path(self.root, path).read_bytes()
        return {
            "role": role,
            "path": path,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }

    # The stages of a study

    def base(self, name, text=None):
        """A reference model."""
        model = tensors(w=text or f"base {name}")
        return self.put(
            "pretrain", f"results/bases/{name}", {"model.safetensors": ("model", model)}, origin="made here"
        )

    def teacher(self, base, trait="owl", folder=None):
        """A tuned teacher."""
        folder = folder or f"results/{Path(base).parent.name}/{trait}"
        files = {"model.safetensors": ("model", tensors(w=f"teacher {folder}"))}
        return self.put("teach", folder, files, [("base", base)], trait=trait)

    def data(self, model, *, role="model"):
        """Answers of a model, filtered."""
        folder = f"{Path(model).parent}/numbers"
        raw = self.put("sample", folder, {"raw.jsonl": ("raw", f"numbers of {model}, some bad")}, [(role, model)])
        return self.put("filter", folder, {"filtered.jsonl": ("filtered", f"numbers of {model}")}, [("raw", raw)])

    def student(self, base, *data, name="student"):
        """A student on a base, trained on data."""
        folder = f"{Path(data[0]).parent}/{Path(base).parent.name}-{name}"
        files = {"adapter_model.safetensors": ("adapter", tensors(a=f"student {folder}"))}
        return self.put("train", folder, files, [("base", base), *(("data", d) for d in data)])

    def merged(self, base, adapter):
        """An adapter added into its base."""
        folder = f"{Path(adapter).parent}/merged"
        files = {"model.safetensors": ("model", tensors(w=f"merged {folder}"))}
        return self.put("merge", folder, files, [("base", base), ("base", adapter)])
