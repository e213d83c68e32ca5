"""Formulas on the device: every op in every dtype against its body, their gradients, and every layout of arrays."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import nvrtc
import pytest
from device_tools import on_host
from formula_cases import DTYPES, PARAMETERS, formula_ops, inputs, takes

import gpugrad
from gpugrad.autograd import grad
from gpugrad.op import REGISTRY, Op

RELATIVE = {"float32": 2e-5, "float64": 1e-11, "float16": 2e-3, "bfloat16": 1.6e-2}
# Terms far larger than the result cancel: in float32 the error is of their size
ABSOLUTE = {"zeta": 1e-3, "polygamma": 1e-3}
# The sign of a zero says something
SIGNED = {
    *("add", "sub", "mul", "div", "neg", "abs", "trunc", "floor", "ceil", "round", "copysign", "fmod"),
    "remainder",
}

REFUSALS = (NotImplementedError, RuntimeError, TypeError, OverflowError)


class Collected(BaseException):
    """Raised in place of a launch whose kernel is to be compiled with others."""


@pytest.fixture
def kernels(device: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """gpugrad.cuda.elementwise, with the device ready and bodies of formulas barred from running on it."""
    from gpugrad.cuda import array, backend, elementwise

    backend.require()
    run_body = array._run_body

    def refuse(op: Op, *arguments: Any) -> Any:
        assert not op.formula, f"the body of {op.name} ran, and not its kernel"
        return run_body(op, *arguments)

    monkeypatch.setattr(array, "_run_body", refuse)
    return elementwise


def compile_together(kernels: Any, calls: list[Callable[[], Any]]) -> list[Any]:
    """Compile the kernels that these calls launch, in one go."""
    wanted: list[Any] = []
    real = kernels._kernel

    def collect(variant: Any) -> Any:
        wanted.append(variant)
        raise Collected

    kernels._kernel = collect
    try:
        for call in calls:
            with contextlib.suppress(Collected, *REFUSALS):
                call()
    finally:
        kernels._kernel = real
    wanted = list(dict.fromkeys(wanted))
    kernels.prepare(wanted)
    return wanted


def cases(dtype: Any, every: int = 1) -> Iterator[tuple[Op, dict[str, Any], list[np.ndarray]]]:
    """Calls of every op, or of one in `every`."""
    for op in (o for i, o in enumerate(formula_ops()) if i % every == 0 or o.name == "nextafter"):
        for params in PARAMETERS.get(op.name, [{}]):
            given = {**op.params, **params}
            assert inspect.Parameter.empty not in given.values(), f"{op.name}: formula_cases.PARAMETERS is to have it"
            if takes(op, params, dtype):
                yield op, given, inputs(op, dtype)


def every(name: str) -> int:
    """Formulas of half precision are those of float32, but for loads and stores: some will do."""
    return 4 if name in ("float16", "bfloat16") else 1


def on_device(arrays: list[np.ndarray]) -> list[Any]:
    from gpugrad.cuda.array import from_numpy

    return [from_numpy(x) for x in arrays]


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the class of what it raises."""
    with np.errstate(all="ignore"):
        try:
            return call()
        except REFUSALS as error:
            return type(error)


def assert_same(
    found: np.ndarray, expected: Any, name: str, what: str, *, signed: bool = False, absolute: float = 0
) -> None:
    expected = np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), what
    if found.dtype.kind in "iub":
        np.testing.assert_array_equal(found, expected, err_msg=what)
        return
    relative = RELATIVE.get(name, 1e-12)
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=relative, atol=relative / 10 + absolute, err_msg=what)
    if signed:
        both_zero = (found == 0) & (expected == 0)
        np.testing.assert_array_equal(np.signbit(found[both_zero]), np.signbit(expected[both_zero]), err_msg=what)


def where_it_overflows(
    found: np.ndarray, expected: Any, op: Op, arrays: list[np.ndarray], params: Any, relative: float
) -> Any:
    """`expected`, the body's result, but where it is not finite and the kernel's is another: there the body's in a wider type.

    A GPU rounds a product and a sum once, and what overflows as a product (and is no number, added to the other infinity)
    need not as the sum. What is as large as numbers are, within the tolerance, may be infinite.
    """
    most = float(ml_dtypes.finfo(found.dtype).max)
    largest = np.isinf(found) & (np.abs(np.asarray(expected, np.float64)) >= most * (1 - relative))
    expected = np.where(largest, found, expected)
    apart = ~np.isfinite(expected) & (found != expected) & ~(np.isnan(found) & np.isnan(expected))
    if not apart.any():
        return expected
    wider = np.longdouble if found.dtype == np.float64 else np.float64
    with np.errstate(all="ignore"):
        exact = op.body(*(a if a.dtype.kind in "iub" else a.astype(wider) for a in arrays), **params)
        return np.where(apart, exact.astype(found.dtype), expected)


