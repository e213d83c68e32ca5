"""The printed form of tensors: literal texts, and the same texts as PyTorch for arrays of every kind."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpugrad.printing import format_tensor, get_printoptions, printoptions, set_printoptions, tensor_repr

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64")
SHAPES = [(), (0,), (1,), (7,), (40,), (1001,), (0, 3), (3, 0, 2), (2, 3), (3, 2, 2), (2, 1, 2, 3), (30, 40), (2, 600)]

inf, nan = math.inf, math.nan

# (elements, dtype, print options, text)
LITERALS: list[tuple[Any, str, dict[str, Any], str]] = [
    ([3, 3], "float32", {}, "tensor([3., 3.])"),
    ([0.1, -2.5], "float32", {}, "tensor([ 0.1000, -2.5000])"),
    (0.5, "float32", {}, "tensor(0.5000)"),
    (-0.0, "float32", {}, "tensor(-0.)"),
    (7, "int64", {}, "tensor(7)"),
    (True, "bool", {}, "tensor(True)"),
    ([True, False], "bool", {}, "tensor([ True, False])"),
    ([1, -20, 300], "int64", {}, "tensor([  1, -20, 300])"),
    ([1, 255], "uint8", {}, "tensor([  1, 255], dtype=gpugrad.uint8)"),
    ([2**64 - 1], "uint64", {}, "tensor([18446744073709551615], dtype=gpugrad.uint64)"),
    ([1.5], "float64", {}, "tensor([1.5000], dtype=gpugrad.float64)"),
    ([1 / 3, 2], "float16", {}, "tensor([0.3333, 2.0000], dtype=gpugrad.float16)"),
    ([1 / 3, 2], "bfloat16", {}, "tensor([0.3340, 2.0000], dtype=gpugrad.bfloat16)"),
    ([1, nan, inf, -inf], "float32", {}, "tensor([1., nan, inf, -inf])"),
    ([1.5, nan, inf, -inf], "float32", {}, "tensor([1.5000,    nan,    inf,   -inf])"),
    ([nan, inf, 0], "float32", {}, "tensor([nan, inf, 0.])"),
    ([1e-5, 1], "float32", {}, "tensor([1.0000e-05, 1.0000e+00])"),
    ([1, 1001], "float32", {}, "tensor([1.0000e+00, 1.0010e+03])"),
    ([1, 1000], "float32", {}, "tensor([   1., 1000.])"),
    ([1e8], "float32", {}, "tensor([100000000.])"),
    ([2e8], "float32", {}, "tensor([2.0000e+08])"),
    ([1e-45, 3.4e38], "float32", {}, "tensor([1.4013e-45, 3.4000e+38])"),
    ([5e-324, 1.7e308], "float64", {}, "tensor([4.9407e-324, 1.7000e+308], dtype=gpugrad.float64)"),
    ([65504], "float16", {}, "tensor([65504.], dtype=gpugrad.float16)"),
    (np.empty(0), "float32", {}, "tensor([])"),
    (np.empty(0), "int64", {}, "tensor([], dtype=gpugrad.int64)"),
    (np.empty(0), "bool", {}, "tensor([], dtype=gpugrad.bool)"),
    (np.empty((0, 3)), "float32", {}, "tensor([], size=(0, 3))"),
    (np.empty((2, 0, 3)), "float64", {}, "tensor([], size=(2, 0, 3), dtype=gpugrad.float64)"),
    ([[1, 2], [3, 4]], "float32", {}, "tensor([[1., 2.],\n        [3., 4.]])"),
    (
        np.arange(8).reshape(2, 2, 2),
        "int64",
        {},
        "tensor([[[0, 1],\n         [2, 3]],\n\n        [[4, 5],\n         [6, 7]]])",
    ),
    (
        np.arange(4).reshape(2, 1, 1, 2),
        "int64",
        {},
        "tensor([[[[0, 1]]],\n\n\n        [[[2, 3]]]])",
    ),
    (
        np.arange(20) / 2,
        "float32",
        {},
        (
            "tensor([0.0000, 0.5000, 1.0000, 1.5000, 2.0000, 2.5000, 3.0000, 3.5000, 4.0000,\n"
            "        4.5000, 5.0000, 5.5000, 6.0000, 6.5000, 7.0000, 7.5000, 8.0000, 8.5000,\n"
            "        9.0000, 9.5000])"
        ),
    ),
    # `dtype=torch.float64)` would just fit into the line, but PyTorch counts two columns too many.
    (
        np.arange(9) + 0.5,
        "float64",
        {"linewidth": 101},
        (
            "tensor([0.5000, 1.5000, 2.5000, 3.5000, 4.5000, 5.5000, 6.5000, 7.5000, 8.5000],\n"
            "       dtype=gpugrad.float64)"
        ),
    ),
    (np.arange(1001), "int64", {}, "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    (
        np.arange(1200).reshape(2, 600),
        "float32",
        {},
        (
            "tensor([[0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 5.9700e+02, 5.9800e+02,\n"
            "         5.9900e+02],\n"
            "        [6.0000e+02, 6.0100e+02, 6.0200e+02,  ..., 1.1970e+03, 1.1980e+03,\n"
            "         1.1990e+03]])"
        ),
    ),
    (
        np.ones((40, 30)),
        "int64",
        {},
        (
            "tensor([[1, 1, 1,  ..., 1, 1, 1],\n"
            "        [1, 1, 1,  ..., 1, 1, 1],\n"
            "        [1, 1, 1,  ..., 1, 1, 1],\n"
            "        ...,\n"
            "        [1, 1, 1,  ..., 1, 1, 1],\n"
            "        [1, 1, 1,  ..., 1, 1, 1],\n"
            "        [1, 1, 1,  ..., 1, 1, 1]])"
        ),
    ),
    ([1 / 3], "float32", {"precision": 2}, "tensor([0.33])"),
    ([2.5], "float32", {"precision": 0}, "tensor([2])"),
    ([1.5, 2], "float32", {"sci_mode": True}, "tensor([1.5000e+00, 2.0000e+00])"),
    ([1e-5, 1], "float32", {"sci_mode": False}, "tensor([0.0000, 1.0000])"),
    (np.arange(10), "int64", {"threshold": 5}, "tensor([0, 1, 2,  ..., 7, 8, 9])"),
    (np.arange(10), "int64", {"threshold": 5, "edgeitems": 1}, "tensor([0,  ..., 9])"),
    (np.arange(10), "int64", {"threshold": 5, "edgeitems": 0}, "tensor([...], size=(10,))"),
    (np.arange(4), "int64", {"linewidth": 12}, "tensor([0,\n        1,\n        2,\n        3])"),
    (np.arange(10), "float32", {"profile": "short", "threshold": 9}, "tensor([0., 1.,  ..., 8., 9.])"),
]


@pytest.fixture
def torch():
    """PyTorch, for comparison; without it the test is skipped."""
    torch = pytest.importorskip("torch")
    yield torch
    torch.set_printoptions(profile="default")


@pytest.fixture(autouse=True)
def default_options():
    """Each test begins and ends with the default options."""
    set_printoptions(profile="default")
    yield
    set_printoptions(profile="default")


def as_array(elements: Any, dtype: str) -> np.ndarray:
    return np.asarray(elements, dtype=ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def torch_tensor(torch: Any, array: np.ndarray, dtype: str) -> Any:
    if dtype == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def torch_text(tensor: Any) -> str:
    return repr(tensor).replace("torch.", "gpugrad.")


@pytest.mark.parametrize(("elements", "dtype", "options", "text"), LITERALS, ids=range(len(LITERALS)))
def test_literal(elements, dtype, options, text):
    with printoptions(**options):
        assert tensor_repr(as_array(elements, dtype), dtype) == text


@pytest.mark.parametrize(("elements", "dtype", "options", "text"), LITERALS, ids=range(len(LITERALS)))
def test_literal_is_what_torch_prints(torch, elements, dtype, options, text):
    torch.set_printoptions(**options)
    assert torch_text(torch_tensor(torch, as_array(elements, dtype), dtype)) == text


def test_suffixes():
    ones = np.ones(2, dtype=np.float32)
    assert tensor_repr(ones, "float32", requires_grad=True) == "tensor([1., 1.], requires_grad=True)"
    grad_fn = {"requires_grad": True, "grad_fn_name": "AddBackward0"}
    assert tensor_repr(ones, "float32", **grad_fn) == "tensor([1., 1.], grad_fn=<AddBackward0>)"
    assert tensor_repr(ones, "float32", device="cuda:0") == "tensor([1., 1.], device='cuda:0')"
    assert (
        tensor_repr(ones, "bfloat16", device="cuda:0", **grad_fn)
        == "tensor([1., 1.], device='cuda:0', dtype=gpugrad.bfloat16, grad_fn=<AddBackward0>)"
    )
    assert tensor_repr(ones, "float32", default_dtype="float64") == "tensor([1., 1.], dtype=gpugrad.float32)"
    assert tensor_repr(ones, "float64", default_dtype="float64") == "tensor([1., 1.])"
    parameter = tensor_repr(ones, "float32", requires_grad=True, parameter=True)
    assert parameter == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    subclass = tensor_repr(np.eye(2), "float32", class_name="Points")
    assert subclass == "Points([[1., 0.],\n        [0., 1.]])"


def test_suffixes_wrap_as_in_torch(torch):
    for size in range(1, 20):
        for dtype in ("float32", "float64", "bfloat16"):
            array = as_array(np.arange(size) / 2, dtype)
            leaf = torch_tensor(torch, array, dtype).requires_grad_()
            assert tensor_repr(array, dtype, requires_grad=True) == torch_text(leaf)
            result = leaf * 1
            assert tensor_repr(array, dtype, requires_grad=True, grad_fn_name="MulBackward0") == torch_text(result)
            parameter = torch.nn.Parameter(leaf.detach())
            assert tensor_repr(array, dtype, requires_grad=True, parameter=True) == torch_text(parameter)


def test_default_dtype_as_in_torch(torch):
    torch.set_default_dtype(torch.float64)
    try:
        for dtype in ("float32", "float64", "int64", "bool"):
            for shape in ((2,), (0,)):
                array = np.ones(shape, dtype=dtype)
                assert tensor_repr(array, dtype, default_dtype="float64") == torch_text(torch.from_numpy(array))
    finally:
        torch.set_default_dtype(torch.float32)


def random_array(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Draw elements of one of five kinds: a common magnitude, wild magnitudes, whole numbers, extremes, zeros."""
    if dtype == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    if dtype in INTEGERS:
        return np.asarray(rng.integers(-(2**62), 2**62, shape) >> rng.integers(62)).astype(dtype)
    normal = rng.standard_normal(shape)
    extremes = [0.0, -0.0, inf, -inf, nan, 1.0, 2.5, 1e-5, 1e8, 5e-324, 1e-40, 3.4e38, 1.7e308]
    kinds = [
        normal * 10.0 ** rng.integers(-12, 12),
        normal * 10.0 ** rng.integers(-290, 290, shape),
        np.round(normal * 10.0 ** rng.integers(0, 5)),
        rng.choice(extremes, shape),
        rng.choice([0.0, -0.0, inf, nan], shape),
    ]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return as_array(kinds[rng.integers(len(kinds))], dtype)


