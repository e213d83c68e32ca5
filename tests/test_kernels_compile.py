"""The kernels compiled for real devices by NVRTC: every one, in every dtype, without spills.

`python tests/test_kernels_compile.py` prints the registers of each as a Markdown table.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nvrtc
import pytest

DTYPES = ["float32", "float64", "float16", "bfloat16", "int64 int32 uint8 bool"]  # those in one string go together


@functools.cache
def kernels_used(dtypes: str) -> list[tuple[str, list[str]]]:
    script = Path(__file__).with_name("kernels_used.py")
    done = subprocess.run([sys.executable, str(script), *dtypes.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def first_used(dtypes: str) -> list[tuple[str, list[str]]]:
    """The kernels that are used in some dtypes, and in none of those before."""
    known = {
        (source, name) for d in DTYPES[: DTYPES.index(dtypes)] for source, names in kernels_used(d) for name in names
    }
    used = [(source, [n for n in names if (source, n) not in known]) for source, names in kernels_used(dtypes)]
    return [(source, names) for source, names in used if names]


def taken_apart(source: str) -> tuple[str, str]:
    """The kernel file that a source is, or includes, and the formulas behind it."""
    include = re.match(r'#include "(\S+)"\n', source)
    line = re.match(r'#line 1 "kernels/(\S+)"\n', source)
    assert include or line, source[:200]
    return (include[1], source[include.end() :]) if include else (line[1], "")  # type: ignore[index]


def renamed(text: str, number: int) -> str:
    """A text with the formulas of source `number`, which are counted in each source, by names of their own."""
    return re.sub(r"\bFormula(\d+)\b", rf"Formula_{number}_\1", text)


def merged(used: list[tuple[str, list[str]]]) -> dict[str, tuple[str, list[str]]]:
    """One source for each kernel file, and all that is asked of it: formulas get names of their own."""
    sources: dict[str, tuple[list[str], list[str]]] = {}
    for number, (source, names) in enumerate(used):
        file, text = taken_apart(source)
        parts, wanted = sources.setdefault(file, ([f'#include "{file}"'], []))
        if text:
            parts.append(renamed(text, number))
        wanted += [renamed(name, number) for name in names]
    return {file: ("\n".join(parts) + "\n", list(dict.fromkeys(names))) for file, (parts, names) in sources.items()}


def compiled(dtypes: str, architecture: int) -> list[tuple[str, nvrtc.Compiled]]:
    """All kernels that are used in some dtypes, with their files; what dtypes share is compiled with the first."""
    found = []
    for file, (source, names) in merged(first_used(dtypes)).items():
        made = nvrtc.compiled(source, names, architecture)
        assert len(made) == len(names), file
        found += [(file, kernel) for kernel in made]
    return found


def test_every_kernel_is_used_somewhere() -> None:
    used = {re.match(r"gpugrad::(\w+)", name)[1] for d in DTYPES for _, names in kernels_used(d) for name in names}  # type: ignore[index]
    texts = [path.read_text() for path in nvrtc.KERNELS.glob("*.cu")]
    bounds = r"(?:__launch_bounds__\([^)]*\)\s*)?"
    written = [n for text in texts for n in re.findall(rf"__global__\s+{bounds}void\s+{bounds}(\w+)\(", text)]
    assert len(written) == sum(text.count("__global__") for text in texts)
    assert sorted(set(written) - used) == []


# What takes time is what is like something else: the two half precisions, sm_80 beside sm_75 and sm_90, float64 on devices
# that have little for it. As a program this file compiles all.
LEFT_OUT = {
    "float32": (),
    "float64": (75, 80),
    "float16": (75, 80),
    "bfloat16": (90, 120),
    "int64 int32 uint8 bool": (80, 120),
}
COMPILED = [(d, a) for d in DTYPES for a in nvrtc.ARCHITECTURES if a not in LEFT_OUT[d]]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("dtypes", "architecture"), COMPILED)
def test_every_kernel_compiles_without_spills(dtypes: str, architecture: int) -> None:
    nvrtc.need()
    assert [kernel for _, kernel in compiled(dtypes, architecture) if kernel.spilled] == []


def test_philox_multiplies_words_by_words() -> None:
    """In 64 bits each of the 20 products of a block would take an addition more, and the round's keys another."""
    nvrtc.need()
    code = nvrtc.ptx('#include "random.cu"', ["gpugrad::fill<gpugrad::Uniform<float>, float>"], 90)
    assert code.count("mul.wide.u32") >= 20 and code.count("mul.lo.s64") < 5


def test_what_does_not_compile_and_what_spills_is_seen() -> None:
    nvrtc.need()
    with pytest.raises(AssertionError, match='identifier "nothing" is undefined'):
        nvrtc.compiled("__global__ void wrong(float* x) { *x = nothing; }", ["wrong"], 90)
    sums = "".join(f"float a{i} = x[{i}];" for i in range(80))
    uses = "".join(f"x[{i}] = a{79 - i};" for i in range(80))
    source = f"__global__ void __maxnreg__(32) greedy(volatile float* x) {{ {sums} {uses} }}"
    (found,) = nvrtc.compiled(source, ["greedy"], 90)
    assert found.registers <= 32 and found.spilled > 0


def table(rows: Iterable[tuple[str, int, list[tuple[str, nvrtc.Compiled]]]]) -> str:
    """Markdown: of each kernel, over all its types and sizes, the most registers of a thread by dtype and architecture."""
    most: dict[tuple[str, str], dict[tuple[str, int], int]] = {}
    for dtypes, architecture, found in rows:
        for file, kernel in found:
            name = re.match(r"gpugrad::(\w+)", kernel.name)[1]  # type: ignore[index]
            cells = most.setdefault((file, name), {})
            cells[dtypes, architecture] = max(cells.get((dtypes, architecture), 0), kernel.registers)
    head = ["file", "kernel", *("integers" if " " in d else d for d in DTYPES)]
    lines = [
        f"Registers a thread, for sm_{', sm_'.join(map(str, nvrtc.ARCHITECTURES))}; nothing is spilled. What dtypes share "
        "stands with the first.",
        "",
    ]
    lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (file, name), cells in sorted(most.items()):
        shown = [" ".join(str(cells.get((d, a), "")) for a in nvrtc.ARCHITECTURES).strip() for d in DTYPES]
        lines.append(f"| {file} | {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> None:
    pairs = [(d, a) for d in DTYPES for a in nvrtc.ARCHITECTURES]
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(compiled, *zip(*pairs)))
    spilled = [kernel for kernels in found for _, kernel in kernels if kernel.spilled]
    print(table((d, a, kernels) for (d, a), kernels in zip(pairs, found)) if not spilled else f"spilled: {spilled}")


if __name__ == "__main__":
    main()
