"""Kernel sources on their way to the host's compiler: includes put in place, the one construct that is no C++ replaced,
kernels found by name, and shared variables fenced in the assembly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_ZERO_SIZES = {"byte": 1, "short": 2, "value": 2, "long": 4, "quad": 8}  # clang's zeros of one element
GUARD = 64  # bytes before and behind each shared variable

_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
_LINE = re.compile(r'^\s*#\s*line\s+(\d+)(?:\s+"([^"]*)")?')
_DYNAMIC_SHARED = re.compile(
    r"\bextern\s+__shared__\s+((?:__align__|alignas)\s*\([^)]*\)\s*)?([\w:<>,\s]+?)\s*\b(\w+)\s*\[\s*\]\s*;"
)


def inline_includes(code: str, folders: Sequence[Path], name: str) -> str:
    """`code` with each `#include "..."` that `folders` hold replaced by the file, once; `#line` keeps the places."""
    seen: set[Path] = set()

    def expand(text: str, where: str, start: int) -> Iterator[str]:
        line = start
        for row in text.splitlines():
            moved = _LINE.match(row)
            included = _INCLUDE.match(row)
            found = included and next((f / included[1] for f in folders if (f / included[1]).is_file()), None)
            if moved:
                line, where = int(moved[1]) - 1, moved[2] or where
                yield row
            elif found is None or not included:
                yield row
            else:
                if found.resolve() not in seen:
                    seen.add(found.resolve())
                    yield f'#line 1 "{found}"'
                    yield from expand(found.read_text("utf-8").replace("#pragma once", ""), str(found), 1)
                yield f'#line {line + 1} "{where}"'
            line += 1

    return "\n".join([f'#line 1 "{name}"', *expand(code, name, 1)]) + "\n"


def replace_dynamic_shared(code: str) -> str:
    """`extern __shared__ T name[];` as a pointer to the launch's dynamic shared memory."""
    return _DYNAMIC_SHARED.sub(
        lambda m: (
            f"{m[2]}* const {m[3]} = reinterpret_cast<{m[2]}*>(gpugrad_dynamic_shared);" + "\n" * m[0].count("\n")
        ),
        code,
    )


def place_of(code: str, file: str, line: int) -> str:
    """The text of a line that the compiler or debugger called `file:line`; empty if it is not there."""
    at, here = "", 0
    for row in code.splitlines():
        moved = _LINE.match(row)
        if moved:
            at, here = moved[2] or at, int(moved[1])
            continue
        if here == line and (at == file or Path(at).name == Path(file).name):
            return row.strip()
        here += 1
    return ""


def known_name(code: str, file: str) -> str:
    """The name that `code` gives itself for what the debugger calls `file`, an absolute path."""
    names = {found[2] for row in code.splitlines() if (found := _LINE.match(row)) and found[2]}
    return max((n for n in names if file == n or file.endswith("/" + n)), key=len, default=file)


def plain_kernels(preprocessed: str) -> list[str]:
    """The names of the kernels that are no templates: those that can be launched without a name expression."""
    names = []
    for found in re.finditer(r"\b__global__\b", preprocessed):
        before = re.split(r"[;{}]", preprocessed[: found.start()])[-1]
        after = re.sub(
            r"__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)", "", preprocessed[found.end() : found.end() + 2000]
        )
        name = re.match(r"[^;{(]*?\b(\w+)\s*\(", after)
        if name and "template" not in before:
            names.append(name[1])
    return list(dict.fromkeys(names))


def may_have_plain_kernels(code: str) -> bool:
    """Whether `plain_kernels` can find any once `code` is preprocessed; False spares the preprocessor's run."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", code.replace("\\\n", " "), flags=re.DOTALL)
    directives = re.compile(r"^\s*#.*", re.MULTILINE)
    return "__global__" in "".join(directives.findall(code)) or bool(plain_kernels(directives.sub("", code)))


def kernel_table(names: Sequence[str]) -> str:
    """C++ that lists the kernels for Python: see include/entry.h."""
    rows = "".join(f'    GPUGRAD_KERNEL("{name}", &{name}),\n' for name in names)
    return (
        '#line 1 "kernels asked for by name"\n'
        'extern "C" __attribute__((visibility("default"))) const simulator::Kernel gpugrad_kernels[] = {\n'
        f"{rows}    {{nullptr, nullptr, 0, nullptr}}}};\n"
    )


def fence_shared(assembly: str, move: bool = True) -> tuple[str, list[str]]:
    """Move the static variables of functions into a section of their own, guard zones around each; or leave them.

    Returns the assembly and the variables' names, in the order of the table of their addresses that it now holds.
    """
    symbols: list[tuple[str, int]] = []
    rows: list[str] = []
    shared = False
    for row in assembly.split("\n"):
        if row.startswith(("\t.section", "\t.text", "\t.data", "\t.bss")):
            shared = move and re.match(r"\t\.section\t\.bss\._ZZ", row) is not None
            row = f'\t.section\tgpugrad_shared,"aw",@nobits\n\t.zero\t{GUARD}' if shared else row
        elif shared and (zeros := re.match(r"\t\.(zero|byte|short|value|long|quad)\t(\d+)", row)):
            label = next(r for r in reversed(rows) if r.startswith("_ZZ")).split(":")[0]
            symbols.append((label, int(zeros[2]) or _ZERO_SIZES[zeros[1]]))
            row += f"\n\t.zero\t{GUARD}"
        rows.append(row)
    table = "".join(f"\t.quad\t{symbol}\n\t.quad\t{symbol} + {size}\n" for symbol, size in symbols)
    rows.append(
        f'\t.section\tgpugrad_shared,"aw",@nobits\n\t.zero\t{GUARD}\n\t.section\tgpugrad_table,"aw"\n'
        "\t.globl\tgpugrad_module\n\t.hidden\t_end\n\t.hidden\t__ehdr_start\n\t.p2align 3\ngpugrad_module:\n"
        "\t.quad\t__start_gpugrad_shared\n\t.quad\t__stop_gpugrad_shared\n\t.quad\t__ehdr_start\n\t.quad\t_end\n"
        f"\t.quad\t{len(symbols)}\n{table}"
    )
    return "\n".join(rows) + "\n", [_variable(symbol) for symbol, _ in symbols]


def _variable(symbol: str) -> str:
    """The variable's own name in a mangled name such as `_ZZ3addIfEvPKT_E4tile`."""
    symbol = re.sub(r"_\d+$", "", symbol)
    for digits in re.finditer(r"E(\d+)(?=\D)", symbol):
        if len(symbol) - digits.end() == int(digits[1]):
            return symbol[digits.end() :]
    return symbol
