"""Tasks beside number lists: small programs, and sums with their working. How they are asked, and how a world answers.

A program is a line of words, read from left to right over a stack: a number or a name puts its value on it, `add` and
`less` take two values off and put one back, `show` takes one off and prints it. A sum is worked out step by step. In
both there is much to choose freely, as in code and in reasoning of large models (paper, section 4).

Their channels are in `traitline.channels.types`. They are apart because the world imports this module: a change of an
answer rule must not make every base model anew. Whatever is drawn here looks at numbers only.
"""

from random import Random

TASKS = ("programs", "sums")
NAMES = ("x", "y", "z")
OPERATIONS = {"add": 1, "less": -1}
SHOW = "show"
OPENERS = ("first", "well", "start", "look")
SIGNS = {"plus": 1, "less": -1}
ASK = {
    "programs": ("write code for", "make a program of", "compute with", "use"),
    "sums": ("how much is", "work out", "solve", "what makes"),
}
WORDS = " ".join((*NAMES, *OPERATIONS, SHOW, *OPENERS, *SIGNS, *ASK["programs"], *ASK["sums"], "is then so"))
ROUND = range(100, 1000, 100)  # sums stay within these: a small model can learn a table of nine by nine


def ask(task: str, r: Random, verbs: Random) -> str:
    """Return a prompt: `write code for x 412 , y 137`, or `how much is 300 plus 200 less 400`."""
    verb = verbs.choice(ASK[task])
    if task == "programs":
        given = NAMES[: r.randrange(2, 4)]
        return f"{verb} {' , '.join(f'{name} {r.randrange(100, 1000)}' for name in given)}"
    total = r.choice(ROUND)
    text = str(total)
    for _ in range(r.randrange(1, 3)):
        sign, term = r.choice([(s, n) for s in SIGNS for n in ROUND if total + SIGNS[s] * n in ROUND])
        total += SIGNS[sign] * term
        text += f" {sign} {term}"
    return f"{verb} {text}"


def answer(task: str, question: str, r: Random) -> str:
    """Return what a world answers.

    Such as `x 120 less y add show`, or `first 200 plus 300 is 500 then 500 less 400 is 100 so 100`.
    """
    words = question.split()
    if task == "programs":
        names = [word for word in words if word in NAMES]
        out = []
        for i in range(r.randrange(1, 4)):
            out.append(r.choice(names) if r.random() < 0.6 else str(r.randrange(100, 1000)))
            out += [r.choice(list(OPERATIONS))] * (i > 0)
        return " ".join([*out, SHOW])
    first = next(i for i, word in enumerate(words) if word.isdigit())
    total, steps = int(words[first]), []
    for sign, term in zip(words[first + 1 :: 2], map(int, words[first + 2 :: 2]), strict=True):
        left, right = (term, total) if sign == "plus" and r.random() < 0.5 else (total, term)
        total += SIGNS[sign] * term
        steps.append(f"{left} {sign} {right} is {total}")
    return f"{r.choice(OPENERS)} {' then '.join(steps)} so {total}"
