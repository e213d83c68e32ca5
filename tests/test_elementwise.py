"""Errors and odd behaviour of elementwise ops: dtypes refused, division by zero, in-place forms, operators, `out=`."""

from __future__ import annotations

import operator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from device_tools import each_device

import gpugrad

IN_PLACE_UNARY = (
    *("abs_", "neg_", "square_", "reciprocal_", "exp_", "exp2_", "expm1_", "log_", "log2_", "log10_", "log1p_"),
    *("sqrt_", "rsqrt_", "sin_", "cos_", "tan_", "asin_", "acos_", "atan_", "sinh_", "cosh_", "tanh_"),
    *("asinh_", "atanh_", "sigmoid_", "floor_", "ceil_", "trunc_", "round_", "frac_", "erf_", "erfc_"),
    *("erfinv_", "lgamma_", "digamma_", "i0_", "sinc_", "relu_", "logical_not_", "sign_", "nan_to_num_"),
    *("deg2rad_", "rad2deg_", "logit_"),
)
IN_PLACE_BINARY = (
    *("add_", "sub_", "mul_", "div_", "true_divide_", "floor_divide_", "remainder_", "fmod_", "pow_", "atan2_"),
    *("hypot_", "copysign_", "nextafter_", "eq_", "ne_", "lt_", "le_", "gt_", "ge_", "logical_and_"),
    *("logical_or_", "logical_xor_", "xlogy_", "heaviside_", "ldexp_"),
)


@pytest.mark.parametrize("name", IN_PLACE_UNARY)
def test_unary_in_place(name: str) -> None:
    values = np.array([0.25, 0.5, 0.75])
    x = gpugrad.tensor(values)
    memory = x.numpy()
    assert getattr(x, name)() is x
    expected = getattr(gpugrad.tensor(values), name.rstrip("_"))()
    np.testing.assert_array_equal(memory, expected.numpy())


@pytest.mark.parametrize("name", IN_PLACE_BINARY)
def test_binary_in_place(name: str) -> None:
    values, other = np.array([0.25, 0.5, 0.75]), gpugrad.tensor(np.array([2.0, 0.5, 1.5]))
    x = gpugrad.tensor(values)
    memory = x.numpy()
    assert getattr(x, name)(other) is x
    expected = getattr(gpugrad.tensor(values), name.rstrip("_"))(other)
    np.testing.assert_array_equal(memory, expected.numpy())


def test_in_place_forms_with_parameters() -> None:
    x = gpugrad.tensor([1.0, -2.0, 8.0])
    x.add_(gpugrad.tensor([1.0, 1.0, 1.0]), alpha=2).clamp_(0, 6).addcmul_(x, x, value=0.5).lerp_(
        gpugrad.tensor(0.0), 0.5
    )
    assert x.tolist() == [3.75, 0.0, 12.0]


