"""The tape and the walk: gradients, accumulation, hooks, freed graphs, long chains, versions, memory."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad.op import op


def leaf(*values: float) -> gpugrad.Tensor:
    return gpugrad.tensor(values, dtype=gpugrad.float64, requires_grad=True)


def test_gradients_of_a_shared_input_add_up() -> None:
    x = leaf(2.0, 3.0)
    (x * x + x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]


def test_a_second_backward_adds_to_grad() -> None:
    x = leaf(1.0)
    for _ in range(3):
        (x * 2).sum().backward()
    assert x.grad.tolist() == [6.0]


def test_two_leaves_never_share_a_gradient_buffer() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).backward(gpugrad.ones(2, dtype=gpugrad.float64))
    assert not np.shares_memory(x.grad.numpy(), y.grad.numpy())
    x.grad.add_(1)
    assert y.grad.tolist() == [1.0, 1.0]


def test_a_gradient_that_was_reshaped_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpugrad import engine

    copies = []
    monkeypatch.setattr(engine, "_copy", lambda g: copies.append(g.shape) or g.copy())
    w, v, u, g = (gpugrad.ones(*shape, requires_grad=k < 3) for k, shape in enumerate(((6,), (6,), (2, 3), (2, 3))))
    (w.reshape(2, 3) * 2).backward(g)
    assert copies == [] and w.grad.tolist() == [2] * 6
    (v.reshape(2, 3) + u).backward(g)  # one cotangent for both, and the caller's own
    assert copies == [(2, 3), (6,)] or copies == [(6,), (2, 3)]
    arrays = [t.numpy() for t in (w.grad, v.grad, u.grad, g)]
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])
    x = gpugrad.ones(2, 3, requires_grad=True)
    (x.t() * 2).backward(gpugrad.ones(3, 2))
    assert x.grad.is_contiguous() and len(copies) == 3


def test_a_cotangent_that_two_were_handed_is_not_added_to() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    tripled, total = x * 3, x + y  # the sum's comes first, and is the same array for both
    ones = gpugrad.ones(2, dtype=gpugrad.float64)
    gpugrad.autograd.backward([total * 2, tripled], [ones, ones])
    assert x.grad.tolist() == [5.0, 5.0] and y.grad.tolist() == [2.0, 2.0]


def test_the_gradient_given_is_not_kept() -> None:
    x, g = leaf(1.0, 2.0), gpugrad.ones(2, dtype=gpugrad.float64)
    (x + 0).backward(g)
    assert not np.shares_memory(x.grad.numpy(), g.numpy())


def test_a_chain_of_200_000_ops() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(200_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.tolist() == [1.0]
    del y


def test_nothing_is_left_when_the_result_goes() -> None:
    x = leaf(1.0, 2.0)
    gc.collect()
    gc.disable()
    try:
        y = (x * x).exp()
        node = weakref.ref(y.grad_fn)
        y.sum().backward()
        del y
        assert node() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_second_backward_through_a_freed_graph_is_an_error() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"second time.*retain_graph=True"):
        y.backward()
    assert x.grad.tolist() == [4.0]


def test_retain_graph() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0]


def test_backward_needs_a_scalar_or_a_gradient() -> None:
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        y.backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        y.backward(gpugrad.ones(3))


def test_backward_of_a_constant_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="does not require grad"):
        gpugrad.ones(1).backward()


def test_a_saved_tensor_changed_in_place_is_an_error() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*mul"):
        z.sum().backward()
    assert x.grad is None


def test_in_place_on_a_leaf_that_requires_grad_is_an_error() -> None:
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x.add_(1)
    assert x.tolist() == [1.0]
    with gpugrad.no_grad():
        x.add_(1)
    assert x.tolist() == [2.0]


def test_in_place_keeps_what_it_saved_itself() -> None:
    x = leaf(3.0)
    y = x * 1
    y.mul_(y)
    y.sum().backward()
    assert x.grad.tolist() == [6.0]


def test_arguments_of_old() -> None:
    x = leaf(2.0)
    with pytest.warns(FutureWarning, match="only_inputs argument is deprecated"):
        (g,) = gpugrad.autograd.grad((x * x).sum(), x, only_inputs=False)
    assert g.tolist() == gpugrad.autograd.grad((x * x).sum(), x, only_inputs=True)[0].tolist() == [4]
    with pytest.warns(FutureWarning, match="`grad_variables` is deprecated"):
        gpugrad.autograd.backward(x * x, grad_variables=gpugrad.ones(1))
    assert x.grad is not None and x.grad.tolist() == [4]
    with pytest.raises(RuntimeError, match="`grad_tensors` and `grad_variables`"):
        gpugrad.autograd.backward(x * x, gpugrad.ones(1), grad_variables=gpugrad.ones(1))


NODES: dict[str, Any] = {
    "AddBackward0": lambda x: x + 1,
    "MulBackward0": lambda x: 2 * x,
    "PowBackward0": lambda x: x**2,
    "MeanBackward0": lambda x: x.mean(),
    "AddmmBackward0": lambda x: gpugrad.nn.Linear(2, 3)(x),
    "NllLossBackward0": lambda x: gpugrad.nn.functional.cross_entropy(x, gpugrad.tensor([0, 1])),
    "MseLossBackward0": lambda x: gpugrad.nn.functional.mse_loss(x, x.detach()),
    "CopySlices": lambda x: written(x * 1),
}


def written(y: Any) -> Any:
    y[0] = 1
    return y


@pytest.mark.parametrize("name", NODES)
def test_nodes_have_pytorchs_names(name: str) -> None:
    x = gpugrad.ones(2, 2, requires_grad=True)
    assert f"grad_fn=<{name}>" in repr(NODES[name](x))


def test_grad_leaves_grad_alone() -> None:
    x, y = leaf(2.0), leaf(5.0)
    gx, gy = gpugrad.autograd.grad((x * y).sum(), (x, y))
    assert (gx.tolist(), gy.tolist(), x.grad) == ([5.0], [2.0], None)


def test_results_of_grad_share_no_memory() -> None:
    x, y, g = leaf(2.0), leaf(5.0), leaf(1.0).detach()
    gx, gy = gpugrad.autograd.grad(x + y, (x, y), g)
    gx.mul_(3)
    assert (gx.tolist(), gy.tolist(), g.tolist()) == ([3.0], [1.0], [1.0])


def test_grad_of_unused_input() -> None:
    x, y = leaf(2.0), leaf(5.0)
    with pytest.raises(RuntimeError, match="allow_unused"):
        gpugrad.autograd.grad((x * 2).sum(), (x, y))
    assert gpugrad.autograd.grad((x * 2).sum(), (x, y), allow_unused=True)[1] is None
    assert gpugrad.autograd.grad((x * 2).sum(), (x, y), materialize_grads=True)[1].tolist() == [0.0]


def test_grad_of_an_intermediate() -> None:
    x = leaf(2.0)
    y = x * 3
    (g,) = gpugrad.autograd.grad((y * y).sum(), y)
    assert g.tolist() == [12.0]


def test_third_derivative() -> None:
    x = leaf(2.0)
    y = (x * x * x * x).sum()
    for expected in (32.0, 48.0, 48.0):
        (y,) = gpugrad.autograd.grad(y.sum(), x, create_graph=True)
        assert y.tolist() == [expected]


def test_a_leaf_that_no_longer_requires_grad_gets_none() -> None:
    """As when a generator is trained through a discriminator that is frozen after the forward pass."""
    x, w = gpugrad.ones(3, requires_grad=True), gpugrad.ones(3, requires_grad=True)
    y, z = (x * w).sum(), (x * w).sum()
    w.requires_grad_(False)
    y.backward()
    w.requires_grad_()
    w.detach_()
    z.backward()
    assert w.grad is None and x.grad is not None and x.grad.tolist() == [2, 2, 2]


def test_hooks_see_and_replace_the_gradient() -> None:
    x = leaf(1.0)
    y = x * 2
    seen: list[Any] = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    x.register_hook(lambda g: g + 1)
    (y * 3).sum().backward(retain_graph=True)
    assert (seen, x.grad.tolist()) == ([[3.0]], [61.0])
    handle.remove()
    x.grad = None
    (y * 3).sum().backward()
    assert x.grad.tolist() == [7.0]


def test_retain_grad() -> None:
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    (y * 3).sum().backward()
    assert y.grad.tolist() == [3.0]


@pytest.mark.parametrize("write", ["mul_", "part", "view", "base", "fill_"])
def test_retain_grad_follows_a_tensor_that_is_written(write: str) -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    kept = y[:1] if write in ("view", "base") else y
    kept.retain_grad()
    if write == "part":
        y[1] = 5
    elif write == "fill_":
        y.fill_(3)
    else:
        (y if write == "base" else kept).mul_(3)
    (kept * kept).sum().backward()
    assert kept.retains_grad and kept.grad is not None
    assert kept.grad.tolist() == (2 * kept.detach()).tolist()


def test_gradients_of_chosen_inputs() -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = x * w
    (y * y).sum().backward(inputs=[w, y])
    assert x.grad is None and w.grad is not None and w.grad.tolist() == [6, 32]
    assert y.grad is not None and y.grad.tolist() == [6, 16]


def test_grad_of_a_non_leaf_warns() -> None:
    y = leaf(1.0) * 2
    with pytest.warns(UserWarning, match="not a leaf"):
        assert y.grad is None


def test_an_error_in_a_rule_changes_no_grad() -> None:
    @op
    def broken(x: Any) -> Any:
        return x + 0

    broken.defvjp(x=lambda g: 1 / 0)
    x = leaf(1.0)
    with pytest.raises(ZeroDivisionError):
        (broken(x) + x).sum().backward()
    assert x.grad is None


def test_a_rule_with_the_wrong_shape_is_named() -> None:
    @op
    def wrong(x: Any) -> Any:
        return x + 0

    wrong.defvjp(x=lambda g: g.reshape((1, 2)))
    with pytest.raises(RuntimeError, match=r"rule of wrong for 'x'.*\(1, 2\).*\(2,\)"):
        wrong(leaf(1.0, 2.0)).sum().backward()


def test_gradcheck_fails_a_wrong_rule() -> None:
    @op
    def off(x: Any) -> Any:
        return x * x

    off.defvjp(x=lambda g, x: g * x * 2.001)
    with pytest.raises(RuntimeError, match="finite differences"):
        gpugrad.autograd.gradcheck(off, (leaf(1.0, 2.0),), rtol=1e-4, atol=1e-6)
    assert not gpugrad.autograd.gradcheck(off, (leaf(1.0),), rtol=1e-4, atol=1e-6, raise_exception=False)


def test_modes_are_per_thread() -> None:
    seen = []
    with gpugrad.no_grad():
        thread = threading.Thread(target=lambda: seen.append(gpugrad.is_grad_enabled()))
        thread.start()
        thread.join()
        assert not gpugrad.is_grad_enabled()
    assert seen == [True]


@pytest.mark.parametrize("mode", [gpugrad.no_grad, gpugrad.inference_mode])
def test_modes_as_decorators(mode: Any) -> None:
    x = leaf(1.0)

    @mode()
    def inside() -> bool:
        return (x * 2).requires_grad

    @gpugrad.no_grad
    def bare() -> bool:
        return (x * 2).requires_grad

    assert not inside() and not bare() and (x * 2).requires_grad


def test_a_generator_leaves_the_mode_of_its_consumer_alone() -> None:
    @gpugrad.no_grad()
    def numbers() -> Any:
        for i in range(2):
            assert not gpugrad.is_grad_enabled()
            yield i

    for _ in numbers():
        assert gpugrad.is_grad_enabled()


def test_set_grad_enabled() -> None:
    with gpugrad.set_grad_enabled(False):
        assert not gpugrad.is_grad_enabled()
        with gpugrad.enable_grad():
            assert gpugrad.is_grad_enabled()
    assert gpugrad.is_grad_enabled()
    gpugrad.set_grad_enabled(False)
    assert not gpugrad.is_grad_enabled()
    gpugrad.set_grad_enabled(True)


def test_detect_anomaly_names_the_place() -> None:
    x = leaf(0.0)
    with gpugrad.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"nan values(.|\n)*test_engine"):
        (x.sqrt() * 0).sum().backward()
    assert gpugrad.is_grad_enabled() and not gpugrad.autograd.is_anomaly_enabled()


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(RuntimeError, match=r"add.*size of tensor a \(3\) must match the size of tensor b \(4\)"):
        gpugrad.ones(2, 3) + gpugrad.ones(2, 4)


def test_floating_point_warnings_stay_inside() -> None:
    before = np.geterr()
    assert gpugrad.tensor([1.0]).div(0).tolist() == [float("inf")]
    assert np.geterr() == before
    with pytest.warns(RuntimeWarning):
        np.array([1.0]) / np.array([0.0])


def test_an_unknown_device_and_a_missing_one() -> None:
    with pytest.raises(RuntimeError, match="device type"):
        gpugrad.zeros(1, device="tpu")
    with pytest.raises(RuntimeError, match="CUDA device is not available"):
        gpugrad.zeros(1, device="cuda")


def test_what_an_op_hides_has_a_cotangent_in_second_derivatives(torch: Any) -> None:
    """The output's comes after it, to a node with hooks, which may also be what is asked for."""
    found = []
    for m in (gpugrad, torch):
        m.manual_seed(0)
        x = m.randn(5, 3, dtype=m.float64, requires_grad=True)
        loss = m.nn.functional.cross_entropy(x, m.tensor([0, 1, 2, 1, 0]))
        seen: list[float] = []
        loss.register_hook(lambda g, seen=seen: seen.append(g.item()))
        loss.retain_grad()
        (dx,) = m.autograd.grad(loss, x, create_graph=True)
        total = dx.square().sum() * 5 + loss * 3
        (of_loss,) = m.autograd.grad(total, loss, retain_graph=True)
        total.backward()
        found.append([x.grad.numpy(), loss.grad.item(), of_loss.item(), seen])
    assert abs(found[0][0] - found[1][0]).max() < 1e-12
    assert found[0][1:] == found[1][1:]


