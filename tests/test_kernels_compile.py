"""The kernels that ops, layers and optimizers launch, compiled for real devices: every one, without spills.

`python tests/kernels_used.py DTYPE` says which they are. Registers and spills are printed as a table (`pytest -s`).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from device_tools import KERNELS, need


def kernels_used(dtype: str) -> list[tuple[str, list[str]]]:
    script = Path(__file__).with_name("kernels_used.py")
    done = subprocess.run([sys.executable, str(script), dtype], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def merged(used: list[tuple[str, list[str]]]) -> dict[str, str]:
    """One source for each kernel file, with all that is asked of it: formulas get names of their own."""
    sources: dict[str, list[str]] = {}
    for number, (source, names) in enumerate(used):
        include = re.match(r'#include "(\S+)"\n', source)
        line = re.match(r'#line 1 "kernels/(\S+)"\n', source)
        assert include or line, source[:200]
        file = include[1] if include else line[1]  # type: ignore[index]
        parts = sources.setdefault(file, [f'#include "{file}"'])
        if include:
            rename = lambda text, n=number: re.sub(r"\bFormula(\d+)\b", rf"Formula_{n}_\1", text)  # noqa: E731
            parts.append(rename(source[include.end() :]))
            names = [rename(name) for name in names]
        parts += [f"static const void* const used_{number}_{k} = (const void*)&{n};" for k, n in enumerate(names)]
    return {file: "\n".join(parts) + "\n" for file, parts in sources.items()}


@pytest.mark.parametrize(
    ("dtype", "architecture"),
    [("float32", 75), ("float32", 80), ("float32", 90), ("float32", 120), ("bfloat16", 90), ("float64", 90)],
)
def test_every_kernel_compiles_without_spills(dtype: str, architecture: int, tmp_path: Path) -> None:
    need("nvcc")
    table = []
    for file, source in merged(kernels_used(dtype)).items():
        written = tmp_path / f"used_{file}"
        written.write_text(source)
        command = ["nvcc", "-std=c++17", "-cubin", f"-arch=sm_{architecture}", "-Xptxas", "-v", f"-I{KERNELS}"]
        done = subprocess.run(
            [*command, str(written), "-o", str(tmp_path / "out.cubin")], capture_output=True, text=True
        )
        assert done.returncode == 0, f"{file}:\n{done.stderr}"
        found = re.findall(
            r"Compiling entry function '(\w+)'.*\n.*\n.* (\d+) bytes spill stores.*\n.*Used (\d+) registers",
            done.stderr,
        )
        assert len(found) >= source.count("static const void* const used_"), f"{file}: not every kernel was compiled"
        table += [(file, name, int(registers), int(spilled)) for name, spilled, registers in found]
    for file, name, registers, spilled in table:
        print(f"sm_{architecture} {file:20} {registers:4} registers {spilled:4} bytes spilled  {name[:100]}")
    assert [row for row in table if row[3]] == []
