"""`save` and `load`: what comes back, where it goes, what is never run, what a kill or a bad file leaves."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from device_tools import each_device

import gpugrad
from gpugrad import nn, optim
from gpugrad.dtypes import ALL

NAMES = [str(d.name) for d in ALL]


def round_trip(obj: Any, **options: Any) -> Any:
    stream = io.BytesIO()
    gpugrad.save(obj, stream)
    stream.seek(0)
    return gpugrad.load(stream, **options)


def assert_same(a: Any, b: Any) -> None:
    """Equal shape, dtype, gradient flag and bits."""
    assert type(a) is type(b)
    assert (a.shape, a.dtype, a.requires_grad) == (b.shape, b.dtype, b.requires_grad)
    assert a.detach()._array.tobytes() == b.detach()._array.tobytes()


# ---- tensors ----


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (3, 2)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_every_dtype_and_shape_comes_back(name: str, shape: tuple[int, ...]) -> None:
    x = (gpugrad.arange(int(np.prod(shape))).reshape(shape) * 3 - 2).to(getattr(gpugrad, name.removesuffix("_")))
    assert_same(round_trip(x), x)


def test_special_numbers_keep_their_bits() -> None:
    for dtype in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64):
        x = gpugrad.from_numpy(np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 1e-8], dtype))
        assert_same(round_trip(x), x)


LAYOUTS = {
    "transposed": lambda x: x.t(),
    "every other": lambda x: x[::2, 1::2],
    "expanded": lambda x: x[:1].expand(5, 6),
    "selected": lambda x: x[2, 3],
    "Fortran": lambda x: gpugrad.from_numpy(np.asfortranarray(x.numpy())),
    "empty part": lambda x: x[4:],
    "reversed": lambda x: x.flip(0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_comes_back(layout: str) -> None:
    x = LAYOUTS[layout](gpugrad.arange(24.0).reshape(4, 6))
    loaded = round_trip(x)
    assert_same(loaded, x)
    if layout in ("transposed", "every other", "expanded"):
        assert loaded.stride() == x.stride()


def test_views_of_one_storage_share_it_again_and_others_do_not() -> None:
    base = gpugrad.arange(6.0)
    alone = gpugrad.arange(6.0)
    a, b, c, d = round_trip([base, base[2:4], base.reshape(2, 3).t(), alone])
    with gpugrad.no_grad():
        a[2] = 50.0
    assert b.tolist() == [50.0, 3.0]
    assert c[2, 0].item() == 50.0
    assert d.tolist() == alone.tolist()


def test_a_view_saved_alone_can_be_written() -> None:
    loaded = round_trip(gpugrad.arange(6.0)[2:4])
    loaded.add_(1)
    assert loaded.tolist() == [3.0, 4.0]


def test_one_tensor_named_twice_is_one_tensor_again(torch: Any) -> None:
    def identities(library: Any) -> list[bool]:
        x = library.ones(2)
        stream = io.BytesIO()
        library.save({"a": x, "b": [x, x.clone()], "c": x[:1]}, stream)
        stream.seek(0)
        loaded = library.load(stream)
        return [loaded["a"] is loaded["b"][0], loaded["a"] is loaded["b"][1], loaded["a"] is loaded["c"]]

    assert identities(gpugrad) == identities(torch) == [True, False, False]


def test_gradient_flags_as_in_pytorch(torch: Any) -> None:
    def flags(library: Any) -> list[tuple[bool, bool, Any]]:
        x = library.ones(2, requires_grad=True)
        stream = io.BytesIO()
        (x * x).sum().backward()
        library.save([x, x * 2, x.detach(), library.ones(1)], stream)
        stream.seek(0)
        return [(t.requires_grad, t.is_leaf, t.grad) for t in library.load(stream)]

    assert flags(gpugrad) == flags(torch)


def test_a_loaded_tensor_joins_a_graph() -> None:
    x = round_trip(gpugrad.ones(3, requires_grad=True))
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


# ---- containers ----


class Point(tuple):
    """A class of one's own, which only pickle can store."""


def test_nested_containers_keep_their_types() -> None:
    obj = {
        "list": [1, 2.5, None, True, "text", b"bytes", float("inf"), 10**40],
        "tuple": (1, (2, [3])),
        "ordered": OrderedDict(b=1, a=2),
        "set": {1, "two"},
        3: "int key",
        (1, "a"): "tuple key",
        None: "none key",
        "empty": ({}, [], (), set(), "", b""),
        "dtype": gpugrad.bfloat16,
        "device": gpugrad.device("cuda", 1),
        "size": gpugrad.Size([2, 3]),
    }
    loaded = round_trip(obj)
    assert loaded == obj
    assert list(loaded) == list(obj)
    assert list(loaded["ordered"]) == ["b", "a"]
    for key, value in obj.items():
        assert type(loaded[key]) is type(value), key
    assert np.isnan(round_trip(float("nan")))
    assert str(round_trip(-0.0)) == "-0.0"


