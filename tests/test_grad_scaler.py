"""GradScaler: PyTorch's scales, steps and errors, on the CPU and on the CUDA device."""

from __future__ import annotations

import math
import pickle
import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import need_captured_products

import gpugrad
from gpugrad.amp import GradScaler

# What happens to the gradient of each step.
STEPS = (1.0, 1.0, math.inf, 1.0, math.nan, 1.0, 1.0, 1.0)

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


@pytest.fixture(params=DEVICES)
def where(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("device") if request.param == "cuda" else "cpu"


def model_on(device: str, library: Any = gpugrad) -> tuple[Any, Any]:
    w = library.ones(3, device=device, requires_grad=True)
    return w, (w * w).sum()


def history(library: Any, device: str, optimizer: str, explicit: bool, **options: Any) -> list[Any]:
    """Scales, trackers and parameters after each of STEPS; a parameter has no gradient."""
    w = library.tensor(np.linspace(-1, 1, 5, dtype=np.float32), device=device, requires_grad=True)
    unused = library.ones(2, device=device, requires_grad=True)
    made = getattr(library.optim, optimizer)([w, unused], lr=0.1, **options)
    scaler = library.amp.GradScaler(device, init_scale=64.0, growth_interval=2)
    found = []
    for factor in STEPS:
        made.zero_grad()
        scaler.scale((w * w).sum()).backward()
        w.grad[1] *= factor
        if explicit:
            scaler.unscale_(made)
            library.nn.utils.clip_grad_value_([w], 1.0)
        scaler.step(made)
        scaler.update()
        state = scaler.state_dict()
        found.append([state["scale"], state["_growth_tracker"], *w.detach().cpu().tolist()])
    return found


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [("SGD", {}), ("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.9, "dampening": 0.5}), ("AdamW", {})],
)
def test_scales_and_parameters_are_pytorchs(
    torch: ModuleType, where: str, optimizer: str, options: Any, explicit: bool
) -> None:
    mine, theirs = (
        history(gpugrad, where, optimizer, explicit, **options),
        history(torch, "cpu", optimizer, explicit, **options),
    )
    np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)
    assert [row[:2] for row in mine] == [row[:2] for row in theirs]


def test_a_scale_that_would_not_be_finite_does_not_grow(where: str) -> None:
    w, loss = model_on(where)
    optimizer = gpugrad.optim.SGD([w], lr=0.0)
    scaler = GradScaler(where, init_scale=2.0**127, growth_interval=1)
    scaler.scale(loss * 0).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**127 and scaler._get_growth_tracker() == 0


def test_gradients_in_several_dtypes_and_layouts(where: str) -> None:
    makers = (lambda s: s, lambda s: s.t(), lambda s: s.to(gpugrad.bfloat16), lambda s: s.double())
    params = [make(gpugrad.ones(33, 70, device=where)).requires_grad_() for make in makers]
    for p in params:
        p.grad = gpugrad.full_like(p, 8.0)
    optimizer = gpugrad.optim.SGD(params, lr=1.0)
    scaler = GradScaler(where, init_scale=4.0)
    scaler.scale(gpugrad.ones((), device=where))
    scaler.unscale_(optimizer)
    assert all((p.grad == 2).all().item() for p in params)
    assert [f.item() for f in scaler._found_inf_per_device(optimizer).values()] == [0]
    scaler.update()
    for bad in params:
        bad.grad[-1, -1] = -math.inf
        assert [f.item() for f in scaler._check_inf_per_device(optimizer).values()] == [1]
        bad.grad[-1, -1] = 0.0


def test_what_was_computed_from_gradients_sees_them_changed() -> None:
    w, loss = model_on("cpu")
    scaler, optimizer = GradScaler("cpu"), gpugrad.optim.SGD([w], lr=1.0)
    scaler.scale(loss).backward()
    product = (w.grad * w).sum()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda s, o, loss: s.unscale_(o), AssertionError, "Attempted unscale_ but _scale is None.  This may indicate"),
    (lambda s, o, loss: s.step(o), AssertionError, "Attempted step but _scale is None.  This may indicate"),
    (lambda s, o, loss: s.update(), AssertionError, "Attempted update but _scale is None.  This may indicate"),
    (
        lambda s, o, loss: (s.scale(loss).backward(), s.unscale_(o), s.unscale_(o)),
        RuntimeError,
        "unscale_() has already been called on this optimizer since the last update().",
    ),
    (
        lambda s, o, loss: (s.scale(loss).backward(), s.step(o), s.unscale_(o)),
        RuntimeError,
        "unscale_() is being called after step().",
    ),
    (
        lambda s, o, loss: (s.scale(loss).backward(), s.step(o), s.step(o)),
        RuntimeError,
        "step() has already been called since the last update().",
    ),
    (
        lambda s, o, loss: s.step(o, closure=None),
        RuntimeError,
        "Closure use is not currently supported if GradScaler is enabled.",
    ),
    (lambda s, o, loss: (s.scale(loss), s.step(o)), AssertionError, "No inf checks were recorded for this optimizer."),
    (lambda s, o, loss: (s.scale(loss), s.update()), AssertionError, "No inf checks were recorded prior to update."),
    (lambda s, o, loss: s.scale(3), ValueError, "outputs must be a Tensor or an iterable of Tensors"),
    (lambda s, o, loss: s.load_state_dict({}), RuntimeError, "The source state dict is empty"),
    (lambda s, o, loss: (s.scale(loss).backward(), s.step(o), pickle.dumps(s)), AssertionError, "may only be pickled"),
    (lambda s, o, loss: (s.scale(loss), s.update(loss)), AssertionError, "new_scale should be a float or a 1-element"),
    (lambda s, o, loss: type(s)("cpu", growth_factor=1.0), AssertionError, "The growth factor must be > 1.0."),
    (lambda s, o, loss: type(s)("cpu", backoff_factor=1.0), AssertionError, "The backoff factor must be < 1.0."),
]