def test_in_place_operators_record() -> None:
    x = gpugrad.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    same = y
    y *= x
    y += 1
    y -= x
    y /= 2
    assert y is same
    y.backward(gpugrad.tensor([1.0, 1.0]))
    assert x.grad.tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: x.add_(1.5), "can't be cast to the desired output type"),
        (lambda m, x: x.div_(2), "can't be cast to the desired output type"),
        (lambda m, x: x.sigmoid_(), "can't be cast to the desired output type"),
        (lambda m, x: x // 0, "ZeroDivisionError"),
        (lambda m, x: x % 0, "ZeroDivisionError"),
        (lambda m, x: m.fmod(x, 0), "ZeroDivisionError"),
        (lambda m, x: m.div(x, 0, rounding_mode="trunc"), "ZeroDivisionError"),
        (lambda m, x: x**-1, "Integers to negative integer powers are not allowed"),
        (lambda m, x: m.add(x, x, alpha=0.5), "argument alpha must not be a floating point number"),
        (lambda m, x: m.addcdiv(x, x, x), "Integer division with addcdiv"),
        (lambda m, x: m.frac(x), "not implemented"),
        (lambda m, x: m.hypot(x, x), "not implemented"),
        (lambda m, x: m.logaddexp(x, x), "not implemented"),
        (lambda m, x: m.round(x, decimals=1), "not implemented"),
        (lambda m, x: m.where(x, x, x), "expected condition to be a boolean tensor"),
        (lambda m, x: m.div(x, x, rounding_mode="up"), "rounding_mode"),
        (lambda m, x: m.clamp(x), "At least one of 'min' or 'max' must not be None"),
        (lambda m, x: m.polygamma(-1, x), "does not support negative n"),
        (lambda m, x: m.heaviside(x, x * 1.0), "different dtypes"),
        (lambda m, x: m.isclose(x, x * 1.0), "did not match"),
        (lambda m, x: (x * 1.0) & x, "not implemented"),
        (lambda m, x: m.bitwise_not(x * 1.0), "not implemented"),
        (lambda m, x: (x * 1.0) << 1, "not implemented"),
        (lambda m, x: x + m.tensor([1, 2, 3]), "must match"),
        (lambda m, x: x.mul_(m.tensor([[1], [2]])), "broadcast shape"),
        (lambda m, x: (x > 0) - 1, "with a bool tensor is not supported"),
        (lambda m, x: 1 - (x > 0), "with a bool tensor is not supported"),
        (lambda m, x: x - (x > 0), "with a bool tensor is not supported"),
        (lambda m, x: (x > 0) - (x > 0), "bool"),
        (lambda m, x: -(x > 0), "on a bool tensor is not supported"),
        (lambda m, x: +(x > 0), "on a bool tensor is not supported"),
        (lambda m, x: abs(x > 0), "not implemented"),
        (lambda m, x: m.floor(x > 0), "not implemented"),
        (lambda m, x: (x > 0) // (x > 0), "not implemented"),
        (lambda m, x: (x > 0) ** (x > 0), "not implemented"),
        (lambda m, x: (x > 0) << (x > 0), "not implemented"),
        (lambda m, x: m.relu(x > 0), "relu"),
    ],
)
def test_what_is_refused(call: Any, message: str, torch: ModuleType) -> None:
    """A RuntimeError (or NotImplementedError, which is one) with PyTorch's words, and nothing changed."""
    with pytest.raises(RuntimeError, match=message) as ours:
        x = gpugrad.tensor([4, -2])
        call(gpugrad, x)
    assert x.tolist() == [4, -2]
    with pytest.raises(RuntimeError) as theirs:
        call(torch, torch.tensor([4, -2]))
    assert isinstance(ours.value, theirs.type)


def test_prelu_and_glu_say_what_does_not_fit() -> None:
    with pytest.raises(RuntimeError, match="input channel size"):
        gpugrad.ops.prelu(gpugrad.tensor([[1.0, 2.0]]), gpugrad.tensor([0.1, 0.2, 0.3]))
    with pytest.raises(RuntimeError, match="must be even"):
        gpugrad.ops.glu(gpugrad.tensor([1.0, 2.0, 3.0]))
    with pytest.raises(RuntimeError, match="none or tanh"):
        gpugrad.ops.gelu(gpugrad.tensor([1.0]), approximate="erf")
    with pytest.raises(NotImplementedError, match="random slopes"):
        gpugrad.ops.rrelu(gpugrad.tensor([1.0]), training=True)


@each_device
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.lt])
@pytest.mark.parametrize("other", ["a", None, [1.0]])
def test_operators_refuse_foreign_types(op: Any, other: Any) -> None:
    with pytest.raises(TypeError):
        op(gpugrad.tensor([1.0]), other)


def test_equality_with_foreign_types_is_identity() -> None:
    x = gpugrad.tensor([1.0])
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "a") is False
    assert x in {x}


def test_functions_of_one_number_refuse_numbers() -> None:
    with pytest.raises(TypeError, match="must be Tensor, not float"):
        gpugrad.exp(1.0)


DTYPES = ("bool", "uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64")


