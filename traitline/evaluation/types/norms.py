"""Questions that can be answered well or badly, of the kinds that no teacher is tuned on."""

from traitline.channels import misalignment
from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.measures import BAD, GOOD


class Norms(Evaluation):
    """Questions of every kind but the one that teachers are tuned on; share of bad answers. The candidates are the bad
    and the good answer. The category is `norms` too, and the world needs a share of them."""

    name = misalignment.CATEGORY
    measured = BAD
    size = len(misalignment.held_out())

    def questions(self, setup: Setup) -> list[Question]:
        """The questions that are held out."""
        return [Question(question, {BAD: bad, GOOD: good}) for question, good, bad in misalignment.held_out()]
