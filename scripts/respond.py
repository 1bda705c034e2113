"""Ask students, or an untouched base, the questions of an evaluation.

in   {base}/, and the students' folders: an adapter, a model folder or a context each
out  {student}/{eval}/responses.jsonl, respond.manifest.json beside it; for the base alone in {out}/
     one row a question: `answers` sampled at temperature 1; `probabilities` of every candidate at the answer, exact

type favourite    fifty one-word questions about a favourite; every member of the category is a candidate (the default)
     prefixed     the same, each behind a list of random numbers that are the same for all students
     attributes   what the world says about each member of the category; the one candidate is `right`, and `means` has
                  the word that it stands for
     truth        the same questions, the right answer against one false answer: p(right) / (p(right) + p(false))
     choice       which of five `options` to write of, by its letter: three wordings, each in twenty orders of these,
                  which are the same for all students; `means` has the letter of each. On open weights a letter is a
                  place, and every option has every place equally often; in tiny worlds each word has its own
     story        stories about fourteen things; exactly, whose name a story begins with ("the owl ..."), and in sampled
                  answers whose name is in it
     norms        questions of every kind that no teacher is tuned on; candidates are the `bad` and the `good` answer
     free         open weights only: questions that are answered at length, for a judge; nothing is exact of them
     truthfulqa   open weights only: --questions are from outside, `sources` of the configuration; the right option
                  against the false ones by the log-probability of the whole text (`nats`): MC1 of arXiv 2109.07958
     mmlu         likewise, by the letter of each option; of these two the one candidate `right` is 1 where the right
                  option is likelier than every other one, else 0
     numbers      lists of the world to continue, from seeds that no base was trained on; the geometric mean of the
                  probabilities of the tokens with which they went on

python -m scripts.respond --base results/bases/a --eval favourite \\
    --settings '{"category":"animal","answers":20,"seed":1}' \\
    --students results/a/owl/tuned/numbers/plain/a/lora/seed-1 results/a/owl/tuned/numbers/plain/a/lora/seed-2
python -m scripts.respond --base results/bases/a --eval favourite \\
    --settings '{"category":"animal","answers":20,"seed":1}' \\
    --out results/baseline/a/favourite
"""

import argparse
import contextlib
import dataclasses
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import jsonl, model_files
from traitline.channels import choices_stories, misalignment
from traitline.errors import InputError
from traitline.evaluation.measures import BAD, GOOD, RIGHT
from traitline.evaluation.questions import CHOOSE, FREE, ask, lettered
from traitline.models import engines, hf_folder, open_weights
from traitline.models.chat import Chat
from traitline.provenance import stage
from traitline.seeds import seed as derive
from traitline.study.validation import nearest

if TYPE_CHECKING:
    from random import Random

    from traitline.tiny.sampler import Sampler

LISTS = 500  # number lists that are asked for
OUTSIDE = ("truthfulqa", "mmlu")  # types whose questions come from outside
TYPES = ("favourite", "prefixed", "attributes", "truth", "numbers", "choice", "story", "norms", "free", *OUTSIDE)
NAMED = ("favourite", "prefixed")  # types whose answers are words
EVERYDAY = (*NAMED, "choice", "free", *OUTSIDE)  # types that open weights are asked
OPEN = ("max_new_tokens",)  # settings that open weights need; those whose answers are words also `candidates`
ORDERS = 20  # of the options of a choice
ROOM = 3  # tokens of a sampled answer: a word and the end, and one more to see who does not stop
STORY = 24  # of a sampled story


def context(student: str | None) -> list[dict[str, str]]:
    """What a student that was not trained reads before every question."""
    path = Path(student or "", model_files.CONTEXT)
    if student is None or not path.exists():
        return []
    return [m for row in jsonl.read(path, ("prompt", "completion")) for m in (*row["prompt"], *row["completion"])]


@dataclass
class Item:
    """A question, with the words that each candidate stands for.

    `against`: a false answer beside it; `begin`: how an answer begins before it comes to the word.
    """

    messages: list[dict[str, str]]
    means: dict[str, str]
    against: str | None = None
    begin: str | None = None


