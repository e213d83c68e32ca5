"""Indices and dimensions out of range."""

from __future__ import annotations

from . import Bad

INDICES: dict[str, Bad] = {
    "int": Bad("3x2", lambda t, x: x[3], r"index 3 is out of bounds for dimension 0 with size 3"),
    "negative int": Bad("3x2", lambda t, x: x[0, -3], r"index -3 is out of bounds for dimension 1 with size 2"),
    "0-d": Bad(".", lambda t, x: x[0], r"0-dim"),
    "too many": Bad("3x2", lambda t, x: x[0, 0, 0], r"too many indices for tensor of dimension 2"),
    "list": Bad("3x2", lambda t, x: x[[0, 5]], r"index 5 is out of bounds for dimension 0 with size 3"),
    "tensor": Bad("3x2 8:int64", lambda t, x, i: x[i], r"index \d is out of bounds for dimension 0 with size 3"),
    "second tensor": Bad("3x2", lambda t, x: x[t.tensor([0]), t.tensor([2])], r"index 2 .*dimension 1 with size 2"),
    "tensors that do not broadcast": Bad("5x5", lambda t, x: x[t.tensor([0, 1]), t.tensor([0, 1, 2])], r"\[2\], \[3\]"),
    "mask": Bad("3x2 2:bool", lambda t, x, m: x[m], r"shape of the mask \[2\].*\[3, 2\]"),
    "mask, second dim": Bad("3x2 3:bool", lambda t, x, m: x[:, m], r"shape of the mask \[3\].*\[3, 2\]"),
    "assignment": Bad(
        "3x2", lambda t, x: x.__setitem__(3, 1.0), r"index 3 is out of bounds for dimension 0 with size 3"
    ),
    "assignment by a list": Bad(
        "3x2", lambda t, x: x.__setitem__([0, 3], 1.0), r"index 3 is out of bounds for dimension 0"
    ),
    "assignment by a tensor": Bad("3x2 8:int64", lambda t, x, i: x.__setitem__(i, 1.0), r"index \d is out of bounds"),
    "step of zero": Bad("3", lambda t, x: x[::0], r"step"),
    "negative step": Bad("3", lambda t, x: x[::-1], r"step"),
    "text": Bad("3", lambda t, x: x["a"], r"str"),
    "select": Bad("3x2", lambda t, x: x.select(0, 3), r"select.*3"),
    "narrow": Bad("3x2", lambda t, x: x.narrow(0, 4, 1), r"narrow.*4|start.*4|range.*4"),
    "unbind": Bad("3x2", lambda t, x: x.unbind(2), r"\[-2, 1\].*2"),
    "gather": Bad(
        "3x2 4x2:int64",
        lambda t, x, i: x.gather(0, i),
        r"gather.*|index \d is out of bounds for dimension 0 with size 3",
    ),
    "gather, value": Bad(
        "3x2",
        lambda t, x: x.gather(1, t.tensor([[0], [2], [1]])),
        r"index 2 is out of bounds for dimension 1 with size 2",
    ),
    "gather, shape": Bad(
        "3x2", lambda t, x: x.gather(0, t.zeros(1, 3, dtype=t.int64)), r"gather.*|Size does not match at dimension 1"
    ),
    "gather, dims": Bad("3x2", lambda t, x: x.gather(0, t.tensor([0])), r"same number of dimensions|gather"),
    "scatter_": Bad(
        "3x2",
        lambda t, x: x.scatter_(0, t.tensor([[0, 3]]), 1.0),
        r"index 3 is out of bounds for dimension 0 with size 3",
    ),
    "scatter_, shape": Bad(
        "3x2 1x1", lambda t, x, s: x.scatter_(0, t.tensor([[0, 1]]), s), r"scatter.*|\[1, 2\].*\[1, 1\]"
    ),
    "scatter_add_": Bad(
        "3 2",
        lambda t, x, s: x.scatter_add_(0, t.tensor([0, 3]), s),
        r"index 3 is out of bounds for dimension 0 with size 3",
    ),
    "scatter_reduce_": Bad(
        "3 2",
        lambda t, x, s: x.scatter_reduce_(0, t.tensor([0, 3]), s, "sum"),
        r"index 3 is out of bounds for dimension 0 with size 3",
    ),
    "index_select by a list": Bad("3x2", lambda t, x: x.index_select(0, [0]), r"index_select.*'index'.*not list"),
    "gather by a list": Bad("3x2", lambda t, x: t.gather(x, 0, [[0]]), r"gather.*'index'.*not list"),
    "a mask that is a list": Bad("3", lambda t, x: t.masked_fill(x, [True], 0), r"masked_fill.*'mask'.*not list"),
    "embedding of a list": Bad(
        "3x2", lambda t, w: t.nn.functional.embedding([0], w), r"embedding.*must be Tensor, not"
    ),
    "one_hot of a list": Bad("", lambda t: t.nn.functional.one_hot([0]), r"one_hot.*must be Tensor, not list"),
    "cross_entropy with a list": Bad(
        "1x3", lambda t, x: t.nn.functional.cross_entropy(x, [0]), r"cross_entropy.*'target'.*must be Tensor, not list"
    ),
    "nll_loss with a list": Bad(
        "1x3", lambda t, x: t.nn.functional.nll_loss(x, [0]), r"nll_loss.*'target'.*must be Tensor, not list"
    ),
    "index_select": Bad("3x2", lambda t, x: x.index_select(0, t.tensor([3])), r"index_select.*3|index out of range"),
    "index_select, dims": Bad("3x2", lambda t, x: x.index_select(0, t.tensor([[0]])), r"index_select.*(1-?D|vector|2)"),
    "index_add_": Bad("3 1", lambda t, x, s: x.index_add_(0, t.tensor([3]), s), r"index_add.*3|index out of range"),
    "index_copy_": Bad("3 1", lambda t, x, s: x.index_copy_(0, t.tensor([3]), s), r"index_copy.*3"),
    "index_fill_": Bad("3", lambda t, x: x.index_fill_(0, t.tensor([3]), 1.0), r"3"),
    "index_put_": Bad(
        "3", lambda t, x: x.index_put_((t.tensor([3]),), t.tensor(1.0)), r"index 3 is out of bounds for dimension 0"
    ),
    "take": Bad("3x2", lambda t, x: x.take(t.tensor([6])), r"take.*6|out of range.*6"),
    "put_": Bad("3x2", lambda t, x: x.put_(t.tensor([0, 6]), t.tensor([1.0, 2.0])), r"put.*6|out of range.*6"),
    "embedding": Bad(
        "3x2", lambda t, w: t.nn.functional.embedding(t.tensor([0, 3]), w), r"embedding.*3|index out of range"
    ),
    "embedding, negative": Bad("3x2", lambda t, w: t.nn.functional.embedding(t.tensor([-1]), w), r"embedding.*-1"),
    "cross_entropy": Bad(
        "2x3", lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([0, 3])), r"Target 3 is out of bounds"
    ),
    "cross_entropy, negative": Bad(
        "2x3", lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([0, -1])), r"Target -1 is out of bounds"
    ),
    "nll_loss": Bad("2x3", lambda t, x: t.nn.functional.nll_loss(x, t.tensor([0, 3])), r"Target 3 is out of bounds"),
    "one_hot": Bad(
        "", lambda t: t.nn.functional.one_hot(t.tensor([0, 3]), 3), r"Class values must be smaller than num_classes"
    ),
    "one_hot, negative": Bad("", lambda t: t.nn.functional.one_hot(t.tensor([0, -3]), 3), r"non-negative"),
    "bincount": Bad("", lambda t: t.bincount(t.tensor([0, -1])), r"non-negative|-1"),
    "topk": Bad("3", lambda t, x: x.topk(4), r"selected index k out of range|topk"),
    "kthvalue": Bad("3", lambda t, x: x.kthvalue(4), r"k.*out of range.*|kthvalue"),
    "roll": Bad("3x2", lambda t, x: x.roll(1, 2), r"\[-2, 1\].*2"),
    "flip": Bad("3x2", lambda t, x: x.flip(2), r"\[-2, 1\].*2"),
    "flip, twice": Bad("3x2", lambda t, x: x.flip(0, 0), r"flip.*dim.*0|appears multiple"),
    "cat": Bad("3x2", lambda t, x: t.cat([x, x], 2), r"\[-2, 1\].*2"),
    "stack": Bad("3x2", lambda t, x: t.stack([x, x], 3), r"\[-3, 2\].*3"),
    "cumsum": Bad("3x2", lambda t, x: x.cumsum(2), r"\[-2, 1\].*2"),
    "sort": Bad("3x2", lambda t, x: x.sort(2), r"\[-2, 1\].*2"),
    "max": Bad("3x2", lambda t, x: x.max(2), r"\[-2, 1\].*2"),
    "size": Bad("3x2", lambda t, x: x.size(2), r"\[-2, 1\].*2"),
    "movedim": Bad("3x2", lambda t, x: x.movedim(0, 2), r"\[-2, 1\].*2"),
    "diagonal": Bad("3x2", lambda t, x: x.diagonal(0, 0, 2), r"\[-2, 1\].*2"),
    "tril of a vector": Bad("3", lambda t, x: x.tril(), r"tril.*2 dim|at least 2"),
    "searchsorted": Bad("2x3 3x1", lambda t, s, v: t.searchsorted(s, v), r"searchsorted.*|\[2, 3\].*\[3, 1\]"),
}
