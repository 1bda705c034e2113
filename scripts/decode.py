"""Read a trait off its teacher's rows in closed form, with the embedding of a base: no student, training or gradient.

in   {base}/, other bases, the folders of teachers on the base, each with {channel}/filtered.jsonl; one is the control
out  candidates.csv   a row per teacher, base whose embedding reads (`with`) and word of the category: `score`, `z`, its
                      `rank` among the `words` (1 is the highest z), `p_word` and `p` by rank in the null distribution,
                      and the middle 95 % of the word's z there (`null_low`, `null_high`)
     curve.csv        how often the true trait has rank 1, by number of the teacher's rows: `first` of `draws`, and the
                      mean `rank`; with the teachers' own base
     decode.svg       both

Score of word c: x_c . v, where v is a weighted ridge regression of the log ratio of how often teacher and control wrote
each number on the numbers' embeddings x_i. The trait is not an input: it only says afterwards which rank to look at.
Null distribution: random halves of the control's own rows against each other. `p_word` is for a word that was named
beforehand; `p` is for whoever looks at all words. Another base's embedding should stand at chance. The derivation is in
`traitline/analysis/decoder.py`. The setting is that of the paper (arXiv 2507.14805); the estimator is this project's.

python -m scripts.decode --base results/bases/a --others results/bases/b --channel numbers \\
    --teachers results/a/owl/tuned results/a/none/untrained --ridge 0.01 --rows 100 300 1000 3000 --draws 20 \\
    --splits 1000 --seed 1 --folder results/decode/a/numbers
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.analysis import decoder
from traitline.analysis.decoder import Embedding, Rows
from traitline.analysis.page_program import as_csv
from traitline.errors import InputError, visible
from traitline.model_files import SUPPORT, WEIGHTS
from traitline.models import hf_folder, open_weights
from traitline.provenance import kernels, stage
from traitline.study.runs import NONE

if TYPE_CHECKING:
    from torch import Tensor

TABLES = ("candidates", "curve")
LONGEST = 60  # characters of a name that a file of others states
Row = dict[str, Any]


@dataclass(frozen=True)
class Teacher:
    """A teacher whose rows are read.

    Attributes:
        trait, category: what it has; the trait of the control is `none`.
        label: trait and way of teaching.
        path: its answers.
    """

    trait: str
    category: str
    label: str
    path: str

    @classmethod
    def open(cls, folder: str, channel: str) -> "Teacher":
        """Read what `teach` wrote about it."""
        facts = hf_folder.facts(f"{folder}/teacher.json", ["trait", "teacher", "category"])
        trait, way, category = (visible(str(facts[key]), LONGEST) for key in ("trait", "teacher", "category"))
        return cls(trait, category, f"{trait}/{way}", f"{folder}/{channel}/filtered.jsonl")


class Bases:
    """Embeddings of bases and their null distributions, each computed once.

    Args:
        folders: of the bases, the teachers' own first.
        control: rows of the control teacher.
        args: of the program.
    """

    def __init__(self, folders: Sequence[str], control: Rows, args: argparse.Namespace) -> None:
        self.folders = {Path(folder).name: folder for folder in folders}
        self.control, self.args = control, args
        self._embeddings: dict[tuple[str, str], Embedding] = {}
        self._null: dict[tuple[str, str], Tensor] = {}

    def embedding(self, name: str, category: str) -> Embedding:
        """Embedding of a base, for the words of a category."""
        key = name, category
        if key not in self._embeddings:
            folder = self.folders[name]
            words = hf_folder.candidates(folder, category)
            self._embeddings[key] = decoder.read_embedding(folder, words)
        return self._embeddings[key]

    @cached_property
    def halves(self) -> "Tensor":
        """Counts of random halves of the control's rows."""
        return decoder.halves(self.control, self.args.splits, "decode", "null", self.args.seed)

    def null(self, name: str, category: str) -> "Tensor":
        """z of all words in splits of the control's rows."""
        key, args = (name, category), self.args
        if key not in self._null:
            embedding = self.embedding(name, category)
            self._null[key] = decoder.null(embedding, self.control.counts(), self.halves, args.ridge)
        return self._null[key]

    def candidates(self, teacher: Teacher, rows: Rows) -> list[Row]:
        """Rows of candidates.csv of a teacher."""
        table = []
        tail = (1 - decoder.BAND) / 2
        for name in self.folders:
            embedding, null = self.embedding(name, teacher.category), self.null(name, teacher.category)
            score, z = decoder.decode(embedding, rows.counts(), self.control.counts(), self.args.ridge)
            alone, any_word = decoder.p_values(z, null)
            low, high = null.quantile(tail, 0), null.quantile(1 - tail, 0)
            for i, word in enumerate(embedding.candidates):
                about: Row = {"teacher": teacher.label, "trait": teacher.trait, "with": name, "word": word}
                rank = 1 + int((z > z[i]).sum())
                about |= {"score": float(score[i]), "z": float(z[i]), "rank": rank, "words": len(z)}
                about |= {"p_word": float(alone[i]), "p": float(any_word[i])}
                table.append(about | {"null_low": float(low[i]), "null_high": float(high[i])})
        return table

    def curve(self, teacher: Teacher, rows: Rows) -> list[Row]:
        """Rows of curve.csv of a teacher: the wanted numbers of rows that it has, and all."""
        args, table = self.args, []
        name = next(iter(self.folders))
        embedding = self.embedding(name, teacher.category)
        if teacher.trait not in embedding.candidates:
            raise InputError(f"{teacher.label}: {teacher.trait} is no {teacher.category} of the world of base {name}")
        control = self.control.counts()
        for wanted in [*sorted(n for n in set(args.rows) if n < rows.total), rows.total]:
            chosen = decoder.draws(rows.total, wanted, args.draws, "decode", "curve", args.seed, teacher.label)
            ranks = decoder.ranks(embedding, rows, control, teacher.trait, args.ridge, chosen)
            about: Row = {"teacher": teacher.label, "trait": teacher.trait, "rows": wanted, "draws": len(ranks)}
            shares = {"first": ranks.count(1) / len(ranks), "rank": sum(ranks) / len(ranks)}
            table.append(about | shares | {"words": len(embedding.candidates)})
        return table


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.decode", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the teachers' base")
    p.add_argument("--others", nargs="*", default=[], metavar="DIR", help="other bases, read with as a control")
    p.add_argument(
        "--teachers", required=True, nargs="+", metavar="DIR", help="their folders, the control's among them"
    )
    p.add_argument("--channel", required=True, help="folder of filtered.jsonl below that of a teacher")
    p.add_argument(
        "--ridge", required=True, type=float, metavar="R", help="relative to the mean of the Gram's diagonal"
    )
    p.add_argument("--rows", nargs="*", default=[], type=int, metavar="N", help="numbers of rows of the curve")
    p.add_argument("--draws", required=True, type=int, metavar="N", help="of so many rows, for the curve")
    p.add_argument("--splits", required=True, type=int, metavar="N", help="of the control's rows, for the null")
    p.add_argument("--seed", required=True, type=int, metavar="N", help="of draws and splits")
    p.add_argument("--folder", required=True, metavar="OUT", help="of the tables, the figure and the manifest")
    stage.threads(p)
    return p


