"""Scaled dot-product attention. Vaswani et al., https://arxiv.org/abs/1706.03762."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import bool_
from ..op import op
from .compare import choose
from .dropout import dropout
from .matmul import matmul
from .shape import expand, reshape, transpose, unsqueeze
from .softmax import softmax

__all__ = ["scaled_dot_product_attention"]


@op
def _allowed_before(scores: Any) -> Any:
    """True in (L, S) where the position of the key is not after that of the query."""
    return np.tril(np.ones_like(scores, shape=scores.shape[-2:], dtype=np.bool_))


@op
def _all_masked(scores: Any) -> Any:
    """True in (..., L, 1) where no key is left to attend to."""
    return np.logical_and.reduce(scores == -np.inf, axis=-1, keepdims=True)


def _repeat_heads(x: Any, heads: int) -> Any:
    """`x` (..., H, S, E) with each head repeated, to `heads` heads."""
    *lead, have, length, size = x.shape
    if have == heads:
        return x
    if heads % have:
        raise RuntimeError(f"enable_gqa: {heads} query heads are not a multiple of {have} key and value heads")
    repeated = expand(unsqueeze(x, -3), (*lead, have, heads // have, length, size))
    return reshape(repeated, (*lead, heads, length, size))


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """`softmax(query @ key.T * scale + mask) @ value`: (..., L, E), (..., S, E), (..., S, V) to (..., L, V).

    `attn_mask` is bool (True: attend) or is added to the scores. A query that may attend to no key gets zeros. `scale`
    is `1 / sqrt(E)` by default. RuntimeError if shapes do not fit, or for `attn_mask` together with `is_causal`.
    """
    if attn_mask is not None and is_causal:
        raise RuntimeError("scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        key, value = _repeat_heads(key, query.shape[-3]), _repeat_heads(value, query.shape[-3])
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(query * scale, transpose(key, -2, -1))
    masked = attn_mask is not None
    if is_causal:
        scores = choose(_allowed_before(scores), scores, -math.inf)
    elif masked and attn_mask.dtype == bool_:
        scores = choose(attn_mask, scores, -math.inf)
    elif masked:
        scores = scores + attn_mask
    if not masked:
        return matmul(dropout(softmax(scores, -1), dropout_p), value)
    dead = _all_masked(scores)
    weights = choose(dead, 0, softmax(choose(dead, 0, scores), -1))
    return matmul(dropout(weights, dropout_p), value)