def random_options(rng: np.random.Generator) -> dict[str, Any]:
    if rng.random() < 0.5:
        return {"profile": str(rng.choice(["default", "short", "full"]))}
    return {
        "precision": int(rng.integers(8)),
        "threshold": float(rng.choice([0, 5, 20, 1000, inf])),
        "edgeitems": int(rng.integers(5)),
        "linewidth": int(rng.integers(130)),
        "sci_mode": [None, True, False][rng.integers(3)],
    }


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, "bool"])
def test_random_arrays_as_in_torch(torch, dtype):
    rng = np.random.default_rng(0)
    for _ in range(8):
        options = random_options(rng)
        torch.set_printoptions(**options)
        for shape in SHAPES:
            array = random_array(rng, shape, dtype)
            with printoptions(**options):
                text = tensor_repr(array, dtype)
            assert text == torch_text(torch_tensor(torch, array, dtype)), (options, shape)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    array=hnp.arrays(
        dtype=st.sampled_from([np.float32, np.float64, np.float16, np.int32, np.bool_]),
        shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    )
)
def test_any_array_as_in_torch(array):
    torch = pytest.importorskip("torch")
    assert tensor_repr(array, array.dtype.name) == torch_text(torch.from_numpy(array))


def test_arrays_in_any_memory_order_as_in_torch(torch):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    for view in (array.T, array[::2, 1::3], np.broadcast_to(array[0], (3, 6))):
        assert tensor_repr(view, "float32") == torch_text(torch.tensor(view.tolist()))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_signalling_nan_prints_without_a_warning(dtype):
    bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
    signalling = (np.full(1, inf).astype(dtype).view(bits) + bits.type(1)).view(dtype)
    assert format_tensor(signalling) == "[nan]"