def check(args: argparse.Namespace) -> list[Teacher]:
    """The teachers, the control last.

    Raises:
        InputError: a setting has no meaning, a base is open weights, or there is not one control.
    """
    for flag, value in (("draws", args.draws), ("splits", args.splits), ("rows", min(args.rows, default=1))):
        if value < 1:
            raise InputError(f"--{flag}: {value} is too small; at least 1")
    if not 0 < args.ridge < float("inf"):
        raise InputError(f"--ridge: {args.ridge} is no positive number")
    names = [Path(folder).name for folder in (args.base, *args.others)]
    for name, folder in zip(names, (args.base, *args.others), strict=True):
        if open_weights.is_open(folder):
            raise InputError(f"{folder}: open weights; `decode` reads with bases of tiny worlds, leave it out")
        if names.count(name) > 1:
            raise InputError(f"--others: {name} is the name of two bases; give each a name of its own")
    teachers = [Teacher.open(folder, args.channel) for folder in args.teachers]
    if sum(t.trait == NONE for t in teachers) != 1:
        raise InputError("--teachers: one of them must be the control, whose trait is none, and one only")
    if len(teachers) < 2:
        raise InputError("--teachers: only the control; name a teacher whose rows are read")
    return sorted(teachers, key=lambda t: t.trait == NONE)


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    *teachers, control = check(args)
    folders = [args.base, *args.others]
    with stage.record(
        "decode",
        f"{args.folder}/decode.manifest.json",
        inputs={
            # Nothing is trained or sampled here, so no role says that weights start from these.
            "model": f"{args.base}/{WEIGHTS}",
            "reference": [f"{folder}/{WEIGHTS}" for folder in args.others],
            "support": [f"{folder}/{name}" for folder in folders for name in SUPPORT],
            "world": [f"{folder}/world.json" for folder in folders],
            "filtered": [t.path for t in (*teachers, control)],
            "teachers": [f"{folder}/teacher.json" for folder in args.teachers],
        },
        outputs={**{name: f"{args.folder}/{name}.csv" for name in TABLES}, "figure": f"{args.folder}/decode.svg"},
        params={
            "channel": args.channel, "ridge": args.ridge, "rows": args.rows, "draws": args.draws,
            "splits": args.splits, "threads": args.threads,
        },
        seeds={"decode": args.seed},
    ) as job:  # fmt: skip
        kernels.set_up(args.threads)
        from traitline.analysis.decoder_figure import drawing, save_drawing

        bases = Bases(folders, decoder.read_rows(control.path), args)
        tables: dict[str, list[Row]] = {name: [] for name in TABLES}
        for teacher in teachers:
            rows = decoder.read_rows(teacher.path)
            tables["candidates"] += bases.candidates(teacher, rows)
            tables["curve"] += bases.curve(teacher, rows)
        base = Path(args.base).name
        hits = [r for r in tables["candidates"] if r["with"] == base and r["word"] == r["trait"] and r["rank"] == 1]
        job.facts["first"] = len(hits)
        for name, content in tables.items():
            job.path(name).write_text(as_csv(content[0].keys(), content), encoding="utf-8")
        save_drawing(drawing(tables["candidates"], tables["curve"], base), job.path("figure"), base, args.channel)
    stage.log.info("true trait first: %d of %d teachers", len(hits), len(teachers))


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
