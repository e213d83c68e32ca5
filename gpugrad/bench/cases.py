"""All cases by name, and those that words on the command line mean."""

from __future__ import annotations

from collections.abc import Sequence

from .case import Case
from .cases_core import CORE
from .cases_layers import LAYERS
from .cases_ops import OPS
from .cases_train import TRAIN
from .cases_transfer import TRANSFER

GROUPS = {"ops": OPS, "layers": LAYERS, "train": TRAIN, "transfer": TRANSFER, "core": CORE}
CASES: dict[str, Case] = {case.name: case for group in GROUPS.values() for case in group}


def choose(words: Sequence[str]) -> list[Case]:
    """The cases of these groups, or whose names begin with these words; `all` is every group but the core's.

    ValueError for a word that is neither.
    """
    chosen: dict[str, Case] = {}
    for word in words:
        if word == "all":
            found = [case for name, group in GROUPS.items() if name != "core" for case in group]
        else:
            found = list(GROUPS.get(word) or (c for n, c in CASES.items() if n.startswith(word)))
        if not found:
            known = "; ".join(f"{name}: {', '.join(c.name for c in group)}" for name, group in GROUPS.items())
            raise ValueError(f"no case is called {word!r}; there are the groups, and all, with these cases: {known}")
        chosen |= {case.name: case for case in found}
    return list(chosen.values())
