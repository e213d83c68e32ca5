"""The two models of `gpugrad train`."""

from __future__ import annotations

from .. import nn


def build(name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """An untrained model for images of `shape` (channels, height, width)."""
    channels, height, width = shape
    if name == "mlp":
        return mlp(channels * height * width, classes)
    return cnn(channels, height, width, classes)


def mlp(inputs: int, classes: int) -> nn.Module:
    """One hidden layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, classes))


def cnn(channels: int, height: int, width: int, classes: int) -> nn.Module:
    """Two convolutions, each with normalisation and pooling, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), classes),
    )
