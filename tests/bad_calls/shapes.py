"""Shapes that do not go together."""

from __future__ import annotations

from . import Bad

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
