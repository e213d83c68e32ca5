"""What `gpugrad train` may be told."""

from __future__ import annotations

import argparse
from typing import Any

from ..arguments import positive

DEFAULT_RATES = {"adam": 2e-3, "adamw": 2e-3, "sgd": 0.1}


def add_train_command(commands: Any) -> None:
    """Add `train` to the command line."""
    p = commands.add_parser("train", help="train a classifier of images", description="Train a classifier of images.")
    p.add_argument("--model", choices=("mlp", "cnn"), default="mlp", help="default: mlp")
    p.add_argument("--data", metavar="DIR", help="a folder of MNIST-format IDX files (default: the packaged digits)")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: cuda if there is one")
    p.add_argument("--epochs", type=positive(int), default=30, help="default: 30")
    p.add_argument("--batch-size", type=positive(int), default=32, help="default: 32")
    p.add_argument("--lr", type=positive(float), help="learning rate (default: 0.002, for sgd 0.1)")
    p.add_argument("--optimizer", choices=tuple(DEFAULT_RATES), default="adam", help="default: adam")
    p.add_argument("--amp", choices=("bf16", "fp16"), help="train in this half precision where it is enough")
    p.add_argument("--seed", type=int, default=0, help="default: 0")
    p.add_argument("--out", metavar="DIR", default="runs/train", help="where results go (default: runs/train)")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    p.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from .job import train

    if arguments.lr is None:
        arguments.lr = DEFAULT_RATES[arguments.optimizer]
    train(arguments)
    return 0
