"""Calls that must be refused: what is given, how it is called, what the error says.

`given` names the tensors: "2x3 4:int64 .:bool" is one of shape (2, 3), one of shape (4,) of int64, a 0-d one of bool.
Each is filled with 0, 1, 2, ...; the default dtype is float32. `said` is a regular expression: the names of the op and
the values that were given. PyTorch raises the same class of error for every call here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple


class Bad(NamedTuple):
    given: str
    call: Callable[..., Any]  # (library, *tensors)
    said: str


def tensors(t: Any, given: str) -> list[Any]:
    """The tensors that `given` names, made by the library `t`."""
    return [_tensor(t, *word.split(":")) for word in given.split()]


def _tensor(t: Any, shape: str, dtype: str = "float32") -> Any:
    sizes = [] if shape == "." else [int(size) for size in shape.split("x")]
    return t.arange(prod(sizes)).reshape(sizes).to(getattr(t, dtype))


SHAPES: dict[str, Bad] = {
    "int": Bad("2", lambda t, x: int(x), r"only one element tensors can be converted.*2"),
    "tril_indices": Bad("", lambda t: t.tril_indices(-1, 2), r"row must be non-negative, got -1"),
    "triu_indices": Bad("", lambda t: t.triu_indices(2, -1), r"col must be non-negative, got -1"),
    "Embedding of a vector": Bad("3", lambda t, x: t.nn.Embedding.from_pretrained(x), r"2-dimensional, got 1"),
    "TensorDataset": Bad("2 3", lambda t, x, y: t.utils.data.TensorDataset(x, y), r"Size mismatch.*\[2, 3\]"),
    "max_pool2d, padding": Bad(
        "1x1x4x4", lambda t, x: t.nn.functional.max_pool2d(x, 2, padding=2), r"max_pool.*pad=2, kernel_size=2"
    ),
    "avg_pool2d, padding": Bad(
        "1x1x4x4", lambda t, x: t.nn.functional.avg_pool2d(x, 2, padding=2), r"^avg_pool.*pad=2, kernel_size=2"
    ),
    "nn.functional.unfold": Bad(
        "1x1x2x2", lambda t, x: t.nn.functional.unfold(x, 3), r"^unfold.*\(3, 3\).*do not fit into \(2, 2\)"
    ),
    "add": Bad("2x3 4", lambda t, x, y: x + y, r"add.*\(3\).*\(4\).*dimension 1"),
    "add of three dims": Bad("2x3x4 2x1x4", lambda t, x, y: t.add(x, y[:, :, :3]), r"add.*\(4\).*\(3\).*dimension 2"),
    "sub": Bad("2x3 3x2", lambda t, x, y: x - y, r"sub.*\(3\).*\(2\)"),
    "mul": Bad("2x3 2", lambda t, x, y: t.mul(x, y), r"mul.*\(3\).*\(2\)"),
    "div": Bad("2x3 2", lambda t, x, y: t.div(x, y), r"div.*\(3\).*\(2\)"),
    "pow": Bad("2x3 2", lambda t, x, y: x**y, r"pow.*\(3\).*\(2\)"),
    "maximum": Bad("2x3 2", lambda t, x, y: t.maximum(x, y), r"maximum.*\(3\).*\(2\)"),
    "atan2": Bad("2x3 2", lambda t, x, y: t.atan2(x, y), r"atan2.*\(3\).*\(2\)"),
    "comparison": Bad("2x3 2", lambda t, x, y: x < y, r"lt.*\(3\).*\(2\)"),
    "logical_and": Bad("2x3 2", lambda t, x, y: t.logical_and(x, y), r"logical_and.*\(3\).*\(2\)"),
    "bitwise_and": Bad("3:int64 2:int64", lambda t, x, y: x & y, r"bitwise_and.*\(3\).*\(2\)"),
    "floor_divide": Bad("3 2", lambda t, x, y: x // y, r"floor_divide.*\(3\).*\(2\)"),
    "remainder": Bad("3 2", lambda t, x, y: x % y, r"remainder.*\(3\).*\(2\)"),
    "lerp": Bad("3 3 2", lambda t, x, y, w: t.lerp(x, y, w), r"lerp.*\(3\).*\(2\)"),
    "addcmul": Bad("3 3 2", lambda t, x, y, z: t.addcmul(x, y, z), r"addcmul.*\(3\).*\(2\)"),
    "where": Bad("2x3:bool 2x3 4", lambda t, c, x, y: t.where(c, x, y), r"where.*\(3\).*\(4\)"),
    "where, condition": Bad("4:bool 2x3 2x3", lambda t, c, x, y: t.where(c, x, y), r"where.*\(4\).*\(3\)"),
    "masked_fill": Bad("2x3 4:bool", lambda t, x, m: x.masked_fill(m, 0), r"masked_fill.*\[?4"),
    "masked_fill_": Bad("2x3 4:bool", lambda t, x, m: x.masked_fill_(m, 0), r"masked_fill.*\[?4"),
    "masked_select": Bad("2x3 4:bool", lambda t, x, m: t.masked_select(x, m), r"masked_select.*\[?4"),
    "add_": Bad("2x3 4", lambda t, x, y: x.add_(y), r"add.*\(3\).*\(4\)"),
    "add_ that would grow": Bad("3 2x3", lambda t, x, y: x.add_(y), r"add_?\b.*\[3\].*\[2, 3\]"),
    "mul_ that would grow": Bad("1x3 2x3", lambda t, x, y: x.mul_(y), r"mul_?\b.*\[1, 3\].*\[2, 3\]"),
    "+=": Bad("3 2x3", lambda t, x, y: x.__iadd__(y), r"add_?\b.*\[3\].*\[2, 3\]"),
    "copy_, a text": Bad("3", lambda t, x: x.copy_("x"), r"copy.*Tensor, not str"),
    "copy_": Bad("2x3 4", lambda t, x, y: x.copy_(y), r"copy.*\(3\).*\(4\)"),
    "copy_ that would grow": Bad("3 1x3", lambda t, x, y: x.copy_(y), r"copy_.*\[3\].*\[1, 3\]"),
    "fill_": Bad("2x3 4", lambda t, x, y: x.fill_(y), r"fill_.*1 dim"),
    "out": Bad("3 2 3", lambda t, x, y, out: t.add(x, y, out=out), r"add.*\(3\).*\(2\)"),
    "matmul": Bad(
        "2x3 2x3", lambda t, x, y: x @ y, r"mm\(\): mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\)"
    ),
    "matmul with a vector": Bad("2x3 2", lambda t, x, y: x @ y, r"matmul.*\[2, 3\].*\[2\]"),
    "matmul of vectors": Bad("3 2", lambda t, x, y: x @ y, r"matmul.*\[3\].*\[2\]"),
    "matmul of batches": Bad("2x3x4 3x4x5", lambda t, x, y: x @ y, r"matmul.*\(2\).*\(3\)"),
    "matmul of 0-d": Bad("2x3 .", lambda t, x, y: x @ y, r"matmul.*at least 1"),
    "mm": Bad("2x3 2x3", lambda t, x, y: t.mm(x, y), r"mm.*2x3 and 2x3"),
    "mm of batches": Bad("2x3x4 2x4x3", lambda t, x, y: t.mm(x, y), r"mm\(\).*2 dimensions, got 3"),
    "mv": Bad("2x3 2", lambda t, x, y: t.mv(x, y), r"\[2, 3\].*\[2\].*\(3\).*\(2\)"),
    "bmm": Bad("2x3x4 2x3x4", lambda t, x, y: t.bmm(x, y), r"\[2, 3, 4\].*\(4\).*\(3\)"),
    "bmm of matrices": Bad("3x4 4x3", lambda t, x, y: t.bmm(x, y), r"bmm.*3 dimensions, got 2"),
    "dot": Bad("3 2", lambda t, x, y: t.dot(x, y), r"dot.*3.*2"),
    "addmm": Bad("2x3 2x3 2x3", lambda t, b, x, y: t.addmm(b, x, y), r"mm\(\).*2x3 and 2x3"),
    "baddbmm": Bad("2 2x3x4 2x3x4", lambda t, b, x, y: t.baddbmm(b, x, y), r"\[2, 3, 4\].*\(4\).*\(3\)"),
    "outer": Bad("2x3 2", lambda t, x, y: t.outer(x, y), r"outer.*1.*2"),
    "einsum": Bad("2x3 2x3", lambda t, x, y: t.einsum("ij,jk->ik", x, y), r"einsum.*\bj\b.*|einsum.*subscript"),
    "tensordot": Bad("2x3 2x3", lambda t, x, y: t.tensordot(x, y, dims=1), r"tensordot.*"),
    "addmm, input": Bad("5x2x2 2x3 3x2", lambda t, b, x, y: t.addmm(b, x, y), r"addmm.*\[5, 2, 2\].*\[2, 2\]"),
    "cross": Bad("2x4 2x4", lambda t, x, y: t.linalg.cross(x, y), r"cross.*4"),
    "linear": Bad(
        "2x3 4x5", lambda t, x, w: t.nn.functional.linear(x, w), r"linear.*2x3.*5x4|linear.*\[2, 3\].*\[4, 5\]"
    ),
    "linear, bias": Bad("2x3 4x3 5", lambda t, *a: t.nn.functional.linear(*a), r"linear.*5.*|linear.*\[5\]"),
    "conv2d, channels": Bad(
        "1x3x8x8 4x2x3x3", lambda t, *a: t.nn.functional.conv2d(*a), r"\[4, 2, 3, 3\].*3 channels|conv2d"
    ),
    "conv2d, kernel too big": Bad(
        "1x2x2x2 4x2x3x3",
        lambda t, *a: t.nn.functional.conv2d(*a),
        r"conv.*kernel of \(3, 3\).*input of \(2, 2\).*use a smaller kernel",
    ),
    "conv2d, dims": Bad("8x8 4x2x3x3", lambda t, *a: t.nn.functional.conv2d(*a), r"conv2d.*\[8, 8\]"),
    "conv2d, bias": Bad("1x2x8x8 4x2x3x3 3", lambda t, *a: t.nn.functional.conv2d(*a), r"bias.*\[?3"),
    "conv2d, groups": Bad(
        "1x4x8x8 4x2x3x3", lambda t, *a: t.nn.functional.conv2d(*a, groups=3), r"groups.*3|3.*groups"
    ),
    "conv1d": Bad("1x3x8 4x2x3", lambda t, *a: t.nn.functional.conv1d(*a), r"\[4, 2, 3\]"),
    "conv2d, stride": Bad("1x2x8x8 4x2x3x3", lambda t, *a: t.nn.functional.conv2d(*a, stride=0), r"stride"),
    "max_pool2d": Bad("1x1x2x2", lambda t, x: t.nn.functional.max_pool2d(x, 3), r"pool.*\(3, 3\).*\(2, 2\)"),
    "layer_norm": Bad("2x3", lambda t, x: t.nn.functional.layer_norm(x, (4,)), r"normalized_shape.*\[4\].*\[2, 3\]"),
    "batch_norm": Bad("2x3 4 4", lambda t, x, m, v: t.nn.functional.batch_norm(x, m, v), r"running_mean.*3.*4|4.*3"),
    "BatchNorm2d, dims": Bad("2x3", lambda t, x: t.nn.BatchNorm2d(3)(x), r"expected 4D input \(got 2D input\)"),
    "cat": Bad("2x3 2x4", lambda t, x, y: t.cat([x, y]), r"cat.*3.*4"),
    "cat, dims": Bad("2x3 3", lambda t, x, y: t.cat([x, y]), r"cat.*2.*1"),
    "cat of nothing": Bad("", lambda t: t.cat([]), r"cat.*(non-empty|empty)"),
    "stack": Bad("2x3 2x4", lambda t, x, y: t.stack([x, y]), r"stack.*\[2, 3\].*\[2, 4\]"),
    "hstack": Bad("2x3 3x4", lambda t, x, y: t.hstack([x, y]), r"hstack|cat.*2.*3"),
    "split": Bad("5", lambda t, x: x.split([2, 2]), r"split.*5.*\[2, 2\]"),
    "chunk": Bad("5", lambda t, x: x.chunk(0), r"chunk.*0"),
    "view": Bad("2x3", lambda t, x: x.view(4), r"shape '\[4\]' is invalid for input of size 6"),
    "view of a transposed tensor": Bad("2x3", lambda t, x: x.t().view(6), r"view.*reshape"),
    "view, -1": Bad("2x3", lambda t, x: x.view(-1, 4), r"\[-1, 4\].*6"),
    "view, two -1": Bad("2x3", lambda t, x: x.view(-1, -1), r"only one dimension can be inferred"),
    "reshape": Bad("2x3", lambda t, x: x.reshape(5), r"shape '\[5\]' is invalid for input of size 6"),
    "reshape of an empty one": Bad("0x3", lambda t, x: x.reshape(-1, 0), r"-1.*ambiguous|cannot reshape.*\[-1, 0\]"),
    "unflatten": Bad("6", lambda t, x: x.unflatten(0, (4, 2)), r"unflatten.*4, 2.*6"),
    "expand": Bad("2x3", lambda t, x: x.expand(4, 3), r"expand.*\(4\).*\(2\).*dimension 0"),
    "expand to fewer dims": Bad("2x3", lambda t, x: x.expand(3), r"expand.*"),
    "broadcast_to": Bad("2x3", lambda t, x: t.broadcast_to(x, (2, 4)), r"\(4\).*\(3\)|broadcast_to.*4"),
    "broadcast_tensors": Bad("2x3 4", lambda t, *a: t.broadcast_tensors(*a), r"\(3\).*\(4\)|3.*4"),
    "permute": Bad("2x3", lambda t, x: x.permute(0, 1, 2), r"permute.*"),
    "permute, twice": Bad("2x3", lambda t, x: x.permute(0, 0), r"permute.*(duplicate|repeated|unique)"),
    "transpose": Bad("2x3", lambda t, x: x.transpose(0, 2), r"\[-2, 1\].*2"),
    "t": Bad("2x3x4", lambda t, x: x.t(), r"t\(\).*<= 2.*3"),
    "repeat": Bad("2x3", lambda t, x: x.repeat(2), r"repeat.*"),
    "squeeze": Bad("2x3", lambda t, x: x.squeeze(2), r"\[-2, 1\].*2"),
    "unsqueeze": Bad("2x3", lambda t, x: x.unsqueeze(4), r"\[-3, 2\].*4"),
    "sum": Bad("2x3", lambda t, x: x.sum(2), r"\[-2, 1\].*2"),
    "softmax": Bad("2x3", lambda t, x: x.softmax(2), r"\[-2, 1\].*2"),
    "diag": Bad("2x3x4", lambda t, x: t.diag(x), r"diag.*3"),
    "index_add_, dims": Bad("3 2:int64 2x2", lambda t, x, i, s: x.index_add_(0, i, s), r"index_add_.*\[3\].*\[2, 2\]"),
    "index_add_, slices": Bad(
        "3x2 2:int64 2x3", lambda t, x, *a: x.index_add_(0, *a), r"index_add_.*\[3, 2\].*\[2, 3\]"
    ),
    "index_add_, count": Bad("3 2:int64 3", lambda t, x, i, s: x.index_add_(0, i, s), r"index_add_.*\(2\).*\(3\)"),
    "index_add_ of a scalar": Bad("3x2 1:int64 .", lambda t, x, *a: x.index_add_(1, *a), r"index_add_.*\[3, 2\].*\[\]"),
    "index_copy_, dims": Bad("3 2:int64 2x2", lambda t, x, i, s: x.index_copy_(0, i, s), r"index_copy_.*\(2\).*\(1\)"),
    "index_copy_, slices": Bad(
        "3x2 2:int64 2x3", lambda t, x, *a: x.index_copy_(0, *a), r"index_copy_.*\[3, 2\].*\[2, 3\]"
    ),
    "index_copy_, count": Bad("3 2:int64 3", lambda t, x, i, s: x.index_copy_(0, i, s), r"index_copy_.*\(2\).*\(3\)"),
    "index_copy_ of a scalar": Bad(
        "3x2 1:int64 .", lambda t, x, *a: x.index_copy_(0, *a), r"index_copy_.*\[3, 2\].*\[\]"
    ),
    "assignment": Bad("2x3 4", lambda t, x, y: x.__setitem__(0, y), r"\[4\].*\[3\]|4.*3"),
    "assignment to a slice": Bad("4 3", lambda t, x, y: x.__setitem__(slice(0, 2), y), r"3.*2"),
    "assignment by indices": Bad("4 2:int64 3", lambda t, x, i, y: x.__setitem__(i, y), r"\[3\].*\[2\]|3.*2"),
    "assignment by a mask": Bad("4 4:bool 2", lambda t, x, m, y: x.__setitem__(m, y), r"2.*3|\[2\].*\[3\]"),
    "mse_loss": Bad("2x3 4", lambda t, x, y: t.nn.functional.mse_loss(x, y.expand(2, 4)), r"3.*4"),
    "binary_cross_entropy": Bad(
        "2 3", lambda t, x, y: t.nn.functional.binary_cross_entropy(x, y), r"\[?3.*\[?2|\[?2.*\[?3"
    ),
    "cross_entropy": Bad("2x3 4:int64", lambda t, x, y: t.nn.functional.cross_entropy(x, y), r"\(2\).*\(4\)"),
    "solve": Bad("2x2 3x1", lambda t, x, y: t.linalg.solve(x, y), r"solve.*"),
    "det": Bad("2x3", lambda t, x: t.linalg.det(x), r"det.*2.*3"),
    "inv": Bad("2x3", lambda t, x: t.linalg.inv(x), r"inv.*2.*3"),
    "cholesky": Bad("2x3", lambda t, x: t.linalg.cholesky(x), r"cholesky.*2.*3"),
    "zeros": Bad("", lambda t: t.zeros(2, -1), r"negative dimension -1.*\[2, -1\]"),
    "as_strided": Bad("4", lambda t, x: x.as_strided((3, 3), (3, 1)), r"as_strided.*|storage.*"),
    "unfold": Bad("4", lambda t, x: x.unfold(0, 5, 1), r"dimension 0 is 4 but size is 5"),
    "narrow": Bad("4", lambda t, x: x.narrow(0, 2, 3), r"narrow.*|start.*2.*length.*3|exceeds"),
    "ragged list": Bad("", lambda t: t.tensor([[1, 2], [3]]), r"equal length at every level"),
    "backward, gradient": Bad("2x3 4", lambda t, x, g: (x.requires_grad_() * 2).backward(g), r"\(4,\).*\(2, 3\)"),
}

DTYPES: dict[str, Bad] = {
    "full of a word": Bad("", lambda t: t.full((2,), "a"), r"full.*fill_value.*str"),
    "tensor of objects": Bad("", lambda t: t.tensor([object()]), r"object"),
    "type by a name": Bad("2", lambda t, x: x.type("torch.Foo"), r"invalid type: 'torch.Foo'; it is one of"),
    "mm of bool": Bad("2x2:bool 2x2:bool", lambda t, x, y: x @ y, r"mm.*bool"),
    "bmm of bool": Bad("1x2x2:bool 1x2x2:bool", lambda t, x, y: t.bmm(x, y), r"mm.*bool"),
    "mv of bool": Bad("2x2:bool 2:bool", lambda t, x, y: x @ y, r"mm.*bool"),
    "linear of bool": Bad("2x2:bool 2x2:bool", lambda t, x, w: t.nn.functional.linear(x, w), r"linear.*bool|mm.*bool"),
    "matmul": Bad("2x3 3x2:float64", lambda t, x, y: x @ y, r"m.*float32.*float64|m.*float != double"),
    "linear": Bad("2x3 4x3:float64", lambda t, x, w: t.nn.functional.linear(x, w), r"linear.*float32.*float64"),
    "conv2d": Bad("1x2x4x4 1x2x3x3:float64", lambda t, x, w: t.nn.functional.conv2d(x, w), r"float32.*float64"),
    "conv2d of integers": Bad("1x2x4x4:int64 1x2x3x3", lambda t, x, w: t.nn.functional.conv2d(x, w), r"int64.*float32"),
    "dot": Bad("3 3:int64", lambda t, x, y: t.dot(x, y), r"float32 != int64; convert"),
    "in-place result": Bad("3:int64 3", lambda t, x, y: x.add_(y), r"add_?\b.*float32.*int64"),
    "in-place result, bool": Bad("3:bool 3:int64", lambda t, x, y: x.mul_(y), r"mul_?\b.*int64.*bool"),
    "div_": Bad("3:int64 3:int64", lambda t, x, y: x.div_(y), r"div_?\b.*float32.*int64"),
    "sqrt_": Bad("3:int64", lambda t, x: x.sqrt_(), r"sqrt_?\b.*float32.*int64"),
    "out": Bad("3 3 3:int64", lambda t, x, y, out: t.add(x, y, out=out), r"add.*float32.*int64"),
    "sub of bool": Bad("3:bool 3:bool", lambda t, x, y: x - y, r"[Ss]ub.*bool tensor is not supported.*logical_not"),
    "neg of bool": Bad("3:bool", lambda t, x: -x, r"bool.*(logical_not|~)"),
    "bitwise_and of floats": Bad("3 3", lambda t, x, y: x & y, r"bitwise_and.*float32"),
    "bitwise_not of floats": Bad("3", lambda t, x: ~x, r"invert.*float32"),
    "shift of floats": Bad("3 3", lambda t, x, y: x << y, r"shift.*float32"),
    "gcd of floats": Bad("3 3", lambda t, x, y: t.gcd(x, y), r"gcd.*float32"),
    "mean of integers": Bad("3:int64", lambda t, x: x.mean(), r"mean.*int64"),
    "std of integers": Bad("3:int64", lambda t, x: x.std(), r"std.*int64|std.*floating"),
    "norm of integers": Bad("3:int64", lambda t, x: x.norm(), r"norm.*int64|norm.*floating"),
    "softmax of integers": Bad("3:int64", lambda t, x: x.softmax(0), r"softmax.*int64"),
    "log_softmax of integers": Bad("3:int64", lambda t, x: x.log_softmax(0), r"softmax.*int64"),
    "quantile of integers": Bad("3:int64", lambda t, x: x.quantile(0.5), r"quantile.*int64|quantile.*float"),
    "relu of bool": Bad("3:bool", lambda t, x: t.relu(x), r"Boolean inputs not supported for relu; convert"),
    "max of nothing": Bad("0", lambda t, x: x.max(), r"max.*numel\(\) == 0|max.*"),
    "index with floats": Bad("3 2", lambda t, x, i: x[i], r"tensors used as indices must be .*float32"),
    "index_select with floats": Bad("3 2", lambda t, x, i: x.index_select(0, i), r"index_select.*float32"),
    "gather with floats": Bad("3 2", lambda t, x, i: x.gather(0, i), r"gather.*float32"),
    "scatter with floats": Bad("3 2", lambda t, x, i: x.scatter_(0, i, 1.0), r"scatter.*float32"),
    "scatter, dtypes": Bad(
        "3 2:int64 2:float64",
        lambda t, x, i, s: x.scatter_(0, i, s),
        r"scatter.*float64.*float32|scatter.*float32.*float64",
    ),
    "index_fill with floats": Bad("3 2", lambda t, x, i: x.index_fill(0, i, 1.0), r"index_fill.*float32"),
    "index_add with floats": Bad("3 2 2", lambda t, x, i, s: x.index_add_(0, i, s), r"index_add.*float32"),
    "index_copy with floats": Bad("3 2 2", lambda t, x, i, s: x.index_copy_(0, i, s), r"index_copy.*float32"),
    "out of a named tuple": Bad("2x3 2 2", lambda t, x, v, i: t.max(x, 1, out=(v, i)), r"max.*indices.*int64.*float32"),
    "out of several, too few": Bad("2x3 2", lambda t, x, v: t.max(x, 1, out=(v,)), r"max.*'out'.*tuple of 2 Tensors"),
    "out of several, one": Bad("2x3 2", lambda t, x, v: t.max(x, 1, out=v), r"max.*'out'.*tuple of 2 Tensors"),
    "out that is no tensor": Bad("2", lambda t, x: t.exp(x, out=[1.0, 2.0]), r"exp.*'out' must be a Tensor, not list"),
    "index_add, dtypes": Bad("3 2:int64 2:float64", lambda t, x, i, s: x.index_add_(0, i, s), r"index_add.*float"),
    "index_copy, dtypes": Bad("3 2:int64 2:float64", lambda t, x, i, s: x.index_copy_(0, i, s), r"index_copy.*float"),
    "index_put, dtypes": Bad(
        "3 2:int64 2:float64", lambda t, x, i, s: x.index_put_((i,), s), r"index_put.*float|Index put.*"
    ),
    "take with floats": Bad("3 2", lambda t, x, i: x.take(i), r"take.*float32|take.*int64"),
    "embedding with floats": Bad("2 4x3", lambda t, i, w: t.nn.functional.embedding(i, w), r"float32.*embedding"),
    "masked_fill, mask": Bad("3 3:int64", lambda t, x, m: x.masked_fill(m, 0), r"masked_fill.*int64|mask.*bool.*int64"),
    "masked_select, mask": Bad(
        "3 3:int64", lambda t, x, m: x.masked_select(m), r"masked_select.*int64|mask.*bool.*int64"
    ),
    "where, condition": Bad("3 3 3", lambda t, c, x, y: t.where(c, x, y), r"where.*float32"),
    "cross_entropy, target": Bad(
        "2x3 2:int32", lambda t, x, y: t.nn.functional.cross_entropy(x, y), r"int64.*int32|int32"
    ),
    "nll_loss, target": Bad("2x3 2", lambda t, x, y: t.nn.functional.nll_loss(x, y), r"int64.*float32|float32"),
    "layer_norm of integers": Bad("2x3:int64", lambda t, x: t.nn.functional.layer_norm(x, (3,)), r"layer_norm.*int64"),
    "requires_grad": Bad("3:int64", lambda t, x: x.requires_grad_(), r"[Oo]nly Tensors of floating point"),
    "requires_grad at making": Bad(
        "", lambda t: t.ones(3, dtype=t.int64, requires_grad=True), r"[Oo]nly Tensors of floating"
    ),
    "linear, bias": Bad("2x3 4x3 4:float64", lambda t, *a: t.nn.functional.linear(*a), r"bias.*float32.*float64"),
    "layer_norm, bool": Bad("2x3:bool", lambda t, x: t.nn.functional.layer_norm(x, (3,)), r"layer_norm.*bool"),
    "rms_norm": Bad("2x3:int64", lambda t, x: t.nn.functional.rms_norm(x, (3,)), r"rms_norm.*int64"),
    "group_norm": Bad("2x3:int64", lambda t, x: t.nn.functional.group_norm(x, 1), r"group_norm.*int64"),
    "batch_norm": Bad(
        "2x3:int64", lambda t, x: t.nn.functional.batch_norm(x, None, None, training=True), r"batch_norm.*int64"
    ),
    "batch_norm, statistics": Bad(
        "2x3:int64 3 3", lambda t, x, m, v: t.nn.functional.batch_norm(x, m, v), r"batch_norm.*int64"
    ),
    "instance_norm": Bad("1x2x3:int64", lambda t, x: t.nn.functional.instance_norm(x), r"_norm.*int64"),
    "dropout in place": Bad("3:int64", lambda t, x: t.nn.functional.dropout(x, 0.5, inplace=True), r"dropout.*int64"),
    "dropout2d": Bad("1x2x3x3:bool", lambda t, x: t.nn.functional.dropout2d(x, 0.5), r"dropout.*bool"),
    **{
        name: Bad("3:int64", lambda t, x, name=name: getattr(t.nn.functional, name)(x), rf"elu.*int64|{name}.*int64")
        for name in (
            *("leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "hardswish", "hardsigmoid"),
            *("logsigmoid", "hardshrink", "softshrink"),
        )
    },
    "glu": Bad("4:int64", lambda t, x: t.nn.functional.glu(x), r"glu.*int64"),
    "normalize": Bad("2x3:int64", lambda t, x: t.nn.functional.normalize(x), r"normalize.*int64"),
    "cosine_similarity": Bad(
        "2x3:int64 2x3:int64", lambda t, x, y: t.nn.functional.cosine_similarity(x, y), r"cosine_similarity.*int64"
    ),
    **{
        name: Bad(
            "3:int64 3:int64",
            lambda t, x, y, name=name: getattr(t.nn.functional, name)(x, y),
            rf"({name}|mean|huber).*int64",
        )
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits")
    },
    "kl_div": Bad(
        "3:int64 3:int64", lambda t, x, y: t.nn.functional.kl_div(x, y, reduction="sum"), r"kl_div: Integral inputs"
    ),
    "cross_entropy": Bad(
        "2x3:int64 2:int64", lambda t, x, y: t.nn.functional.cross_entropy(x, y), r"cross_entropy.*int64"
    ),
    "adaptive_max_pool2d": Bad(
        "1x1x4x4:int64", lambda t, x: t.nn.functional.adaptive_max_pool2d(x, 2), r"adaptive_max_pool2d.*int64"
    ),
    "interpolate": Bad(
        "1x1x4x4:int64",
        lambda t, x: t.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"),
        r"interpolate.*int64",
    ),
    "lerp of integers": Bad("3:int64 3:int64", lambda t, x, y: t.lerp(x, y, 0.5), r"lerp.*int64"),
    "lerp": Bad("3 3:float64", lambda t, x, y: t.lerp(x, y, 0.5), r"lerp.*float"),
    "addmm": Bad("3x3:float64 3x3 3x3", lambda t, b, x, y: t.addmm(b, x, y), r"addmm.*float|float64"),
    "linalg.inv of integers": Bad("2x2:int64", lambda t, x: t.linalg.inv(x), r"inv.*int64"),
    "linalg.norm of integers": Bad("3:int64", lambda t, x: t.linalg.norm(x), r"norm.*int64"),
    "bernoulli of integers": Bad("3:int64", lambda t, x: t.bernoulli(x), r"bernoulli.*int64"),
    "multinomial of integers": Bad("3:int64", lambda t, x: t.multinomial(x, 1), r"multinomial.*int64"),
    "dropout of integers": Bad("3:int64", lambda t, x: t.nn.functional.dropout(x, 0.5), r"int64"),
    "bincount of bool": Bad("3:bool", lambda t, x: t.bincount(x), r"bincount.*bool"),
    "median of bool": Bad("3:bool", lambda t, x: x.median(), r"median.*bool"),
    "median of bool along a dim": Bad("3:bool", lambda t, x: x.median(0), r"median.*bool"),
    "nanmedian of bool": Bad("3:bool", lambda t, x: x.nanmedian(), r"median.*bool"),
    "kthvalue of bool": Bad("3:bool", lambda t, x: x.kthvalue(1), r"kthvalue.*bool"),
    "topk of bool": Bad("3:bool", lambda t, x: x.topk(1), r"topk.*bool"),
    "bincount of floats": Bad("3", lambda t, x: t.bincount(x), r"bincount.*float32"),
    "text": Bad("", lambda t: t.tensor("text"), r"expected numbers.*text"),
    "a tensor of text": Bad("", lambda t: t.tensor(["a", "b"]), r"expected numbers.*'a', 'b'"),
    "add of text": Bad("3", lambda t, x: t.add(x, "1"), r"add.*str"),
    "dtype of another kind": Bad("3", lambda t, x: x.to("float33"), r"float33"),
    "item of several": Bad("3", lambda t, x: x.item(), r"3 elements cannot be converted to Scalar"),
    "bool of several": Bad("3", lambda t, x: bool(x), r"more than one value is ambiguous"),
    "len of 0-d": Bad(".", lambda t, x: len(x), r"0-d"),
    "index from floats": Bad("3", lambda t, x: range(x[0]), r"integer|float"),
}

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

GRAPH: dict[str, Bad] = {
    "backward of several elements": Bad(
        "3", lambda t, x: (x.requires_grad_() * 2).backward(), r"only for scalar outputs"
    ),
    "grad of several elements": Bad(
        "3", lambda t, x: t.autograd.grad(x.requires_grad_() * 2, x), r"only for scalar outputs"
    ),
    "backward of a constant": Bad("3", lambda t, x: x.sum().backward(), r"does not require grad"),
    "backward without recording": Bad(
        "3", lambda t, x: t.no_grad()(lambda: (x.requires_grad_() * 2).sum())().backward(), r"does not require grad"
    ),
    "grad of what was not used": Bad(
        "3 3",
        lambda t, x, y: t.autograd.grad((x.requires_grad_() * 2).sum(), y.requires_grad_()),
        r"not.*used.*allow_unused",
    ),
    "grad of a constant": Bad(
        "3 3", lambda t, x, y: t.autograd.grad((x.requires_grad_() * 2).sum(), y), r"does not require grad"
    ),
    "a leaf in place": Bad("3", lambda t, x: x.requires_grad_().add_(1), r"add_.*leaf Variable.*in-place"),
    "a leaf by +=": Bad("3", lambda t, x: x.requires_grad_().__iadd__(1), r"leaf Variable.*in-place"),
    "a leaf by index": Bad("3", lambda t, x: x.requires_grad_().__setitem__(0, 1.0), r"leaf Variable.*in-place"),
    "a leaf filled": Bad("3", lambda t, x: x.requires_grad_().normal_(), r"leaf Variable.*in-place"),
    "a leaf zeroed": Bad("3", lambda t, x: x.requires_grad_().zero_(), r"leaf Variable.*in-place"),
    "a leaf copied to": Bad("3 3", lambda t, x, y: x.requires_grad_().copy_(y), r"leaf Variable.*in-place"),
    "a view of a leaf": Bad("2x3", lambda t, x: x.requires_grad_()[0].add_(1), r"view of a leaf Variable.*in-place"),
    "out while recording": Bad(
        "3 3", lambda t, x, out: t.mul(x.requires_grad_(), 2, out=out), r"mul.*out=.*automatic differentiation"
    ),
    "requires_grad of a result": Bad(
        "3", lambda t, x: setattr(x.requires_grad_() * 2, "requires_grad", False), r"leaf"
    ),
    "numpy of a leaf": Bad("3", lambda t, x: x.requires_grad_().numpy(), r"requires grad.*detach\(\)"),
    "grad of another shape": Bad("3 2", lambda t, x, g: setattr(x.requires_grad_(), "grad", g), r"size"),
    "grad of another kind": Bad("3", lambda t, x: setattr(x.requires_grad_(), "grad", 1.0), r"float"),
    "grad of another dtype": Bad("3 3:float64", lambda t, x, g: setattr(x.requires_grad_(), "grad", g), r"type"),
    "retain_grad of a constant": Bad("3", lambda t, x: x.retain_grad(), r"requires_grad=False"),
    "hook on a constant": Bad("3", lambda t, x: x.register_hook(lambda g: g), r"require"),
    "detach_ of a view": Bad("2x3", lambda t, x: (x.requires_grad_() * 2)[0].detach_(), r"view"),
    "deepcopy of a result": Bad(
        "3", lambda t, x: __import__("copy").deepcopy(x.requires_grad_() * 2), r"leaf|graph leaves|created explicitly"
    ),
}

ARGUMENTS: dict[str, Bad] = {
    "device": Bad("", lambda t: t.device("gpu"), r"Expected one of cpu.*gpu"),
    "device of a factory": Bad("", lambda t: t.zeros(3, device="gpu"), r"Expected one of cpu.*gpu"),
    "device of to": Bad("3", lambda t, x: x.to("gpu"), r"gpu"),
    "device of a module": Bad("", lambda t: t.nn.Linear(2, 2, device="gpu"), r"Expected one of cpu.*gpu"),
    "device, index": Bad("", lambda t: t.device("cuda:one"), r"Invalid device string: 'cuda:one'"),
    "device, negative": Bad("", lambda t: t.device("cuda", -2), r"-2"),
    "device of another kind": Bad("", lambda t: t.device(1.5), r"1\.5|float"),
    "keyword": Bad("3", lambda t, x: t.exp(x, inplace=True), r"exp.*inplace"),
    "keyword of a method": Bad("3", lambda t, x: x.sum(dims=0), r"sum.*dims"),
    "keyword of a layer": Bad("", lambda t: t.nn.Linear(2, 2, biases=True), r"biases"),
    "too few": Bad("3", lambda t, x: t.add(x), r"add.*(missing|other)"),
    "too many": Bad("3", lambda t, x: t.exp(x, x), r"exp.*(2|3).*(given)?"),
    "not a tensor": Bad("", lambda t: t.exp([1.0]), r"exp.*Tensor, not list"),
    "None": Bad("3", lambda t, x: t.add(x, None), r"add.*None"),
    "attribute": Bad("3", lambda t, x: x.explode(), r"'Tensor' object has no attribute 'explode'"),
    "function": Bad("", lambda t: t.explode, r"has no attribute 'explode'"),
    "reduction": Bad("3 3", lambda t, x, y: t.nn.functional.mse_loss(x, y, reduction="average"), r"average"),
    "rounding_mode": Bad("3 3", lambda t, x, y: t.div(x, y, rounding_mode="up"), r"trunc.*floor.*up"),
    "approximate": Bad("3", lambda t, x: t.nn.functional.gelu(x, approximate="fast"), r"none.*tanh"),
    "padding_mode": Bad("", lambda t: t.nn.Conv2d(2, 2, 3, padding_mode="mirror"), r"zeros.*reflect.*mirror"),
    "padding": Bad("", lambda t: t.nn.Conv2d(2, 2, 3, padding="full"), r"full"),
    "groups": Bad("", lambda t: t.nn.Conv2d(3, 4, 3, groups=2), r"divisible"),
    "dropout": Bad("3", lambda t, x: t.nn.functional.dropout(x, 1.5), r"between 0 and 1, but got 1\.5"),
    "mode of pad": Bad("1x1x3", lambda t, x: t.nn.functional.pad(x, (1, 1), mode="edge"), r"edge"),
    "nonlinearity": Bad("3x3", lambda t, x: t.nn.init.kaiming_uniform_(x, nonlinearity="wave"), r"wave"),
    "lr": Bad("3", lambda t, x: t.optim.SGD([x], lr=-1.0), r"Invalid learning rate: -1\.0"),
    "momentum": Bad("3", lambda t, x: t.optim.SGD([x], lr=1.0, momentum=-1.0), r"Invalid momentum value: -1\.0"),
    "betas": Bad("3", lambda t, x: t.optim.Adam([x], betas=(1.0, 0.9)), r"Invalid beta parameter at index 0: 1\.0"),
    "optimizer option": Bad("3", lambda t, x: t.optim.SGD([x], lr=1.0, betas=(0.9, 0.9)), r"betas"),
    "optimizer of nothing": Bad("", lambda t: t.optim.SGD([], lr=1.0), r"empty parameter list"),
    "optimizer of a tensor": Bad("3", lambda t, x: t.optim.SGD(x, lr=1.0), r"iterable of Tensors"),
    "optimizer of numbers": Bad("", lambda t: t.optim.SGD([1.0], lr=1.0), r"float"),
    "optimizer of results": Bad("3", lambda t, x: t.optim.SGD([x.requires_grad_() * 2], lr=1.0), r"non-leaf"),
    "dim twice": Bad("2x3", lambda t, x: x.sum((0, 0)), r"dim 0 appears multiple times"),
    "dim of another kind": Bad("2x3", lambda t, x: x.sum(1.5), r"float"),
    "ord of norm": Bad("2x3", lambda t, x: t.linalg.norm(x, "max"), r"max"),
    "quantile": Bad("3", lambda t, x: x.quantile(1.5), r"between 0 and 1|\[0, 1\]"),
    "linspace": Bad("", lambda t: t.linspace(0, 1, -1), r"non-negative|-1"),
    "arange": Bad("", lambda t: t.arange(0, 3, -1), r"bound.*step|step.*bound|inconsistent"),
    "arange, step of zero": Bad("", lambda t: t.arange(0, 3, 0), r"step must be nonzero"),
    "eye": Bad("", lambda t: t.eye(-1), r"-1"),
    "full": Bad("", lambda t: t.full((2, -1), 0.0), r"negative dimension -1"),
    "einsum": Bad("3", lambda t, x: t.einsum("i->ij", x), r"\bj\b"),
    "clamp": Bad("3", lambda t, x: x.clamp(), r"clamp.*(min|max)"),
    "grad mode": Bad("", lambda t: t.set_grad_enabled("yes"), r"str"),
    "default dtype": Bad("", lambda t: t.set_default_dtype(t.int64), r"int64|floating"),
    "submodule": Bad("", lambda t: t.nn.Sequential(1), r"int is not a Module subclass"),
    "data loader": Bad("", lambda t: t.utils.data.DataLoader([1, 2], batch_size=0), r"batch_size.*positive"),
    "clip_grad_norm": Bad("3", lambda t, x: t.nn.utils.clip_grad_norm_(1.0, 1.0), r"float"),
}
