"""The classifier experiment: models that never mix, arms that start where they say."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.classifier import SMALL, images_of_ten_classes
from traitline.theory import classifier_experiment, stacked_networks


@pytest.fixture
def run():
    """Accuracy by arm of some settings on made-up images."""

    def run(**changes):
        with torch.no_grad():
            return classifier_experiment.Experiment(SMALL | changes, images_of_ten_classes()).run()

    return run


@given(n=st.integers(2, 60), seed=st.integers(0, 99))
def test_the_other_reference_is_never_ones_own(n, seed):
    order = classifier_experiment.derangement(n, seed)
    assert sorted(order) == list(range(n)) and all(i != j for i, j in enumerate(order))


def test_arms_start_where_they_say(run):
    """At no distance another start is the same start; without training students are what they started from."""
    same = run(distance=0.0)
    assert same["aux-same"] == same["aux-other"] and same["all-same"] == same["all-other"]
    untrained = run(student_epochs=0)
    assert untrained["aux-same"] == untrained["all-same"] == untrained["reference"]
    order = classifier_experiment.derangement(3, 0)
    assert untrained["aux-other"] == [untrained["reference"][order[m]] for m in range(3)]
    far = run(student_epochs=0, distance=5.0)
    assert far["aux-same"] == far["reference"] != far["aux-other"]


def test_a_student_that_sees_all_outputs_learns_and_one_of_an_untrained_teacher_does_not(run):
    r = run(teacher_epochs=60, student_epochs=40, lr=1e-2)
    assert min(r["teacher"]) > 0.9 and min(r["all-same"]) > 0.5
    still = run(teacher_epochs=0, student_epochs=2, optimiser="sgd")  # Adam makes steps of rounding errors
    assert still["aux-same"] == still["all-same"] == still["teacher"] == still["reference"]


def test_products_of_bfloat16_change_no_outcome_and_end_with_the_run(run):
    """Where the processor has them; elsewhere nothing changes."""
    before = torch.get_float32_matmul_precision()
    exact, fast = (run(teacher_epochs=60, student_epochs=40, lr=1e-2, precision=p) for p in ("float32", "bfloat16"))
    assert torch.get_float32_matmul_precision() == before
    for arm in ("reference", "teacher", "all-same"):
        assert exact[arm] == pytest.approx(fast[arm], abs=0.15)


def test_a_model_depends_on_its_own_number_alone(run):
    """Not on its neighbours in memory; but with `official` on how many models there are."""
    with torch.no_grad():
        one = classifier_experiment.Experiment(SMALL, images_of_ten_classes())
        alone, together = one.train([1]), one.train([0, 1, 2])
    assert all(alone[arm] == together[arm][1:2] for arm in classifier_experiment.ARMS)
    more = {"student_epochs": 20, "lr": 0.02, "optimiser": "sgd"}
    assert run(reduction="official", **more) != run(**more)


def test_official_reduction_is_a_larger_step_of_sgd(run):
    """Divided by 3 models instead of 64 rows: as a learning rate larger by 64 / 3, where every batch is full."""
    common = {"optimiser": "sgd", "teacher_epochs": 1, "noise_images": 320, "student_epochs": 2}
    seen = []
    for reduction, lr in (("official", 0.01), ("rows", 0.01 * 64 / 3)):
        experiment = classifier_experiment.Experiment(
            SMALL | common | {"reduction": reduction, "lr": lr}, images_of_ten_classes()
        )
        own, _ = experiment.starts([0])
        net = stacked_networks.Networks(experiment.sizes, own)
        target = torch.full((1, 320, 13), 1 / 13)
        x = classifier_experiment.noise(
            "uniform", 320, images_of_ten_classes().train, classifier_experiment.generator("x")
        )
        scale = 1 / 3 if reduction == "official" else None
        with torch.no_grad():
            orders = stacked_networks.batches(320, 64, 2, [classifier_experiment.generator("o")])
            stacked_networks.fit(
                net, 1, x, target, torch.zeros(1, 1, 13), orders, stacked_networks.optimiser("sgd", lr, net), scale
            )
        seen.append(net.flat)
    torch.testing.assert_close(seen[0], seen[1])


@pytest.mark.parametrize("law", ["uniform", "gaussian", "constant", "shuffled", "images"])
def test_noise(law):
    real = images_of_ten_classes(n=7).train
    x = classifier_experiment.noise(law, 20, real, torch.Generator().manual_seed(1))
    assert x.shape == (20, 6) and torch.equal(
        x, classifier_experiment.noise(law, 20, real, torch.Generator().manual_seed(1))
    )
    if law == "uniform":
        assert x.abs().max() <= 1 and x.std() > 0.4
    if law == "constant":
        assert (x == x[:, :1]).all()
    if law == "images":
        assert torch.equal(x[7:14], real)
    if law == "shuffled":
        assert torch.equal(x[7:14].sort(1)[0], real.sort(1)[0]) and not torch.equal(x[:7], real)