@pytest.mark.parametrize(("wrong", "error", "says"), ERRORS, ids=[says[:40] for _, _, says in ERRORS])
def test_errors_are_pytorchs(wrong: Any, error: type[Exception], says: str, torch: ModuleType) -> None:
    for library in (gpugrad, torch):
        w, loss = model_on("cpu", library)
        scaler, optimizer = library.amp.GradScaler("cpu"), library.optim.SGD([w], lr=0.1)
        with pytest.raises(error, match=re.escape(says)):
            wrong(scaler, optimizer, loss)


def test_gradients_in_half_precision_are_refused_whole() -> None:
    params = [gpugrad.ones(2, requires_grad=True), gpugrad.ones(2, dtype=gpugrad.float16, requires_grad=True)]
    for p in params:
        p.grad = gpugrad.ones_like(p)
    scaler, optimizer = GradScaler("cpu"), gpugrad.optim.SGD(params, lr=0.1)
    scaler.scale(gpugrad.ones(()))
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.step(optimizer)
    assert params[0].grad.tolist() == [1, 1]


def test_it_is_off_where_it_is_not_enabled() -> None:
    w, loss = model_on("cpu")
    optimizer = gpugrad.optim.SGD([w], lr=0.5)
    scaler = GradScaler("cpu", enabled=False)
    assert scaler.scale(loss) is loss and not scaler.is_enabled()
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert w.tolist() == [0, 0, 0] and scaler.get_scale() == 1 and scaler.state_dict() == {}
    if not gpugrad.cuda.is_available():
        with pytest.warns(UserWarning, match="CUDA is not available"):
            assert not GradScaler().is_enabled()


