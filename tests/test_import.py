"""`import gpugrad` loads only what most programs need, and what it leaves for later is there when it is asked for."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpugrad
from gpugrad import lazy_names, op, ops
from gpugrad.ops.names import ELSEWHERE, LATER

OPS = Path(ops.__file__).parent
HEAVY = {"cupy", "dataclasses", "json", "matplotlib", "numpy.random", "rich", "traceback", "zipfile"}
HEAVY |= {
    f"gpugrad.{name}" for name in ("anomaly", "autograd", "engine", "expr", "fft", "function", "gradcheck", "linalg")
}
HEAVY |= {
    f"gpugrad.{name}" for name in ("nn", "optim", "printing", "random", "serialization", "special", "toplevel", "utils")
}
HEAVY |= {f"gpugrad.ops.{name}" for name in ("conv_numpy", "linalg_types", "pool_numpy", "special_numpy")}


def fresh(code: str) -> Any:
    """What `code` prints, as JSON, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_is_light() -> None:
    code = """
import sys, numpy
before = {*sys.modules}
import gpugrad
loaded = sorted({*sys.modules} - before)
import json
print(json.dumps(loaded))
"""
    loaded = {*fresh(code)}
    assert "gpugrad.ops.arithmetic" in loaded
    assert not loaded & (HEAVY | {f"gpugrad.ops.{family}" for family in LATER.values()})


def star_imports(nodes: list[ast.stmt]) -> set[str]:
    return {str(n.module) for n in nodes if isinstance(n, ast.ImportFrom) and n.names[0].name == "*"}


def test_the_table_of_later_names_is_what_their_modules_export() -> None:
    body = ast.parse((OPS / "__init__.py").read_text()).body
    for_type_checkers = next(node for node in body if isinstance(node, ast.If))
    later = star_imports(for_type_checkers.body)
    table: dict[str, set[str]] = {family: set() for family in later}
    for name, family in LATER.items():
        table[family].add(name)
    assert table == {family: set(import_module(f"gpugrad.ops.{family}").__all__) for family in later}

    at_once = star_imports(body)
    names = {name for family in at_once for name in import_module(f"gpugrad.ops.{family}").__all__}
    assert not names & LATER.keys()
    assert not later & (names | LATER.keys()), "a module called like an op would hide it once it is loaded"


def test_every_later_name_is_there() -> None:
    code = """
import json, types, gpugrad
print(json.dumps([n for n in gpugrad.__all__ if not isinstance(getattr(gpugrad, n), types.ModuleType)]))
"""
    assert {*lazy_names.NAMES} <= {*fresh(code)}
    assert {*LATER} - ELSEWHERE <= {*lazy_names.NAMES}
    assert gpugrad.cumsum is ops.cumsum is import_module("gpugrad.ops.cumulative").cumsum


def test_a_star_import_has_the_later_names_too() -> None:
    assert fresh("from gpugrad import *; print(cumsum(ones(3), 0).tolist())") == [1, 2, 3]


def test_a_module_of_ops_loaded_first_does_not_hide_an_op() -> None:
    code = f"""
import json, gpugrad.nn.functional, gpugrad.linalg, gpugrad.special, types
from gpugrad import ops
names = {{n for n in {[*LATER]!r}}} | {{*ops.__all__}}
print(json.dumps([n for n in names if isinstance(getattr(ops, n), types.ModuleType)]))
"""
    assert fresh(code) == []


@pytest.mark.parametrize("module", [gpugrad, ops])
def test_an_unknown_name_is_an_error(module: Any) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_op'"):
        module.no_such_op  # noqa: B018


def test_signatures_of_ops_are_read_as_inspect_reads_them() -> None:
    for family in {*LATER.values()}:
        import_module(f"gpugrad.ops.{family}")
    bodies = {name: o.body for name, o in op.REGISTRY.items() if not isinstance(o.body, np.ufunc)}
    assert len(bodies) > 150
    for name, body in bodies.items():
        parameters = inspect.signature(body).parameters.values()
        values = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        given = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        inputs, params, variadic = op._read_signature(body)
        assert (inputs, variadic) == (values, any(p.kind is p.VAR_POSITIONAL for p in parameters)), name
        assert [*params] == [*given], name
        assert all(params[key] is given[key] for key in given), name