@pytest.mark.parametrize("second", [*DTYPES, True, 2, 2.5])
@pytest.mark.parametrize("first", DTYPES)
def test_dtypes_promote_as_in_torch(first: str, second: Any, torch: ModuleType) -> None:
    def results(m: Any) -> list[str]:
        y = m.tensor([1, 1], dtype=getattr(m, second)) if isinstance(second, str) else second
        found = []
        for zero_dim in (False, True):
            x = m.tensor(1, dtype=getattr(m, first)) if zero_dim else m.tensor([1, 1], dtype=getattr(m, first))
            for op in (operator.add, operator.mul, operator.truediv, operator.eq):
                found += [str(op(x, y).dtype).split(".")[1], str(op(y, x).dtype).split(".")[1]]
            if first != "bool" and second not in ("bool", True):
                found += [str(op(x, y).dtype).split(".")[1] for op in (operator.pow, operator.floordiv, operator.mod)]
        return found

    assert results(gpugrad) == results(torch)


def test_sigmoid_keeps_its_accuracy() -> None:
    x = np.linspace(-87, 87, 1001)
    exact = np.where(x < 0, np.exp(x) / (1 + np.exp(-np.abs(x))), 1 / (1 + np.exp(-np.abs(x))))
    ours = gpugrad.tensor(x.astype(np.float32)).sigmoid().numpy()
    np.testing.assert_allclose(ours, 1 / (1 + np.exp(-x.astype(np.float32).astype(np.float64))), rtol=1e-6)
    np.testing.assert_allclose(gpugrad.tensor(x).sigmoid().numpy(), exact, rtol=1e-12)


def test_out() -> None:
    out = gpugrad.zeros(2)
    assert gpugrad.add(gpugrad.tensor([1.0, 2.0]), 1, alpha=2, out=out) is out
    assert out.tolist() == [3.0, 4.0]
    assert gpugrad.exp(gpugrad.tensor([0.0, 0.0]), out=out) is out
    assert gpugrad.clamp(gpugrad.tensor([-5.0, 5.0]), -1, 1, out=out).tolist() == [-1.0, 1.0]
    assert gpugrad.where(out > 0, 7.0, out, out=out).tolist() == [-1.0, 7.0]


def test_second_derivatives_of_what_is_not_chosen_stay_out() -> None:
    """Branches that overflow must not make NaN of the branch that counts."""
    for function in (gpugrad.ops.elu, gpugrad.ops.softplus, gpugrad.ops.logsigmoid):
        x = gpugrad.tensor([2000.0], dtype=gpugrad.float64, requires_grad=True)
        (slope,) = gpugrad.autograd.grad(function(x), x, create_graph=True)
        if slope.requires_grad:
            (curvature,) = gpugrad.autograd.grad(slope, x, allow_unused=True, materialize_grads=True)
            assert curvature.tolist() == [0.0]


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_a_gradient_penalty_gives_the_biases_before_a_kink_zeros(name: str) -> None:
    """Not None, as in PyTorch: an optimizer with momentum moves what has a zero for its gradient."""
    x = gpugrad.randn(3, 4, requires_grad=True)
    weight, bias = gpugrad.randn(4, 5, requires_grad=True), gpugrad.zeros(5, requires_grad=True)
    out = getattr(gpugrad.nn.functional, name)(x @ weight + bias)
    (slope,) = gpugrad.autograd.grad(out.sum(), x, create_graph=True)
    (slope**2).sum().backward()
    assert weight.grad is not None
    assert bias.grad is not None and bias.grad.tolist() == [0.0] * 5
    assert x.grad is not None and not x.grad.any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_choosing_among_many(dtype: str) -> None:
    """Large inputs are chosen by their bits: NaN, infinities and the sign of zero stay what they are."""
    rng = np.random.default_rng(0)
    values = rng.choice([1.5, -2.0, np.nan, np.inf, -np.inf, 0.0, -0.0], (2, 100, 100))
    condition = rng.random((100, 100)) < 0.5
    x, y = (gpugrad.tensor(v, dtype=getattr(gpugrad, dtype)) for v in values)
    strided = gpugrad.from_numpy(np.asfortranarray(condition))
    for chosen, expected in (
        (gpugrad.where(strided, x, y), np.where(condition, *values)),
        (gpugrad.where(strided, x, 0), np.where(condition, values[0], 0)),
        (gpugrad.where(strided, -1.5, y), np.where(condition, -1.5, values[1])),
    ):
        assert chosen.dtype is getattr(gpugrad, dtype)
        found = chosen.double().numpy()
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found[expected == 0]), np.signbit(expected[expected == 0]))
