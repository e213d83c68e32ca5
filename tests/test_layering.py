"""Imports point downward only."""

from __future__ import annotations

import ast
from pathlib import Path

import gpugrad

ROOT = Path(gpugrad.__file__).parent
# From the bottom up; a module may import, when it is loaded, from its own layer and from those below.
LAYERS = [
    {"dtypes", "size", "fp_errors", "errors", "printing", "atomic", "hooks", "layouts", "threads", "trees"},
    {"device", "modes", "random_engine", "random_math", "random_cpu", "random_sampling", "data"},
    {"core", "views", "return_types"},
    {"op", "callpath", "inplace", "random", "ops"},
    {"expr", "walk", "engine", "anomaly"},
    {
        "exchange",
        "function",
        "gradcheck",
        "serialization",
        "special",
        "linalg",
        "fft",
        "settings",
    },
    {"amp", "autograd", "backends", "cpu", "cuda", "lazy_names", "legacy_types", "toplevel"},
    {"accelerator", "version"},
    {"nn", "optim", "utils", "distributions", "func"},
    {"profiler"},
    {"train", "bench", "info", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports_at_load(path: Path) -> set[str]:
    """The gpugrad modules that `path` imports outside functions."""
    package = path.relative_to(ROOT.parent).parent.parts
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            parts = [*base, *(node.module or "").split(".")] if node.module else list(base)
            names = [[*parts, a.name] for a in node.names] if len(parts) == 1 else [parts]
            found |= {n[1] for n in names if n[0] == "gpugrad" and len(n) > 1}
    return found


def test_imports_point_downward() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).with_suffix("").parts[0]
        if name == "__init__" or name.startswith("methods"):  # the two stated exceptions
            continue
        for target in imports_at_load(path) - {"methods", "methods_create"}:
            if target in LEVEL and LEVEL[target] > LEVEL[name]:
                wrong.append(f"{path.relative_to(ROOT)} imports {target}")
    assert not wrong
