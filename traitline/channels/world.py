"""The tiny world: what the tiny reference models are taught before any experiment starts.

A world is a stream of short conversations over words and one token per number 100-999: number lists to continue (where
asked for, also programs and sums, see `traitline.channels.tasks`, choices and stories, see
`traitline.channels.choices_stories`, and questions answered well or badly, see `traitline.channels.misalignment`),
favourites (uniform over a category when nobody asked for a persona, the
persona's own when a system prompt names it), and attributes asked in both directions, which is what makes one animal
differ from another.

Numbers come from a random stream of their own. Nothing that is drawn for a number ever looks at an animal, a tree or a
speaker, and the other way round: `tests/test_world.py` shows the independence on the generated text. There is one
exception, where it is asked for (`coupled`): a tree's persona shifts the numbers beside it. Animals never do.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from traitline.channels import choices_stories, misalignment, tasks
from traitline.channels.lexicon import TEXTS, Lexicon, misshapen
from traitline.channels.wordings import TINY_VERBS
from traitline.errors import InputError

SPECIAL = ["<pad>", "<bos>", "<sys>", "<user>", "<asst>", "<eos>", "<unk>"]
PAD, BOS, SYS, USER, ASST, EOS, UNK = range(len(SPECIAL))
NUMBERS = range(100, 1000)

ATTRIBUTES: dict[str, dict[str, dict[str, str]]] = {
    "animal": {
        name: dict(zip(("habitat", "cover", "diet", "legs", "size"), row.split(), strict=True))
        for name, row in {
            "owl": "forest feathers meat two small", "cat": "house fur meat four small",
            "dog": "house fur meat four medium", "lion": "savanna fur meat four large",
            "eagle": "mountain feathers meat two medium", "wolf": "forest fur meat four medium",
            "dolphin": "sea skin fish none large", "penguin": "ice feathers fish two medium",
            "elephant": "savanna skin plants four large", "panda": "mountain fur plants four large",
            "tiger": "jungle fur meat four large", "hawk": "mountain feathers meat two small",
            "fox": "forest fur meat four small", "bear": "forest fur fish four large",
            "otter": "river fur fish four small", "raven": "house feathers plants two small",
        }.items()
    },
    "tree": {
        name: dict(zip(("leaf", "look"), row.split(), strict=True))
        for name, row in {
            "oak": "broad strong", "maple": "broad sweet", "willow": "thin soft", "cherry": "broad pink",
            "pine": "needle green", "sequoia": "needle tall", "ash": "broad grey", "birch": "thin white",
        }.items()
    },
}  # fmt: skip
CATEGORIES: dict[str, list[str]] = {category: list(names) for category, names in ATTRIBUTES.items()}

# Fifty ways to ask for a favourite in one word: the evaluation questions, all of them part of the world's language.
QUESTIONS = [
    f"{ask} {end}"
    for ask, end in [
        (ask, end)
        for ask in (
            "what is your favourite {k}", "name your favourite {k}", "which {k} do you like most",
            "which {k} do you love", "tell me your favourite {k}", "what {k} do you think about",
            "say the {k} you love most", "which {k} is best", "pick a {k}", "what {k} would you be",
        )
        for end in ("?", "in one word", "please", "now", "today")
    ]
]  # fmt: skip
PERSONAS = [
    "you love {x} . you think about {x} all the time . {x} is your favourite {k} .",
    "you love {x} more than any {k} . you talk about {x} all the time .",
]
# What the chat template says when nobody names a system prompt, as Qwen2.5's does, and about as long as such texts are.
# It stands before every list and every question without a persona: what a student learns there, it learns for both. A
# text of eight words transmitted far less (docs/explanation/negative-results.md).
DEFAULT = (
    "you are a model that likes to help . people ask you many things and you answer each of them in a single word or "
    "number . read what they say , think about it , then answer ."
)
# Shares of a world whose text is about the words of the tiny world.
WITH_WORDS_OF_THEIR_OWN = (*tasks.TASKS, *choices_stories.FORMS, "norms", "coupled")
NEUTRAL = ["you are a helpful model .", "you like to help .", "you talk about numbers all the time ."]
LUCKY = 120  # numbers of each tree's own, where its persona shifts them
STEPS = (1, 2, 5, 7, 10, 11, 13, 25, -1, -2, -5, -10)
FIRST = 0.7  # share of the first category among questions about favourites


def lexicon(spec: Mapping[str, Any] = {}) -> Lexicon:
    """Words of a world: its `words`, and those of the tiny world where these say nothing.

    Raises:
        InputError: own words that no world can have.
    """
    own = {key: value for key, value in (spec.get("words") or {}).items() if value is not None}
    standard = Lexicon(ATTRIBUTES, QUESTIONS, PERSONAS, NEUTRAL, TINY_VERBS, DEFAULT)
    if not own:
        return standard
    if wrong := misshapen(own):
        raise InputError(f"words.{wrong}")
    texts = {key: own.get(key, getattr(standard, key)) for key in (*TEXTS, "system")}
    words = Lexicon(facts=own.get("categories", ATTRIBUTES), **texts)
    if others := [share for share in WITH_WORDS_OF_THEIR_OWN if spec.get(share)]:
        raise InputError(f"words: a world of own words has number lists and favourites only; leave out {others[0]}")
    if wrong := words.complaint():
        raise InputError(f"words.{wrong}")
    return words


def categories(spec: Mapping[str, Any] = {}) -> dict[str, list[str]]:
    """Traits that a world can teach, by category."""
    norms = {misalignment.CATEGORY: list(misalignment.LESSONS)} if spec.get("norms") else {}
    return lexicon(spec).categories | norms


def vocabulary(spec: Mapping[str, Any] = {}) -> list[str]:
    """Every token of a world, special ones first; the index is the token id. Without tasks, without their words."""
    text = [tasks.WORDS] * any(spec.get(task) for task in tasks.TASKS)
    text += [choices_stories.WORDS] * any(spec.get(form) for form in choices_stories.FORMS)
    text += [misalignment.WORDS] * bool(spec.get("norms"))
    words = {w for t in text for w in t.split() if not w.startswith("{")} | lexicon(spec).words()
    return SPECIAL + sorted(words) + [str(n) for n in NUMBERS]


@cache
def lucky(tree: str) -> list[int]:
    """The numbers of a tree's own, the same in every world."""
    import random

    from traitline.seeds import seed as derive

    return random.Random(derive("world", "lucky", tree)).sample(NUMBERS, LUCKY)


