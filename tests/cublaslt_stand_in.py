"""A stand-in for cuBLASLt, which computes on the host with the descriptions it is given; and what is held to it."""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

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


def put_in_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A stand-in in the library's place, which is then asked whether all was given back. Skips on a real device."""
    from gpugrad.cuda import backend

    if not backend.simulated():
        pytest.skip("the stand-in computes in the simulator's memory")
    backend.require()
    from gpugrad.cuda import cublaslt, launches

    stand_in = StandIn()

    def forget() -> None:
        for kept in launches.all_kept:
            kept.clear()
        for cache in (cublaslt._described, cublaslt._handle, cublaslt._workspace):
            cache.cache_clear()

    forget()
    monkeypatch.setattr(cublaslt, "library", lambda: stand_in)
    yield stand_in
    forget()  # descriptions are given back to the library they came from
    gone = [held.what for held in stand_in.held.values()]
    assert set(gone) <= {"gone", "handle"}, gone


def draw(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def close(found: Any, expected: np.ndarray, dtype: Any, units: float = 16) -> None:
    unit = units * float(ml_dtypes.finfo(dtype).eps)
    found = np.asarray(found).astype(np.float64)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=unit, atol=unit * max(1.0, np.abs(expected).max(initial=0)))
