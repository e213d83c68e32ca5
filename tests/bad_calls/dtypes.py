"""Dtypes, and types of arguments, that an op does not take."""

from __future__ import annotations

from . import Bad

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