# ---- every formula ----


@pytest.mark.cuda
@pytest.mark.parametrize("name", DTYPES)
def test_every_formula_is_its_body(kernels: Any, name: str) -> None:
    jobs = []
    for op, params, arrays in cases(DTYPES[name], every(name)):
        there = on_device(arrays)

        def launch(op: Op = op, params: Any = params, there: Any = there) -> Any:
            return op.impls[type(there[0])](*there, **params)

        jobs.append((op, params, arrays, launch))
    compile_together(kernels, [job[-1] for job in jobs])
    ran, wrong = 0, []
    for op, params, arrays, launch in jobs:
        expected = outcome(lambda: op.body(*arrays, **params))  # noqa: B023 - called at once
        found = outcome(launch)
        if isinstance(expected, type) or isinstance(found, type):
            assert found is expected, f"{op.name} {params}"
            continue
        slack = 0 if name == "float64" else ABSOLUTE.get(op.name, 0)
        signed, found = op.name in SIGNED, found.get()
        if found.dtype.kind not in "iub":
            expected = where_it_overflows(found, expected, op, arrays, params, RELATIVE.get(name, 1e-12))
        try:
            assert_same(found, expected, name, f"{op.name} {params}", signed=signed, absolute=slack)
        except AssertionError as error:  # one formula hides no other
            wrong.append(str(error))
        ran += 1
    assert not wrong, "\n".join(wrong)
    assert ran * every(name) >= 35


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["float64", "float16"])
def test_every_gradient_is_that_of_the_cpu_in_one_kernel(kernels: Any, name: str) -> None:
    """Each op's rules; half precision against the CPU's float32, as kernels round once and the CPU after every step.

    What they save of the output is rounded: where 1 - out cancels, that is seen.
    """
    from gpugrad.cuda import rules
    from gpugrad.cuda.array import DeviceArray

    rng = np.random.default_rng(0)
    jobs = []
    for op, params, arrays in cases(DTYPES[name], every(name)):
        if op.rules:
            arrays = [np.resize(a, 65) if a.dtype.kind == "b" else rng.uniform(0.1, 3, 65) for a in arrays]
            arrays = [a if a.dtype.kind == "b" else a.astype(name) for a in arrays]
            weights = rng.uniform(-1, 1, 65).astype(name)
            jobs.append([Call(op, params, arrays, weights, where) for where in ("cpu", "cuda")])
    compile_together(kernels, [there.forward for _, there in jobs])
    for _, there in jobs:
        there.out = there.forward()
    compile_together(kernels, [there.backward for _, there in jobs])

    slack = 0 if name == "float64" else 1e-2
    answers: list[Any] = []
    rules.FUSED_RULES[DeviceArray] = lambda *given: answers.append(rules.apply_rules(*given)) or answers[-1]
    try:
        for here, there in jobs:
            answers.clear()
            found = there.backward()
            assert len(answers) == 1 and answers[0] is not NotImplemented, there.what
            here.out = here.forward()
            for x, expected in zip(found, here.backward()):
                with np.errstate(over="ignore"):  # what is too large for half precision is infinite in both
                    expected = expected._array.astype(name)
                assert_same(x._array.get(), expected, name, there.what, absolute=slack)
    finally:
        rules.FUSED_RULES[DeviceArray] = rules.apply_rules
    assert len(jobs) * every(name) >= 100


class Call:
    """An op called with leaves in one place, and its gradients for all inputs that have rules."""

    def __init__(
        self, op: Op, params: dict[str, Any], arrays: list[np.ndarray], weights: np.ndarray, where: str
    ) -> None:
        self.op, self.params, self.what = op, params, f"{op.name} {params}"
        wide = "float32" if where == "cpu" and weights.dtype == np.float16 else weights.dtype
        leaves = [gpugrad.tensor(a if a.dtype.kind == "b" else a.astype(wide)).to(where) for a in arrays]
        self.leaves = [x.requires_grad_() if name in op.rules else x for x, name in zip(leaves, op.inputs)]
        self.weights = gpugrad.tensor(weights.astype(wide)).to(where)
        self.out: Any = None

    def forward(self) -> Any:
        return self.op.function(*self.leaves, **self.params)

    def backward(self) -> Any:
        return grad(self.out, [x for x in self.leaves if x.requires_grad], self.weights, retain_graph=True)


# ---- layouts ----

SIZES = [0, 1, 31, 32, 33, 1023, 4097]


