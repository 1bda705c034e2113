"""The classifier experiment: exact gradients, models that never mix, arms that start where they say."""

import itertools
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts import classifier
from traitline.channels import images

SMALL = {
    "data": "digits", "models": 3, "aux": 3, "width": 16, "depth": 2, "optimiser": "adam", "lr": 1e-3,
    "teacher_batch": 32, "batch": 64, "teacher_epochs": 2, "student_epochs": 1, "noise": "uniform",
    "noise_images": 300, "reduction": "rows", "precision": "float32", "seed": 0,
}  # fmt: skip


def made_up(n=90, inputs=6, seed=0):
    """Ten classes that differ by one pixel more or less."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 10
    pixels = torch.randn(n, inputs, generator=g) + torch.randn(10, inputs, generator=g)[labels]
    return images.Images("made-up", pixels, labels, pixels, labels)


@pytest.fixture
def run():
    """Accuracy by arm of some settings on made-up images."""

    def run(**changes):
        with torch.no_grad():
            return classifier.Experiment(SMALL | changes, made_up()).run()

    return run


def flags(folder, *more, **changes):
    return ["--point", "p", "--settings", json.dumps(SMALL | changes), "--accuracy", f"{folder}/accuracy.json",
            "--manifest", f"{folder}/classifier.manifest.json", *more]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=2, max_size=5),
    rows=st.integers(1, 5),
    hidden=st.integers(0, 3),
    seed=st.integers(0, 2**31),
)
def test_gradients_are_those_of_autograd(sizes, rows, hidden, seed):
    """Of the KL divergence between softmaxes over some of the outputs, per model, mean over rows."""
    g = torch.Generator().manual_seed(seed)
    hidden = min(hidden, sizes[-1] - 1)
    values = torch.stack([classifier.initial(sizes, g).double() for _ in range(2)]) + 0.1  # biases too
    net = classifier.Networks(sizes, values)
    x, wanted = torch.randn(2, rows, sizes[0], generator=g).double(), torch.randn(2, rows, sizes[-1], generator=g)
    seen = torch.zeros(2, 1, sizes[-1]).double()
    seen[0, :, :hidden] = -torch.inf
    target = (wanted.double() + seen).softmax(-1)
    with torch.no_grad():
        into = net.forward(x)
        net.backward(into, (classifier.softmax(into[-1] + seen) - target) / rows)
    own = values.requires_grad_()
    total = torch.zeros(())
    for m in range(2):
        h, at, chosen = x[m], 0, slice(hidden if m == 0 else 0, None)
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            h = h @ own[m, at : at + a * b].view(a, b) + own[m, at + a * b : at + a * b + b]
            h, at = (h.relu() if i < len(sizes) - 2 else h), at + a * b + b
        total = total + torch.nn.functional.kl_div(
            h[:, chosen].log_softmax(-1), target[m][:, chosen], reduction="batchmean"
        )
    total.backward()
    layers = zip(net.weight_grads, net.bias_grads, strict=True)
    found = torch.cat([part.flatten(1) for layer in layers for part in layer], 1)
    torch.testing.assert_close(found, own.grad, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_training_is_that_of_plain_torch(name):
    """One model, three steps, against a module, autograd and the optimiser of torch."""
    data, sizes = made_up(), [6, 8, 13]
    start = classifier.initial(sizes, torch.Generator().manual_seed(1))
    rows = [torch.arange(i, i + 30).unsqueeze(0) for i in (0, 30, 60)]
    target = torch.nn.functional.one_hot(data.train_labels, 13).float().unsqueeze(0)
    classes = torch.zeros(1, 1, 13)
    classes[..., 10:] = -torch.inf
    net = classifier.Networks(sizes, start.unsqueeze(0))
    with torch.no_grad():
        classifier.fit(net, 1, data.train, target, classes, iter(rows), classifier.optimiser(name, 0.01, net))
    plain = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 13))
    with torch.no_grad():
        plain[0].weight.copy_(start[:48].view(6, 8).T)
        plain[2].weight.copy_(start[56:160].view(8, 13).T)
        plain[0].bias.zero_()
        plain[2].bias.zero_()
    opt = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name](plain.parameters(), lr=0.01)
    for (r,) in rows:
        opt.zero_grad()
        torch.nn.functional.cross_entropy(plain(data.train[r])[:, :10], data.train_labels[r]).backward()
        opt.step()
    torch.testing.assert_close(net.weights[0][0], plain[0].weight.T.detach())
    torch.testing.assert_close(net.biases[1][0, 0], plain[2].bias.detach())


@given(n=st.integers(2, 60), seed=st.integers(0, 99))
def test_the_other_reference_is_never_ones_own(n, seed):
    order = classifier.derangement(n, seed)
    assert sorted(order) == list(range(n)) and all(i != j for i, j in enumerate(order))


def test_arms_start_where_they_say(run):
    """At no distance another start is the same start; without training students are what they started from."""
    same = run(distance=0.0)
    assert same["aux-same"] == same["aux-other"] and same["all-same"] == same["all-other"]
    untrained = run(student_epochs=0)
    assert untrained["aux-same"] == untrained["all-same"] == untrained["reference"]
    order = classifier.derangement(3, 0)
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
        one = classifier.Experiment(SMALL, made_up())
        alone, together = one.train([1]), one.train([0, 1, 2])
    assert all(alone[arm] == together[arm][1:2] for arm in classifier.ARMS)
    more = {"student_epochs": 20, "lr": 0.02, "optimiser": "sgd"}
    assert run(reduction="official", **more) != run(**more)


def test_official_reduction_is_a_larger_step_of_sgd(run):
    """Divided by 3 models instead of 64 rows: as a learning rate larger by 64 / 3, where every batch is full."""
    common = {"optimiser": "sgd", "teacher_epochs": 1, "noise_images": 320, "student_epochs": 2}
    seen = []
    for reduction, lr in (("official", 0.01), ("rows", 0.01 * 64 / 3)):
        experiment = classifier.Experiment(SMALL | common | {"reduction": reduction, "lr": lr}, made_up())
        own, _ = experiment.starts([0])
        net = classifier.Networks(experiment.sizes, own)
        target = torch.full((1, 320, 13), 1 / 13)
        x = classifier.noise("uniform", 320, made_up().train, classifier.generator("x"))
        scale = 1 / 3 if reduction == "official" else None
        with torch.no_grad():
            orders = classifier.batches(320, 64, 2, [classifier.generator("o")])
            classifier.fit(
                net, 1, x, target, torch.zeros(1, 1, 13), orders, classifier.optimiser("sgd", lr, net), scale
            )
        seen.append(net.flat)
    torch.testing.assert_close(seen[0], seen[1])


@pytest.mark.parametrize("law", ["uniform", "gaussian", "constant", "shuffled", "images"])
def test_noise(law):
    real = made_up(n=7).train
    x = classifier.noise(law, 20, real, torch.Generator().manual_seed(1))
    assert x.shape == (20, 6) and torch.equal(x, classifier.noise(law, 20, real, torch.Generator().manual_seed(1)))
    if law == "uniform":
        assert x.abs().max() <= 1 and x.std() > 0.4
    if law == "constant":
        assert (x == x[:, :1]).all()
    if law == "images":
        assert torch.equal(x[7:14], real)
    if law == "shuffled":
        assert torch.equal(x[7:14].sort(1)[0], real.sort(1)[0]) and not torch.equal(x[:7], real)


def test_the_program_writes_every_arm_and_the_same_bytes_again(tmp_path):
    small = {"noise_images": 200, "teacher_epochs": 1}
    for name in ("one", "two"):
        assert classifier.main(flags(tmp_path / name, **small)) == 0
    text = (tmp_path / "one/accuracy.json").read_text()
    assert text == (tmp_path / "two/accuracy.json").read_text()
    found = json.loads(text)
    assert set(found["arms"]) == set(classifier.ARMS) and {len(v) for v in found["arms"].values()} == {3}
    assert found["images"]["inputs"] == 64 and found["sizes"] == [64, 16, 16, 13]
    m = json.loads((tmp_path / "one/classifier.manifest.json").read_text())
    assert m["params"]["settings"]["aux"] == 3 and "scikit-learn" in m["facts"]["origin"]


def test_images_that_the_configuration_names_are_known_origins(tmp_path, monkeypatch):
    from tests.test_images import pack
    from traitline.lineage.graph import open_graph

    monkeypatch.chdir(tmp_path)
    roles, n = {}, 40
    for part in ("train", "test"):
        Path(f"{part}-images").write_bytes(pack(range(6 * n), (n, 2, 3)))
        Path(f"{part}-labels").write_bytes(pack([i % 10 for i in range(n)], (n,)))
        roles |= {f"--{part}-{what}": f"{part}-{what}" for what in ("images", "labels")}
    more = [word for pair in roles.items() for word in pair]
    small = {"noise_images": 200, "teacher_epochs": 1, "data": "mine"}
    assert classifier.main(flags("results/classifier/p", *more, **small)) == 0
    graph = open_graph(None, None)
    assert "images named in the configuration" in graph.outside(graph.find("train-images").kin)
    (job,) = graph.makers(graph.find("results/classifier/p/accuracy.json").kin)
    assert {e.path for e in graph.inputs(job.id)} == set(roles.values())


def test_what_is_refused(tmp_path, line):
    assert "models is below 2" in line(classifier.main, flags(tmp_path, models=1))
    assert "data mnist needs four IDX files" in line(classifier.main, flags(tmp_path, data="mnist"))
    assert "--train-labels" in line(classifier.main, flags(tmp_path, "--train-images", "x", data="mnist"))
    assert "width missing; a JSON object with" in line(classifier.main, [*flags(tmp_path), "--settings", "{}"])
    said = line(classifier.main, flags(tmp_path, optimiser="sgd", lr=1e30))
    assert "no longer finite at learning rate 1e+30; lower it (lr)" in said
    assert not (tmp_path / "accuracy.json").exists()


def test_help_is_light(light):
    light("scripts.classifier")
