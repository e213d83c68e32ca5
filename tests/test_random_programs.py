"""Random programs of views, writes in place and arithmetic: values, `requires_grad` and gradients are PyTorch's.

A program is a list of statements on a growing list of tensors, the last three of which are the leaves it began with. What
PyTorch refuses and gpugrad does not, and the other way round, ends a program; what both refuse changes nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gpugrad

Statement = Callable[[Any, list[Any]], Any]

VIEWS: dict[str, Callable[[Any], Any]] = {
    "[0]": lambda t: t[0],
    "[-1:]": lambda t: t[-1:],
    "[..., ::2]": lambda t: t[..., ::2],
    "[None]": lambda t: t[None],
    "[1:, 0]": lambda t: t[1:, 0],
    "[...]": lambda t: t[...],
    "[:0]": lambda t: t[:0],
    ".t()": lambda t: t.t(),
    ".mT": lambda t: t.mT,
    ".transpose(0, -1)": lambda t: t.transpose(0, -1),
    ".movedim(0, -1)": lambda t: t.movedim(0, -1),
    ".view(-1)": lambda t: t.view(-1),
    ".view(1, -1)": lambda t: t.view(1, -1),
    ".reshape(-1)": lambda t: t.reshape(-1),
    ".reshape(3, -1)": lambda t: t.reshape(3, -1),
    ".flatten()": lambda t: t.flatten(),
    ".unsqueeze(-1)": lambda t: t.unsqueeze(-1),
    ".squeeze()": lambda t: t.squeeze(),
    ".squeeze(0)": lambda t: t.squeeze(0),
    ".expand(2, ...)": lambda t: t.expand(2, *t.shape),
    ".diagonal()": lambda t: t.diagonal(),
    ".select(-1, 0)": lambda t: t.select(-1, 0),
    ".narrow(0, 0, 1)": lambda t: t.narrow(0, 0, 1),
    ".unfold(-1, 2, 1)": lambda t: t.unfold(-1, 2, 1),
    ".view_as(itself)": lambda t: t.view_as(t),
    ".as_strided()": lambda t: (t if t.is_contiguous() and t._base is None else t * 1).as_strided((2,), (1,)),
}
OPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "exp": lambda m, t, u: (-t.abs()).exp(),
    "tanh": lambda m, t, u: t.tanh(),
    "square": lambda m, t, u: t * t,
    "relu": lambda m, t, u: t.relu(),
    "sum": lambda m, t, u: t.sum(0, keepdim=True),
    "mean": lambda m, t, u: t.mean(-1),
    "softmax": lambda m, t, u: t.softmax(-1),
    "cumsum": lambda m, t, u: t.cumsum(0),
    "amax": lambda m, t, u: t.amax(0),
    "add": lambda m, t, u: t + u,
    "mul": lambda m, t, u: t * u,
    "matmul": lambda m, t, u: t @ u,
    "where": lambda m, t, u: m.where(t > u, t, u),
    "cat": lambda m, t, u: m.cat([t, u]),
    "stack": lambda m, t, u: m.stack([t, t * 2]),
    "clone": lambda m, t, u: t.clone(),
    "by indices": lambda m, t, u: t[m.tensor([0, 0, -1])],
    "zeros": lambda m, t, u: m.zeros_like(t),
}
WRITES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add_": lambda m, t, u: t.add_(u),
    "mul_": lambda m, t, u: t.mul_(u),
    "sub_ scaled": lambda m, t, u: t.sub_(u, alpha=2),
    "copy_": lambda m, t, u: t.copy_(u),
    "fill_": lambda m, t, u: t.fill_(0.7),
    "zero_": lambda m, t, u: t.zero_(),
    "sigmoid_": lambda m, t, u: t.sigmoid_(),
    "sin_": lambda m, t, u: t.sin_(),
    "clamp_": lambda m, t, u: t.clamp_(0.4, 1.2),
    "pow_": lambda m, t, u: t.pow_(2),
    "cumsum_": lambda m, t, u: t.cumsum_(0),
    "tril_": lambda m, t, u: t.tril_(),
    "lerp_": lambda m, t, u: t.lerp_(u, 0.3),
    "addcmul_": lambda m, t, u: t.addcmul_(u, u, value=0.5),
    "masked_fill_": lambda m, t, u: t.masked_fill_(t > 0.8, 0.3),
    "index_add_": lambda m, t, u: t.index_add_(0, m.tensor([0, 1]), u),
    "index_fill_": lambda m, t, u: t.index_fill_(0, m.tensor([1]), 0.5),
    "scatter_add_": lambda m, t, u: t.scatter_add_(0, m.zeros_like(t).long(), u),
    "[0] = u": lambda m, t, u: t.__setitem__(0, u),
    "[1:] = 0.9": lambda m, t, u: t.__setitem__(slice(1, None), 0.9),
    "[mask] = u": lambda m, t, u: t.__setitem__(t.detach() > 0.9, u),
    "[indices] = u": lambda m, t, u: t.__setitem__(m.tensor([1, 0]), u),
    "[...] *= 2": lambda m, t, u: t.__setitem__(..., t * 2),
    "fill_diagonal_": lambda m, t, u: t.fill_diagonal_(0.2),
    "t_": lambda m, t, u: t.t_(),
    "unsqueeze_": lambda m, t, u: t.unsqueeze_(0),
}


def start(m: ModuleType) -> list[Any]:
    leaves = [
        m.tensor(values, dtype=m.float64, requires_grad=True)
        for values in ([[0.35, 1.1, 0.6], [1.45, 0.8, 1.3]], [0.9, 1.2, 0.5], 0.75)
    ]
    return [leaf * 1 for leaf in leaves] + leaves


def statement(r: random.Random, count: int) -> tuple[str, Statement]:
    i, j = (r.randrange(count) if r.random() < 0.4 else r.randrange(count - 4, count) for _ in range(2))
    kind = r.choices(["view", "op", "write"], [3, 2, 4])[0]
    if kind == "view":
        name = r.choice([*VIEWS])
        return f"t{count} = t{i}{name}", lambda m, ts: ts.append(VIEWS[name](ts[i]))
    if kind == "op":
        name = r.choice([*OPS])
        return f"t{count} = {name}(t{i}, t{j})", lambda m, ts: ts.append(OPS[name](m, ts[i], ts[j]))
    name = r.choice([*WRITES])
    return f"t{i}.{name} (u is t{j})", lambda m, ts: WRITES[name](m, ts[i], ts[j])


def refused(run: Callable[..., Any], *args: Any) -> bool:
    try:
        run(*args)
    except (RuntimeError, IndexError, ValueError, TypeError):
        return True
    return False


def weighed(m: ModuleType, t: Any, k: int) -> Any:
    """A sum that weighs every element differently. Every other gradient arrives in another memory order."""
    turned = t.permute(tuple(range(t.ndim))[::-1]) if k % 2 == 0 else t
    return (turned * (m.arange(t.numel()).double().reshape(turned.shape) * 0.1 + 1 + 0.37 * k)).sum()


def gradients(m: ModuleType, ts: list[Any], chosen: list[int], second: bool) -> list[Any]:
    """Of the weighed sum of the `chosen` tensors, for the leaves; with `second`, of those gradients too."""
    total = sum(weighed(m, ts[k], k) for k in chosen) + ts[3].sum() * 0
    found = m.autograd.grad(total, ts[3:6], create_graph=second, allow_unused=True)
    if not second:
        return [*found]
    total = sum((g * g).sum() for g in found if g is not None) + ts[3].sum() * 0  # so that there is something to walk
    return [*found, *m.autograd.grad(total, ts[3:6], allow_unused=True)]


def values(t: Any) -> np.ndarray:
    return t.detach().numpy(force=True) if type(t).__module__.startswith("torch") else t.detach().numpy()


def compare(seed: int, torch: ModuleType) -> str:
    """Run program `seed` in both libraries; how it ended. AssertionError, with the program, where they differ."""
    r = random.Random(seed)
    ours, theirs, text = start(gpugrad), start(torch), [f"program {seed}"]
    for _ in range(r.randrange(2, 10)):
        line, run = statement(r, len(ours))
        text.append(line)
        before = [values(t).copy() for t in ours]
        outcome = refused(run, gpugrad, ours), refused(run, torch, theirs)
        if outcome != (False, False):
            assert not outcome[0] or all(map(np.array_equal, before, map(values, ours))), text
        if outcome[0] != outcome[1]:
            return "refused by gpugrad" if outcome[0] else "refused by PyTorch"
        if refused(lambda: [t.requires_grad for t in ours]):  # views of what `t_` gave another shape
            return "refused by gpugrad"
        for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            np.testing.assert_allclose(values(a), values(b), rtol=1e-9, atol=1e-9, err_msg=f"t{k} of {text}")
            assert a.requires_grad == b.requires_grad, (k, text)
        if max(np.abs(values(t)).max(initial=0) for t in ours) > 1e4:
            return "too large"
    second, chosen = r.random() < 0.3, [k for k in range(len(ours)) if r.random() < 0.4]
    try:
        expected = gradients(torch, theirs, chosen, second)
    except RuntimeError:
        return "refused by PyTorch"
    try:
        found = gradients(gpugrad, ours, chosen, second)
    except RuntimeError as error:
        assert "changed its shape or strides in place" in str(error), f"{error}: {text}"
        return "refused by gpugrad"
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        zero = np.zeros(theirs[3 + k % 3].shape)
        pair = [zero if g is None else values(g) for g in (a, b)]
        np.testing.assert_allclose(*pair, rtol=1e-7, atol=1e-8, err_msg=f"gradient {k} of {text}")
    return "same"


@pytest.mark.parametrize("batch", range(2))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_programs(torch: ModuleType, batch: int) -> None:
    ends = Counter(compare(seed, torch) for seed in range(batch * 400, (batch + 1) * 400))
    assert ends["same"] > 300 and ends["refused by gpugrad"] < 30, ends
