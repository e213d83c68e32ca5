"""The command line: `gpugrad train`, `gpugrad bench` and `gpugrad info`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 after an error that is said on standard error, 2 for bad usage."""
    parser = argparse.ArgumentParser(prog="gpugrad", description="Automatic differentiation on CPUs and NVIDIA GPUs.")
    commands = parser.add_subparsers(dest="command", required=True)
    from .bench.options import add_bench_command
    from .info.options import add_info_command
    from .train.options import add_train_command

    add_train_command(commands)
    add_bench_command(commands)
    add_info_command(commands)
    arguments = parser.parse_args(argv)
    try:
        return arguments.run(arguments)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"gpugrad {arguments.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