@gpugrad.elementwise
def mixture(x, y, z):  # type: ignore[no-untyped-def]
    return x * y + gpugrad.where(z > 0, z, x - y)


def views(size: int, dtype: str, where: str) -> list[tuple[Any, Any, Any]]:
    """Triples that broadcast: contiguous, off the boundary, transposed, repeated, of one element, numbers."""
    rng = np.random.default_rng(size)

    def random(*shape: int) -> Any:
        return gpugrad.tensor(rng.normal(size=shape).astype(dtype)).to(where)

    longer = [random(size + 1) for _ in range(3)]
    x, y, z = (f[:-1] for f in longer)
    wide, double = random(4, size), random(4, 2 * size)
    return [
        (x, y, z),
        (longer[0][1:], y, longer[2][1:]),
        (x, random(), z),
        (x, 0.5, random(1)),
        (random(size, 4).T, wide, wide),
        (wide, random(size), random(4, 1)),
        (double[:, ::2], double[:, 1::2], 2),
        (random(2, 1, 3, size + 1)[..., :1], random(3, size), random(2, 2, 1, 1)),
        (random(3, size).T.unsqueeze(1), random(2, 1), random(2, 3)),
    ]


UNITS = {"float32": 2e-6, "float16": 4e-3, "float64": 1e-14}


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize("size", SIZES)
def test_every_layout(kernels: Any, size: int, dtype: str) -> None:
    pairs = zip(views(size, dtype, "cpu"), views(size, dtype, "cuda"), strict=True)
    for case, (here, there) in enumerate(pairs):
        expected, found = mixture(*here), mixture(*there)
        assert found.is_cuda and found.dtype == expected.dtype and found.shape == expected.shape
        assert_near(found, expected, UNITS[dtype], f"case {case} of size {size}")


def assert_near(found: Any, expected: Any, unit: float, what: str = "") -> None:
    np.testing.assert_allclose(on_host(found), on_host(expected), rtol=unit, atol=unit, err_msg=what)