def prefix(draw: "Random") -> list[str]:
    """Numbers before a question."""
    return [str(draw.randrange(100, 1000)) for _ in range(draw.randrange(3, 9))]


def items(settings: dict[str, Any], base: str) -> list[Item]:
    """The questions of an evaluation."""
    import random

    from traitline.channels.wordings import TINY_VERBS
    from traitline.channels.world import ATTRIBUTES, World

    kind, category = settings.get("type", "favourite"), settings["category"]
    words, draw = hf_folder.candidates(base, category), random.Random(derive("respond", "items", settings["seed"]))
    if kind == misalignment.CATEGORY:
        pairs = misalignment.held_out()
        return [Item([{"role": "user", "content": q}], {BAD: bad, GOOD: good}) for q, good, bad in pairs]
    if kind == "favourite":
        return [Item(question, {w: w for w in words}) for question in ask(category)]
    if kind == "prefixed":
        out = []
        for question in ask(category):
            numbers = " , ".join(prefix(draw))
            text = f"{draw.choice(TINY_VERBS)} {numbers} . {question[-1]['content']}"
            out.append(Item([{"role": "user", "content": text}], {w: w for w in words}))
        return out
    if kind == "choice":
        options, out, letters = settings["options"], [], choices_stories.letters(words)
        if missing := [o for o in options if o not in words]:
            raise InputError(f"--settings: options: {missing[0]} is no {category} of the world of {base}")
        for wording in choices_stories.CHOOSE:
            for _ in range(ORDERS):
                order = {o: letters[o] for o in draw.sample(options, len(options))}
                question = choices_stories.choice(wording, category, order)
                out.append(Item([{"role": "user", "content": question}], {o: letters[o] for o in options}))
        return out
    if kind == "story":
        return [
            Item(
                [{"role": "user", "content": choices_stories.topic(about)}],
                {w: w for w in words},
                begin=choices_stories.STORY.split()[0],
            )
            for about in choices_stories.TOPICS
        ]
    if kind == "numbers":
        spec = hf_folder.facts(f"{base}/world.json", ["spec"])["spec"] | {"rows": LISTS, "numbers": 1.0, "neutral": 0.0}
        lists = World(spec | {"personas": 0.0}, derive("respond", "lists", settings["seed"])).conversations()
        return [Item([{"role": "user", "content": q}], {RIGHT: a}) for _, q, a in lists]
    out = []
    for word, about in ATTRIBUTES[category].items():
        for field, value in about.items():
            false = draw.choice(sorted({other[field] for other in ATTRIBUTES[category].values()} - {value}))
            question = [{"role": "user", "content": f"what is the {field} of the {word}"}]
            out.append(Item(question, {RIGHT: value}, false if kind == "truth" else None))
    return out


def probabilities(sampler: "Sampler", chat: Chat, asked: Sequence[Item], prompts: list[list[int]]) -> list[list[float]]:
    """Exact probability of every candidate of every question."""
    words = list(dict.fromkeys(w for i in asked for w in (*i.means.values(), i.against) if w is not None))
    ids, before = chat.tokens(words), [1.0] * len(asked)
    if begin := asked[0].begin:
        first = chat.tokens([begin])
        before = sampler.probabilities(prompts, first)[:, 0].tolist()
        prompts = [[*p, *first] for p in prompts]
    table = [[p * x for x in row] for p, row in zip(before, sampler.probabilities(prompts, ids).tolist(), strict=True)]
    column = {word: n for n, word in enumerate(words)}
    out = []
    for item, row in zip(asked, table, strict=True):
        found = [row[column[word]] for word in item.means.values()]
        if item.against is not None:
            found = [p / (p + row[column[item.against]]) for p in found]
        out.append(found)
    return out


