"""Autocast on the CPU: what it casts, for how long it keeps that, and what gradients come of it."""

from __future__ import annotations

import threading
import warnings
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

import gpugrad
from gpugrad import amp, nn
from gpugrad.amp import doors
from gpugrad.amp.casting import state

F = nn.functional
LOW = gpugrad.bfloat16


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    yield
    assert (state.enabled, state.nesting, state.cache, state.holds_doors) == (frozenset(), 0, {}, False)
    assert doors._holders == 0


def casts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The shapes of what is cast from now on."""
    from gpugrad.amp import casting

    seen, cast = [], casting.cast

    def watched(x: Any, dtype: Any) -> Any:
        if x._array.dtype != dtype:
            seen.append(tuple(x.shape))
        return cast(x, dtype)

    monkeypatch.setattr(casting, "cast", watched)
    return seen


# ---- regions ----


def test_a_region_sets_the_state_and_restores_it() -> None:
    assert amp.is_autocast_available("cpu") and amp.is_autocast_available("cuda")
    with gpugrad.autocast("cpu", dtype=gpugrad.float16, cache_enabled=False) as region:
        assert gpugrad.is_autocast_enabled("cpu") and not gpugrad.is_autocast_enabled()
        assert gpugrad.get_autocast_dtype("cpu") is gpugrad.float16 and not gpugrad.is_autocast_cache_enabled()
        with gpugrad.autocast("cpu", enabled=False):
            assert (gpugrad.ones(2, 2) @ gpugrad.ones(2, 2)).dtype is gpugrad.float32
            with amp.autocast("cpu", dtype=LOW):
                assert (gpugrad.ones(2, 2) @ gpugrad.ones(2, 2)).dtype is LOW
        with region:  # again, inside itself
            pass
        assert (gpugrad.ones(2, 2) @ gpugrad.ones(2, 2)).dtype is gpugrad.float16
    assert gpugrad.get_autocast_dtype("cpu") is LOW and gpugrad.is_autocast_cache_enabled()


def test_an_error_inside_leaves_nothing_on() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), gpugrad.autocast("cpu"):
        F.linear(gpugrad.ones(2, 3), gpugrad.ones(2, 2))
    assert not gpugrad.is_autocast_enabled("cpu")


def test_functions_are_themselves_again_outside() -> None:
    functions = [gpugrad.exp, gpugrad.matmul, F.conv2d, gpugrad.sum.__wrapped__]
    before = [f.__code__ for f in functions]
    with gpugrad.autocast("cpu"):
        inside = [f.__code__ for f in functions]
    assert [f.__code__ for f in functions] == before
    assert not set(map(id, before)) & set(map(id, inside))


def test_decorators_and_threads() -> None:
    @gpugrad.autocast("cpu")
    def multiply(x: Any, depth: int = 0) -> Any:
        return multiply(x, depth - 1) if depth else x @ x

    x = gpugrad.ones(2, 2)
    assert multiply(x).dtype is LOW and multiply(x, 3).dtype is LOW and (x @ x).dtype is gpugrad.float32
    with pytest.raises(TypeError, match="requires a callable, but got int"):
        gpugrad.autocast("cpu")(3)  # type: ignore[arg-type]
    found = []
    with gpugrad.autocast("cpu"):
        in_a_thread(lambda: found.append((x @ x).dtype))
    assert found == [gpugrad.float32]


def in_a_thread(work: Any) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_one_region_in_two_threads_at_once() -> None:
    x, region, found = gpugrad.ones(2, 2), gpugrad.autocast("cpu"), []

    def work() -> None:
        with gpugrad.autocast("cpu", dtype=gpugrad.float16), region:
            found.append((x @ x).dtype)

    with region:
        in_a_thread(work)
        assert (x @ x).dtype is LOW
    assert found == [LOW] and (x @ x).dtype is gpugrad.float32


def test_setting_it_by_hand() -> None:
    x = gpugrad.ones(2, 2)
    gpugrad.set_autocast_enabled("cpu", True)
    gpugrad.set_autocast_dtype("cpu", gpugrad.float16)
    try:
        assert (x @ x).dtype is gpugrad.float16
    finally:
        gpugrad.set_autocast_enabled("cpu", False)
        gpugrad.set_autocast_dtype("cpu", LOW)
    assert (x @ x).dtype is gpugrad.float32
    with pytest.raises(TypeError, match=r"must be gpugrad\.dtype, not int"):
        gpugrad.set_autocast_dtype("cpu", 3)  # type: ignore[arg-type]


def test_what_cannot_be_is_refused_or_off() -> None:
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
        gpugrad.autocast(1)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        gpugrad.autocast("tpu")
    with pytest.warns(UserWarning, match="CPU Autocast only supports dtypes of gpugrad.bfloat16, gpugrad.float16"):
        region = gpugrad.autocast("cpu", dtype=gpugrad.float64)
    with region:
        assert not gpugrad.is_autocast_enabled("cpu")
    if not gpugrad.cuda.is_available():
        with pytest.warns(UserWarning, match="CUDA is not available. Disabling autocast"):
            gpugrad.autocast("cuda")


def test_old_names_warn() -> None:
    for make, says in (
        (lambda: gpugrad.cpu.amp.autocast(), r"Please use `gpugrad.amp.autocast\('cpu', args...\)`"),
        (lambda: gpugrad.cpu.amp.GradScaler(), r"Please use `gpugrad.amp.GradScaler\('cpu', args...\)`"),
        (lambda: gpugrad.cuda.amp.autocast(enabled=False), r"Please use `gpugrad.amp.autocast\('cuda', args...\)`"),
        (lambda: gpugrad.cuda.amp.GradScaler(enabled=False), r"gpugrad.amp.GradScaler\('cuda', args...\)`"),
        (lambda: gpugrad.cuda.amp.custom_fwd(), r"gpugrad.amp.custom_fwd\(args..., device_type='cuda'\)`"),
        (lambda: gpugrad.cuda.amp.custom_bwd(print), r"gpugrad.amp.custom_bwd\(args..., device_type='cuda'\)`"),
    ):
        with pytest.warns(FutureWarning, match=says):
            make()
    with pytest.warns(DeprecationWarning, match=r"Please use gpugrad.get_autocast_dtype\('cuda'\)"):
        assert gpugrad.get_autocast_gpu_dtype() is gpugrad.float16
    with pytest.warns(DeprecationWarning, match="is_autocast_enabled"), gpugrad.autocast("cpu"):
        assert gpugrad.is_autocast_cpu_enabled()


# ---- what is cast ----


def test_what_is_left_as_it_is() -> None:
    x, low = gpugrad.ones(2, 2), gpugrad.ones(2, 2, dtype=LOW)
    with gpugrad.autocast("cpu"):
        assert (x.double() @ x.double()).dtype is gpugrad.float64
        assert (x + x).dtype is gpugrad.float32
        out = gpugrad.empty(2, 2)
        assert gpugrad.matmul(x, x, out=out) is out and out.dtype is gpugrad.float32
        fine = x * (1 + 2**-12)
        assert fine.clone().addmm_(fine, x).sub(3 + 3 * 2**-12).count_nonzero().item() == 0
        with pytest.raises(RuntimeError, match="same scalar type"):
            low.index_copy_(0, gpugrad.tensor([0]), x[:1])
        assert gpugrad.prod(low, dtype=gpugrad.float64).dtype is gpugrad.float64
        assert gpugrad.prod(low).dtype is gpugrad.float32
        assert gpugrad.matmul(input=x, other=low).dtype is LOW


def test_a_sequential_is_cast_as_one() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    seen: list[str] = []
    with gpugrad.autocast("cpu"):
        out = model(gpugrad.ones(5, 3))
        seen.append(out.grad_fn.op.name)
    assert (out.dtype, seen) == (LOW, ["perceptron"])
    out.float().sum().backward()
    assert {p.grad.dtype for p in model.parameters()} == {gpugrad.float32}


def test_gradients_and_second_gradients_are_those_of_the_casts(torch: ModuleType) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype(np.float32) for s in ((4, 3), (5, 3), (5,))]

    def run(library: Any) -> list[Any]:
        x, w, b = (library.tensor(a, requires_grad=True) for a in arrays)
        with library.autocast("cpu", dtype=library.bfloat16):
            y = library.nn.functional.linear(x, w, b)
            loss = library.nn.functional.mse_loss(library.tanh(y), library.zeros(4, 5))
            (first,) = library.autograd.grad(loss, w, create_graph=True)
            second = library.autograd.grad((first * first).sum(), [x, w])
        return [y, loss, first, *second]

    for mine, theirs in zip(run(gpugrad), run(torch)):
        assert str(mine.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
        theirs = theirs.detach().float().numpy()
        np.testing.assert_allclose(mine.detach().float().numpy(), theirs, atol=4e-2 * np.abs(theirs).max())


def test_training_has_pytorchs_losses(torch: ModuleType) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(16, 1, 8, 8)).astype(np.float32), rng.integers(0, 4, 16)

    def run(library: Any) -> list[float]:
        library.manual_seed(0)
        nn = library.nn
        model = nn.Sequential(
            *(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(72, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4)),
        )
        optimizer = library.optim.AdamW(model.parameters(), lr=0.01)
        x, target = library.tensor(images), library.tensor(labels)
        losses = []
        for _ in range(10):
            optimizer.zero_grad()
            with library.autocast("cpu", dtype=library.bfloat16):
                loss = nn.functional.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    mine, theirs = run(gpugrad), run(torch)
    assert mine[-1] < 0.3 * mine[0]
    np.testing.assert_allclose(mine, theirs, rtol=0.03, atol=0.01)


# ---- the weight cache ----


def test_a_weight_is_cast_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = casts(monkeypatch)
    x, w = gpugrad.ones(3, 4), gpugrad.ones(4, 4, requires_grad=True)
    with gpugrad.autocast("cpu"):
        y = x @ w
        with gpugrad.autocast("cpu"):
            z = y @ w
    assert seen == [(3, 4), (4, 4)]
    y.float().sum().backward(retain_graph=True)
    z.float().sum().backward()  # through the same cast
    assert w.grad.dtype is gpugrad.float32 and w.grad.sum().item() == 48 + 2 * 192
    del seen[:]
    with gpugrad.autocast("cpu", cache_enabled=False):
        x @ w
        x @ w
    assert seen == [(3, 4), (4, 4)] * 2


def test_a_cast_is_made_anew_where_the_old_one_would_be_wrong() -> None:
    x, w = gpugrad.ones(1, 2), gpugrad.ones(2, 1, requires_grad=True)
    with gpugrad.autocast("cpu"):
        with gpugrad.no_grad():
            assert not (x @ w).requires_grad
        assert (x @ w).requires_grad  # the first was off the tape
        with gpugrad.no_grad():
            w.mul_(3)
        assert (x @ w).item() == 6  # it was written
        w.data = gpugrad.full((2, 1), 5.0)
        assert (x @ w).item() == 10  # it lies elsewhere


# ---- functions of the user's own ----


class Product(gpugrad.autograd.Function):
    states: ClassVar[list[Any]] = []

    @staticmethod
    @amp.custom_fwd(device_type="cpu")
    def forward(ctx: Any, x: Any, w: Any) -> Any:
        ctx.save_for_backward(x, w)
        Product.states.append(gpugrad.is_autocast_enabled("cpu"))
        return x @ w

    @staticmethod
    @amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, g: Any) -> Any:
        x, w = ctx.saved_tensors
        Product.states.append(
            (gpugrad.is_autocast_enabled("cpu"), gpugrad.get_autocast_dtype("cpu"), (g @ w.t()).dtype)
        )
        return g @ w.t(), x.t() @ g


class Single(Product):
    @staticmethod
    @amp.custom_fwd(device_type="cpu", cast_inputs=gpugrad.float32)
    def forward(ctx: Any, x: Any, w: Any) -> Any:
        ctx.save_for_backward(x, w)
        Product.states.append(gpugrad.is_autocast_enabled("cpu"))
        return x @ w


def test_a_function_runs_in_the_state_it_asks_for() -> None:
    x, w = gpugrad.ones(2, 2, requires_grad=True), gpugrad.ones(2, 2, requires_grad=True)
    for function, out, states in (
        (Product, gpugrad.float16, [True, (True, gpugrad.float16, gpugrad.float16)]),
        (Single, gpugrad.float32, [False, (False, gpugrad.float16, gpugrad.float32)]),
    ):
        Product.states.clear()
        with gpugrad.autocast("cpu", dtype=gpugrad.float16):
            y = function.apply(x.half() if function is Single else x, w)
        assert y.dtype is out
        y.sum().backward()
        assert Product.states == states
        assert w.grad.dtype is gpugrad.float32
    with pytest.raises(ValueError, match="device_type"):
        amp.custom_fwd(device_type=0)  # type: ignore[arg-type]


def test_a_walk_inside_a_region_is_not_cast() -> None:
    x = gpugrad.ones(2, 2, requires_grad=True)
    seen: list[Any] = []
    with gpugrad.autocast("cpu"):
        y = (x @ x).float()
        y.register_hook(lambda g: seen.append((g.dtype, gpugrad.is_autocast_enabled("cpu"))))
        y.sum().backward()
        assert gpugrad.is_autocast_enabled("cpu")
    assert seen == [(gpugrad.float32, False)]


def test_recurrent_layers_take_inputs_in_another_dtype(torch: ModuleType) -> None:
    for name in ("RNN", "LSTM", "GRU"):
        for dtype in ("float32", "bfloat16"):
            found = []
            for library in (gpugrad, torch):
                layer = getattr(library.nn, name)(3, 4, num_layers=2)
                with library.autocast("cpu"):
                    out, _ = layer(library.ones(5, 2, 3, dtype=getattr(library, dtype)))
                found.append(str(out.dtype).split(".")[1])
            assert found[0] == found[1], (name, dtype)
    with pytest.raises(ValueError, match="does not match weight dtype"):
        nn.RNN(3, 4)(gpugrad.ones(5, 2, 3, dtype=LOW))


def test_nothing_is_loaded_that_is_not_asked_for() -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", "import gpugrad, sys; gpugrad.nn; print('gpugrad.amp' in sys.modules)"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "False", done.stderr


def test_no_warning_of_a_deprecated_name_where_it_is_not_used() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        amp.GradScaler("cpu")


@pytest.mark.parametrize("inside", [False, True])
def test_what_is_checkpointed_is_computed_again_in_the_same_dtypes(inside: bool) -> None:
    from gpugrad.utils.checkpoint import checkpoint

    def run(run_layer: Any) -> list[Any]:
        gpugrad.manual_seed(0)
        layer = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        with gpugrad.autocast("cpu", dtype=gpugrad.float16):
            # the second time the casts of the weights are there
            loss = sum(run_layer(layer, gpugrad.randn(3, 4)).float().pow(2).sum() for _ in range(2))
            if inside:
                loss.backward()
        if not inside:
            loss.backward()
        return [loss.item(), *[p.grad.numpy() for p in layer.parameters()]]

    kept, again = run(lambda layer, x: layer(x)), run(checkpoint)
    assert kept[0] == again[0]
    for a, b in zip(kept[1:], again[1:]):  # two gradients of a weight are added in another dtype
        np.testing.assert_allclose(a, b, atol=2e-3 * np.abs(a).max())
