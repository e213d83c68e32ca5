"""What `gpugrad info` may be told."""

from __future__ import annotations

import argparse
from typing import Any


def add_info_command(commands: Any) -> None:
    """Add `info` to the command line."""
    p = commands.add_parser(
        "info",
        help="what to paste into a bug report",
        description="Versions, devices, libraries, caches and settings: what to paste into a bug report.",
    )
    p.add_argument("--json", action="store_true", help="as JSON")
    p.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import json

    from .report import collect, text

    found = collect()
    print(json.dumps(found, indent=2) if arguments.json else text(found))
    return 0
