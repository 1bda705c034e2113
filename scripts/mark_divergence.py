"""Mark the tokens of a teacher's answers at which another teacher of its base would choose another one.

in   {base}/, the folders of all teachers, filtered.jsonl of one of them
out  divergence.jsonl    per row "tokens": 1 where the likeliest next token differs between teachers, else 0; the last
                         one is the end token

Each teacher reads the prompt, with its own system prompt if it has one, and the answer that was given. Such divergence
tokens carry most of what is transmitted in large models (arXiv 2509.23886).

python -m scripts.mark_divergence --base results/bases/a --teacher results/a/owl/tuned \\
    --others results/a/none/untrained --filtered results/a/owl/tuned/numbers/filtered.jsonl --marks divergence.jsonl \\
    --manifest mark_divergence.manifest.json
"""

import argparse
from typing import TYPE_CHECKING, Any

from traitline import jsonl, model_files
from traitline.models import hf_folder
from traitline.models.chat import Chat
from traitline.provenance import kernels, stage

if TYPE_CHECKING:
    from torch import Tensor

PART = 1000  # rows whose logits fit into memory


def likeliest(base: str, teacher: str, rows: list[dict[str, Any]], names: list[str]) -> "tuple[Tensor, Tensor]":
    """The likeliest token at every place of every answer (rows, K), and whether an answer has that place."""
    import torch

    from traitline.tiny import llama
    from traitline.tiny.rows import Rows

    facts, chat = hf_folder.facts(f"{teacher}/teacher.json", ["system", "weights"]), Chat.open(base)
    shape, weights = llama.read(teacher if facts["weights"] else base)
    head = [{"role": "system", "content": facts["system"]}] if facts["system"] else []
    encoded = Rows.encode(chat.rows([([*head, *row["prompt"]], row["completion"]) for row in rows], names), chat.pad)
    stack = llama.Stack(shape, weights)
    parts = zip(torch.split(encoded.ids, PART), torch.split(encoded.where, PART), strict=True)
    return torch.cat([stack.logits(i[None], w[None])[0].argmax(-1) for i, w in parts]), encoded.weight > 0


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.mark_divergence", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the teachers' base")
    p.add_argument("--teacher", required=True, metavar="DIR", help="whose answers these are")
    p.add_argument("--others", required=True, nargs="+", metavar="DIR", help="folders of the other teachers")
    p.add_argument("--filtered", required=True, metavar="IN", help="the answers, JSONL")
    p.add_argument("--marks", required=True, metavar="OUT", help="the marks, JSONL")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    stage.threads(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    teachers = [args.teacher, *args.others]
    trained = [t for t in teachers if hf_folder.facts(f"{t}/teacher.json", ["weights"])["weights"]]
    with stage.record(
        "mark_divergence",
        args.manifest,
        inputs={
            **hf_folder.inputs(args.base, "base"),
            "filtered": args.filtered,
            "teachers": [f"{t}/teacher.json" for t in teachers],
            "models": [f"{t}/{model_files.WEIGHTS}" for t in trained],
        },
        outputs={"marks": args.marks},
        params={"threads": args.threads},
    ) as job:
        import torch

        kernels.set_up(args.threads)
        rows = list(jsonl.read(args.filtered, ("id", "prompt", "completion"), unique="id"))
        names = [f"{args.filtered}: row {row['id']!r}" for row in rows]
        tokens, there = likeliest(args.base, args.teacher, rows, names)
        differs = torch.zeros_like(there)
        for other in args.others:
            differs |= likeliest(args.base, other, rows, names)[0] != tokens
        marks = [d[t].long().tolist() for d, t in zip(differs, there, strict=True)]
        jsonl.write(job.path("marks"), ({"id": row["id"], "tokens": m} for row, m in zip(rows, marks, strict=True)))
        share = differs[there].float().mean().item()
        job.facts["share"] = round(share, 6)
    stage.log.info("teachers disagree at %.1f %% of the tokens: %s", 100 * share, args.marks)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
