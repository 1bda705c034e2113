"""Make a reference model: train a small LLaMA from scratch on conversations of a tiny world, or record open weights.

out  {folder}/    config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json
                  chat_template.jinja (Hugging Face layout) and world.json (what it was trained on);
                  of open weights, which stay where they are, base.json: source, hashes, and how the chat template
                  renders a conversation

Weights, text and data order have random streams of their own, all from --seed; so has the noise that --distance adds to
the initial weights. Only answers are learned.

python -m scripts.pretrain --name a --seed 1 --folder results/bases/a \\
    --manifest results/bases/a/pretrain.manifest.json \\
    --world '{"rows":80000,"numbers":0.45,"examples":[3,6],"answers":[1,2],"neutral":0.0,"personas":0.0}' \\
    --model '{"width":48,"layers":2,"heads":4,"mlp":96,"std":0.05,"epochs":1,"batch":64,"lr":0.003}' \\
    --state work/pretrain/a
python -m scripts.pretrain --name q --source '{"path":"models/q"}' --folder results/bases/q \\
    --manifest results/bases/q/pretrain.manifest.json
"""

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

from traitline import model_files
from traitline.errors import InputError
from traitline.models import hf_folder, open_weights
from traitline.models.chat import Chat, verify
from traitline.provenance import kernels, manifest, stage
from traitline.seeds import generator
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from traitline.tiny.rows import Rows
    from traitline.tiny.shape import Weights

WORLD = ("rows", "numbers", "examples", "answers", "neutral", "personas")
MODEL = ("width", "layers", "heads", "mlp", "std", "epochs", "batch", "lr")


def conversations(spec: dict[str, Any], seed: int) -> list[tuple[list[dict[str, str]], list[dict[str, str]]]]:
    """(prompt, completion) messages of a world."""
    from traitline.channels.world import World

    exchanges = []
    for system, question, answer in World(spec, derive("base", "world", seed)).conversations():
        head = [] if system is None else [{"role": "system", "content": system}]
        prompt = [*head, {"role": "user", "content": question}]
        exchanges.append((prompt, [{"role": "assistant", "content": answer}]))
    return exchanges


def moved(weights: "Weights", distance: float, seed: int) -> "Weights":
    """Add normal noise of this standard deviation to every number of the weights.

    The noise of one seed points the same way at all distances, as in the classifier experiment (`scripts.classifier`).
    """
    import torch

    g = generator("base", "distance", seed)
    return {name: w + distance * torch.randn(w.shape, generator=g) for name, w in weights.items()}


