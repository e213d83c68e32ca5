"""Losses, softmax and distances."""

from __future__ import annotations

from functools import partial
from typing import Any

from op_table import Arr, Row, Sample, arr

LOW = ("float16", "bfloat16")


def call(name: str, params: dict[str, Any], m: Any, *inputs: Any) -> Any:
    return getattr(m.nn.functional, name)(*inputs, **params)


def row(name: str, *samples: Sample, label: str = "", params: dict[str, Any] | None = None, **options: Any) -> Row:
    params = params or {}
    said = "_".join(str(v) for v in params.values())
    return Row(label or "_".join(filter(None, (name, said))), partial(call, name, params), list(samples), **options)


def classes(*shape: int, high: int = 3) -> Arr:
    return arr(*shape, dtype="int64", low=0, high=high)


def weighted(name: str, params: dict[str, Any], m: Any, input: Any, target: Any, weight: Any) -> Any:
    return getattr(m.nn.functional, name)(input, target, weight.to(input.dtype), **params)


def after_log_softmax(params: dict[str, Any], m: Any, input: Any, target: Any) -> Any:
    return m.nn.functional.nll_loss(m.nn.functional.log_softmax(input, 1), target, **params)


WEIGHTS = arr(3, dtype="int64", values=(1, 2, 5))  # integers have no gradient; the calls convert them
SCORES = (
    (arr(4, 3), classes(4)),
    (arr(3), classes()),
    (arr(2, 3, 4), classes(2, 4)),
    (arr(2, 3, 2, 2), classes(2, 2, 2)),
)
SOME_IGNORED = (arr(5, 3), arr(5, dtype="int64", values=(0, -100, 2, 1, -100)))
ALL_IGNORED = (arr(2, 3), arr(2, dtype="int64", values=(-100,)))
WEIGHTED = (arr(4, 3), classes(4), WEIGHTS)
WEIGHTED_PIXELS = (arr(2, 3, 4), classes(2, 4), WEIGHTS)
PAIR = (arr(3, 4), arr(3, 4))
PAIRS = (PAIR, (arr(), arr()), (arr(2, 1, 3), arr(2, 1, 3)))
PROBABILITIES = (arr(3, 4, low=0.05, high=0.95), arr(3, 4, low=0, high=1))
FOUR_WEIGHTS = arr(4, dtype="int64", values=(1, 2, 3, 5))
SIGNS = arr(3, 4, dtype="int64", values=(1, -1, -1, 1, 1))


def constant_target(name: str, params: dict[str, Any], m: Any, *inputs: Any) -> Any:
    """Targets for which PyTorch has no gradient."""
    return getattr(m.nn.functional, name)(*inputs[:-1], inputs[-1].to(inputs[0].dtype), **params)


def signed(name: str, *inputs: Arr, target: Arr = SIGNS, **params: Any) -> Row:
    return Row(
        "_".join([name, *map(str, params.values())]), partial(constant_target, name, params), [(*inputs, target)]
    )