@pytest.mark.parametrize(
    "x", [np.float32(3.5), np.int64(-1), np.bool_(True), np.array(2.0), np.arange(6).reshape(2, 3).T, np.zeros((0, 2))]
)
def test_numpy_arrays_and_scalars(x: Any) -> None:
    loaded = round_trip(x)
    assert type(loaded) is type(x)
    assert (loaded.dtype, loaded.shape) == (x.dtype, x.shape)
    assert (loaded == x).all()


def test_a_container_that_holds_itself_needs_pickle() -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    loaded = round_trip(cycle, weights_only=False)
    assert loaded[1] is loaded


# ---- modules and optimizers ----


def network() -> Any:
    return nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(9, 2))


def test_a_state_dict_round_trip_gives_the_same_outputs() -> None:
    ours, other = network(), network()
    x = gpugrad.randn(4, 2, 4)
    ours(x)  # moves the running statistics
    state = round_trip(ours.state_dict())
    assert list(state) == list(ours.state_dict())
    other.load_state_dict(state)
    assert ours.eval()(x).tolist() == other.eval()(x).tolist()


def test_a_parameter_stays_a_parameter() -> None:
    p = round_trip(nn.Parameter(gpugrad.ones(2), requires_grad=False))
    assert isinstance(p, nn.Parameter)
    assert not p.requires_grad