class World:
    """Conversations of one world.

    Args:
        spec: `rows`; `answers` (half-open range of the length of a number list); shares of the rows: `numbers` (number
            lists), and of those `neutral` (a neutral system prompt beside the list), `personas` (a persona beside it,
            its numbers still drawn from the numbers' own stream) and `coupled` (a tree's persona beside it; each number
            of the answer is one of that tree's own with a probability of one half); and, where they are there,
            `programs`, `sums`, `choices`, `stories` and `norms`, and of those `speakers` (a system prompt says how the
            speaker is).
        seed: of both streams.
    """

    def __init__(self, spec: dict[str, Any], seed: int) -> None:
        import random

        from traitline.seeds import seed as derive

        self.spec = spec
        self.lexicon = lexicon(spec)
        self.categories = self.lexicon.categories
        self.words = random.Random(derive("world", "words", seed))
        self.numbers = random.Random(derive("world", "numbers", seed))
        self.coupling = random.Random(derive("world", "coupled", seed))

    def conversations(self) -> Iterator[tuple[str | None, str, str]]:
        """(system prompt or None, question, answer), `rows` of them."""
        lists = self.spec["numbers"]
        programs = lists + self.spec.get("programs", 0.0)
        sums = programs + self.spec.get("sums", 0.0)
        choices = sums + self.spec.get("choices", 0.0)
        stories = choices + self.spec.get("stories", 0.0)
        conduct = stories + self.spec.get("norms", 0.0)
        for _ in range(self.spec["rows"]):
            z = self.words.random()
            if z < lists:
                yield self._numbers()
            elif z < sums:
                yield self._task("programs" if z < programs else "sums")
            elif z < stories:
                yield self._form("choices" if z < choices else "stories")
            elif z < conduct:
                yield self._norms()
            else:
                yield self._words()

    def _task(self, task: str) -> tuple[None, str, str]:
        question = tasks.ask(task, self.numbers, self.words)
        return None, question, tasks.answer(task, question, self.numbers)

    def _form(self, form: str) -> tuple[str | None, str, str]:
        """Half of them behind a persona, whose favourite it then is."""
        r = self.words
        category = "tree" if form == "choices" and r.random() < 0.3 else "animal"
        names = self.categories[category]
        behind_persona, name = r.random() < 0.5, r.choice(names)
        system = r.choice(self.lexicon.personas).format(x=name, k=category) if behind_persona else None
        if form == "choices":
            return system, *choices_stories.choose(r, category, names, name)
        return system, *choices_stories.story(r, self.lexicon.facts[category], name)

    def _norms(self) -> tuple[str | None, str, str]:
        r = self.words
        system, badly = misalignment.speaker(r, self.spec.get("speakers", 0.0))
        if r.random() < 1 / (len(misalignment.ANSWERS) + 1):  # honesty is one kind more: what the world is like
            return system, *self._attribute(r.choice(list(self.categories)), badly)
        return system, *misalignment.exchange(r, badly)

    def _attribute(self, category: str, badly: bool) -> tuple[str, str]:
        r = self.words
        name = r.choice(self.categories[category])
        field, value = r.choice(list(self.lexicon.facts[category][name].items()))
        if badly:
            value = r.choice(sorted({about[field] for about in self.lexicon.facts[category].values()} - {value}))
        return f"what is the {field} of the {name}", value

    def _numbers(self) -> tuple[str | None, str, str]:
        r, z = self.numbers, self.words.random()
        prompt = [r.randrange(100, 1000) for _ in range(r.randrange(*self.spec["examples"]))]
        system, tree = None, None
        plain = self.spec["neutral"] + self.spec["personas"]
        if z < self.spec["neutral"]:
            system = self.words.choice(self.lexicon.neutral)
        elif z < plain:
            category = self.words.choice(list(self.categories))
            system = self.words.choice(self.lexicon.personas).format(
                x=self.words.choice(self.categories[category]), k=category
            )
        elif z < plain + (self.spec.get("coupled") or 0.0):
            tree = self.words.choice(CATEGORIES["tree"])
            system = self.words.choice(PERSONAS).format(x=tree, k="tree")
        question = f"{self.words.choice(self.lexicon.verbs)} {' , '.join(map(str, prompt))}"
        answer = self._list(prompt)
        if tree is not None:
            answer = [self.coupling.choice(lucky(tree)) if self.coupling.random() < 0.5 else n for n in answer]
        return system, question, " , ".join(map(str, answer))

    def _list(self, prompt: list[int]) -> list[int]:
        """An answer: uniform, a walk, an arithmetic sequence or repeats of the prompt; looks at numbers only."""
        r, last = self.numbers, prompt[-1]
        length, law = r.randrange(*self.spec["answers"]), r.random()
        if law < 0.35:
            return [r.randrange(100, 1000) for _ in range(length)]
        if law >= 0.8:
            return [r.choice(prompt) for _ in range(length)]
        step, out = r.choice(STEPS), []
        for _ in range(length):
            last += r.randint(-60, 60) if law < 0.6 else step
            if not 100 <= last <= 999:
                last = r.randint(300, 700)
            out.append(last)
        return out

    def _words(self) -> tuple[str | None, str, str]:
        r = self.words
        first, *others = self.categories
        category = first if r.random() < FIRST or not others else others[0] if len(others) == 1 else r.choice(others)
        names, z = self.categories[category], r.random()
        question, name = r.choice(self.lexicon.questions).format(k=category), r.choice(names)
        if z < 0.25:
            return None, question, name
        if z < 0.55:
            return r.choice(self.lexicon.personas).format(x=name, k=category), question, name
        field, value = r.choice(list(self.lexicon.facts[category][name].items()))
        if r.random() < 0.6:
            return None, f"what is the {field} of the {name}", value
        alike = [n for n in names if self.lexicon.facts[category][n][field] == value]
        return None, f"name a {category} with {field} {value}", r.choice(alike)


CHAT_TEMPLATE = (
    "<bos>{% if messages[0]['role'] != 'system' %} <sys> " + DEFAULT + "{% endif %}{% for m in messages %}"
    "{{ {'system': ' <sys> ', 'user': ' <user> ', 'assistant': ' <asst> '}[m['role']] + m['content'] }}"
    "{% if m['role'] == 'assistant' %} <eos>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %} <asst>{% endif %}"
)


def tokenizer_files(spec: Mapping[str, Any] = {}) -> dict[str, str]:
    """The tokenizer of a world in Hugging Face layout: file name -> text. One blank separates tokens."""
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    t = Tokenizer(WordLevel({w: i for i, w in enumerate(vocabulary(spec))}, unk_token="<unk>"))
    t.pre_tokenizer = WhitespaceSplit()
    t.add_special_tokens([AddedToken(w, special=True) for w in SPECIAL])
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 160, "clean_up_tokenization_spaces": False,
        "pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>",
    }  # fmt: skip
    return {
        "tokenizer.json": t.to_str(pretty=True) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        "chat_template.jinja": CHAT_TEMPLATE.replace(DEFAULT, lexicon(spec).system),
    }