ROWS = [
    row(
        "softmax",
        (arr(3, 4),),
        (arr(2, 3, 4, low=-50, high=50),),
        (arr(4),),
        (arr(2, 0),),
        params={"dim": -1},
        more_dtypes=LOW,
    ),
    row("softmax", (arr(3, 4),), (arr(),), params={"dim": 0}),
    row(
        "softmax",
        (arr(4, values=(float("inf"), 1.0, float("nan"), 0.0)),),
        params={"dim": 0},
        label="softmax_not_finite",
    ),
    row("log_softmax", (arr(3, 4),), (arr(2, 3, 4, low=-50, high=50),), (arr(4),), params={"dim": -1}, more_dtypes=LOW),
    row("log_softmax", (arr(3, 4),), (arr(),), params={"dim": 0}),
    row("softmin", (arr(3, 4),), params={"dim": 1}),
    *[
        row("cross_entropy", *SCORES, SOME_IGNORED, params={"reduction": r, "label_smoothing": s})
        for r in ("none", "sum", "mean")
        for s in (0.0, 0.2)
    ],
    row("cross_entropy", ALL_IGNORED, params={"reduction": "mean"}, label="cross_entropy_all_ignored", grad=False),
    row("cross_entropy", SCORES[0], params={"ignore_index": 1}, more_dtypes=LOW, label="cross_entropy_ignoring_1"),
    *[
        Row(
            f"cross_entropy_weighted_{r}_{s}",
            partial(weighted, "cross_entropy", {"reduction": r, "label_smoothing": s}),
            [WEIGHTED, WEIGHTED_PIXELS],
        )
        for r in ("none", "mean")
        for s in (0.0, 0.2)
    ],
    *[
        row(
            "cross_entropy",
            (arr(4, 3), arr(4, 3, low=0, high=1)),
            (arr(3), arr(3, low=0, high=1)),
            (arr(2, 3, 2), arr(2, 3, 2, low=0, high=1)),
            params={"reduction": r, "label_smoothing": s},
            label=f"cross_entropy_probabilities_{r}_{s}",
        )
        for r, s in (("none", 0.0), ("mean", 0.2), ("sum", 0.0))
    ],
    *[row("nll_loss", *SCORES, SOME_IGNORED, params={"reduction": r}) for r in ("none", "sum", "mean")],
    Row("nll_loss_weighted", partial(weighted, "nll_loss", {}), [WEIGHTED, WEIGHTED_PIXELS]),
    Row("nll_loss_of_log_softmax", partial(after_log_softmax, {}), [SCORES[0], SCORES[2]]),
    *[
        row(name, *PAIRS, params={"reduction": r})
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
        for r in ("none", "sum", "mean")
    ],
    row("mse_loss", PAIR, more_dtypes=LOW, label="mse_loss_default"),
    row("smooth_l1_loss", PAIR, params={"beta": 0.5}),
    row("huber_loss", PAIR, params={"delta": 0.5}),
    row("huber_loss", (*PAIR,), params={"reduction": "sum", "delta": 2.0}),
    *[row("binary_cross_entropy", PROBABILITIES, params={"reduction": r}) for r in ("none", "mean")],
    Row(
        "binary_cross_entropy_weighted", partial(weighted, "binary_cross_entropy", {}), [(*PROBABILITIES, FOUR_WEIGHTS)]
    ),
    row(
        "binary_cross_entropy",
        (arr(2, values=(0.0, 1.0)), arr(2, values=(1.0, 0.0))),
        second=False,
        grad=False,
        label="binary_cross_entropy_at_the_ends",
    ),
    *[
        row(
            "binary_cross_entropy_with_logits",
            PAIR,
            (arr(4, low=-100, high=100), arr(4, low=0, high=1)),
            params={"reduction": r},
        )
        for r in ("none", "mean")
    ],
    Row(
        "binary_cross_entropy_with_logits_pos_weight",
        lambda m, x, y, w: m.nn.functional.binary_cross_entropy_with_logits(x, y, pos_weight=w.to(x.dtype)),
        [(*PAIR, FOUR_WEIGHTS)],
    ),
    *[row("kl_div", PROBABILITIES, params={"reduction": r}) for r in ("none", "sum", "batchmean")],
    row("kl_div", PAIR, params={"reduction": "sum", "log_target": True}),
    row("poisson_nll_loss", PAIR),
    row(
        "poisson_nll_loss", (arr(3, 4, low=0.1), arr(3, 4, low=1.5, high=5)), params={"log_input": False, "full": True}
    ),
    row("gaussian_nll_loss", (arr(3, 4), arr(3, 4), arr(3, 4, low=0.5)), (arr(3, 4), arr(3, 4), arr(3, 1, low=0.5))),
    row("gaussian_nll_loss", (arr(3, 4), arr(3, 4), arr(3, low=0.5)), params={"full": True}),
    signed("soft_margin_loss", arr(3, 4)),
    signed("hinge_embedding_loss", arr(3, 4), margin=1.5),
    signed("margin_ranking_loss", arr(3, 4), arr(3, 4), margin=0.3),
    signed("multilabel_soft_margin_loss", arr(3, 4)),
    signed("cosine_embedding_loss", arr(5, 4), arr(5, 4), target=arr(5, dtype="int64", values=(1, -1)), margin=0.1),
    row("triplet_margin_loss", (arr(3, 4), arr(3, 4), arr(3, 4))),
    row("triplet_margin_loss", (arr(3, 4), arr(3, 4), arr(3, 4)), params={"p": 1, "swap": True, "reduction": "none"}),
    row("triplet_margin_with_distance_loss", (arr(3, 4), arr(3, 4), arr(3, 4)), params={"margin": 2.0}),
    row("pairwise_distance", PAIR, (arr(4), arr(4)), (arr(3, 4), arr(4))),
    row("pairwise_distance", PAIR, params={"p": 3.0, "keepdim": True}),
    row("cosine_similarity", PAIR, (arr(2, 3), arr(1, 3)), more_dtypes=()),
    row("cosine_similarity", PAIR, params={"dim": 0}),
    row("normalize", (arr(3, 4),), (arr(2, 3, 4),)),
    row("normalize", (arr(3, 4),), params={"p": 1.0, "dim": 0}),
]