def test_a_module_as_a_whole_needs_weights_only_false() -> None:
    net = network()
    with pytest.raises(RuntimeError, match=r"only pickle can load.*weights_only=False"):
        round_trip(net)
    loaded = round_trip(net, weights_only=False)
    x = gpugrad.randn(4, 2, 4)
    assert loaded(x).tolist() == net(x).tolist()
    assert [p.requires_grad for p in loaded.parameters()] == [True] * 6


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW], ids=lambda c: c.__name__)
def test_an_optimizer_goes_on_where_it_was_saved(make: Any) -> None:
    options = {"momentum": 0.9} if make is optim.SGD else {}

    def step(p: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()

    p = gpugrad.arange(3.0, requires_grad=True)
    optimizer = make([p], lr=0.1, **options)
    step(p, optimizer)
    q = round_trip(p)
    again = make([q], lr=0.5, **options)
    again.load_state_dict(round_trip(optimizer.state_dict()))
    for _ in range(3):
        step(p, optimizer)
        step(q, again)
    assert p.tolist() == q.tolist()
    assert again.param_groups[0]["lr"] == 0.1


# ---- files ----


def test_paths_of_every_kind_and_file_objects(tmp_path: Path) -> None:
    x = gpugrad.arange(3)
    for path in (str(tmp_path / "a.pt"), tmp_path / "b.pt"):
        gpugrad.save(x, path)
        assert gpugrad.load(path).tolist() == [0, 1, 2]
        with open(path, "rb") as file:
            assert gpugrad.load(file).tolist() == [0, 1, 2]
    with (tmp_path / "c.pt").open("wb") as file:
        gpugrad.save(x, file)
    assert gpugrad.load(tmp_path / "c.pt").tolist() == [0, 1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt", "b.pt", "c.pt"]  # no temporary files


def test_an_object_that_cannot_be_stored_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    gpugrad.save([1], path)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        gpugrad.save([lambda: 0], path)
    assert gpugrad.load(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pt"
    gpugrad.save([1], path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        gpugrad.save([2], path)
    assert gpugrad.load(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
import gpugrad
import gpugrad.atomic as atomic
moment = sys.argv[2]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if moment == "before the rename":
    atomic.os.replace = die
elif moment == "before the data is safe":
    atomic.os.fsync = die
gpugrad.save({"x": gpugrad.ones(100000)}, sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["before the data is safe", "before the rename", "never"])
def test_a_kill_while_writing_leaves_the_old_file_or_the_new_one(moment: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    gpugrad.save({"x": gpugrad.zeros(3)}, path)
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), moment], check=False)
    assert done.returncode == (0 if moment == "never" else -signal.SIGKILL)
    assert gpugrad.load(path)["x"].shape == ((100000,) if moment == "never" else (3,))


# ---- where tensors go ----


def stored_on(device: str) -> io.BytesIO:
    """A file whose tensor was saved from `device`."""
    stream, moved = io.BytesIO(), io.BytesIO()
    gpugrad.save({"x": gpugrad.arange(3.0)}, stream)
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(moved, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"device": "cpu"', b'"device": "%s"' % device.encode()))
    moved.seek(0)
    return moved


@pytest.mark.parametrize(
    "location",
    ["cpu", gpugrad.device("cpu"), {"cuda:0": "cpu"}, {"cuda:0": gpugrad.device("cpu")}, lambda tensor, stored: tensor],
    ids=["name", "device", "dict", "dict of devices", "function"],
)
def test_map_location_brings_a_tensor_of_a_gpu_to_the_cpu(location: Any) -> None:
    assert gpugrad.load(stored_on("cuda:0"), map_location=location)["x"].tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("location", [None, {"cuda:1": "cpu"}, lambda tensor, stored: None], ids=["none", "dict", "f"])
def test_a_tensor_of_a_device_that_is_not_there_is_an_error_that_says_map_location(location: Any) -> None:
    if gpugrad.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    with pytest.raises(RuntimeError, match=r"CUDA device is not available.*map_location='cpu'"):
        gpugrad.load(stored_on("cuda:0"), map_location=location)


def test_a_function_as_map_location_sees_tensor_and_stored_device() -> None:
    seen = []

    def place(tensor: Any, stored: str) -> Any:
        seen.append((tensor.tolist(), stored))
        return tensor * 2

    assert gpugrad.load(stored_on("cpu"), map_location=place)["x"].tolist() == [0.0, 2.0, 4.0]
    assert seen == [([0.0, 1.0, 2.0], "cpu")]


def test_an_unknown_map_location() -> None:
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        gpugrad.load(stored_on("cpu"), map_location="gpu")


# ---- nothing in a file is run ----


class Trap:
    """Unpickling it creates the file `path`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_code_in_a_file_runs_only_when_asked_for(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    gpugrad.save(Trap(str(mark)), tmp_path / "trap.pt")
    with pytest.raises(RuntimeError, match=r"pickle can run any code.*if you trust its source"):
        gpugrad.load(tmp_path / "trap.pt")
    assert not mark.exists()
    gpugrad.load(tmp_path / "trap.pt", weights_only=False).close()
    assert mark.exists()


def forged(structure: Any, **files: bytes) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as z:
        text = (
            structure if isinstance(structure, str) else json.dumps({"format": "gpugrad.save 1", "object": structure})
        )
        z.writestr("structure.json", text)
        for name, content in files.items():
            z.writestr(f"arrays/{name}", content)
    stream.seek(0)
    return stream


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


ENTRY = {"offset": 0, "shape": [2], "strides": [8], "requires_grad": False, "parameter": False, "device": "cpu"}
FORGED: dict[str, tuple[Any, dict[str, bytes]]] = {
    "pickle inside a list": ({"list": [{"pickle": "object.pickle"}]}, {"object.pickle": pickle.dumps(1)}),
    "an array of objects": ({"ndarray": 0, "scalar": False}, {"0.npy": npy(np.array([{}]), allow_pickle=True)}),
    "an array that is missing": ({"tensor": 3, **ENTRY}, {"0.npy": npy(np.zeros(2))}),
    "reading past the end": ({"tensor": 0, **ENTRY, "shape": [200]}, {"0.npy": npy(np.zeros(2))}),
    "reading before the start": ({"tensor": 0, **ENTRY, "offset": -64}, {"0.npy": npy(np.zeros(2))}),
    "strides past the end": ({"tensor": 0, **ENTRY, "strides": [4096]}, {"0.npy": npy(np.zeros(2))}),
    "no strides": ({"tensor": 0}, {"0.npy": npy(np.zeros(2))}),
    "strings": ({"tensor": 0, **ENTRY}, {"0.npy": npy(np.array(["ab", "cd"]))}),
    "an unknown kind": ({"eval": "1 + 1"}, {}),
    "an unknown dtype": ({"dtype": "float33"}, {}),
    "a reference to nothing": ({"again": 0}, {}),
    "another format": ('{"format": "gpugrad.save 99", "object": 1}', {}),
    "no JSON": ("{", {}),
    "nested too deep": ("[" * 100_000, {}),
    "gradients of integers": (
        {"tensor": 0, **ENTRY, "requires_grad": True},
        {"0.npy": npy(np.zeros(2, np.int64))},
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_file_is_an_error_of_one_kind(name: str) -> None:
    structure, files = FORGED[name]
    with pytest.raises(RuntimeError, match="cut short or damaged"):
        gpugrad.load(forged(structure, **files), weights_only=False)


def test_a_class_that_is_gone_is_said() -> None:
    stream = forged({"pickle": "object.pickle"}, **{"object.pickle": b"cnowhere\nThing\n."})
    with pytest.raises(RuntimeError, match=r"cannot be unpickled: ModuleNotFoundError.*must be importable"):
        gpugrad.load(stream, weights_only=False)


@each_device
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64"])
def test_a_pickled_tensor_keeps_shape_dtype_and_device(shape: tuple[int, ...], dtype: str) -> None:
    x = gpugrad.ones(shape, dtype=getattr(gpugrad, dtype))
    y = pickle.loads(pickle.dumps(x))
    assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
    assert y.tolist() == x.tolist()
