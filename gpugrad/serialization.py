"""`save` and `load`: a zip file with the structure as JSON and each array as a .npy file, and nothing that runs code.

Dicts, lists, tuples, sets of plain keys, numbers, strings, bytes, None, tensors, parameters, NumPy arrays, dtypes,
devices and sizes are stored as such; tensors that share memory share it again after loading. Anything else needs
pickle: `save` then stores one, and `load` refuses to run it unless `weights_only=False`.
"""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .atomic import atomic_write
from .core import Tensor, wrap
from .device import ARRAY_TYPES, Device, as_device
from .dtypes import as_dtype, dtype

_FORMAT = "gpugrad.save 1"


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Store `obj` in the file `f`, a path (replaced whole or not at all) or a file object."""
    writer = _Writer()
    try:
        tree = writer.encode(obj)
    except (_NeedsPickle, RecursionError):  # what holds itself, pickle can store
        writer = _Writer()
        tree = {"pickle": writer.blob(pickle.dumps(obj, protocol=4))}
    data = writer.finish(tree)
    if isinstance(f, (str, os.PathLike)):
        with atomic_write(f) as file:
            file.write(data)
    else:
        f.write(data)


class _NeedsPickle(Exception):
    """An object that only pickle can store."""


class _Writer:
    """Turns an object into JSON that refers to arrays by number."""

    def __init__(self) -> None:
        self.tensors: dict[int, int] = {}
        self.files: dict[str, bytes] = {}
        self.storages: dict[int, int] = {}
        self.keep: list[Any] = []  # so that no id is used twice

    def encode(self, x: Any) -> Any:
        if x is None or isinstance(x, (bool, str)):
            return x
        if type(x) in (int, float):
            return x if type(x) is int or np.isfinite(x) else {"float": repr(x)}
        if isinstance(x, Tensor):
            if id(x) in self.tensors:
                return {"again": self.tensors[id(x)]}
            self.tensors[id(x)] = len(self.tensors)
            self.keep.append(x)
            return self.tensor(x)
        for kind, name in ((OrderedDict, "ordered"), (dict, "dict")):
            if type(x) is kind:
                return {name: [[self.encode(k), self.encode(v)] for k, v in x.items()]}
        for sequence, name in ((list, "list"), (tuple, "tuple"), (set, "set")):
            if type(x) is sequence:
                return {name: [self.encode(v) for v in x]}
        return self.other(x)

    def other(self, x: Any) -> Any:
        if isinstance(x, bytes):
            return {"bytes": base64.b64encode(x).decode()}
        if isinstance(x, dtype):
            return {"dtype": x.name}
        if isinstance(x, Device):
            return {"device": str(x)}
        if isinstance(x, tuple) and hasattr(x, "numel"):
            return {"size": list(x)}
        if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "biufV":
            return {"ndarray": self.array(np.asarray(x)), "scalar": isinstance(x, np.generic)}
        raise _NeedsPickle(type(x).__name__)

    def tensor(self, x: Tensor) -> Any:
        from .nn.parameter import Parameter

        array = ARRAY_TYPES[type(x._array)].to_numpy(x._array)
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        if root.flags.c_contiguous and root.dtype == array.dtype:
            number = self.storages.get(id(root))
            if number is None:
                number = self.storages[id(root)] = self.array(root)
                self.keep.append(root)
        else:
            root, number = array, self.array(array)
            array = np.ascontiguousarray(array)
            root = array
        offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        return {
            "tensor": number,
            "offset": offset,
            "shape": list(array.shape),
            "strides": list(array.strides),
            "requires_grad": x._requires_grad,
            "parameter": isinstance(x, Parameter),
            "device": str(x.device),
        }

    def array(self, array: np.ndarray) -> int:
        number = len(self.files)
        stream = io.BytesIO()
        name = as_dtype(array.dtype).name if array.dtype.kind == "V" else ""
        raw = array if array.flags.c_contiguous else array.copy("C")
        np.save(stream, raw.view(np.uint16) if name else raw, allow_pickle=False)
        self.files[f"{number}{'.' + name if name else ''}.npy"] = stream.getvalue()
        return number

    def blob(self, data: bytes) -> str:
        self.files["object.pickle"] = data
        return "object.pickle"

    def finish(self, tree: Any) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as z:
            z.writestr("structure.json", json.dumps({"format": _FORMAT, "object": tree}))
            for name, data in self.files.items():
                z.writestr(f"arrays/{name}", data)
        return stream.getvalue()


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
) -> Any:
    """What `save` stored in `f`, a path or a file object.

    Tensors come back to the devices they were on, or where `map_location` puts them: a device for all, a dict from
    stored to wanted devices, or a function of a tensor on the CPU and its stored device, which returns the tensor to
    use or None to leave it to the default.

    FileNotFoundError if there is no such file; RuntimeError if it is not one of `save`'s, is cut short or damaged,
    needs a device that is not there, or needs pickle and `weights_only` is set.
    """
    name = str(f) if isinstance(f, (str, os.PathLike)) else repr(f)
    data = Path(f).read_bytes() if isinstance(f, (str, os.PathLike)) else f.read()
    place = _placement(map_location)
    try:
        files = _files_in(data)
        header = json.loads(files["structure.json"])
        if header["format"] != _FORMAT:
            raise KeyError(header["format"])
        if isinstance(header["object"], dict) and "pickle" in header["object"]:
            return _unpickle(files["arrays/object.pickle"], name, weights_only)
        return _Reader(files, place).decode(header["object"])
    except _Elsewhere as error:
        raise RuntimeError(f"{name}: {error}") from None
    except _DAMAGED as error:
        raise RuntimeError(
            f"{name}: not a file written by gpugrad.save, or cut short or damaged ({len(data)} bytes, beginning "
            f"{data[:8]!r}: {error}); write it again, or use an older checkpoint"
        ) from None


def _files_in(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            return {name: z.read(name) for name in z.namelist()}  # which compares the checksum
    except RuntimeError as error:  # a damaged header may say that the file is encrypted
        raise zipfile.BadZipFile(str(error)) from None


# What zipfile, json and NumPy raise on bytes that mean nothing; `_unpickle` has its own.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(LookupError, ValueError, TypeError, AttributeError, StopIteration, OverflowError, MemoryError, RecursionError),
)


class _Elsewhere(Exception):
    """A tensor of a device that is not there."""


def _placement(map_location: Any) -> Callable[[Tensor, str], Tensor]:
    """What moves a loaded tensor from the CPU to where it belongs, given the device it was saved from."""

    def by_default(tensor: Tensor, stored: str) -> Tensor:
        try:
            return tensor.to(as_device(stored))
        except RuntimeError as error:
            raise _Elsewhere(f"{error} Or load it with map_location='cpu'.") from None

    if map_location is None:
        return by_default
    if isinstance(map_location, dict):
        return lambda tensor, stored: by_default(tensor, str(Device(map_location.get(stored, stored))))
    if not callable(map_location):
        device = as_device(map_location)
        return lambda tensor, stored: tensor.to(device)

    def by_function(tensor: Tensor, stored: str) -> Tensor:
        placed = map_location(tensor, stored)
        return by_default(tensor, stored) if placed is None else placed

    return by_function


def _unpickle(data: bytes, name: str, weights_only: bool) -> Any:
    if weights_only:
        raise RuntimeError(
            f"{name}: holds an object that only pickle can load, and pickle can run any code. Load it with "
            "weights_only=False if you trust its source; or save state_dict()s, which need no pickle."
        )
    try:
        return pickle.loads(data)
    except Exception as error:  # whatever the classes in it raise
        raise RuntimeError(
            f"{name}: cannot be unpickled: {type(error).__name__}: {error}. The classes it holds must be importable, as "
            "they were when it was written."
        ) from error


class _Reader:
    """The reverse of `_Writer`."""

    def __init__(self, files: dict[str, bytes], place: Callable[[Tensor, str], Tensor]) -> None:
        self.files = files
        self.place = place
        self.arrays: dict[int, np.ndarray] = {}
        self.tensors: list[Tensor] = []

    def decode(self, x: Any) -> Any:
        if not isinstance(x, dict):
            return x
        if "tensor" in x:
            self.tensors.append(self.tensor(x))
            return self.tensors[-1]
        if "again" in x:
            return self.tensors[x["again"]]
        (kind, value), *_ = x.items()
        if kind in ("dict", "ordered"):
            return (dict if kind == "dict" else OrderedDict)((self.decode(k), self.decode(v)) for k, v in value)
        if kind in ("list", "tuple", "set"):
            return {"list": list, "tuple": tuple, "set": set}[kind](self.decode(v) for v in value)
        if kind == "ndarray":
            array = self.array(value)
            return array[()] if x["scalar"] else array
        plain: dict[str, Any] = {
            "float": float,
            "bytes": base64.b64decode,
            "dtype": _dtype,
            "device": Device,
            "size": _size,
        }
        decode: Any = plain[kind]
        return decode(value)

    def array(self, number: int) -> np.ndarray:
        if number not in self.arrays:
            file = next(n for n in self.files if n.startswith(f"arrays/{number}."))
            array = np.load(io.BytesIO(self.files[file]), allow_pickle=False)
            if file.count(".") == 2:
                array = array.view(_BFLOAT16)
            self.arrays[number] = array
        return self.arrays[number]

    def tensor(self, x: dict[str, Any]) -> Tensor:
        from .nn.parameter import Parameter

        root = self.array(x["tensor"])
        floating = as_dtype(root.dtype).is_floating_point  # TypeError for what is no dtype of tensors
        if x["requires_grad"] and not floating:
            raise ValueError(f"a tensor of {root.dtype} that requires gradients")
        shape, strides = tuple(x["shape"]), tuple(x["strides"])
        array = np.ndarray(shape, root.dtype, root, x["offset"], strides) if root.size else root.reshape(shape)
        placed = self.place(wrap(array), x["device"])
        if x["parameter"]:
            return Parameter(placed, x["requires_grad"])
        return placed.requires_grad_() if x["requires_grad"] else placed


def _dtype(name: str) -> dtype:
    return as_dtype(_BFLOAT16 if name == "bfloat16" else name)


def _size(value: Any) -> Any:
    from .size import Size

    return Size(value)


_BFLOAT16 = as_dtype(np.dtype("bfloat16")).numpy
