"""Matrix products by cuBLASLt, through `nvmath.bindings`: what CuPy's cuBLAS calls do not do.

It computes with half precision and TF32, reads transposed and strided stacks where they lie, adds a bias or sums up its
gradient and applies an activation or its gradient on the way (`Beside`), and can be captured in a CUDA graph. What a
product needs is described to the library once for each shape and kept, with the algorithm that its heuristics choose.

Tests hold the calls to a stand-in that computes with the very same descriptions on the host, and to the library itself
where there is a device.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
import warnings
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import bfloat16
from ..settings import get_float32_matmul_precision
from . import array, backend, module
from .gemm_layout import Matrix, Problem, Sizes, problem
from .launches import ONCE, Once

cp = backend.cupy()

# cudaDataType, cublasComputeType_t and cublasOperation_t
_TYPES = {np.dtype(np.float16): 2, bfloat16.numpy: 14, np.dtype(np.float32): 0, np.dtype(np.float64): 1}
_COMPUTE_32F, _COMPUTE_64F, _COMPUTE_32F_FAST_TF32 = 68, 70, 77
_TRANSPOSE = 1
_FLOAT64 = np.dtype(np.float64)
_NUMBERS = {d: np.array([0, 1], d) for d in (np.dtype(np.float32), _FLOAT64)}  # for alpha and beta
_WORKSPACE = {True: 32 << 20, False: 8 << 20}  # bytes, by whether the device is of Hopper's generation or later
_ALIGNED = 16  # bytes from which the library has no use for more
_MASK_BITS, _WIDTH = 128, 8  # what the rows of a bit mask of ReLU, and of the inputs of GELU, are multiples of


@functools.cache
def library() -> Any:
    """The bindings; None without a real device, without nvmath, or where it does not find cuBLASLt."""
    if backend.simulated() or importlib.util.find_spec("nvmath") is None:
        return None
    try:
        found = importlib.import_module("nvmath.bindings.cublasLt")
        found.get_version()
    except (ImportError, RuntimeError) as error:
        warnings.warn(f"nvmath cannot use cuBLASLt, so matrix products go through CuPy: {error}", stacklevel=2)
        return None
    return found


@functools.cache
def _handle(device: int) -> int:
    return int(library().create())


@functools.cache
def _workspace(device: int, stream: int) -> tuple[int, int, Any]:
    """Memory for the library's own use, by address, size and owner; streams do not share any."""
    major = cp.cuda.runtime.getDeviceProperties(device)["major"]
    owner = cp.empty(_WORKSPACE[major >= 9], np.uint8)
    return owner.data.ptr, owner.nbytes, owner


class Beside(NamedTuple):
    """What a product does besides, as the library's epilogues say it. The vector has as many elements as `out` columns.

    BIAS adds the vector. BGRADB writes the sums of the rows of `a` there, of two matrices only: a bias's gradient beside
    its weight's. RELU_BIAS and GELU_BIAS add it and activate; with AUX they also write what the gradient of the
    activation reads (`auxiliary`). DRELU and DGELU apply that gradient; with BGRAD they also write the sums of the columns
    of `out`, the gradient of the bias before that activation.
    """

    epilogue: str
    vector: Any = None
    aux: Any = None


_NOTHING = Beside("")
_one_at_a_time = threading.Lock()