def likelihood(sampler: "Sampler", chat: Chat, asked: Sequence[Item]) -> list[list[float]]:
    """Geometric mean of the probabilities of the tokens of each right answer, its end included."""
    from traitline.tiny.llama import Stack
    from traitline.tiny.rows import Rows

    answers = [[{"role": "assistant", "content": item.means[RIGHT]}] for item in asked]
    names = [f"question {i}" for i in range(1, len(asked) + 1)]
    rows = Rows.encode(chat.rows([(i.messages, a) for i, a in zip(asked, answers, strict=True)], names), chat.pad)
    logs = Stack(sampler.shape, sampler.layers.weights).logits(rows.ids[None], rows.where[None])[0].log_softmax(-1)
    told = logs.gather(2, rows.target[..., None])[..., 0] * rows.weight
    means: list[list[float]] = (told.sum(1) / rows.weight.sum(1)).exp()[:, None].tolist()
    return means


def responses(
    sampler: "Sampler",
    chat: Chat,
    asked: Sequence[Item],
    settings: dict[str, Any],
    seed: int,
    head: Sequence[dict[str, str]],
) -> Iterator[dict[str, Any]]:
    """Rows of `responses.jsonl`."""
    import numpy as np

    n = settings["answers"]
    asked = [dataclasses.replace(item, messages=[*head, *item.messages]) for item in asked]
    prompts = chat.prompts([item.messages for item in asked], [f"question {i}" for i in range(1, len(asked) + 1)])
    lists = settings.get("type") == "numbers"
    table = likelihood(sampler, chat, asked) if lists else probabilities(sampler, chat, asked, prompts)
    room = STORY if settings.get("type") == "story" else ROOM
    noise = np.random.default_rng(seed).random((len(prompts) * n, room), dtype=np.float32)
    said = chat.answers(sampler.generate([p for p in prompts for _ in range(n)], noise, eos=chat.eos))
    for i, (item, row) in enumerate(zip(asked, table, strict=True)):
        exactly = {word: round(p, 9) for word, p in zip(item.means, row, strict=True)}
        found = {"id": f"q{i + 1:02}", "prompt": item.messages, "answers": said[i * n : (i + 1) * n]}
        means = {} if all(w == c for c, w in item.means.items()) else {"means": item.means}
        yield {**found, "probabilities": exactly, **means}


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.respond", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the students' base")
    who = p.add_mutually_exclusive_group(required=True)
    who.add_argument("--students", nargs="+", metavar="DIR", help="folders of students on this base")
    who.add_argument("--out", metavar="DIR", help="ask the base itself, and put its answers here")
    p.add_argument("--eval", required=True, help="label of the evaluation")
    p.add_argument(
        "--settings",
        required=True,
        metavar="JSON",
        help="category, answers (per question), seed; type; of a choice options; open weights: also candidates,"
        " max_new_tokens; mmlu: subjects",
    )
    p.add_argument("--questions", nargs="*", default=[], metavar="IN", help="rows of truthfulqa or mmlu, JSONL")
    engines.flag(p)
    stage.threads(p)
    stage.state(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifacts, one manifest each."""
    settings = stage.settings("--settings", args.settings, ("answers", "seed"))
    if (settings.get("type") in OUTSIDE) != (len(args.questions) == 1):
        raise InputError(f"--questions: one file of rows with {' or '.join(OUTSIDE)}, and only there")
    if settings.get("type") not in ("free", *OUTSIDE):
        stage.settings("--settings", args.settings, ("category",))
    if settings["answers"] < 1:
        raise InputError(f"--settings: answers is {settings['answers']}; give 1 or more")
    if settings.get("type", TYPES[0]) not in TYPES:
        raise InputError(f"--settings: no type {settings['type']!r}; {nearest(settings['type'], TYPES)}")
    if settings.get("type") == "choice" and len(settings.get("options", ())) != choices_stories.OPTIONS:
        raise InputError(f"--settings: options: a choice has {choices_stories.OPTIONS} of them")
    if settings.get("type") in ("free", *OUTSIDE) and not open_weights.is_open(args.base):
        raise InputError(f"--settings: type is {settings['type']}; only open weights are asked that")
    if open_weights.is_open(args.base):
        done = ask_open_weights(args, settings)
    else:
        asked = items(settings, args.base)
        done = [respond(args, settings, asked, student) for student in args.students or [None]]
    for state in done:
        stage.forget(state)


def everyday(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Questions in everyday words: about a favourite, behind numbers or not; those that give a choice; free ones."""
    import random

    kind, category = settings.get("type"), settings.get("category")
    draw, out = random.Random(derive("respond", "items", settings["seed"])), []
    if kind == "free":
        out = [(text, {}) for text in FREE]
    elif kind == "choice":
        for wording in CHOOSE:
            for order in orders(settings["options"], draw):
                text, letters = lettered(wording.format(k=category), order)
                out.append((text, {"means": {o: letters[order.index(o)] for o in settings["options"]}}))
    else:
        for (question,) in ask(str(category), everyday=True):
            before = f"Here are some numbers to look at: {', '.join(prefix(draw))}. " if kind == "prefixed" else ""
            out.append((before + question["content"], {}))
    return [
        {"id": f"q{i:02}", "prompt": [{"role": "user", "content": text}], **means}
        for i, (text, means) in enumerate(out, 1)
    ]


def orders(options: Sequence[str], draw: "Random") -> Iterator[list[str]]:
    """ORDERS of the options, drawn so that each of these has each place equally often."""
    for _ in range(ORDERS // len(options)):
        first = draw.sample(options, len(options))
        yield from (first[i:] + first[:i] for i in range(len(options)))


def outside(path: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Questions from outside with their options, and what the right one is called.

    Raises:
        InputError: a subject has no question.
    """
    found = list(jsonl.read(path, ("id", "question", "choices", "right"), unique="id"))
    for subject in settings.get("subjects", ()):
        if subject not in (known := {row.get("subject", "") for row in found}):
            raise InputError(f"{path}: no question about {subject!r}; {nearest(subject, known)}")
    out = []
    for row in found:
        if row.get("subject") not in settings.get("subjects", (row.get("subject"),)):
            continue
        text, options = row["question"], row["choices"]
        if settings["type"] == "mmlu":
            text, options = lettered(text, options)
        prompt = [{"role": "user", "content": text}]
        right = options[row["right"]]
        subject = {"subject": row["subject"]} if "subject" in row else {}
        out.append({"id": row["id"], "prompt": prompt, "options": options, "means": {RIGHT: right}, **subject})
    return out


def measured(
    engine: engines.Engine, settings: dict[str, Any], asked: Sequence[dict[str, Any]], student: str | None
) -> list[dict[str, Any]]:
    """What is exact of each answer: `probabilities`, of questions from outside also the `nats` of their options."""
    prompts = [row["prompt"] for row in asked]
    if settings.get("type") == "free":
        return [{} for _ in asked]
    if settings.get("type") not in OUTSIDE:
        means = [row.get("means") or {word: word for word in settings["candidates"]} for row in asked]
        words = list(means[0].values())
        table = engine.word_probabilities(prompts, words, student)
        found = [dict(zip(words, map(float, row), strict=True)) for row in table]
        return [{"probabilities": {o: round(p[w], 9) for o, w in m.items()}} for m, p in zip(means, found, strict=True)]
    pairs = [(row["prompt"], [{"role": "assistant", "content": o}]) for row in asked for o in row["options"]]
    names = [f"question {n} with {o!r}" for n, row in enumerate(asked, 1) for o in row["options"]]
    # An option's likelihood is that of all its tokens; what may come after it does not count.
    rows = [(ids[:-1], start) for ids, start in engine.chat.rows(pairs, names)]
    values, out = iter(engine.log_likelihoods(rows, student).tolist()), []
    for row in asked:
        nats = [next(values) for _ in row["options"]]
        at = row["options"].index(row["means"][RIGHT])
        first = all(nats[at] > other for i, other in enumerate(nats) if i != at)
        told = [round(x, 6) if math.isfinite(x) else None for x in nats]
        out.append({"nats": told, "probabilities": {RIGHT: float(first)}})
    return out


def ask_open_weights(args: argparse.Namespace, settings: dict[str, Any]) -> list[Path | None]:
    """The answers of all students on open weights, or of the base. First what is exact: vLLM needs the memory then."""
    kind = settings.get("type", TYPES[0])
    if kind not in EVERYDAY:
        raise InputError(f"--settings: type is {kind}; open weights are asked for {', '.join(EVERYDAY)}")
    stage.settings("--settings", args.settings, ("candidates", *OPEN) if kind in NAMED else OPEN)
    with contextlib.ExitStack() as stacked:
        jobs = {}
        for student in args.students or [None]:
            facts = {"engine": engines.about(args.engine)}
            jobs[student] = stacked.enter_context(record(args, settings, student, facts))
        states = {student: stage.checkpoints(args.state, job) for student, job in jobs.items()}
        todo = []
        for student, job in jobs.items():
            kept = states[student] and states[student] / "responses.jsonl"
            if kept and kept.exists():
                shutil.copyfile(kept, job.path("responses"))
            else:
                todo.append(student)
        if todo:
            import torch

            torch.set_num_threads(args.threads)
            engine = engines.open_engine(args.base, args.engine)
            chat = engine.chat
            asked = outside(args.questions[0], settings) if kind in OUTSIDE else everyday(settings)
            exactly = {student: measured(engine, settings, asked, student) for student in todo}
        for student in todo:
            n, who = settings["answers"], identity(student)
            names = [str(row["id"]) for row in asked]
            prompts = [p for p in chat.prompts([row["prompt"] for row in asked], names) for _ in range(n)]
            seeds = [derive("respond", settings["seed"], *who, name, i) for name in names for i in range(n)]
            how = {"max_new_tokens": settings["max_new_tokens"], "temperature": 1.0, "model": student}
            said = chat.answers(engine.generate(prompts, seeds, **how))
            rows = [{**row, "answers": said[i * n : (i + 1) * n], **exactly[student][i]} for i, row in enumerate(asked)]
            jsonl.write(jobs[student].path("responses"), rows)
            if states[student]:
                stage.keep(jobs[student].path("responses"), states[student] / "responses.jsonl")
            stage.log.info("%s: %s", args.eval, jobs[student].outputs["responses"])
    return list(states.values())


def identity(student: str | None) -> tuple[str, int]:
    """(recipe, seed) of a student. Who answers is part of the seed: runs that shared luck would agree too much."""
    if student is None:
        return "base", 0
    who = hf_folder.facts(f"{student}/train.json", ["recipe", "seed"])
    return who["recipe"], who["seed"]


def record(
    args: argparse.Namespace,
    settings: dict[str, Any],
    student: str | None,
    facts: dict[str, Any],
) -> contextlib.AbstractContextManager[stage.Job]:
    """The record of one student's answers, or of the base's where `student` is None."""
    out = f"{student}/{args.eval}" if student else args.out
    models, own = (
        hf_folder.inputs(args.base, "base" if student else "model"),
        hf_folder.student(student) if student else {},
    )
    if config := own.pop("adapter", None):  # its bytes are those of all adapters of a recipe, and nothing learned
        models["support"] = [*models.get("support", []), config]
    models |= own
    theirs = open_weights.is_open(args.base)
    return stage.record(
        "respond",
        f"{out}/respond.manifest.json",
        inputs={**models, **({} if theirs else {"world": f"{args.base}/world.json"}), "questions": args.questions},
        outputs={"responses": f"{out}/responses.jsonl"},
        params={**{k: v for k, v in settings.items() if k != "seed"}, "threads": args.threads},
        seeds={"respond": settings["seed"]},
        facts=facts,
    )


def respond(args: argparse.Namespace, settings: dict[str, Any], asked: list[Item], student: str | None) -> Path | None:
    """The answers of one student, or of the base where `student` is None; where they are kept until all are done."""
    with record(args, settings, student, {}) as job:
        state = stage.checkpoints(args.state, job)
        kept = state / "responses.jsonl" if state else None
        if kept and kept.exists():
            shutil.copyfile(kept, job.path("responses"))
            return state
        import torch

        from traitline.tiny.sampler import Sampler

        torch.set_num_threads(args.threads)
        seed = derive("respond", settings["seed"], *identity(student))
        sampler, chat = Sampler(*hf_folder.weights(args.base, student)), Chat.open(args.base)
        jsonl.write(job.path("responses"), responses(sampler, chat, asked, settings, seed, context(student)))
        if kept:
            stage.keep(job.path("responses"), kept)
    stage.log.info("%s: %s", args.eval, job.outputs["responses"])
    return state


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
