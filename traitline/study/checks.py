"""All checks of a study that look at more than one of its parts, in the order in which they run.

A check is a function of the study that returns nothing and raises ValueError with where and remedy, such as
`experiments[0].dataset: 'plane' is no label under `datasets`; did you mean plain?`. It may rely on those before it:
checks of rows come after those of the tables that rows name.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from traitline.study import branch_checks, decoder_checks, open_weights_checks, row_checks, table_checks

if TYPE_CHECKING:
    from traitline.study.config import Study

CHECKS: tuple[Callable[["Study"], None], ...] = (
    *table_checks.CHECKS,
    *row_checks.CHECKS,
    *open_weights_checks.CHECKS,
    *branch_checks.CHECKS,
    *decoder_checks.CHECKS,
)
