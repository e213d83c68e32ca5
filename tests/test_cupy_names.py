"""What gpugrad asks of CuPy is there: every name and keyword in the sources, and all that the simulator offers.

CuPy is imported, which takes no GPU. What a device would answer is not asked.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

PACKAGE = Path(__file__).parents[1] / "gpugrad"
ONLY_REAL = {  # asked for where backend.simulated() says no
    *("cuda.MemoryPool", "cuda.using_allocator", "cuda.nvtx", "from_dlpack"),
    *("cuda.function.Module", "cuda.compiler.compile_using_nvrtc", "cuda.nvrtc.getVersion"),
}


class Use(NamedTuple):
    """A name of CuPy in the sources, and what it is called with."""

    name: str
    keywords: tuple[str, ...]
    where: str


@pytest.fixture(scope="module")
def cupy() -> ModuleType:
    """CuPy. Without it the test is skipped; with GPUGRAD_REQUIRE_PEERS=1 that is an error instead."""
    if os.environ.get("GPUGRAD_REQUIRE_PEERS") == "1":
        return importlib.import_module("cupy")
    return pytest.importorskip("cupy", reason="needs CuPy: ci/test --peers installs it")


def chain(node: ast.AST) -> str | None:
    """`a.b.c` of an expression that begins with CuPy, without what stands for CuPy; None for any other."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id == "cp":
        return ".".join(names)
    text = ast.unparse(node) if isinstance(node, ast.Call) else ""
    return ".".join(names) if re.fullmatch(r"(backend\.cupy|_cupy)\([^()]*\)", text) else None


def uses() -> list[Use]:
    found: dict[tuple[str, tuple[str, ...]], Use] = {}
    for path in PACKAGE.rglob("*.py"):
        if "simulator" in path.parts:
            continue
        text = path.read_text()
        if not re.search(r"\bcp\b|cupy\(", text):
            continue
        tree = ast.parse(text)
        calls = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
        inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        for node in ast.walk(tree):
            name = chain(node) if isinstance(node, ast.Attribute) and id(node) not in inner else None
            if name:
                call = calls.get(id(node))
                keywords = tuple(k.arg for k in call.keywords if k.arg) if call else ()
                where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                found.setdefault((name, keywords), Use(name, keywords, where))
    return list(found.values())


USES = uses()


def look_up(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part)
    return module


def parameters(function: Any) -> set[str] | None:
    """The names of a function's parameters; None where nothing tells. Compiled code has them in its first line of help."""
    target = function.__init__ if inspect.isclass(function) else function
    try:
        found = set(inspect.signature(target).parameters) - {"self"}
    except (ValueError, TypeError):
        found = {"args", "kwargs"}
    if found != {"args", "kwargs"}:
        return found
    for text in (target.__doc__, function.__doc__):
        said = re.match(r"[\w.]+\((.*)\)", (text or "").strip().split("\n")[0])
        if said and "args, **kwargs" not in said[1]:
            return {re.split(r"[=:]", p)[0].split()[-1].lstrip("*") for p in said[1].split(",") if p.strip(" *")} - {
                "self"
            }
    return None


def test_the_sources_are_read() -> None:
    names = {use.name for use in USES}
    assert {"cuda.Stream", "cuda.runtime.getDevice", "RawModule", "matmul", "ndarray.copy"} <= names and len(names) > 20
    assert any("non_blocking" in use.keywords for use in USES)


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.name}({', '.join(use.keywords)})")
def test_names_are_in_cupy(use: Use, cupy: ModuleType) -> None:
    found = look_up(cupy, use.name)  # AttributeError says which
    if use.keywords:
        known = parameters(found)
        assert known is None or set(use.keywords) <= known, (use, known)


@pytest.mark.parametrize("use", [u for u in USES if u.name not in ONLY_REAL], ids=lambda use: use.name)
def test_names_are_in_the_simulator(use: Use) -> None:
    simulator = importlib.import_module("gpugrad.cuda.simulator")
    found = look_up(simulator, use.name)
    if use.keywords:
        known = parameters(found)
        assert known is None or set(use.keywords) <= known, (use, known)


