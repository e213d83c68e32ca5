"""How matrix products are put to cuBLASLt, held to a stand-in that computes with the descriptions it is given."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cublaslt_stand_in import DTYPES, StandIn, close, draw, put_in_place
from device_tools import on_host

import gpugrad
import gpugrad.nn.functional as F

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def lt(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    yield from put_in_place(monkeypatch)


# By shapes: how many calls, and the stack of each
STACKS = {
    ((5, 7), (7, 3)): (1, 1),
    ((1, 7), (7, 1)): (1, 1),
    ((4, 5, 7), (4, 7, 3)): (1, 4),
    ((2, 3, 5, 7), (2, 3, 7, 4)): (1, 6),
    ((2, 3, 5, 7), (7, 4)): (1, 1),  # one tall matrix
    ((5, 7), (6, 7, 4)): (1, 6),
    ((2, 1, 5, 7), (3, 7, 4)): (2, 3),
    ((3, 5, 7), (4, 1, 7, 2)): (1, 4),
    ((6, 1, 7), (7, 4)): (1, 1),
    ((1, 5, 7), (1, 7, 2)): (1, 1),
}


@pytest.mark.parametrize("shapes", STACKS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_stacks_of_matrices(shapes: Any, dtype: Any, lt: StandIn) -> None:
    a, b = draw(*shapes[0], dtype=dtype), draw(*shapes[1], dtype=dtype, seed=1)
    found = gpugrad.matmul(gpugrad.tensor(a).cuda(), gpugrad.tensor(b).cuda())
    close(on_host(found), a.astype(np.float64) @ b.astype(np.float64), dtype)
    assert (len(lt.calls), lt.calls[0][3]) == STACKS[shapes]
    assert math.prod(lt.calls[0]) * len(lt.calls) == found.numel() * shapes[0][-1]


VIEWS = {
    "transposed": lambda t: t.mT,
    "rows": lambda t: t[..., 1:, :],
    "columns": lambda t: t[..., 1:5],
    "every other row": lambda t: t[..., ::2, :],
    "stack turned": lambda t: t.movedim(0, 1),
    "one column": lambda t: t[..., 2:3],
    "part, transposed": lambda t: t[..., 1:4, 2:].mT,
}
COPIED = {
    "every other column": lambda t: t[..., ::2],
    "turned round": lambda t: t[..., ::-1, :] if isinstance(t, np.ndarray) else t.flip(-2),
    "one row, again and again": lambda t: t[:, :1].expand(4, 8, 6),
}


@pytest.mark.parametrize("name", [*VIEWS, *COPIED])
def test_views_are_read_where_they_lie(name: str, lt: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import gemm

    if name in VIEWS:
        monkeypatch.setattr(gemm, "contiguous", lambda x: x)
    view = {**VIEWS, **COPIED}[name]
    x = gpugrad.tensor(draw(4, 8, 6))
    a = view(x)
    other = gpugrad.tensor(draw(a.shape[-1], 3, seed=1))
    expected = on_host(a).astype(np.float64)
    close(on_host(view(x.cuda()) @ other.cuda()), expected @ on_host(other), np.float32)
    left = gpugrad.tensor(draw(3, a.shape[-2], seed=2))
    close(on_host(left.cuda() @ view(x.cuda())), on_host(left) @ expected, np.float32)
    assert lt.calls


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_adds_the_bias_on_the_way(dtype: Any, lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        inputs = [draw(2, 3, 7, dtype=dtype), draw(5, 7, dtype=dtype, seed=1), draw(5, dtype=dtype, seed=2)]
        leaves = [gpugrad.tensor(a).to(where).requires_grad_() for a in inputs]
        out = F.linear(*leaves)
        out.backward(gpugrad.tensor(draw(2, 3, 5, seed=3)).to(where, out.dtype))
        found.append([on_host(t) for t in (out, *(leaf.grad for leaf in leaves))])
    for got, expected in zip(found[1], found[0]):
        close(got, expected.astype(np.float64), dtype)
    assert lt.calls == [(5, 6, 7, 1), (7, 5, 6, 1), (7, 6, 5, 1)]
    assert lt.epilogues == [4, 512, 1]


@pytest.mark.parametrize("frozen", ["input", "weight", "bias"])
def test_only_the_gradients_that_are_wanted_are_computed(frozen: str, lt: StandIn) -> None:
    leaves = [gpugrad.tensor(draw(*shape)).cuda() for shape in ((6, 7), (5, 7), (5,))]
    for leaf, name in zip(leaves, ("input", "weight", "bias")):
        leaf.requires_grad_(name != frozen)
    F.linear(*leaves).sum().backward()
    assert [leaf.grad is not None for leaf in leaves] == [name != frozen for name in ("input", "weight", "bias")]
    assert lt.epilogues == {"input": [4, 512], "weight": [4, 1], "bias": [4, 1, 1]}[frozen]


def test_second_derivatives_of_the_layer(lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        x, weight, bias = (gpugrad.tensor(draw(*s)).to(where).requires_grad_() for s in ((4, 3), (2, 3), (2,)))
        (gw, gb) = gpugrad.autograd.grad((F.linear(x, weight, bias) ** 3).sum(), (weight, bias), create_graph=True)
        found.append([on_host(g) for g in gpugrad.autograd.grad(gw.sum() + (gb * gb).sum(), (x, weight, bias))])
    for got, expected in zip(found[1], found[0]):
        close(got, expected.astype(np.float64), np.float32, 64)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_convolution(dtype: Any, lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        leaves = [draw(3, 4, 6, 5, dtype=dtype), draw(6, 2, 3, 3, dtype=dtype, seed=1), draw(6, dtype=dtype, seed=2)]
        tensors = [gpugrad.tensor(a).to(where).requires_grad_() for a in leaves]
        out = F.conv2d(*tensors, padding=1, groups=2)
        out.backward(gpugrad.tensor(draw(3, 6, 6, 5, seed=3)).to(where, out.dtype))
        found.append([on_host(t) for t in (out, *(leaf.grad for leaf in tensors))])
    for got, expected in zip(found[1], found[0]):
        close(got, expected.astype(np.float64), dtype, 32)
    assert lt.calls


def test_each_call_has_its_own_bias(lt: StandIn) -> None:
    x, weight = gpugrad.ones(2, 3, device="cuda"), gpugrad.ones(4, 3, device="cuda")
    for value in (1.0, 2.0, 2.0):
        bias = gpugrad.full((4,), value, device="cuda")
        assert on_host(F.linear(x, weight, bias)).tolist() == [[3 + value] * 4] * 2
    assert lt.asked == 1


def test_accumulation(lt: StandIn) -> None:
    from gpugrad.cuda import array, gemm

    a, b = draw(4, 5, dtype=np.float16), draw(5, 3, dtype=np.float16, seed=1)
    out = array.from_numpy(np.full((4, 3), 100, np.float32))
    gemm.product(array.from_numpy(a), array.from_numpy(b), out, accumulate=True)
    np.testing.assert_allclose(out.get(), 100 + a.astype(np.float32) @ b.astype(np.float32), rtol=1e-6)
    assert len(lt.calls) == 1


def test_products_are_described_once(lt: StandIn) -> None:
    x, y = gpugrad.ones(8, 8, device="cuda"), gpugrad.ones(8, 8, device="cuda")
    for _ in range(3):
        x @ y
        y @ x
    assert (lt.asked, len(lt.calls)) == (1, 6)
    x[1:] @ y  # another shape
    x.half() @ y.half()
    assert lt.asked == 3


def test_tf32_when_it_is_asked_for(lt: StandIn) -> None:
    x, y = gpugrad.ones(4, 4, device="cuda"), gpugrad.ones(4, 4, device="cuda")
    before = gpugrad.get_float32_matmul_precision()
    try:
        for precision in ("highest", "high", "highest"):
            gpugrad.set_float32_matmul_precision(precision)
            _ = x @ y, x.half() @ y.half(), x.double() @ y.double()
    finally:
        gpugrad.set_float32_matmul_precision(before)
    assert lt.computed == [68, 68, 70, 77, 68, 70, 68, 68, 70]


def test_without_an_algorithm_for_the_gradient_of_the_bias(lt: StandIn) -> None:
    lt.refuses = {512}
    x, weight, bias = (gpugrad.tensor(draw(*shape)).cuda().requires_grad_() for shape in ((6, 7), (5, 7), (5,)))
    F.linear(x, weight, bias).sum().backward()
    assert bias.grad is not None and on_host(bias.grad).tolist() == [6.0] * 5
    assert lt.epilogues == [4, 1, 1]


@pytest.mark.parametrize("refused", [{4}, {1, 4}], ids=["the bias", "all"])
def test_without_an_algorithm(refused: set[int], lt: StandIn) -> None:
    lt.refuses = refused
    x, weight, bias = draw(3, 4), draw(5, 4, seed=1), draw(5, seed=2)
    found = F.linear(*(gpugrad.tensor(t).cuda() for t in (x, weight, bias)))
    close(on_host(found), x.astype(np.float64) @ weight.T + bias, np.float32)
    assert lt.asked == 2 * len(refused) and len(lt.calls) == 2 - len(refused)


def test_what_computes_a_product_is_named(lt: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was computed: of copies where the arrays cannot be read where they lie."""
    from gpugrad.cuda import cublaslt, gemm

    x = gpugrad.tensor(draw(2, 6, 8)).cuda()
    apart = x[:, ::2, ::2]  # neither rows nor columns are next to each other
    assert gemm.computed_by(x._array, x.mT._array) == "cuBLASLt"
    assert gemm.computed_by(apart._array, apart.mT._array) == "cuBLASLt, of copies"
    lt.refuses = {1}
    cublaslt._described.cache_clear()
    assert gemm.computed_by(x._array, x.mT._array) == "NumPy, for the simulated device"
    monkeypatch.setattr(cublaslt, "library", lambda: None)
    assert gemm.computed_by(x._array, x.mT._array) == "NumPy, for the simulated device"


