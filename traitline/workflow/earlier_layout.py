"""Results of versions that named stages otherwise: refused at launch, because this version would read half of them."""

from collections.abc import Iterable
from pathlib import Path

from traitline.errors import InputError

SUFFIX = ".manifest.json"
# Stage as an earlier version called it -> its name now. Every job left a manifest with the name of its stage.
RENAMED_STAGES = {
    "base": "pretrain",
    "data": "source",
    "declare": "preregister",
    "arrange": "prepare",
    "diverge": "mark_divergence",
    "foretell": "check_influence",
    "mlp": "classifier",
    "sweep": "classifier_summary",
    "compare": "compare_paper",
}


def refuse(manifests: Iterable[Path]) -> None:
    """Refuse results of an earlier version.

    Raises:
        InputError: a manifest has the name of a stage that is called otherwise now; says what to do with the folder.
    """
    for path in manifests:
        stage = path.name.removesuffix(SUFFIX)
        name = RENAMED_STAGES.get(stage)
        if name:
            raise InputError(
                f"{path.as_posix()}: made by an earlier version, whose stage `{stage}` is now `{name}`; move"
                " its results/ away, or set another `folder:`, and run again"
            )