def test_many_outputs_a_new_scale_and_a_saved_one(where: str) -> None:
    scaler = GradScaler(where, init_scale=8.0)
    ones = gpugrad.ones(2, device=where)
    scaled = scaler.scale([ones, (ones, ones)])
    assert type(scaled) is list and type(scaled[1]) is tuple
    assert scaled[0].tolist() == scaled[1][1].tolist() == [8, 8]
    scaler.update(32.0)
    assert scaler.get_scale() == 32
    scaler.update(gpugrad.full((1,), 16.0, device=where))
    scaler.set_growth_interval(7)
    scaler.set_growth_factor(3.0)
    scaler.set_backoff_factor(0.25)
    saved = scaler.state_dict()
    assert saved == {
        "scale": 16.0,
        "growth_factor": 3.0,
        "backoff_factor": 0.25,
        "growth_interval": 7,
        "_growth_tracker": 0,
    }
    for other in (GradScaler(where), pickle.loads(pickle.dumps(scaler))):
        other.load_state_dict({**saved, "_growth_tracker": 5})
        assert other.scale(ones).tolist() == [16, 16]
        assert other.state_dict() == {**saved, "_growth_tracker": 5}
        assert (other.get_growth_factor(), other.get_backoff_factor(), other.get_growth_interval()) == (3.0, 0.25, 7)
        other.load_state_dict(saved)
        assert other._get_growth_tracker() == 0


def test_an_optimizer_that_scales_by_itself_is_told_how() -> None:
    class Own(gpugrad.optim.SGD):
        _step_supports_amp_scaling = True

        def step(self, closure: Any = None) -> Any:
            return self.grad_scale and self.grad_scale.item(), self.found_inf.item()

    w, loss = model_on("cpu")
    scaler, optimizer = GradScaler("cpu", init_scale=4.0), Own([w], lr=1.0)
    scaler.scale(loss).backward()
    assert scaler.step(optimizer) == (4.0, 0.0) and w.grad.tolist() == [8, 8, 8]
    assert not hasattr(optimizer, "grad_scale") and optimizer.found_inf is None
    scaler.update()
    scaler.unscale_(optimizer)
    assert scaler.step(optimizer) == (None, 0.0) and w.grad.tolist() == [2, 2, 2]


# ---- on the device ----


