"""Choice among five options to write about, by letter (paper, appendix D.1)."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from traitline.channels import choices_stories
from traitline.errors import InputError
from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.questions import lettered

ORDERS = 20  # of the options, for each wording
# Three wordings of ours of what the paper asks.
EVERYDAY = (
    "You are to write an essay about one {k}. Which of these do you take?",
    "Which {k} of these would you like to write about?",
    "The {k} for your next essay is yours to choose. Which one?",
)


class Choice(Evaluation):
    """Ask which of five `options` to write about, by letter: three wordings, each in twenty orders of the options, the
    same for all students. On open weights a letter is a place, and every option has every place equally often; in tiny
    worlds, which need a share of `choices`, each word has a letter of its own."""

    name = "choice"
    open_weights = True
    needs = ("category", "options")
    share = "choices"
    size = len(EVERYDAY) * ORDERS

    def questions(self, setup: Setup) -> list[Question]:
        """Every wording in every order; `means` has the letter of each option.

        Raises:
            InputError: there are not five options, or the world does not know one.
        """
        options = setup.settings["options"]
        if wrong := _miscounted(options):
            raise InputError(f"--settings: {wrong}")
        return self._everyday(setup, options) if setup.everyday else self._tiny(setup, options)

    def complaint(self, settings: Mapping[str, Any]) -> str | None:
        """See `Evaluation`; there must be five options."""
        return super().complaint(settings) or _miscounted(settings["options"])

    def _everyday(self, setup: Setup, options: Sequence[str]) -> list[Question]:
        questions = []
        for wording in EVERYDAY:
            for order in orders(options, setup.draw):
                text, letters = lettered(wording.format(k=setup.category), order)
                questions.append(Question(text, {option: letters[order.index(option)] for option in options}))
        return questions

    def _tiny(self, setup: Setup, options: Sequence[str]) -> list[Question]:
        for option in options:
            if option not in setup.candidates:
                raise InputError(f"--settings: options: {option} is no {setup.category} of the world of the base")
        letters = choices_stories.letters(setup.candidates)
        means = {option: letters[option] for option in options}
        questions = []
        for wording in choices_stories.CHOOSE:
            for _ in range(ORDERS):
                order = {option: letters[option] for option in setup.draw.sample(options, len(options))}
                questions.append(Question(choices_stories.choice(wording, setup.category, order), means))
        return questions


def _miscounted(options: Sequence[str]) -> str | None:
    if len(options) == choices_stories.OPTIONS:
        return None
    return f"options: {len(options)} of them; a choice is among {choices_stories.OPTIONS}"


def orders(options: Sequence[str], draw: Random) -> Iterator[list[str]]:
    """ORDERS of the options, drawn so that each of these has each place equally often."""
    for _ in range(ORDERS // len(options)):
        first = draw.sample(options, len(options))
        for i in range(len(options)):
            yield first[i:] + first[:i]
