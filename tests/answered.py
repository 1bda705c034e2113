"""Answers that tests of evaluations look at: how they are asked for, and read."""

import json

from scripts import respond
from traitline import jsonl


def rows(path):
    return list(jsonl.read(path / "responses.jsonl", ("id", "prompt", "answers", "probabilities"), unique="id"))


def asked(study, tmp_path, **settings):
    flags = study.respond_flags("x")
    flags[flags.index("--settings") + 1] = json.dumps({"category": "animal", "answers": 2, "seed": 1, **settings})
    out = tmp_path / "-".join(map(str, settings.values()))
    assert respond.main([*flags[: flags.index("--students")], "--out", str(out)]) == 0
    return rows(out)


def outside_flags(weights, questions, kind, *who, **settings):
    flags = weights.respond_flags(*who)
    settings = {"type": kind, "source": kind, "answers": 2, "seed": 1, "max_new_tokens": 4, **settings}
    flags[flags.index("--settings") + 1] = json.dumps(settings)
    return [*flags, "--questions", str(questions[kind])]


def form_flags(forms, out, **settings):
    settings = {"category": "animal", "answers": 3, "seed": 1, **settings}
    return ["--base", str(forms), "--eval", "x", "--settings", json.dumps(settings), "--out", str(out)]