def test_without_an_algorithm_in_a_capture(lt: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import array

    x = gpugrad.ones(3, 3, device="cuda")
    lt.refuses = {1}
    with monkeypatch.context() as patch:
        patch.setattr(array, "capturing", True)
        with pytest.raises(RuntimeError, match="run the work once before the capture"):
            x @ x
    lt.refuses = set()
    assert on_host(x @ x).tolist() == [[3] * 3] * 3  # nothing was kept of the failure
    assert len(lt.calls) == 1


def test_the_library_s_numbers() -> None:
    """What the stand-in takes for granted, where nvmath is installed."""
    name = "nvmath.bindings.cublasLt"
    if os.environ.get("GPUGRAD_REQUIRE_PEERS") == "1":
        real = importlib.import_module(name)
    else:
        real = pytest.importorskip(name, reason="needs nvmath: ci/test --peers installs it")
    for name in ("MatmulDescAttribute", "MatrixLayoutAttribute", "MatmulPreferenceAttribute", "Epilogue"):
        for member in getattr(StandIn, name):
            assert int(getattr(real, name)[member.name]) == int(member)
    assert list(real.matmul_heuristic_result_dtype.names)[:3] == list(StandIn.matmul_heuristic_result_dtype.names)
    assert issubclass(real.cuBLASLtError, Exception)


def test_what_the_library_reads_where_it_lies_is_not_copied(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad.cuda import gemm

    monkeypatch.setattr(gemm, "contiguous", lambda x: pytest.fail("copied"))
    x, y, z = (gpugrad.tensor(draw(*shape), device=device) for shape in ((8, 12), (16, 12), (3, 16, 12)))
    for a, b in ((x, y.mT), (x, z.mT), (y.mT, z[0]), (z[:, 4:].mT, z[:, 4:])):
        assert gpugrad.allclose((a @ b).cpu(), a.cpu() @ b.cpu(), atol=1e-5)


def test_a_training_step_of_linear_layers_is_ten_launches(
    lt: StandIn, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpugrad.cuda.simulator import module

    layers = (gpugrad.nn.Linear(24, 16), gpugrad.nn.ReLU(), gpugrad.nn.Linear(16, 16), gpugrad.nn.ReLU())
    model = gpugrad.nn.Sequential(*layers, gpugrad.nn.Linear(16, 4)).to(device)
    optimizer = gpugrad.optim.Adam(model.parameters())
    x, target = gpugrad.randn(32, 24).to(device), gpugrad.arange(32).to(device) % 4

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()

    step()
    launched, launch = [], module.Function.launch
    monkeypatch.setattr(
        module.Function, "launch", lambda self, *how: (launched.append(self.name), launch(self, *how))[1]
    )
    lt.calls.clear()
    step()
    assert len(lt.calls) == 8, lt.calls
    assert ["cross_entropy<" in launched[0], "update<" in launched[1], len(launched)] == [True, True, 2], launched


def test_a_layer_of_no_inputs(lt: StandIn) -> None:
    """The library takes no matrices without elements."""
    weight = gpugrad.zeros(5, 0, device="cuda", requires_grad=True)
    bias = gpugrad.ones(5, device="cuda", requires_grad=True)
    out = F.linear(gpugrad.zeros(2, 4, 0, device="cuda"), weight, bias)
    out.sum().backward()
    assert out.flatten().tolist() == [1.0] * 40 and bias.grad.tolist() == [8.0] * 5 and weight.grad.shape == (5, 0)