def test_a_summary_reads_only_the_edges():
    """An array of 2**40 elements that share one byte: reading more than its edges would exhaust the memory."""
    array = np.broadcast_to(np.uint8(1), (2**20, 2**20))
    assert format_tensor(array).splitlines()[3] == " " * 8 + "...,"
    assert len(format_tensor(array).splitlines()) == 7


def test_indent_aligns_continuation_lines():
    assert format_tensor(np.eye(2), indent=0) == "[[1., 0.],\n [0., 1.]]"


def test_printoptions_restores_the_options_after_an_error():
    set_printoptions(precision=2, sci_mode=True)
    before = get_printoptions()
    with pytest.raises(RuntimeError, match="stop"), printoptions(precision=6, profile="full"):
        assert get_printoptions() == {
            "precision": 6,
            "threshold": inf,
            "edgeitems": 3,
            "linewidth": 80,
            "sci_mode": None,
        }
        raise RuntimeError("stop")
    assert get_printoptions() == before


def test_profiles_as_in_torch(torch):
    for options in ({"profile": "short"}, {"edgeitems": 7}, {"profile": "full"}, {"sci_mode": True}, {"precision": 1}):
        torch.set_printoptions(**options)
        set_printoptions(**options)
        assert get_printoptions() == torch._tensor_str.get_printoptions()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"profile": "long"}, ValueError, "unknown profile 'long'; choose one of default, short, full"),
        ({"precision": -1}, ValueError, "precision must not be negative, got -1"),
        ({"threshold": -1}, ValueError, "threshold must not be negative, got -1"),
        ({"linewidth": 80.5}, TypeError, r"linewidth must be an int, got 80.5 \(float\)"),
        ({"threshold": "all"}, TypeError, r"threshold must be a number, got 'all' \(str\)"),
    ],
)
def test_bad_options_change_nothing(options, error, message):
    before = get_printoptions()
    with pytest.raises(error, match=message):
        set_printoptions(**{"edgeitems": 2, **options})
    assert get_printoptions() == before