def auxiliary(do: Once, epilogue: str, rows: int, columns: int, dtype: Any) -> Any:
    """Memory for what an activation leaves for its gradient: a mask of bits for RELU, its input for GELU."""
    if "RELU" in epilogue:
        return do.empty((rows, _leading(epilogue, columns) // 8), np.dtype(np.uint8))
    return do.empty((rows, _leading(epilogue, columns)), dtype)


def _leading(epilogue: str, columns: int) -> int:
    """From row to row of that memory, in bits or in elements."""
    step = _MASK_BITS if "RELU" in epilogue else _WIDTH
    return -(-columns // step) * step


class Kind(NamedTuple):
    """What, besides its shape, tells one product from another."""

    dtype: Any
    out_dtype: Any
    precision: str
    epilogue: str  # its name in the library, "" for none
    leaves_or_reads: bool  # memory of an activation
    places: tuple[int, int, int]  # of a, b and out: addresses modulo _ALIGNED


class Pointer:
    """Where what lies beside a product is, in its description: set where it changes."""

    def __init__(self, operation: int, name: str) -> None:
        self._set, self._operation = library().matmul_desc_set_attribute, operation
        self._attribute = int(library().MatmulDescAttribute[name])
        self._held = np.zeros(1, np.int64)
        self._where = self._held.ctypes.data
        self._address = 0

    def to(self, x: Any) -> None:
        address = x.data.ptr
        if address != self._address:
            self._held[0] = self._address = address
            self._set(self._operation, self._attribute, self._where, 8)


class Described:
    """A product as the library takes it: its descriptions, and the algorithm it chooses, if it has one."""

    def __init__(self, what: Problem, kind: Kind, device: int) -> None:
        lt = library()
        self.matmul, self.device = lt.matmul, device
        self.made: list[tuple[str, int]] = []
        wide = kind.dtype is _FLOAT64
        compute = _COMPUTE_64F if wide else _COMPUTE_32F
        if kind.dtype == np.float32 and kind.precision != "highest":
            compute = _COMPUTE_32F_FAST_TF32
        numbers = _NUMBERS[_FLOAT64 if wide else np.dtype(np.float32)]
        self.zero = numbers.ctypes.data
        self.one = self.zero + numbers.itemsize
        self.handle = _handle(device)
        self.operation = self._keep("matmul_desc", lt.matmul_desc_create(compute, _TYPES[numbers.dtype]))
        self.vector, self.aux = Pointer(self.operation, "BIAS_POINTER"), Pointer(self.operation, "EPILOGUE_AUX_POINTER")
        attributes = lt.MatmulDescAttribute
        for name, transposed in (("TRANSA", what.b.transposed), ("TRANSB", what.a.transposed)):
            self._set("matmul_desc", self.operation, attributes[name], np.int32(_TRANSPOSE * transposed))
        if kind.epilogue:
            self._set("matmul_desc", self.operation, attributes.EPILOGUE, np.uint32(lt.Epilogue[kind.epilogue]))
        if kind.leaves_or_reads:
            leading = np.int64(_leading(kind.epilogue, what.columns))
            self._set("matmul_desc", self.operation, attributes.EPILOGUE_AUX_LD, leading)
        batch = what.batch
        self.b = self._layout(kind.dtype, what.columns, what.terms, what.b, batch.size, batch.b)
        self.a = self._layout(kind.dtype, what.terms, what.rows, what.a, batch.size, batch.a)
        to = Matrix(False, what.columns)
        self.out = self._layout(kind.out_dtype, what.columns, what.rows, to, batch.size, batch.out)
        sizes = (kind.dtype.itemsize, kind.dtype.itemsize, kind.out_dtype.itemsize)
        self.starts = [tuple(n * size for n, size in zip(start, sizes)) for start in what.starts]  # in bytes
        self.algorithm = self._choose(kind.places, device)
        self.chosen = 0 if self.algorithm is None else self.algorithm.ctypes.data

    def _keep(self, what: str, made: int) -> int:
        self.made.append((what, made))
        return made

    def _set(self, what: str, of: int, attribute: int, value: np.generic) -> None:
        held = np.array([value])
        getattr(library(), f"{what}_set_attribute")(of, int(attribute), held.ctypes.data, held.nbytes)

    def _layout(self, dtype: Any, rows: int, columns: int, how: Matrix, count: int, apart: int) -> int:
        """A column-major matrix, (rows, columns) once it is transposed as `how` says."""
        lt = library()
        stored = (columns, rows) if how.transposed else (rows, columns)
        made = self._keep("matrix_layout", lt.matrix_layout_create(_TYPES[dtype], *stored, how.leading))
        if count > 1:
            attributes = lt.MatrixLayoutAttribute
            self._set("matrix_layout", made, attributes.BATCH_COUNT, np.int32(count))
            self._set("matrix_layout", made, attributes.STRIDED_BATCH_OFFSET, np.int64(apart))
        return made

    def launch(self, grid: None, block: None, arguments: tuple[Any, ...]) -> None:
        """Compute `out` from `a` and `b`; called as a kernel is."""
        a, b, out, vector, aux, accumulate = arguments
        at_a, at_b, at_out = a.data.ptr, b.data.ptr, out.data.ptr
        if vector is None and aux is None:
            self._run(at_a, at_b, at_out, accumulate)
            return
        with _one_at_a_time:  # the addresses are part of the description
            if vector is not None:
                self.vector.to(vector)
            if aux is not None:
                self.aux.to(aux)
            self._run(at_a, at_b, at_out, accumulate)

    def _run(self, at_a: int, at_b: int, at_out: int, accumulate: bool) -> None:
        stream = cp.cuda.get_current_stream().ptr
        space, size, _ = _workspace(self.device, stream)
        keep = self.one if accumulate else self.zero
        for from_a, from_b, to in self.starts:
            target = at_out + to
            operands = (self.one, at_b + from_b, self.b, at_a + from_a, self.a)
            result = (keep, target, self.out, target, self.out)
            self.matmul(self.handle, self.operation, *operands, *result, self.chosen, space, size, stream)

    def _choose(self, places: tuple[int, int, int], device: int) -> Any:
        lt = library()
        preference = self._keep("matmul_preference", lt.matmul_preference_create())
        names = lt.MatmulPreferenceAttribute
        size = _workspace(device, cp.cuda.get_current_stream().ptr)[1]
        self._set("matmul_preference", preference, names.MAX_WORKSPACE_BYTES, np.uint64(size))
        a, b, out = (_alignment(place, *starts) for place, starts in zip(places, zip(*self.starts)))
        for name, bytes_ in (("A", b), ("B", a), ("C", out), ("D", out)):
            self._set("matmul_preference", preference, names[f"MIN_ALIGNMENT_{name}_BYTES"], np.uint32(bytes_))
        found, count = np.zeros(1, lt.matmul_heuristic_result_dtype), np.zeros(1, np.int32)
        descriptions = (self.operation, self.b, self.a, self.out, self.out, preference)
        try:
            lt.matmul_algo_get_heuristic(self.handle, *descriptions, 1, found.ctypes.data, count.ctypes.data)
        except lt.cuBLASLtError as error:  # there is no algorithm for it
            if array.capturing:
                raise RuntimeError(
                    "a matrix product was met for the first time while a CUDA graph was captured, and cuBLASLt chooses no "
                    "algorithm then; run the work once before the capture"
                ) from error
            return None
        return found if count[0] and found["state"][0] == 0 else None

    def __del__(self, finalizing: Any = sys.is_finalizing) -> None:  # modules' names may be gone by then
        if not finalizing():
            for what, made in self.made:
                getattr(library(), f"{what}_destroy")(made)


def _alignment(*addresses: int) -> int:
    """The largest power of two, at most _ALIGNED, that divides all."""
    together = functools.reduce(int.__or__, addresses) & (_ALIGNED - 1)
    return together & -together or _ALIGNED


@functools.lru_cache(maxsize=4096)
def _described(
    a_shape: Sizes, a_strides: Sizes, b_shape: Sizes, b_strides: Sizes, out_shape: Sizes, kind: Kind, device: int
) -> Described | None:
    """The description of a product of arrays that lie like these, strides in bytes; None if there is no way to do it."""
    size = kind.dtype.itemsize
    strides = [tuple(s // size for s in strides) for strides in (a_strides, b_strides)]
    what = problem(a_shape, strides[0], b_shape, strides[1], out_shape[:-2])
    made = None if what is None else Described(what, kind, device)
    return None if made is None or made.algorithm is None else made


def multiply(
    a: Any, b: Any, out: Any, beside: Beside | None = None, *, accumulate: bool = False, do: Once = ONCE
) -> bool:
    """`out = a @ b`, or `out += a @ b`, with what `beside` says: (..., n, k), (..., k, m) into a contiguous (..., n, m).

    False, with nothing done, if a matrix cannot be read where it lies or the library has no algorithm.
    """
    low = (a.data.ptr % _ALIGNED, b.data.ptr % _ALIGNED, out.data.ptr % _ALIGNED)
    epilogue, vector, aux = beside or _NOTHING
    kind = Kind(a.dtype, out.dtype, get_float32_matmul_precision(), epilogue, aux is not None, low)
    made = _described(a.shape, a.strides, b.shape, b.strides, out.shape, kind, module.current_device())
    if made is None:
        return False
    do(made.launch, None, None, (a, b, out, vector, aux, accumulate))
    return True
