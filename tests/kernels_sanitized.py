"""Runs every kernel that kernels_used.py finds, in some dtypes, under the C++ compiler's sanitizers.

`python kernels_sanitized.py float32`, in the environment that test_simulator_sanitizers.py makes. Kernels of one file are
compiled together: one by one they take ten times as long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kernels_used
from test_kernels_compile import kernels_used as found_in
from test_kernels_compile import merged, renamed, taken_apart

from gpugrad.cuda import backend

Kernels = dict[tuple[str, str], Callable[..., None]]  # by source and name


def compiled(dtypes: str) -> Kernels:
    """All kernels that are used in some dtypes."""
    from gpugrad.cuda import module

    used = found_in(dtypes)
    files = merged(used)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = pool.map(lambda file: module._load(file[0], tuple(file[1]), 0), files.values())
    made = {file: dict(zip(names, kernels)) for (file, (_, names)), kernels in zip(files.items(), loaded)}
    return {
        (source, name): made[taken_apart(source)[0]][renamed(name, number)]
        for number, (source, names) in enumerate(used)
        for name in names
    }


def main(*dtypes: str) -> int:
    """Run them all; how many there are."""
    backend.require()
    from gpugrad.cuda import module

    kernels = compiled(" ".join(dtypes))
    launched = set()

    def load(source: str, names: tuple[str, ...], device: int) -> list[Any]:
        launched.update((source, name) for name in names)
        return [kernels[source, name] for name in names]

    module._load = load  # type: ignore[assignment]
    kernels_used.run(*dtypes)
    assert launched == set(kernels), set(kernels) - launched
    return len(kernels)


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
