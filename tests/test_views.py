"""Views share memory and place on the tape: writes through them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpugrad

VIEWS = {
    "int": lambda y: y[0],
    "slice": lambda y: y[:, 1:],
    "step": lambda y: y[:, ::2],
    "chain": lambda y: y[1:][0][2:],
    "transpose": lambda y: y.t(),
    "transposed part": lambda y: y.t()[1],
    "view": lambda y: y.view(-1),
    "part of view": lambda y: y.view(3, 2)[1],
    "permute": lambda y: y.unsqueeze(0).permute(2, 0, 1),
    "squeeze": lambda y: y[:1].squeeze(0),
    "diagonal": lambda y: y.diagonal(),
    "narrow": lambda y: y.narrow(1, 1, 2),
    "split": lambda y: y.split(2, 1)[0],
    "unbind": lambda y: y.unbind(1)[2],
    "chunk": lambda y: y.chunk(2)[1],
    "as_strided": lambda y: y.as_strided((2, 2), (3, 1), 1),
    "unflatten": lambda y: y.flatten().unflatten(0, (3, 2)),
    "movedim": lambda y: y.movedim(0, 1)[0],
    "expand_as itself": lambda y: y.expand(2, 3),
}
# PyTorch does not write to what functions with several outputs return; these are the same views.
SINGLE = {"split": lambda y: y[:, :2], "unbind": lambda y: y[:, 2], "chunk": lambda y: y[1:]}


def viewed(m: Any, name: str, y: Any) -> Any:
    return (VIEWS[name] if m is gpugrad else SINGLE.get(name, VIEWS[name]))(y)


def itself(m: Any, v: Any) -> Any:
    """`v` as the operand of a write to `v`, which PyTorch refuses to differentiate."""
    return v if m is gpugrad else v.clone()


WRITES = {
    "mul": lambda m, v, w: v.mul_(w),
    "add": lambda m, v, w: v.add_(w * w),
    "square": lambda m, v, w: v.mul_(itself(m, v)),
    "fill": lambda m, v, w: v.fill_(2.0),
    "zero": lambda m, v, w: v.zero_(),
    "copy": lambda m, v, w: v.copy_(w * 3),
    "setitem": lambda m, v, w: v.__setitem__(0, w * 2),
    "exp": lambda m, v, w: v.exp_(),
}


def values() -> np.ndarray:
    return np.linspace(0.5, 1.5, 6).reshape(2, 3)


def gradients(module: Any, program: Any) -> list[np.ndarray]:
    x = module.tensor(values(), requires_grad=True)
    w = module.tensor(1.25, dtype=module.float64, requires_grad=True)
    result = program(module, x, w)
    (result * result).sum().backward()
    return [result.detach().numpy(), *[np.zeros(()) if t.grad is None else t.grad.numpy() for t in (x, w)]]


def check_like_torch(torch: Any, program: Any) -> None:
    for ours, theirs in zip(gradients(gpugrad, program), gradients(torch, program)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("view", VIEWS)
def test_writing_through_a_view_differentiates_the_base_and_the_view(torch: Any, view: str, write: str) -> None:
    def base_after(m: Any, x: Any, w: Any) -> Any:
        y = x * 1
        WRITES[write](m, viewed(m, view, y), w)
        return y

    def view_after(m: Any, x: Any, w: Any) -> Any:
        v = viewed(m, view, x * 1)
        WRITES[write](m, v, w)
        return v * w

    check_like_torch(torch, base_after)
    check_like_torch(torch, view_after)


@pytest.mark.parametrize("view", VIEWS)
def test_gradients_that_arrive_in_another_memory_order(torch: Any, view: str) -> None:
    """The view that was written is looked up in the gradient, which need not lie in memory as the tensor does."""

    def from_rows(m: Any, x: Any, w: Any) -> Any:
        y = x * 1
        viewed(m, view, y).copy_(viewed(m, view, y) * 0 + w)
        return y.t() * m.arange(6.0).reshape(3, 2).double()

    def from_columns(m: Any, x: Any, w: Any) -> Any:
        columns = x.t().clone() * 1  # (3, 2) that lies in memory as (2, 3), in both libraries
        viewed(m, view, columns.t()).copy_(viewed(m, view, columns.t()) * 0 + w)
        return columns * m.arange(6.0).reshape(3, 2).double()

    check_like_torch(torch, from_rows)
    check_like_torch(torch, from_columns)


def test_a_write_through_a_view_of_a_scalar(torch: Any) -> None:
    def program(m: Any, x: Any, w: Any) -> Any:
        y = x.sum()
        y.view(1).mul_(w)
        y[None, None].add_(1)
        y.unsqueeze(0)[0] = w * 3 + y.detach()
        return y * w

    check_like_torch(torch, program)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_follows_writes_to_its_base_and_to_other_views(torch: Any, view: str) -> None:
    def program(m: Any, x: Any, w: Any) -> Any:
        y = x * 1
        v, other = viewed(m, view, y), y[1]
        y.mul_(w)
        other.mul_(3)
        return v * 2

    check_like_torch(torch, program)


def test_several_writes_one_after_another(torch: Any) -> None:
    def program(m: Any, x: Any, w: Any) -> Any:
        y = x * w
        a, b = y[0], y.t()
        a.mul_(w)
        b[1:].add_(w)
        y.view(-1)[::2].mul_(2)
        a.mul_(itself(m, a))
        return y * b.t()

    check_like_torch(torch, program)


def test_a_constant_base_becomes_part_of_the_graph(torch: Any) -> None:
    def program(m: Any, x: Any, w: Any) -> Any:
        y = m.zeros(2, 3, dtype=m.float64)
        y[0] = x[0] * w
        y[:, 1:].add_(w)
        return y * 2

    check_like_torch(torch, program)


def test_a_base_that_an_op_saved_and_a_view_changed_is_an_error() -> None:
    x = gpugrad.ones(2, 3, requires_grad=True)
    y = x * 1
    z = (y * y).sum()
    y[0].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()
    assert x.grad is None


def test_a_view_that_an_op_saved_and_the_base_changed_is_an_error() -> None:
    x = gpugrad.ones(2, 3, requires_grad=True)
    y = x * 1
    z = y[0].exp().sum() + (y[0] * y[1]).sum()
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


@pytest.mark.parametrize("view", VIEWS)
def test_views_of_leaves_are_not_written_while_recording(view: str) -> None:
    x = gpugrad.tensor(values(), requires_grad=True)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        VIEWS[view](x).mul_(2)
    np.testing.assert_array_equal(x.detach().numpy(), values())
    with gpugrad.no_grad():
        VIEWS[view](x).mul_(2)
    assert x.is_leaf
    assert not np.array_equal(x.detach().numpy(), values())


def test_a_leaf_is_not_indexed_into_while_recording() -> None:
    x = gpugrad.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x[0] = 2
    assert x.tolist() == [1, 1, 1]


def test_a_view_made_without_recording_is_not_written_while_recording() -> None:
    y = gpugrad.ones(2, 3, requires_grad=True) * 1
    with gpugrad.no_grad():
        v = y[0]
    w = gpugrad.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="view was created in no_grad mode"):
        v.mul_(w)
    assert y.sum().item() == 6


def test_nor_is_it_written_with_a_constant() -> None:
    """The write would be lost on the tape: the gradient of `y` would be that of what it was before."""
    x = gpugrad.ones(2, 3, requires_grad=True)
    y = x * 1
    with gpugrad.no_grad():
        views = [y[0], y.view(6), x[1]]
    views.append(views[1][2:])
    for v in views:
        with pytest.raises(RuntimeError, match="view was created in no_grad mode"):
            v.mul_(2)
        with pytest.raises(RuntimeError, match="view was created in no_grad mode"):
            v[0] = 2
    assert x.tolist() == y.tolist() == [[1, 1, 1]] * 2
    with gpugrad.no_grad():
        for v in views:
            v.mul_(2)
        constant = gpugrad.ones(3)[1:]
    constant.mul_(2)


def test_repeated_elements_are_not_written() -> None:
    strided = [gpugrad.ones(3).as_strided((2,), (0,)), gpugrad.ones(3).as_strided((2, 2), (1, 1))]
    for v in (gpugrad.ones(3).expand(2, 3), gpugrad.arange(5).unfold(0, 3, 1), *strided):
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            v.mul_(2)
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            v[0] = 1
    weight = gpugrad.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"^index_put_: unsupported operation"):
        gpugrad.ones(1).expand(3)[gpugrad.tensor([0])] = weight
    apart = gpugrad.ones(6).as_strided((2, 2), (1, 3))
    assert apart.mul_(2).tolist() == [[2, 2], [2, 2]]


def test_a_view_that_cannot_be_says_what_to_do() -> None:
    x = gpugrad.arange(6).reshape(2, 3).t()
    with pytest.raises(RuntimeError, match=r"spans across two contiguous subspaces\). Use .reshape\(...\) instead."):
        x.view(6)
    assert x.reshape(6).tolist() == [0, 3, 1, 4, 2, 5]
    assert x.view(3, 1, 2)._base is x


def test_bytes_seen_as_another_dtype() -> None:
    x = gpugrad.tensor([1.0, -2.0])
    assert x.view(gpugrad.int32).tolist() == [0x3F800000, -0x40000000]
    assert x.view(gpugrad.uint8).shape == (8,)
    assert x.view(gpugrad.float64).shape == (1,)
    x.view(gpugrad.int32).zero_()
    assert x.tolist() == [0, 0]
    with pytest.raises(RuntimeError, match=r"self.size\(-1\) must be divisible by 2"):
        gpugrad.zeros(3).view(gpugrad.float64)
    with pytest.raises(RuntimeError, match=r"self.dim\(\) cannot be 0"):
        gpugrad.tensor(1.0).view(gpugrad.float64)


@pytest.mark.parametrize("change", ["unsqueeze_", "t_", "transpose_", "squeeze_"])
def test_a_tensor_may_take_another_shape_in_place(torch: Any, change: str) -> None:
    arguments = {"unsqueeze_": (0,), "transpose_": (0, 1)}.get(change, ())

    def program(m: Any, x: Any, w: Any) -> Any:
        y = x * w
        getattr(y, change)(*arguments)
        y.mul_(w)
        v = (x * w)[:1]
        getattr(v, change)(*arguments)
        return (y * y).sum() + v * w

    check_like_torch(torch, program)
    leaf = gpugrad.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        getattr(leaf, change)(*arguments)
    assert leaf.shape == (2, 3)


def test_views_of_a_tensor_that_took_another_shape_are_refused_rather_than_wrong() -> None:
    w = gpugrad.ones((), requires_grad=True)
    y = gpugrad.ones(3, 3)
    row = y[0]
    y.t_()
    with pytest.raises(RuntimeError, match="changed its shape or strides in place"):
        row.mul_(w)
    assert row.tolist() == [1, 1, 1]
    z = gpugrad.ones(3, 3, requires_grad=True) * w
    row = z[0]
    z.t_()
    z.mul_(2)
    with pytest.raises(RuntimeError, match="changed its shape or strides in place"):
        row.sum()


def test_views_may_be_as_deep_as_memory_allows() -> None:
    x = gpugrad.ones(2, 2).requires_grad_()
    y = x * 1
    view = y
    for _ in range(5000):
        view = view.t()
    y.add_(1)
    (view * view).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[4.0, 4.0]] * 2
