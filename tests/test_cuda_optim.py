"""kernels/optimizer.cu and gradients.cu against the updates on the CPU; a training step that stays on the device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from device_tools import on_host

import gpugrad
from gpugrad import nn, optim

pytestmark = pytest.mark.cuda

FLOATS = [gpugrad.float32, gpugrad.float64, gpugrad.float16, gpugrad.bfloat16]
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1, "maximize": True, "lr": 0.1}),
    ("Adam", {"lr": 0.0}),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.9)}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.5}),
    ("RMSprop", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.1, "centered": True, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adadelta", {"lr": 1.0, "weight_decay": 0.1}),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.02, "maximize": True}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.6), "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {"lr": 0.1, "step_sizes": (0.05, 0.3)}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 1, "weight_decay": 0.1}),
]
NAMES = [f"{name}-{'-'.join(options)}" for name, options in OPTIMIZERS]
SIZES = [1, 31, 32, 33, 1023, 4097]


def simulated() -> bool:
    from gpugrad.cuda import backend

    return backend.simulated()


def counters() -> Any:
    """What the simulator counts; the test is skipped on a real device."""
    if not simulated():
        pytest.skip("copies, waits and launches are counted by the simulator")
    from gpugrad.cuda import backend

    return backend.cupy().counters


def placed(value: np.ndarray, dtype: Any, where: str, layout: str = "plain") -> gpugrad.Tensor:
    """`value` as a tensor there: as it is, "off" a 16-byte boundary, or "turned", its dims in memory backwards."""
    tensor = gpugrad.tensor(value).to(dtype).to(where)
    if layout == "off":
        room = gpugrad.zeros(value.size + 1, dtype=dtype, device=where)
        room[1:] = tensor.reshape(-1)
        tensor = room[1:].reshape(value.shape)
    elif layout == "turned":
        tensor = tensor.T.clone().contiguous().T
    return tensor.detach()


def shapes_and_layouts() -> list[tuple[tuple[int, ...], str, str]]:
    """Shapes of parameters, how they lie and how their gradients do."""
    plain = [((n,), "plain", "plain") for n in SIZES]
    odd = [((5, 7), "turned", "plain"), ((5, 7), "plain", "turned"), ((5, 7), "turned", "turned")]
    return [
        *plain,
        ((1023,), "off", "plain"),
        ((33,), "plain", "off"),
        *odd,
        ((), "plain", "plain"),
        ((0, 3), "plain", "plain"),
    ]


def trained(
    name: str, options: dict[str, Any], dtype: Any, where: str, steps: int = 3
) -> tuple[list[gpugrad.Tensor], optim.Optimizer]:
    rng = np.random.default_rng(5)
    cases = shapes_and_layouts()
    params = [placed(rng.normal(size=s), dtype, where, layout).requires_grad_() for s, layout, _ in cases]
    optimizer = getattr(optim, name)(params, **options)
    for _ in range(steps):
        for p, (s, _, layout) in zip(params, cases):
            p.grad = placed(rng.normal(size=s), dtype, where, layout)
        if where == "cpu":
            optimizer.step()
        else:
            step_in_one_launch(optimizer)
    return params, optimizer


def step_in_one_launch(optimizer: optim.Optimizer) -> None:
    """A step that copies nothing and waits for nothing, where that can be counted."""
    if simulated():
        counters().reset()
    optimizer.step()
    if simulated():
        found = counters()
        assert (found.host_to_device, found.device_to_host, found.synchronizations) == (0, 0, 0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=NAMES)
def test_a_step_is_the_cpu_s(device: str, name: str, options: dict[str, Any], dtype: Any) -> None:
    here, there = (trained(name, options, dtype, where) for where in ("cpu", device))
    eps = float(gpugrad.finfo(dtype).eps)
    for mine, its in zip(there[0], here[0]):
        assert mine.stride() == its.stride()
        # What is divided by the root of a small second moment loses digits
        np.testing.assert_allclose(on_host(mine), on_host(its), rtol=64 * eps, atol=64 * eps)
        states = [o.state[p] for o, p in zip((there[1], here[1]), (mine, its))]
        assert list(states[0]) == list(states[1])
        for key in states[0]:
            if states[0][key] is not None:
                found, expected = on_host(states[0][key]), on_host(states[1][key])
                # The quotients by a root of what is left of two moments are as large as the largest, and cancel in the sum
                sums = options.get("centered") and key == "momentum_buffer"
                size = max(1.0, float(np.abs(expected).max(initial=0))) if sums else 1.0
                np.testing.assert_allclose(found, expected, rtol=32 * eps, atol=8 * eps * size)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "NAdam", "ASGD"])
def test_all_parameters_are_updated_in_one_launch(device: str, name: str) -> None:
    params = [gpugrad.ones(n, device=device, requires_grad=True) for n in range(1, 65)]
    optimizer = getattr(optim, name)(params, lr=0.1)
    for p in params:
        p.grad = gpugrad.ones_like(p)
    optimizer.step()
    counters().reset()
    optimizer.step()
    assert counters().launches == 1


@pytest.mark.parametrize("seed", range(10))
def test_more_parameters_than_a_launch_takes_in_every_order(
    device: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    results = []
    for where in ("cpu", device):
        rng = np.random.default_rng(1)
        dtypes = [gpugrad.float64 if i % 10 == 0 else gpugrad.float32 for i in range(90)]
        params = [placed(rng.normal(size=3 + i), d, where).requires_grad_() for i, d in enumerate(dtypes)]
        params.append(placed(rng.normal(size=9000), gpugrad.float32, where).requires_grad_())
        optimizer = optim.Adam(params, lr=0.1)
        for _ in range(2):
            for p in params:
                p.grad = (p.detach() * 3).to(p.dtype)
            optimizer.step()
        assert {float(optimizer.state[p]["step"]) for p in params} == {2.0}
        results.append([on_host(p) for p in params])
    for mine, its in zip(results[1], results[0]):
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-6)


def test_a_learning_rate_on_the_device_is_read_there(device: str) -> None:
    for name in ("SGD", "Adam", "Adagrad", "Adamax", "RMSprop", "Adadelta", "NAdam", "RAdam", "ASGD"):
        results = []
        for lr in (0.5, gpugrad.tensor(0.5, device=device), gpugrad.tensor(0.5, device=device, dtype=gpugrad.float64)):
            p = gpugrad.ones(5, device=device, requires_grad=True)
            optimizer = getattr(optim, name)([p], lr=lr)
            for g in (1.0, -2.0):
                p.grad = gpugrad.full((5,), g, device=device)
                step_in_one_launch(optimizer)
                if isinstance(lr, gpugrad.Tensor):
                    lr.fill_(0.25)
                else:
                    optimizer.param_groups[0]["lr"] = 0.25
            results.append(on_host(p))
        np.testing.assert_array_equal(results[1], results[0])
        np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize("name", ["Adam", "NAdam", "ASGD"])
def test_a_captured_step_goes_on_at_each_replay(device: str, name: str) -> None:
    options = {"lr": 0.1, "t0": 2, "lambd": 0.1} if name == "ASGD" else {"lr": 0.1}
    expected = gpugrad.ones(5, requires_grad=True)
    p = gpugrad.ones(5, device=device, requires_grad=True)
    optimizers = [getattr(optim, name)([x], **options) for x in (expected, p)]
    for x in (expected, p):
        x.grad = gpugrad.arange(5.0, device=x.device)
    for optimizer in optimizers:
        optimizer.step()
    graph = gpugrad.cuda.CUDAGraph()
    with gpugrad.cuda.graph(graph):
        optimizers[1].step()
    for _ in range(3):
        graph.replay()
        optimizers[0].step()
    np.testing.assert_allclose(on_host(p), on_host(expected), rtol=1e-6)
    states = [o.state[x] for o, x in zip(optimizers, (expected, p))]
    for key, value in states[0].items():
        np.testing.assert_allclose(on_host(states[1][key]), on_host(value), rtol=1e-6)
    assert states[1]["step"].item() == 4


@pytest.mark.parametrize("name", ["NAdam", "ASGD"])
def test_histories_of_parameters_differ(device: str, name: str) -> None:
    """A parameter that had no gradient at first is a step behind, and options that change in between count for some."""
    results = []
    for where in ("cpu", device):
        params = [gpugrad.full((40,), float(k), device=where).requires_grad_() for k in range(3)]
        optimizer = getattr(optim, name)(params, lr=0.1)
        key, value = ("momentum_decay", 0.5) if name == "NAdam" else ("lambd", 0.5)
        for step in range(6):
            for k, p in enumerate(params):
                p.grad = gpugrad.full((40,), 0.1 * step - k, device=where) if (step + k) % 3 or step > 3 else None
            if step == 3:
                optimizer.param_groups[0][key] = value
            optimizer.step()
        results.append([on_host(x) for p in params for x in (p, *optimizer.state[p].values())])
    for mine, its in zip(results[1], results[0]):
        np.testing.assert_allclose(mine, its, rtol=1e-5)


MOVED = "SGD Adam AdamW RMSprop Adagrad Adadelta Adamax NAdam RAdam Rprop ASGD LBFGS".split()  # noqa: SIM905


@pytest.mark.parametrize("name", MOVED)
@pytest.mark.filterwarnings("ignore::gpugrad.cuda.array.HostFallbackWarning")
def test_states_follow_a_model_that_is_moved_after_the_first_step(name: str, device: str) -> None:
    losses = []
    for where in ("cpu", device):
        gpugrad.manual_seed(0)
        model, x = gpugrad.nn.Linear(3, 2), gpugrad.randn(4, 3)
        options = {"lr": 0.1, "momentum": 0.9} if name == "SGD" else {}
        optimizer = getattr(optim, name)(model.parameters(), **options)

        def loss(model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            value = (model(x) ** 2).mean()  # noqa: B023
            value.backward()
            return value

        optimizer.step(loss)
        model.to(where)
        x = x.to(where)
        losses.append([float(optimizer.step(loss)) for _ in range(3)])
        tensors = [t for state in optimizer.state.values() for t in state.values() if isinstance(t, gpugrad.Tensor)]
        assert tensors and all(t.device.type == where for t in tensors)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_saved_state_goes_on_on_the_device(device: str) -> None:
    rng = np.random.default_rng(2)
    values, grads = rng.normal(size=(2, 40)), rng.normal(size=(4, 2, 40))
    results = []
    for moves in (False, True):
        params = [gpugrad.tensor(v, dtype=gpugrad.float32, requires_grad=True) for v in values]
        optimizer = optim.Adam(params, lr=0.1)
        for k, gs in enumerate(grads):
            if moves and k == 2:
                saved = optimizer.state_dict()
                params = [p.detach().to(device).requires_grad_() for p in params]
                optimizer = optim.Adam(params, lr=0.1)
                optimizer.load_state_dict(saved)
            for p, g in zip(params, gs):
                p.grad = gpugrad.tensor(g, dtype=gpugrad.float32).to(p.device)
            optimizer.step()
        results.append([on_host(p) for p in params])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5, atol=1e-6)


def test_fresh_states_lie_where_kernels_load_fast(device: str) -> None:
    params = [gpugrad.ones(n, device=device, dtype=d, requires_grad=True) for n in (3, 5, 70_000) for d in FLOATS]
    optimizer = optim.Adagrad(params, initial_accumulator_value=0.5, lr=0.0)
    for p in params:
        p.grad = gpugrad.zeros_like(p)
    optimizer.step()
    for p in params:
        state = optimizer.state[p]["sum"]
        assert state.dtype is p.dtype and state.data_ptr() % 16 == 0
        assert (on_host(state) == 0.5).all()


def test_what_cannot_be_updated_is_refused_before_anything_is_written(device: str) -> None:
    first = gpugrad.ones(3, device=device, requires_grad=True)
    wide = gpugrad.ones(1, device=device).expand(4).detach().requires_grad_()
    optimizer = optim.Adam([first, wide], lr=0.1)
    for p in (first, wide):
        p.grad = gpugrad.ones(p.shape, device=device)
    with pytest.raises(RuntimeError, match=r"cannot update a read-only array, such as an expanded one; clone\(\) it"):
        optimizer.step()
    assert first.tolist() == [1, 1, 1]
    part = nn.Linear(2, 2).to(device)
    optimizer = optim.Adam(part.parameters())
    part(gpugrad.ones(1, 2, device=device)).sum().backward()
    optimizer.step()
    optimizer.state[part.bias]["exp_avg"] = gpugrad.zeros(2)
    with pytest.raises(RuntimeError, match="the state of an optimizer is not on the CUDA device of its parameters"):
        optimizer.step()


# ---- gradients ----


@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf, 3.0])
@pytest.mark.parametrize("dtype", FLOATS)
def test_clipping_is_the_cpu_s(device: str, dtype: Any, norm_type: float) -> None:
    shapes: list[tuple[int, ...]] = [*((n,) for n in SIZES), (20, 30), (), (9000,), *[(2,)] * 70]
    results = []
    for where in ("cpu", device):
        rng = np.random.default_rng(3)
        params = [gpugrad.zeros(s, dtype=dtype, device=where, requires_grad=True) for s in shapes]
        for p, s in zip(params, shapes):
            layout = "off" if s == (33,) else "turned" if s == (20, 30) else "plain"
            p.grad = placed(rng.normal(size=s) * 0.1, dtype, where, layout)
        if where == device and simulated():
            counters().reset()
        total = nn.utils.clip_grad_norm_(params, 1.0, norm_type)
        if where == device and simulated():
            assert (counters().host_to_device, counters().device_to_host, counters().synchronizations) == (0, 0, 0)
        assert total.shape == () and total.dtype is dtype and str(total.device).startswith(where)
        results.append([on_host(total), *[on_host(p.grad) for p in params]])
    eps = float(gpugrad.finfo(dtype).eps)
    for mine, its in zip(results[1], results[0]):
        np.testing.assert_allclose(mine, its, rtol=4 * eps)


def test_clipping_takes_three_launches_and_leaves_what_is_small(device: str) -> None:
    params = [gpugrad.zeros(n, device=device, requires_grad=True) for n in range(1, 60)]
    for p in params:
        p.grad = gpugrad.full_like(p, 0.01)
    before = [on_host(p.grad) for p in params]
    versions = [p.grad._version for p in params]
    assert nn.utils.clip_grad_norm_(params, 1.0).item() == pytest.approx(0.01 * sum(range(1, 60)) ** 0.5)
    np.testing.assert_array_equal(np.concatenate([on_host(p.grad) for p in params]), np.concatenate(before))
    assert all(p.grad._version > v for p, v in zip(params, versions))
    counters().reset()
    nn.utils.clip_grad_norm_(params, 1.0)
    assert counters().launches == 3


def test_clipping_of_what_is_not_finite_and_of_several_dtypes(device: str) -> None:
    for bad in (math.inf, math.nan):
        found = []
        for where in ("cpu", device):
            p = gpugrad.zeros(3, device=where, requires_grad=True)
            p.grad = gpugrad.tensor([1.0, bad, 2.0], device=where)
            total = nn.utils.clip_grad_norm_([p], 1.0)
            found.append([total.item(), *p.grad.tolist()])
        np.testing.assert_array_equal(found[1], found[0])
    params = [gpugrad.zeros(3, device=device, dtype=d, requires_grad=True) for d in (gpugrad.float32, gpugrad.float64)]
    for p in params:
        p.grad = gpugrad.full_like(p, 2.0)
    assert nn.utils.clip_grad_norm_(params, 1.0).item() == pytest.approx(24**0.5)
    for p in params:
        np.testing.assert_allclose(on_host(p.grad), 2 / 24**0.5, rtol=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES)
def test_gradients_accumulate(device: str, size: int, dtype: Any) -> None:
    rng = np.random.default_rng(size)
    first, second = rng.normal(size=(2, size))
    found = []
    for where in ("cpu", device):
        for layout in ("plain", "off"):
            p = gpugrad.zeros(size, dtype=dtype, device=where, requires_grad=True)
            p.grad = placed(first, dtype, where, layout)
            held = p.grad
            (p * placed(second, dtype, where)).sum().backward()
            assert p.grad is held
            found.append(on_host(held))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("shape", [(3, 4), (30, 50)], ids=["an element a thread", "several"])
def test_a_gradient_in_another_order_of_memory_accumulates(device: str, shape: tuple[int, int]) -> None:
    value = np.arange(float(shape[0] * shape[1]), dtype=np.float32).reshape(shape)
    p = gpugrad.zeros(*shape, device=device, requires_grad=True)
    for layout, expected in (("plain", value), ("turned", 2 * value)):
        p.backward(placed(value, gpugrad.float32, device, layout))
        assert p.grad is not None
        np.testing.assert_array_equal(on_host(p.grad), expected)
    p.grad = placed(value, gpugrad.float32, device, "turned")
    p.backward(placed(value, gpugrad.float32, device))
    np.testing.assert_array_equal(on_host(p.grad), 2 * value)


# ---- a whole step ----


class Net(nn.Module):
    """What uses every family of kernels once."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.norm = nn.Embedding(11, 8), nn.LayerNorm(16)
        self.first, self.second, self.dropout = nn.Linear(8, 16), nn.Linear(16, 5), nn.Dropout(0.3)

    def forward(self, x: gpugrad.Tensor) -> gpugrad.Tensor:
        return self.second(self.dropout(nn.functional.gelu(self.norm(self.first(self.embedding(x))))))


def test_a_training_step_moves_nothing_but_the_batch(device: str) -> None:
    gpugrad.manual_seed(0)
    model = Net().to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    inputs, targets = gpugrad.randint(0, 11, (6,)), gpugrad.randint(0, 5, (6,))
    losses = []
    for k in range(4):
        if k == 2:  # all is compiled, and what is made once is there
            counters().reset()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs.to(device)), targets.to(device))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
    found = counters()
    assert (found.host_to_device, found.host_to_device_bytes) == (4, 4 * inputs.nbytes)
    assert (found.device_to_host, found.synchronizations) == (0, 0)
    assert losses[-1].item() < losses[0].item()
