"""The report of a made-up study, by the programs of its last stages."""

from pathlib import Path

from scripts import plot, report, summarise
from tests import made_up

PLACES = ["--tables", "results/tables", "--figures", "results/figures"]
FLAGS = [
    *PLACES,
    "--report",
    "results/report.html",
    "--lineage",
    "results/lineage.html",
    "--manifest",
    "results/report.manifest.json",
]


def build(study, rates=None, *, nasty=False, draw=False):
    """The page; its figures are stand-ins unless `draw`."""
    made_up.make(study, rates, nasty=nasty)
    where = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    if draw:
        assert plot.main([*PLACES, "--manifest", "results/figures/plot.manifest.json"]) == 0
    else:
        Path("results/figures").mkdir()
        for name in report.FIGURES:
            Path(f"results/figures/{name}.svg").write_text(f"<svg><title>{name}</title></svg>")
    assert report.main(["--study", study.text, *FLAGS]) == 0
    return Path("results/report.html").read_text(encoding="utf-8")
