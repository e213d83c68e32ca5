"""PyTorch programs, as people write them, run with `import torch` changed and print what PyTorch prints.

The programs are in `programs/`, each with a file of what it prints under PyTorch. `python tests/test_programs.py` writes
these files anew; it takes PyTorch.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent / "programs"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py"))
NUMBER = re.compile(r"-?\d+\.\d*(?:e[-+]\d+)?|-?\d+")


def with_gpugrad(program: str) -> str:
    """`program` with its imports of torch changed to gpugrad."""
    program = re.sub(r"^import torch$", "import gpugrad as torch", program, flags=re.M)
    program = re.sub(r"^import torch\.(\S+)( as \w+)?$", r"import gpugrad.\1\2", program, flags=re.M)
    return re.sub(r"^from torch(\S*) import", r"from gpugrad\1 import", program, flags=re.M)


def printed_with_torch(name: str) -> str:
    source, output = (FOLDER / f"{name}.py").read_text(), io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(source, f"{name}.py", "exec"), {"__name__": "__main__"})
    return output.getvalue()


def differences(ours: str, theirs: str) -> Iterator[str]:
    """Where `ours` is not `theirs`: words and integers must be the same, other numbers to one unit of the last digit."""
    for line, (a, b) in enumerate(zip(ours.splitlines(), theirs.splitlines()), start=1):
        if re.sub(r"\s+", " ", NUMBER.sub("#", a)) != re.sub(r"\s+", " ", NUMBER.sub("#", b)):
            yield f"line {line}: {a!r} is not {b!r}"
        for x, y in zip(NUMBER.findall(a), NUMBER.findall(b)):
            decimals = len(y.partition("e")[0].partition(".")[2])
            scale = 10.0 ** int(y.partition("e")[2] or 0)
            if abs(float(x) - float(y)) > (1.01 * 10.0**-decimals * scale if "." in y else 0):
                yield f"line {line}: {x} is not {y} in {b!r}"
    if len(ours.splitlines()) != len(theirs.splitlines()):
        yield f"{len(ours.splitlines())} lines are not {len(theirs.splitlines())}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_what_it_prints_with_pytorch(name: str, tmp_path: Path) -> None:
    program = tmp_path / f"{name}.py"
    program.write_text(with_gpugrad((FOLDER / f"{name}.py").read_text()))
    assert not re.search(r"import torch\b(?<! as torch)", program.read_text())
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = done.stdout.replace("gpugrad.", "torch.")
    assert [*differences(ours, (FOLDER / f"{name}.txt").read_text())] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_pytorch_prints_is_what_was_recorded(torch: ModuleType, name: str) -> None:
    assert [*differences(printed_with_torch(name), (FOLDER / f"{name}.txt").read_text())] == []


def test_differences_are_found() -> None:
    assert [*differences("loss 1.2345 of 3", "loss 1.2346 of 3")] == []
    assert [*differences("loss 1.2345 of 3", "loss 1.2348 of 3")]
    assert [*differences("loss 1.2345 of 3", "loss 1.2345 of 4")]
    assert [*differences("loss 1.2345", "cost 1.2345")] and [*differences("a\nb", "a")]


if __name__ == "__main__":
    for each in PROGRAMS:
        (FOLDER / f"{each}.txt").write_text(printed_with_torch(each))
