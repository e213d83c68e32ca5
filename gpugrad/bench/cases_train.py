"""`gpugrad bench train`: steps of training, each as a user would write it. A size is the rows of a batch."""

from __future__ import annotations

from typing import Any

from .case import Case, Training

SENTENCE, WORDS, WIDTH = 16, 5000, 64


def mlp_small(nn: Any) -> Any:
    """Two hidden layers of 64."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def mlp_medium(nn: Any) -> Any:
    """Two hidden layers of 512, for images of 28x28: 784-512-512-10."""
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def mlp_large(nn: Any) -> Any:
    """Two hidden layers of 1024."""
    return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


def cnn(nn: Any) -> Any:
    """Two convolutions with pooling, for images of 16x16."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def sentences(nn: Any) -> Any:
    """Embedded words, normalised, averaged over the sentence and classified."""

    class Sentences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(WORDS, WIDTH)
            self.norm = nn.LayerNorm(WIDTH)
            self.hidden = nn.Linear(WIDTH, WIDTH)
            self.head = nn.Linear(WIDTH, 10)

        def forward(self, words: Any) -> Any:
            x = self.norm(self.embedding(words)).mean(1)
            return self.head(nn.functional.gelu(self.hidden(x)))

    return Sentences()


def _images(*shape: int) -> Any:
    return lambda peer, n: (peer.normal(n, *shape), peer.integers(10, n))


def _training(name: str, model: Any, data: Any, flops_a_row: float) -> Training:
    return Training(
        name=name,
        group="train",
        unit="rows",
        sizes=(16, 128, 1024),
        more_sizes=(8192,),
        model=model,
        data=data,
        flops=lambda n: flops_a_row * n,
        checked_steps=3,
        rotates=False,  # weights stay where they are from step to step in use too
    )


# Operations a row: 6 for each weight of a linear layer (2 forward, 4 backward), and that for each place of a convolution.
TRAIN: tuple[Case, ...] = (
    _training("mlp-small", mlp_small, _images(64), 6 * (64 * 64 * 2 + 64 * 10)),
    _training("mlp-medium", mlp_medium, _images(784), 6 * (784 * 512 + 512 * 512 + 512 * 10)),
    _training("mlp-large", mlp_large, _images(784), 6 * (784 * 1024 + 1024 * 1024 + 1024 * 10)),
    _training("cnn", cnn, _images(1, 16, 16), 6 * (256 * 9 * 16 + 64 * 9 * 16 * 32 + 512 * 10)),
    _training(
        "embedding-layernorm",
        sentences,
        lambda peer, n: (peer.integers(WORDS, n, SENTENCE), peer.integers(10, n)),
        6 * (WIDTH * WIDTH + WIDTH * 10),
    ),
)
