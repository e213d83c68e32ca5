"""How matrix products are put to cuBLASLt, held to a stand-in that computes with the descriptions it is given."""

from __future__ import annotations

import ctypes
import enum
import importlib
import math
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import on_host

import gpugrad
import gpugrad.nn.functional as F

pytestmark = pytest.mark.cuda

TYPES = {2: np.float16, 14: ml_dtypes.bfloat16, 0: np.float32, 1: np.float64}  # cudaDataType
DTYPES = list(TYPES.values())


EPILOGUES = {"DEFAULT": 1, "RELU": 2, "BIAS": 4, "RELU_BIAS": 6, "GELU": 32, "GELU_BIAS": 36, "RELU_AUX": 130}
EPILOGUES |= {"RELU_AUX_BIAS": 134, "DRELU": 136, "DRELU_BGRAD": 152, "GELU_AUX": 160, "GELU_AUX_BIAS": 164}
EPILOGUES |= {"DGELU": 192, "DGELU_BGRAD": 208, "BGRADA": 256, "BGRADB": 512}
NAMES = {number: name for name, number in EPILOGUES.items()}


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def gelu_slope(x: np.ndarray) -> np.ndarray:
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x * x)


class StandIn:
    """cuBLASLt's calls, with its numbers: descriptions are kept, `matmul` reads them and computes on the host."""

    MatmulDescAttribute = enum.IntEnum(
        "MatmulDescAttribute",
        {"TRANSA": 3, "TRANSB": 4, "EPILOGUE": 7, "BIAS_POINTER": 8, "EPILOGUE_AUX_POINTER": 11, "EPILOGUE_AUX_LD": 12},
    )
    MatrixLayoutAttribute = enum.IntEnum("MatrixLayoutAttribute", {"BATCH_COUNT": 5, "STRIDED_BATCH_OFFSET": 6})
    MatmulPreferenceAttribute = enum.IntEnum(
        "MatmulPreferenceAttribute",
        {"MAX_WORKSPACE_BYTES": 1, **{f"MIN_ALIGNMENT_{x}_BYTES": 5 + k for k, x in enumerate("ABCD")}},
    )
    Epilogue = enum.IntEnum("Epilogue", EPILOGUES)
    cuBLASLtError = type("cuBLASLtError", (Exception,), {})
    matmul_heuristic_result_dtype = np.dtype(
        [("algo", [("data_", "<u8", (8,))]), ("workspace_size", "<u8"), ("state", "<i4")]
    )

    def __init__(self) -> None:
        self.held: dict[int, SimpleNamespace] = {}
        self.calls: list[
            tuple[int, int, int, int]
        ] = []  # rows, columns, terms, batch of each product, as the library counts
        self.computed: list[int] = []  # their compute types
        self.epilogues: list[int] = []  # what they did besides
        self.asked = 0  # for algorithms
        self.refuses: set[int] = set()  # epilogues it has no algorithm for

    def _new(self, **what: Any) -> int:
        key = len(self.held) + 1
        self.held[key] = SimpleNamespace(attributes={}, **what)
        return key

    def _attribute(self, of: int, attribute: int, address: int, size: int, types: dict[int, Any]) -> None:
        dtype = np.dtype(types[attribute])
        assert size == dtype.itemsize
        self.held[of].attributes[attribute] = int(np.frombuffer(ctypes.string_at(address, size), dtype)[0])

    def create(self) -> int:
        return self._new(what="handle")

    def matmul_desc_create(self, compute: int, scale: int) -> int:
        return self._new(what="operation", compute=compute, scale=scale)

    def matmul_desc_set_attribute(self, of: int, attribute: int, address: int, size: int) -> None:
        types = {3: np.int32, 4: np.int32, 7: np.uint32, 8: np.int64, 11: np.int64, 12: np.int64}
        self._attribute(of, attribute, address, size, types)

    def matrix_layout_create(self, kind: int, rows: int, columns: int, leading: int) -> int:
        assert leading >= rows > 0 < columns
        return self._new(what="layout", dtype=np.dtype(TYPES[kind]), rows=rows, columns=columns, leading=leading)

    def matrix_layout_set_attribute(self, of: int, attribute: int, address: int, size: int) -> None:
        self._attribute(of, attribute, address, size, {5: np.int32, 6: np.int64})

    def matmul_preference_create(self) -> int:
        return self._new(what="preference")

    def matmul_preference_set_attribute(self, of: int, attribute: int, address: int, size: int) -> None:
        self._attribute(of, attribute, address, size, {1: np.uint64, **dict.fromkeys((5, 6, 7, 8), np.uint32)})

    def _destroy(self, of: int) -> None:
        assert self.held[of].what != "gone"
        self.held[of] = SimpleNamespace(what="gone")

    matmul_desc_destroy = matrix_layout_destroy = matmul_preference_destroy = _destroy

    def matmul_algo_get_heuristic(
        self,
        handle: int,
        operation: int,
        a: int,
        b: int,
        c: int,
        d: int,
        preference: int,
        wanted: int,
        found: int,
        count: int,
    ) -> None:
        assert self.held[handle].what == "handle" and wanted == 1
        self.asked += 1
        if self.held[operation].attributes.get(7, 1) in self.refuses:
            raise self.cuBLASLtError
        ctypes.c_uint64.from_address(found).value = preference  # the algorithm stands for what it was chosen for
        ctypes.c_int32.from_address(count).value = 1

    def _matrices(self, layout: int, address: int, aligned: int) -> np.ndarray:
        """The stack (batch, rows, columns) of column-major matrices that a layout finds at an address."""
        how = self.held[layout]
        assert how.what == "layout" and address % aligned == 0
        count, apart = how.attributes.get(5, 1), how.attributes.get(6, 0)
        length = (count - 1) * apart + (how.columns - 1) * how.leading + how.rows
        size = how.dtype.itemsize
        memory = (ctypes.c_char * (length * size)).from_address(address)
        flat = np.frombuffer(memory, how.dtype)
        return np.lib.stride_tricks.as_strided(
            flat, (count, how.rows, how.columns), (apart * size, size, how.leading * size)
        )

    def matmul(
        self, handle: int, operation: int, alpha: int, a: int, a_layout: int, b: int, b_layout: int, beta: int, c: int,
        c_layout: int, d: int, d_layout: int, algorithm: int, space: int, space_size: int, stream: int,
    ) -> None:  # fmt: skip
        assert self.held[handle].what == "handle" and (c, c_layout) == (d, d_layout)
        how, wide = self.held[operation], np.dtype(TYPES[self.held[operation].scale])
        preference = self.held[ctypes.c_uint64.from_address(algorithm).value].attributes
        assert space_size >= preference[1] > 0 and space % 256 == 0
        x, y, out = (
            self._matrices(*m)
            for m in ((a_layout, a, preference[5]), (b_layout, b, preference[6]), (d_layout, d, preference[8]))
        )
        x = x.swapaxes(1, 2) if how.attributes.get(3) else x
        y = y.swapaxes(1, 2) if how.attributes.get(4) else y
        by, keep = (np.frombuffer(ctypes.string_at(p, wide.itemsize), wide)[0] for p in (alpha, beta))
        made = by * np.matmul(x.astype(wide), y.astype(wide))
        if keep:
            made += keep * out.astype(wide)
        epilogue = how.attributes.get(7, 1)
        made = self._beside(NAMES[epilogue], how.attributes, made, out, y, wide, bool(keep))
        out[...] = made.astype(out.dtype)
        assert out.strides[2] == out.shape[1] * out.dtype.itemsize  # results are contiguous
        for stack in range(out.shape[0]):
            self._say_written(d + stack * out.strides[0], out[stack].nbytes)
        self.epilogues.append(epilogue)
        self.calls.append((out.shape[1], out.shape[2], x.shape[2], out.shape[0]))
        self.computed.append(how.compute)

    def _beside(
        self, name: str, how: dict[int, int], made: np.ndarray, out: np.ndarray, y: np.ndarray, wide: Any, kept: bool
    ) -> np.ndarray:
        """What an epilogue makes of the product, as the library's documentation says."""
        assert name == "DEFAULT" or not kept
        parts = name.split("_")
        if name == "BGRADB":  # "the bias size corresponds to the number of columns of D", the sums go over the terms
            assert out.shape[0] == 1
            self._write(how[8], y[0].astype(wide).sum(0).astype(out.dtype))
        if "BIAS" in parts:
            made = made + self._vector(how[8], out.shape[1], out.dtype).astype(wide)[:, None]
        if "AUX" in parts or parts[0] in ("DRELU", "DGELU"):
            made = self._with_auxiliary(parts, how, made, out)
        if parts[0] == "RELU":
            made = np.maximum(made, 0)
        elif parts[0] == "GELU":
            made = gelu(made)
        if "BGRAD" in parts:
            self._write(how[8], made[0].sum(1).astype(out.dtype))
        return made

    def _with_auxiliary(self, parts: list[str], how: dict[int, int], made: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The mask of bits, or the inputs of GELU, column by column; the leading dimension counts bits or elements."""
        assert out.shape[0] == 1 and how[11] % 16 == 0
        rows, columns, leading = *out.shape[1:], how[12]
        bits = parts[0].endswith("RELU")
        assert leading >= rows and leading % (128 if bits else 8) == 0
        dtype = np.dtype(np.uint8) if bits else out.dtype
        each = leading // 8 if bits else leading
        if parts[0].startswith("D"):
            kept = self._vector(how[11], columns * each, dtype).reshape(columns, each)
            if bits:
                return made * np.unpackbits(kept, axis=1, count=rows, bitorder="little").T
            return made * gelu_slope(kept[:, :rows].T.astype(made.dtype))
        filled = np.zeros((columns, each), dtype)
        if bits:
            mask = np.packbits(made[0].T > 0, axis=1, bitorder="little")
            filled[:, : mask.shape[1]] = mask
        else:
            filled[:, :rows] = made[0].T.astype(dtype)
        self._write(how[11], filled)
        return made

    def _write(self, address: int, values: np.ndarray) -> None:
        self._vector(address, values.size, values.dtype)[...] = values.reshape(-1)
        self._say_written(address, values.nbytes)

    def _vector(self, address: int, length: int, dtype: Any) -> np.ndarray:
        return np.frombuffer((ctypes.c_char * (length * dtype.itemsize)).from_address(address), dtype)

    def _say_written(self, address: int, count: int) -> None:
        from gpugrad.cuda.simulator.memory import WRITTEN, device_memory

        memory = device_memory()
        memory.shadow[address - memory.base : address - memory.base + count] = WRITTEN


@pytest.fixture(autouse=True)
def lt(device: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    from gpugrad.cuda import backend

    if not backend.simulated():
        pytest.skip("the stand-in computes in the simulator's memory")
    backend.require()
    from gpugrad.cuda import cublaslt

    stand_in = StandIn()
    caches = cublaslt._described, cublaslt._handle, cublaslt._workspace
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(cublaslt, "library", lambda: stand_in)
    yield stand_in
    for cache in caches:
        cache.cache_clear()  # descriptions are given back to the library they came from
    gone = [held.what for held in stand_in.held.values()]
    assert set(gone) <= {"gone", "handle"}, gone


def draw(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def close(found: Any, expected: np.ndarray, dtype: Any, units: float = 16) -> None:
    unit = units * float(ml_dtypes.finfo(dtype).eps)
    found = np.asarray(found).astype(np.float64)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=unit, atol=unit * max(1.0, np.abs(expected).max(initial=0)))


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
    x = gpugrad.ones(4, 4, device="cuda")
    before = gpugrad.get_float32_matmul_precision()
    try:
        for precision in ("highest", "high"):
            gpugrad.set_float32_matmul_precision(precision)
            _ = x @ x, x.half() @ x.half(), x.double() @ x.double()
    finally:
        gpugrad.set_float32_matmul_precision(before)
    assert lt.computed == [68, 68, 70, 77, 68, 70]


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


# ---- layers with an activation between them ----

STACKED = {  # by bias of each layer, activation and whether it comes last: what the products did besides
    (
        (True, True, True),
        "relu",
        False,
    ): "RELU_AUX_BIAS RELU_AUX_BIAS BIAS BGRADB DRELU_BGRAD DEFAULT DRELU_BGRAD DEFAULT DEFAULT",
    ((True, True), "gelu_tanh", False): "GELU_AUX_BIAS BIAS BGRADB DGELU_BGRAD DEFAULT DEFAULT",
    ((True, True), "relu", True): "RELU_AUX_BIAS RELU_BIAS BGRADB DRELU_BGRAD DEFAULT DEFAULT",
    ((True, True), "gelu_tanh", True): "GELU_AUX_BIAS GELU_AUX_BIAS BGRADB DGELU_BGRAD DEFAULT DEFAULT",
    ((False, False), "relu", False): "RELU_AUX DEFAULT DEFAULT DRELU DEFAULT DEFAULT",
    ((False, True), "gelu_tanh", True): "GELU_AUX GELU_AUX_BIAS BGRADB DGELU DEFAULT DEFAULT",
    ((True,), "relu", True): "RELU_BIAS BGRADB DEFAULT",
}


def stacked(where: str, how: Any, dtype: Any, batch: tuple[int, ...]) -> tuple[Any, list[Any]]:
    """The output of layers and its inputs, on the CPU or on the device."""
    from gpugrad.ops.perceptron import perceptron

    biased, activation, last = how
    sizes = (7, 33, 12, 5)
    shapes: list[tuple[int, ...]] = [(*batch, 7)]
    for i, has_bias in enumerate(biased):
        shapes += [(sizes[i + 1], sizes[i]), *([(sizes[i + 1],)] if has_bias else [])]
    leaves = [gpugrad.tensor(draw(*s, dtype=dtype, seed=k)).to(where).requires_grad_() for k, s in enumerate(shapes)]
    return perceptron(*leaves, biased=biased, activation=activation, last=last), leaves


@pytest.mark.parametrize("batch", [(6,), (2, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("how", STACKED, ids=str)
def test_layers_are_activated_on_the_way(how: Any, dtype: Any, batch: tuple[int, ...], lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        out, leaves = stacked(where, how, dtype, batch)
        out.backward(gpugrad.tensor(draw(*out.shape, seed=9)).to(where, out.dtype))
        found.append([on_host(t) for t in (out, *(leaf.grad for leaf in leaves))])
    for got, expected in zip(found[1], found[0], strict=True):
        close(got, expected.astype(np.float64), dtype, 64)
    assert [NAMES[e] for e in lt.epilogues] == STACKED[how].split()


@pytest.mark.parametrize("refused", ["RELU_AUX_BIAS", "DRELU_BGRAD", "BGRADB", "GELU_AUX_BIAS", "DGELU_BGRAD"])
def test_what_the_library_has_no_algorithm_for_is_done_by_kernels(refused: str, lt: StandIn) -> None:
    lt.refuses.add(EPILOGUES[refused])
    how = ((True, True, True), "relu" if "RELU" in refused else "gelu_tanh", False)
    found = []
    for where in ("cpu", "cuda"):
        out, leaves = stacked(where, how, np.float32, (6,))
        out.square().sum().backward()
        found.append([on_host(t) for t in (out, *(leaf.grad for leaf in leaves))])
    for got, expected in zip(found[1], found[0], strict=True):
        close(got, expected.astype(np.float64), np.float32, 64)
    assert EPILOGUES[refused] not in lt.epilogues


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1, 2), (3, 4), (0, 1, 2, 3), (5, 6)])
def test_only_the_wanted_gradients_of_layers(frozen: tuple[int, ...], lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        _, leaves = stacked(where, ((True, True, True), "relu", False), np.float32, (6,))
        for i in frozen:
            leaves[i].requires_grad_(False)
        from gpugrad.ops.perceptron import perceptron

        perceptron(*leaves, biased=(True, True, True), activation="relu", last=False).square().sum().backward()
        found.append([leaf.grad if leaf.grad is None else on_host(leaf.grad) for leaf in leaves])
    for i, (got, expected) in enumerate(zip(found[1], found[0], strict=True)):
        assert (got is None) == (expected is None) == (i in frozen)
        if got is not None:
            close(got, expected.astype(np.float64), np.float32, 64)


def test_layers_have_second_derivatives(lt: StandIn) -> None:
    found = []
    for where in ("cpu", "cuda"):
        out, leaves = stacked(where, ((True, True), "gelu_tanh", False), np.float32, (6,))
        (dx,) = gpugrad.autograd.grad(out.square().sum(), leaves[0], create_graph=True)
        grads = gpugrad.autograd.grad(dx.square().sum() + out.sum(), leaves)
        found.append([on_host(g) for g in grads])
    for got, expected in zip(found[1], found[0], strict=True):
        close(got, expected.astype(np.float64), np.float32, 256)


def test_an_activated_output_is_not_to_be_written(lt: StandIn) -> None:
    out, _ = stacked("cuda", ((True,), "relu", True), np.float32, (6,))
    out.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
