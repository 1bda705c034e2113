"""Stacks of networks: exact gradients, and training as in plain torch."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.classifier import images_of_ten_classes
from traitline.theory import stacked_networks


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
    values = torch.stack([stacked_networks.initial(sizes, g).double() for _ in range(2)]) + 0.1  # biases too
    net = stacked_networks.Networks(sizes, values)
    x, wanted = torch.randn(2, rows, sizes[0], generator=g).double(), torch.randn(2, rows, sizes[-1], generator=g)
    seen = torch.zeros(2, 1, sizes[-1]).double()
    seen[0, :, :hidden] = -torch.inf
    target = (wanted.double() + seen).softmax(-1)
    with torch.no_grad():
        into = net.forward(x)
        net.backward(into, (stacked_networks.softmax(into[-1] + seen) - target) / rows)
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
    data, sizes = images_of_ten_classes(), [6, 8, 13]
    start = stacked_networks.initial(sizes, torch.Generator().manual_seed(1))
    rows = [torch.arange(i, i + 30).unsqueeze(0) for i in (0, 30, 60)]
    target = torch.nn.functional.one_hot(data.train_labels, 13).float().unsqueeze(0)
    classes = torch.zeros(1, 1, 13)
    classes[..., 10:] = -torch.inf
    net = stacked_networks.Networks(sizes, start.unsqueeze(0))
    with torch.no_grad():
        stacked_networks.fit(
            net, 1, data.train, target, classes, iter(rows), stacked_networks.optimiser(name, 0.01, net)
        )
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