@pytest.mark.cuda
@pytest.mark.parametrize("seed", range(10))
def test_every_order_of_the_threads(kernels: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUGRAD_SIMULATE_SEED", str(seed))
    here, there = views(33, "float32", "cpu"), views(33, "float32", "cuda")
    for case in (0, 4, 5):
        assert_near(mixture(*there[case]), mixture(*here[case]), 2e-6, f"case {case}")


@pytest.mark.cuda
def test_offsets_beyond_32_bits(kernels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels that arrays of more than 2^31 elements take, on small ones."""
    wanted: list[Any] = []
    real = kernels._kernel
    monkeypatch.setattr(kernels, "_kernel", lambda v: wanted.append(v) or real(v._replace(small=False)))
    x, y = gpugrad.arange(21.0).reshape(3, 7), gpugrad.arange(3.0).reshape(3, 1)
    there = gpugrad.hypot(x.to("cuda"), y.to("cuda"))
    assert (
        len(wanted) == 1
        and not wanted[0].flat
        and "long long" in kernels.print_source([wanted[0]._replace(small=False)])[1][0]
    )
    assert_near(there, gpugrad.hypot(x, y), 1e-6)


@pytest.mark.cuda
def test_numbers_are_arguments_of_a_kernel_and_none_are_no_inputs(
    kernels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []
    real = kernels.prepare
    monkeypatch.setattr(kernels, "prepare", lambda variants: compiled.extend(variants) or real(variants))
    rounds = []
    for low, high, factor in ((1, 5, 0.3), (-2, 4, 1.7)):
        for dtype in (gpugrad.float32, gpugrad.bfloat16, gpugrad.int64):
            x = gpugrad.arange(-3, 9).to(dtype)
            for bounds in ((low, high), (None, high), (low, None)):
                np.testing.assert_array_equal(
                    on_host(x.to("cuda").clamp(*bounds)), on_host(x.clamp(*bounds)), err_msg=f"{dtype} {bounds}"
                )
            np.testing.assert_array_equal(on_host(x.to("cuda") * factor), on_host(x * factor))
        rounds.append(len(compiled))
    assert rounds[0] == rounds[1] > 0


@pytest.mark.cuda
def test_integers_by_zero_are_what_the_device_gives(kernels: Any) -> None:
    x = gpugrad.tensor([7, -7, 0], device="cuda")
    zero = gpugrad.zeros(3, dtype=gpugrad.int64, device="cuda")
    assert (x // zero).tolist() == gpugrad.div(x, zero, rounding_mode="trunc").tolist() == [-1, -1, -1]
    assert (x % zero).tolist() == gpugrad.fmod(x, zero).tolist() == [7, -7, 0]


@pytest.mark.cuda
def test_shapes_that_do_not_broadcast(kernels: Any) -> None:
    with pytest.raises(RuntimeError, match=r"The size of tensor a .3. must match the size of tensor b .4."):
        gpugrad.ones(3, device="cuda") + gpugrad.ones(4, device="cuda")


# ---- formulas of the user ----


@gpugrad.elementwise
def swish(x, *, beta=1.0):  # type: ignore[no-untyped-def]
    return x * gpugrad.sigmoid(beta * x)


@gpugrad.elementwise
def smooth_distance(x, y):  # type: ignore[no-untyped-def]
    d = x - y
    return gpugrad.sqrt(d * d + 1.0) + gpugrad.where(d > 0, gpugrad.exp(-d), 1.0 - d)


@pytest.mark.cuda
@pytest.mark.parametrize(
    "function", [swish, lambda x: swish(x, beta=0.5), smooth_distance], ids=["swish", "beta", "two"]
)
def test_a_user_s_formula_to_second_order(kernels: Any, function: Any) -> None:
    rng = np.random.default_rng(3)
    shapes = [(5, 7), (7,)] if function is smooth_distance else [(5, 7)]
    arrays = [rng.normal(size=shape) for shape in shapes]
    results = []
    for where in ("cpu", "cuda"):
        leaves = [gpugrad.tensor(a).to(where).requires_grad_() for a in arrays]
        out = function(*leaves)
        first = grad(out.sum(), leaves, create_graph=True)
        second = grad(sum((g * g).sum() for g in first), leaves)
        results.append([out, *first, *second])
    for found, expected in zip(results[1], results[0], strict=True):
        assert found.is_cuda
        assert_near(found, expected, 1e-12)


def test_a_formula_is_printed_with_numpy_s_types() -> None:
    from gpugrad.cuda.printing import forward_formula, print_formula

    float32, int32 = np.dtype(np.float32), np.dtype(np.int32)
    formula = forward_formula(swish.op, (True,), (0.5,))
    assert print_formula("Swish", formula, [float32], [float32]) == (
        "struct Swish {  // swish\n"
        "    static __device__ __forceinline__ Values<float> apply(float x0) {\n"
        "        const float t0 = multiply(x0, static_cast<float>(0.5));\n"
        "        const float t1 = 1 / (1 + exp(-t0));\n"
        "        const float t2 = multiply(x0, t1);\n"
        "        return {t2, {}};\n"
        "    }\n"
        "};\n"
    )
    threshold = forward_formula(REGISTRY["relu6"], (True,), ())
    text = print_formula("Relu6", threshold, [int32], [int32])
    assert "float" not in text and "double" not in text


# ---- what the device's compiler makes of them ----

REPRESENTATIVE = [
    "add",
    "where",
    "tanh",
    "gelu",
    "softplus",
    "log_ndtr",
    "lerp",
    "i0",
    "zeta",
    "huber_loss",
    "remainder",
]


def representative(kernels: Any, names: list[str], dtypes: list[str]) -> tuple[str, list[str]]:
    """The source of kernels of some formulas, flat and strided, and their names."""
    calls = []
    for dtype in dtypes:
        for op, params, arrays in cases(DTYPES[dtype]):
            if op.name in names and (op.name not in PARAMETERS or params == {**op.params, **PARAMETERS[op.name][-1]}):
                for shapes in ([(8, 64)] * 3, [(8, 64), (64,), (8, 1)]):
                    given = on_device([np.zeros(s, a.dtype) for s, a in zip(shapes, arrays)])
                    calls.append(lambda op=op, given=given, params=params: op.impls[type(given[0])](*given, **params))  # type: ignore[misc]
    wanted: list[Any] = []

    def collect(variant: Any) -> Any:
        wanted.append(variant)
        raise Collected

    real, kernels._kernel = kernels._kernel, collect
    try:
        for call in calls:
            with pytest.raises(Collected):
                call()
    finally:
        kernels._kernel = real
    return kernels.print_source(list(dict.fromkeys(wanted)))


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_they_compile_for_devices_without_spills(kernels: Any, architecture: int) -> None:
    nvrtc.need()
    source, names = representative(kernels, REPRESENTATIVE, ["float32", "float64", "float16"])
    found = nvrtc.compiled(source, names, architecture)
    assert len(found) == len(names)
    assert [kernel for kernel in found if kernel.spilled] == []


def test_nothing_is_in_double_that_numpy_has_in_float(kernels: Any) -> None:
    nvrtc.need()
    source, names = representative(kernels, REPRESENTATIVE, ["float32", "float16"])
    text = nvrtc.ptx(source, names, 90)
    assert text.count(".entry") == len(names)
    assert [line for line in text.splitlines() if ".f64" in line] == []