CLASSES = {  # the simulator's, by CuPy's name: what of it belongs to its own working
    **dict.fromkeys(("ndarray", "RawKernel", "cuda.Device", "cuda.Graph", "cuda.MemoryPool", "cuda.runtime"), ()),
    **{"RawModule": ("module", "name_expressions"), "cuda.Stream": ("recording",), "cuda.Event": ("time",)},
    **{"cuda.memory.MemoryPointer": (), "_core.flags.Flags": ()},
}


def ours(name: str) -> Any:
    from gpugrad.cuda import simulator

    if name.startswith(("cuda.memory", "_core")):  # `simulator.array` is CuPy's function
        return getattr(importlib.import_module("gpugrad.cuda.simulator.array"), name.split(".")[-1])
    return look_up(simulator, name)


def offered() -> Iterator[tuple[str, str]]:
    """The public members of the simulator's classes."""
    for name, own in CLASSES.items():
        cls = ours(name)
        members = {*vars(cls), *re.findall(r"self\.(\w+)", inspect.getsource(cls))}
        yield from ((name, member) for member in sorted(members) if not member.startswith("_") and member not in own)


@pytest.mark.parametrize(("name", "member"), list(offered()), ids=str)
def test_the_simulator_offers_nothing_that_cupy_lacks(name: str, member: str, cupy: ModuleType) -> None:
    importlib.import_module("cupy._core.flags")
    theirs = look_up(cupy, name)
    assert hasattr(theirs, member) or member in made_late(theirs), f"cupy.{name} has no {member}"
    mine = getattr(ours(name), member, None)
    if inspect.isfunction(mine):
        known, given = parameters(getattr(theirs, member)), parameters(mine) or set()
        assert known is None or given <= known | {"args", "kwargs", "exc", "axes"}, (name, member, given, known)


def made_late(cls: Any) -> str:
    """The text of a class's `__init__`: attributes that are set there."""
    try:
        return inspect.getsource(cls.__init__)
    except (TypeError, OSError, AttributeError):
        return cls.__doc__ or ""


def test_the_simulator_s_cuda_is_part_of_cupy_s(cupy: ModuleType) -> None:
    from gpugrad.cuda.simulator import cuda

    assert [name for name in cuda.__all__ if not hasattr(cupy.cuda, name)] == ["CUDARuntimeError"]  # runtime's


def test_what_the_simulator_refuses_cupy_has_not(cupy: ModuleType) -> None:
    from gpugrad.cuda.simulator.cupy_api import LACKING, LACKING_PARAMETERS, LACKING_UFUNCS

    for name in (*LACKING, *LACKING_UFUNCS):
        assert not has(cupy, name), f"CuPy {cupy.__version__} has {name}"
    for name, lacking in LACKING_PARAMETERS.items():
        known = parameters(look_up(cupy, name)) if has(cupy, name) else parameters(getattr(cupy.ndarray, name))
        assert known is None or not known & set(lacking.split()), (name, known, lacking)


@pytest.mark.parametrize(
    "argument",
    [np.int32(1), np.int64(1), np.uint64(1), np.float32(1), np.float64(1), np.bool_(True), np.void(bytes(600))],
    ids=lambda argument: type(argument).__name__,
)
def test_a_launch_takes_numbers_and_structs_by_value(argument: Any, cupy: ModuleType) -> None:
    """CuPy packs the arguments of a launch before it asks for a driver: TypeError is for what it cannot pass."""
    if cupy.cuda.is_available():
        pytest.skip("the tests of the CUDA device launch with these arguments here")
    launch = importlib.import_module("cupy.cuda.function").Function
    without_code = launch.__new__(launch)
    stream = SimpleNamespace(ptr=0)
    with pytest.raises(TypeError, match="Unsupported type"):
        without_code((1,), (1,), ("a string",), 0, stream)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        without_code((1,), (1,), (argument,), 0, stream)


def has(module: Any, name: str) -> bool:
    try:
        look_up(module, name)
    except AttributeError:
        return False
    return True
