"""Attention with several heads, projections and masks. Vaswani et al., https://arxiv.org/abs/1706.03762."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..core import Tensor
from ..dtypes import bool_
from .attention import scaled_dot_product_attention
from .compare import choose
from .create import zeros
from .dropout import dropout
from .join import cat
from .matmul import bmm, linear
from .pad import pad
from .shape import expand, reshape, transpose, unsqueeze
from .softmax import softmax

__all__ = ["multi_head_attention_forward"]


def _additive(mask: Any, name: str, like: Any) -> Any:
    """A mask to add to the scores: -inf where a bool `mask` is True. RuntimeError for another dtype."""
    if mask is None:
        return None
    if mask.dtype != bool_ and not mask.is_floating_point():
        raise RuntimeError(f"only bool and floating types of {name} are supported, got {mask.dtype}")
    if mask.dtype != bool_:
        return mask
    return choose(mask, -math.inf, zeros(mask.shape, dtype=like.dtype, device=like.device))


def _check_shapes(query: Any, key: Any, value: Any, padding: Any, mask: Any, heads: int) -> bool:
    """Whether the inputs have a batch dimension. AssertionError if dimensions do not go together."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    for name, x in (("key", key), ("value", value)):
        if x.ndim != query.ndim:
            raise AssertionError(
                f"For a {query.ndim}-D query, expected key and value to be {query.ndim}-D, but {name} is {x.ndim}-D"
            )
    if padding is not None and padding.ndim != query.ndim - 1:
        raise AssertionError(
            f"For a {query.ndim}-D query, expected key_padding_mask to be None or {query.ndim - 1}-D but found "
            f"{padding.ndim}-D tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(f"expected attn_mask to be None, 2-D or 3-D but found {mask.ndim}-D tensor instead")
    if mask is not None and query.ndim == 2 and mask.ndim == 3 and mask.shape[0] != heads:
        raise AssertionError(f"expected a 3-D attn_mask for unbatched inputs to have {heads} matrices, one per head")
    return query.ndim == 3


def _check_mask(mask: Any, target: int, source: int, batch_heads: int) -> Any:
    """`mask` as (1 or batch * heads, target, source). RuntimeError for another shape."""
    if mask is None:
        return None
    wanted = (target, source) if mask.ndim == 2 else (batch_heads, target, source)
    if tuple(mask.shape) != wanted:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {wanted}.")
    return unsqueeze(mask, 0) if mask.ndim == 2 else mask


def _project(
    query: Any, key: Any, value: Any, weights: tuple[Any, Any, Any] | None, packed: Any, bias: Any
) -> tuple[Any, Any, Any]:
    """Queries, keys and values, each times its weight; `packed` is the three weights in one matrix."""
    size = query.shape[-1]
    biases = (None, None, None) if bias is None else tuple(bias[k * size : (k + 1) * size] for k in range(3))
    if weights is None and query is key and key is value:
        together = linear(query, packed, bias)
        q, k, v = (together[..., i * size : (i + 1) * size] for i in range(3))
        return q, k, v
    if weights is None:
        weights = (packed[:size], packed[size : 2 * size], packed[2 * size :])
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
    return q, k, v


class Heads(NamedTuple):
    """How the embedding of each of a batch is shared out: to `number` heads of `size` each."""

    batch: int
    number: int
    size: int

    @property
    def together(self) -> int:
        """Heads of the whole batch."""
        return self.batch * self.number


def _heads_first(x: Any, heads: Heads) -> Any:
    """(L, N, heads * size) as (N * heads, L, size)."""
    return transpose(reshape(x, (x.shape[0], heads.together, heads.size)), 0, 1)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of (L, N, E) to keys and values (S, N, *), or all without N: (L, N, E) and the weights (N, L, S).

    `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N * heads, L, S) are True where not to look, or are added to
    the scores. Weights are those of each head, (N, heads, L, S), unless `average_attn_weights`. AssertionError or
    RuntimeError for shapes that do not fit.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value, key_padding_mask = _with_batch(query, key, value, key_padding_mask)
    length, batch, embed = query.shape
    padding = _additive(key_padding_mask, "key_padding_mask", query)
    _check_options(embed, embed_dim_to_check, num_heads, is_causal, attn_mask)
    _check_keys(key, value, use_separate_proj_weight)
    heads = Heads(batch, num_heads, embed // num_heads)
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _project(query, key, value, weights, in_proj_weight, in_proj_bias)
    hint = is_causal and padding is None and not need_weights
    mask = None if hint else _check_mask(_additive(attn_mask, "attn_mask", query), length, key.shape[0], heads.together)
    k, v, more = _keys_and_values((k, v), (bias_k, bias_v), (static_k, static_v), add_zero_attn, heads)
    mask = _merged(_longer(mask, more), _longer(padding, more), heads, k.shape[1])
    attend = _with_weights if need_weights else _without_weights
    out, seen = attend(_heads_first(q, heads), k, v, mask, dropout_p if training else 0.0, hint, heads)
    out = linear(reshape(transpose(out, 0, 1), (length * batch, embed)), out_proj_weight, out_proj_bias)
    out = reshape(out, (length, batch, out.shape[-1]))
    if seen is not None and average_attn_weights:
        seen = seen.mean(1)
    return (out, seen) if batched else (out.squeeze(1), None if seen is None else seen.squeeze(0))


def _with_batch(query: Any, key: Any, value: Any, padding: Any) -> tuple[Any, Any, Any, Any]:
    """The inputs as a batch of one; those that are one tensor stay one."""
    same, alike = query is key, key is value
    query = unsqueeze(query, 1)
    key = query if same else unsqueeze(key, 1)
    value = key if alike else unsqueeze(value, 1)
    return query, key, value, None if padding is None else unsqueeze(padding, 0)


def _check_options(embed: int, wanted: int, heads: int, is_causal: bool, mask: Any) -> None:
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if embed != wanted:
        raise AssertionError(f"was expecting embedding dimension of {wanted}, but got {embed}")
    if embed % heads:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {heads}")


def _check_keys(key: Any, value: Any, separate: bool) -> None:
    dims = 2 if separate else 3
    if tuple(key.shape[:dims]) != tuple(value.shape[:dims]):
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _keys_and_values(
    projected: tuple[Any, Any], biases: tuple[Any, Any], statics: tuple[Any, Any], add_zero: bool, heads: Heads
) -> tuple[Any, Any, int]:
    """Keys and values, (N * heads, S, size) each, and how many there are beyond those projected: a bias, a zero."""
    if (biases[0] is None) != (biases[1] is None):
        raise AssertionError("bias_k and bias_v must both be set, or neither")
    more = int(biases[0] is not None) + add_zero
    if biases[0] is not None:
        if statics[0] is not None or statics[1] is not None:
            raise AssertionError("bias cannot be added to static key or value.")
        whole = (1, heads.batch, heads.number * heads.size)
        projected = tuple([cat([x, expand(b, whole)]) for x, b in zip(projected, biases)])  # type: ignore[assignment]
    made = [
        _heads_first(x, heads) if static is None else _static(static, name, heads)
        for name, x, static in zip("kv", projected, statics)
    ]
    if add_zero:
        empty = zeros(heads.together, 1, heads.size, dtype=made[0].dtype, device=made[0].device)
        made = [cat([x, empty], 1) for x in made]
    return made[0], made[1], more


def _static(x: Any, name: str, heads: Heads) -> Any:
    if x.shape[0] != heads.together or x.shape[2] != heads.size:
        raise AssertionError(
            f"expecting static_{name} of shape ({heads.together}, *, {heads.size}), but got {list(x.shape)}"
        )
    return x


def _longer(mask: Any, more: int) -> Any:
    """`mask` for so many keys more, which may be looked at."""
    return mask if mask is None or not more else pad(mask, (0, more))


def _merged(mask: Any, padding: Any, heads: Heads, source: int) -> Any:
    """Both masks as one, (1 or batch * heads, L or 1, source). AssertionError if `padding` does not fit the keys."""
    if padding is None:
        return mask
    if tuple(padding.shape) != (heads.batch, source):
        raise AssertionError(
            f"Expected key_padding_mask.shape to be {(heads.batch, source)}, but got {tuple(padding.shape)}"
        )
    padding = reshape(padding, (heads.batch, 1, 1, source))
    padding = reshape(expand(padding, (heads.batch, heads.number, 1, source)), (heads.together, 1, source))
    return padding if mask is None else mask + padding


# ---- both give (N * heads, L, size) ----


def _with_weights(q: Any, k: Any, v: Any, mask: Any, dropout_p: float, causal: bool, heads: Heads) -> tuple[Any, Any]:
    """What is attended to, and the weights (N, heads, L, S)."""
    scores = bmm(q * math.sqrt(1 / q.shape[-1]), transpose(k, -2, -1))
    seen = softmax(scores if mask is None else scores + mask, -1)
    if dropout_p > 0:
        seen = dropout(seen, dropout_p)
    return bmm(seen, v), reshape(seen, (heads.batch, heads.number, q.shape[1], k.shape[1]))


def _without_weights(
    q: Any, k: Any, v: Any, mask: Any, dropout_p: float, causal: bool, heads: Heads
) -> tuple[Any, None]:
    """What is attended to, and None: the weights are never there as a whole where a kernel can do without."""
    length = q.shape[1]
    q, k, v = (reshape(x, (heads.batch, heads.number, x.shape[1], heads.size)) for x in (q, k, v))
    if mask is not None:
        mask = (
            unsqueeze(mask, 0) if mask.shape[0] == 1 else reshape(mask, (heads.batch, heads.number, -1, mask.shape[-1]))
        )
    out = scaled_dot_product_attention(q, k, v, mask, dropout_p, causal)
    return reshape(out, (heads.together, length, heads.size)), None