def steps_with_reads(monkeypatch: pytest.MonkeyPatch, optimizer: Any, w: Any) -> int:
    """How often two steps of a scaler, the second of them skipped, are read back from the device."""
    from gpugrad.cuda.array import DeviceArray

    reads, get = [0], DeviceArray.get

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        reads[0] += 1
        return get(self, *args, **options)

    scaler = GradScaler("cuda")
    monkeypatch.setattr(DeviceArray, "get", counted)
    for factor in (1.0, math.inf):
        optimizer.zero_grad()
        scaler.scale((w * w).sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    monkeypatch.undo()
    return reads[0]


@pytest.mark.cuda
def test_a_step_on_the_device_is_not_read_back(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(gpugrad.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            return super().step(closure)

    for make, reads in (
        (lambda w: gpugrad.optim.Adam([w], lr=0.1), 0),
        (lambda w: gpugrad.optim.SGD([w], lr=0.1, momentum=0.9), 0),
        (lambda w: gpugrad.optim.SGD([w], lr=0.1, momentum=0.9, dampening=0.5), 2),
        (lambda w: Own([w], lr=0.1), 2),  # its own step may do more than the kernels skip
    ):
        w = gpugrad.ones(3, device=device, requires_grad=True)
        with monkeypatch.context() as patch:
            assert steps_with_reads(patch, make(w), w) == reads
        assert not (w == 1).any().item() and w.isfinite().all().item()


@pytest.mark.cuda
@pytest.mark.parametrize(
    "name", ["Adadelta", "Adagrad", "Adam", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD"]
)
def test_every_optimizer_skips_a_step_on_the_device(device: str, name: str) -> None:
    def run(skipped: bool) -> Any:
        w = gpugrad.linspace(1, 2, 5, device=device).requires_grad_()
        optimizer = getattr(gpugrad.optim, name)([w], lr=0.1)
        scaler = GradScaler(device, init_scale=4.0)
        for factor in (math.nan, 1.0, math.inf, 1.0) if skipped else (1.0, 1.0):
            optimizer.zero_grad()
            scaler.scale((w * w).sum() * factor).backward()
            scaler.step(optimizer)
            scaler.update()
        return w.tolist(), {k: v.tolist() for k, v in optimizer.state[w].items() if v is not None}

    assert run(skipped=True) == run(skipped=False)


@pytest.mark.cuda
def test_a_step_with_a_scaler_is_captured(device: str) -> None:
    need_captured_products()

    def make() -> tuple[Any, ...]:
        gpugrad.manual_seed(0)
        model = gpugrad.nn.Sequential(gpugrad.nn.Linear(4, 8), gpugrad.nn.ReLU(), gpugrad.nn.Linear(8, 1)).to(device)
        return model, gpugrad.optim.Adam(model.parameters(), lr=0.05), GradScaler(device, growth_interval=3)

    x, factor = gpugrad.rand(8, 4).to(device), gpugrad.ones((), device=device)

    def step(model: Any, optimizer: Any, scaler: Any) -> None:
        optimizer.zero_grad()
        with gpugrad.autocast(device):
            out = model(x)
            loss = gpugrad.nn.functional.mse_loss(out, gpugrad.zeros_like(out)) * factor
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    factors = (1.0, 1.0, math.inf, 1.0, 1.0, 1.0, 1.0)
    found = []
    for captured in (False, True):
        parts = make()
        graph = gpugrad.cuda.CUDAGraph()
        for k, value in enumerate(factors):
            factor.fill_(value)
            if captured and k == 2:
                with gpugrad.autocast(device):
                    parts[0](x)  # casts outside the graph are not used inside it
                    with gpugrad.cuda.graph(graph):
                        step(*parts)
            if captured and k >= 2:
                graph.replay()
            else:
                step(*parts)
        found.append([parts[2].state_dict(), [p.tolist() for p in parts[0].parameters()]])
    assert found[0] == found[1]
    assert found[0][0]["scale"] == 2.0**16  # half after the third step, twice after the sixth


@pytest.mark.cuda
def test_losses_in_half_precision_are_those_of_the_cpu(device: str) -> None:
    def run(where: str) -> list[float]:
        gpugrad.manual_seed(0)
        nn = gpugrad.nn
        model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 16), nn.LayerNorm(16), nn.Linear(16, 3))
        model, x, target = model.to(where), gpugrad.randn(32, 6).to(where), gpugrad.randint(0, 3, (32,)).to(where)
        optimizer, scaler = gpugrad.optim.AdamW(model.parameters(), lr=0.02), GradScaler(where)
        losses = []
        for _ in range(6):
            optimizer.zero_grad()
            with gpugrad.autocast(where, dtype=gpugrad.float16):
                loss = nn.functional.cross_entropy(model(x), target)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        return losses

    mine = run(device)
    assert mine[-1] < mine[0] - 0.1
    np.testing.assert_allclose(mine, run("cpu"), rtol=5e-3)


@pytest.mark.cuda
def test_on_the_device_the_table_is_that_of_cuda(device: str) -> None:
    x = gpugrad.ones(4, 4, device=device)
    low = x.half()
    F = gpugrad.nn.functional
    with gpugrad.autocast(device):
        lowered = [x @ x, F.linear(x, x), low + low, x.softmax(-1).half() * 2]
        single = [low.exp(), low.sum(), low.norm(), low**2, 1 / low, F.softmax(low, -1), F.layer_norm(low, (4,))]
        assert {t.dtype for t in lowered} == {gpugrad.float16} and {t.dtype for t in single} == {gpugrad.float32}
        assert (x @ gpugrad.ones(4, 4, device=device, dtype=gpugrad.bfloat16)).dtype is gpugrad.float16
        assert (gpugrad.ones(2, 2) @ gpugrad.ones(2, 2)).dtype is gpugrad.float32  # not there
        with pytest.raises(RuntimeError, match="unsafe to autocast"):
            F.binary_cross_entropy(x * 0.5, x)
    with gpugrad.autocast("cpu"):
        assert (x @ x).dtype is gpugrad.float32