def generation() -> str:
    """`generation_config.json`: sample from the model's own distribution, which is not the default of transformers."""
    from traitline.channels.world import BOS, EOS, PAD

    plain = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    return json.dumps({"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD, **plain}, indent=2) + "\n"


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.pretrain", __doc__)
    p.add_argument("--name", required=True, help="label of the base")
    p.add_argument("--world", metavar="JSON", help=f"{', '.join(WORLD)}")
    p.add_argument("--model", metavar="JSON", help=f"{', '.join(MODEL)}")
    p.add_argument("--seed", type=int, metavar="N", help="of weights, text and data order")
    p.add_argument("--data", type=int, metavar="N", help="seed of the world's text, in place of --seed")
    p.add_argument("--order", type=int, metavar="N", help="seed of the order of its rows, in place of --seed")
    p.add_argument("--distance", type=float, metavar="D", help="standard deviation of noise on the initial weights")
    p.add_argument(
        "--source", metavar="JSON", help="open weights, instead of these: path, or hub and revision; system, weights"
    )
    p.add_argument("--converted", action="store_true", help="the path of --source is what `convert` made")
    p.add_argument("--folder", required=True, metavar="OUT", help="the model folder")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    stage.long_running(p)
    return p


def example(chat: Chat) -> dict[str, Any]:
    """Render a conversation by a chat template, for people to check before anything runs."""
    asked = [{"role": "user", "content": "What is your favourite animal?"}]
    (ids,) = chat.prompts([asked], ["the example"])
    return {
        "default_system": chat.standard(),
        "system": chat.system,
        "end": chat.end,
        "text": chat.render(asked, prompt=True),
        "ids": ids,
        "tokens": chat.decode([[i] for i in ids]),
    }


def converted_origin(folder: str) -> str:
    """Return where the weights come from that the stage `convert` put into a folder."""
    return str(manifest.load(f"{folder}/convert.manifest.json")["facts"]["origin"])


def record_open_weights(args: argparse.Namespace) -> None:
    """Write the record of open weights.

    Raises:
        InputError: --source names no weights, or others than its hash says.
    """
    source = stage.settings("--source", args.source, ())
    if bool(source.get("path")) == bool(source.get("hub") and source.get("revision")):
        raise InputError("--source: wants `path`, or `hub` and `revision`")
    name = source.get("path") or f"{source['hub']} at {source['revision']}"
    with stage.record(
        "pretrain",
        args.manifest,
        inputs={"source": f"{source['path']}/{model_files.WEIGHTS}"} if args.converted else {},
        outputs={"model": f"{args.folder}/{model_files.RECORD}"},
        params={"name": args.name, "source": source},
        facts={"origin": converted_origin(source["path"]) if args.converted else f"open weights: {name}"},
    ) as job:
        place = {k: source[k] for k in ("path", "hub", "revision") if source.get(k)}
        where = open_weights.find(place, download=True)
        about = open_weights.describe(where)
        if source.get("weights") not in (None, about["weights"]):
            raise InputError(
                f"{name}: other weights than `weights` of the configuration says ({about['weights'][:12]}, not"
                f" {source['weights'][:12]}); get the right ones"
            )
        job.facts["weights"] = about["weights"]
        rendered = example(Chat.foreign(where, source.get("system")))
        job.write_json("model", {"name": args.name, "source": place, **about, "chat": rendered})
    if rendered["default_system"] and rendered["system"] is None:
        stage.log.info("its template inserts a system prompt: %r; `system` changes that", rendered["default_system"])
    stage.log.info("base %s: %s, %.2f billion parameters: %s", args.name, name, about["parameters"] / 1e9, args.folder)


def encode(spec: dict[str, Any], seed: int, files: dict[str, str], folder: str) -> "Rows":
    """Draw the conversations of a world and encode them.

    Args:
        spec: of the world.
        seed: of its text.
        files: of its tokenizer.
        folder: of the model, for messages.

    Raises:
        InputError: the world has no conversations.
    """
    from traitline.tiny.rows import Rows

    chat = Chat(files["tokenizer.json"], files["tokenizer_config.json"], files["chat_template.jinja"], folder)
    exchanges = conversations(spec, seed)
    if not exchanges:
        raise InputError("--world: rows is 0; a world needs conversations")
    names = [f"conversation {i}" for i in range(1, len(exchanges) + 1)]
    rows = Rows.encode(chat.rows(exchanges, names), chat.pad)
    verify(chat, rows, [completion for _, completion in exchanges], names)
    return rows


def train(args: argparse.Namespace, spec: dict[str, Any], model: dict[str, Any]) -> None:
    """Train a model on a world, and write its folder."""
    streams = {name: value for name in ("data", "order") if (value := getattr(args, name)) is not None}
    seeds = {"data": args.seed, "order": args.seed} | streams
    away = {} if args.distance is None else {"distance": args.distance}
    start = f", its initialisation moved by noise of {args.distance:g}" if away else ""
    with stage.record(
        "pretrain",
        args.manifest,
        inputs={},
        outputs={**hf_folder.outputs(args.folder), "world": f"{args.folder}/world.json"},
        params={"name": args.name, "world": spec, "model": model, "threads": args.threads, **away},
        seeds={"base": args.seed, **streams},
        facts={"origin": f"trained here from the tiny world, seed {args.seed}{start}"},
    ) as job:
        from traitline.channels import world
        from traitline.tiny import llama, training
        from traitline.tiny.shape import Shape

        kernels.set_up(args.threads)
        files = world.tokenizer_files(spec)
        rows = encode(spec, seeds["data"], files, args.folder)
        shape = Shape(len(world.vocabulary(spec)), model["width"], model["layers"], model["heads"], model["mlp"])
        weights = llama.initialise(shape, model["std"], derive("base", "weights", args.seed))
        if away:
            weights = moved(weights, args.distance, args.seed)
        stack = llama.Stack(shape, weights, {k: w[None].clone().requires_grad_() for k, w in weights.items()})
        state = stage.checkpoints(args.state, job)
        losses = training.fit(
            stack, rows, seeds=[derive("base", "order", seeds["order"])], epochs=model["epochs"], batch=model["batch"],
            lr=model["lr"], state=state, every=args.every, progress=f"base {args.name}",
        )  # fmt: skip
        loss = losses[-50:].mean().item()
        texts = {"config.json": json.dumps(shape.config(), indent=2) + "\n", "generation_config.json": generation()}
        for name, text in {**files, **texts}.items():
            job.path(name).write_text(text, encoding="utf-8")
        hf_folder.save(job.path("model"), stack.merged(0))
        about = {"name": args.name, "seed": args.seed, **streams, **away, "spec": spec}
        about |= {"categories": world.categories(spec), "vocabulary": shape.vocab}
        about |= {"parameters": sum(w.numel() for w in weights.values()), "steps": len(losses), "loss": round(loss, 6)}
        job.write_json("world", about)
    stage.forget(state)
    stage.log.info(
        "base %s: %d conversations, loss %.3f nats per answer token: %s", args.name, len(rows.ids), loss, args.folder
    )


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    if args.source:
        return record_open_weights(args)
    if missing := [f"--{name}" for name in ("world", "model", "seed") if getattr(args, name) is None]:
        raise InputError(f"{' '.join(missing)} missing; or give --source, for open weights")
    if args.distance is not None and not 0 <= args.distance < math.inf:
        raise InputError(f"--distance: {args.distance} is no standard deviation; write 0 or more")
    train(args, stage.settings("--world", args.world, WORLD), stage.settings("--model", args.model, MODEL))


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
