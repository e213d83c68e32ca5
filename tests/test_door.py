"""The door is closed: whole training steps run on arrays that accept nothing but ops, and the record of those ops,
replayed from the same start, ends in the same bits. The CUDA device and a compiler stand on this.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from recorded import Recorded, enclose, replay

import gpugrad
from gpugrad import nn, optim


class Net(nn.Module):
    """Embedding, LayerNorm, dropout and linear layers, the last of which are one op."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.dropout = nn.Dropout(0.25)
        self.hidden = nn.Linear(6, 8)
        self.out = nn.Sequential(nn.Linear(8, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 5))

    def forward(self, words: Any) -> Any:
        x = self.dropout(self.norm(self.embedding(words)))
        return self.out(gpugrad.relu(self.hidden(x)).mean(1))


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
}


def steps(name: str, closed: bool) -> tuple[list[np.ndarray], dict[int, np.ndarray]]:
    """Three training steps; the weights afterwards, and what the arrays behind the door held before."""
    gpugrad.manual_seed(0)
    net = Net()
    words, target = gpugrad.randint(0, 11, (4, 3)), gpugrad.randint(0, 5, (4,))
    inputs = [*net.parameters(), words, target]
    start: dict[int, np.ndarray] = {}
    if closed:
        for t in inputs:
            enclose(t)
            start[id(t._array)] = t._array._value.copy()
    optimizer = OPTIMIZERS[name](net.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(words), target)
        loss.backward()
        optimizer.step()
    return [np.array(p._array._value if closed else p._array) for p in net.parameters()], start


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_step_touches_arrays_only_through_ops(name: str) -> None:
    expected, _ = steps(name, closed=False)
    Recorded.log.clear()
    found, start = steps(name, closed=True)
    assert len(Recorded.log) > 50
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)

    gpugrad.manual_seed(0)
    Net(), gpugrad.randint(0, 11, (4, 3)), gpugrad.randint(0, 5, (4,))  # the generator where the steps found it
    replay(Recorded.log, start)
    for after, number in zip(found, start):
        np.testing.assert_array_equal(after, start[number])
    Recorded.log.clear()
