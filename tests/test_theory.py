"""Settings of the classifier experiment: names of points, what is refused."""

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from traitline.errors import InputError
from traitline.study import config
from traitline.study.theory import Sweep

ROOT = Path(__file__).resolve().parent.parent
FILES = [str(ROOT / name) for name in ("config.yaml", "configs/paper-tiny.yaml")]


def study(change=None):
    whole = {}
    for file in FILES:
        update_config(whole, yaml.safe_load(Path(file).read_text(encoding="utf-8")))
    if change:
        change(whole)
    return config.load(whole, FILES)


def test_points_are_named_by_what_differs_and_stand_once():
    classifier = study().classifier
    names = list(classifier.points)
    assert names[0] == "default" and len(names) == len(set(names))
    assert {"aux-10", "lr-0.003", "distance-0.1", "optimiser-sgd-lr-0.1", "batch-1024-noise-images-60000"} <= set(names)
    assert classifier.points["aux-10"].aux == 10 and classifier.points["distance-0.1"].distance == 0.1
    assert all(p.models >= 25 for p in classifier.points.values())
    paths = [f"studies/paper/results/classifier/{name}" for name in names]
    assert set(paths) < set(study().side_folders)


def test_a_sweep_holds_the_middle_where_it_belongs_and_numbers_rise():
    classifier = study().classifier
    by_name = {s.name: classifier.values(s) for s in classifier.sweeps}
    assert list(by_name["aux"].items())[:3] == [(1, "aux-1"), (3, "default"), (5, "aux-5")]
    assert next(iter(by_name["noise"])) == "uniform"
    assert "default" not in by_name["lr, optimiser sgd"].values()
    assert "default" not in by_name["distance"].values()  # another reference is at no distance


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c["sweeps"].append({"vary": "aux", "values": [0]}), "aux 0: input should be greater than or equal"),
        (lambda c: c["sweeps"][0].update(values=[1.5]), "classifier.sweeps[0]: aux 1.5: "),
        (lambda c: c["sweeps"][0].update(values=[1, 1]), "1 stands there more than once"),
        (lambda c: c["sweeps"][0].update(vary="auks"), "classifier.sweeps[0].vary: input should be 'aux'"),
        (lambda c: c["sweeps"][0].update(set={"aux": 1}), "aux is what this sweep varies; leave it out"),
        (lambda c: c["settings"].update(data="mnist"), "'mnist' is no label under `images`; known: digits"),
        (lambda c: c["settings"].update(models=1), "classifier.settings.models: "),
        (lambda c: c["settings"].update(lr="3e-4"), "classifier.settings.lr: YAML reads 3e-4 as text; write 3.0e-4"),
        (lambda c: c["settings"].update(wdth=1), "classifier.settings.wdth: unknown key; did you mean width?"),
    ],
)
def test_what_is_refused(change, words):
    with pytest.raises(InputError) as e:
        study(lambda whole: change(whole["classifier"]))
    assert words in str(e.value) and "\n" not in str(e.value) and "paper-tiny.yaml:" in str(e.value)


def test_images_on_disk_are_checked_too():
    with pytest.raises(InputError, match=r"images\.mnist\.train_labels: missing"):
        study(lambda whole: whole.update(images={"mnist": {"train_images": "x"}}))
    files = dict.fromkeys(("train_images", "train_labels", "test_images", "test_labels"), "x")
    with pytest.raises(InputError, match=r"images\.digits: built in; choose another name"):
        study(lambda whole: whole.update(images={"digits": files}))
    mine = study(lambda w: [w.update(images={"mnist": files}), w["classifier"]["settings"].update(data="mnist")])
    assert mine.images["mnist"].paths == files and mine.classifier.settings.data == "mnist"


def test_a_name_of_a_sweep():
    assert Sweep(vary="lr", values=[0.1], set={"optimiser": "sgd", "batch": 64}).name == "lr, optimiser sgd, batch 64"
