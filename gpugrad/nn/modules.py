"""`nn.modules` and what is in it, by which programs name bases of layers: `nn.modules.batchnorm._BatchNorm`.

PyTorch has its layers there, in other files than ours: these modules only look names up.
"""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

from .. import nn
from . import (
    activations,
    attention,
    containers,
    conv,
    distance,
    layers,
    losses,
    losses_margin,
    module,
    norm,
    padding,
    pooling,
    resample,
    rnn,
    transformer,
)

_PARTS = {
    "activation": (activations, attention),
    "batchnorm": (norm,),
    "container": (containers,),
    "conv": (conv,),
    "distance": (distance,),
    "dropout": (layers,),
    "flatten": (layers,),
    "fold": (resample,),
    "instancenorm": (norm,),
    "linear": (layers, distance),
    "loss": (losses, losses_margin),
    "module": (module,),
    "normalization": (norm,),
    "padding": (padding,),
    "pixelshuffle": (resample,),
    "pooling": (pooling,),
    "rnn": (rnn,),
    "sparse": (layers,),
    "transformer": (transformer,),
    "upsampling": (resample,),
}


def _find(part: str, where: tuple[types.ModuleType, ...], name: str) -> Any:
    for place in where:
        if name in vars(place):
            return vars(place)[name]
    raise AttributeError(f"module {part!r} has no attribute {name!r}")


__getattr__ = functools.partial(_find, __name__, (nn,))

for _name, _where in _PARTS.items():
    _part = types.ModuleType(f"{__name__}.{_name}", "A part of `nn.modules`.")
    vars(_part)["__getattr__"] = functools.partial(_find, _part.__name__, _where)
    sys.modules[_part.__name__] = globals()[_name] = _part