def test_a_body_that_hides_is_told_whether_the_call_is_recorded() -> None:
    told = []

    @op(name="told_doubled", hidden=True)
    def doubled(x: Any, y: Any = None, *, by: float = 2.0, recorded: bool) -> Any:
        told.append(recorded)
        return x * by, [np.full_like(x, by)] if recorded else []

    doubled.defvjp(x=lambda g, hidden: g[0] * hidden[0])
    x, constant = gpugrad.ones(3, requires_grad=True), gpugrad.ones(3)
    assert doubled.op.params == {"by": 2.0}
    doubled(x).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    doubled(x, constant, by=3.0).sum().backward()
    assert x.grad.tolist() == [5, 5, 5]
    assert told == [True, True]
    doubled(constant, x)  # which has no rule
    with gpugrad.no_grad():
        doubled(x)
    doubled(constant.numpy())
    doubled(constant.numpy(), x)  # the array becomes a tensor
    assert told == [True] * 2 + [False] * 4


def test_a_hook_may_write_the_cotangent_it_is_given() -> None:
    """That of a scalar loss is shared by all walks, that of a sum is one number seen as many."""
    x = gpugrad.ones(3, requires_grad=True)
    for _ in range(2):
        y = x * 2
        y.register_hook(lambda g: g.mul_(2))
        loss = y.sum()
        loss.register_hook(lambda g: g.mul_(5))
        x.grad = None
        loss.backward()
        assert x.grad.tolist() == [20, 20, 20]


def test_a_gradient_that_may_not_be_written_is_copied() -> None:
    class ReadOnly(gpugrad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            made = gpugrad.ones(3)
            made._array.flags.writeable = False
            return made

    x = gpugrad.zeros(3, requires_grad=True)
    for _ in range(2):
        ReadOnly.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_a_quotient_may_be_written_before_the_backward() -> None:
    x = gpugrad.tensor([3.0, 4.0], requires_grad=True)
    y = x / x.norm()
    y.mul_(2).add_(1)
    y[0].backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([2 * (1 / 5 - 9 / 125), -2 * 12 / 125])
