"""What the tape refuses, and options out of range."""

from __future__ import annotations

from . import Bad

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
