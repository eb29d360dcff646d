"""The residual network of 20 layers for small images, shortcuts by 1×1 convolutions where the image is halved."""

from __future__ import annotations

from benchmarks.speed.network import Activation, Convolution, Dense, GlobalAverage, Normalization, residual_block
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "resnet20",
    "32×32×3: residual network of 20 layers, 16/32/64 channels, 1×1 projections, batch norm",
    shape=(32, 32, 3),
    network=(
        *(Convolution(16, bias=False), Normalization(), Activation("relu")),
        *(residual_block(16) * 3),
        *(residual_block(32, stride=2) + residual_block(32) * 2),
        *(residual_block(64, stride=2) + residual_block(64) * 2),
        *(GlobalAverage(), Dense(10)),
    ),
    update=Update("momentum", 0.001),
    batch=64,
    data="images",
    # Normalized twenty times, rounding grows from step to step: after more steps, or larger ones, PyTorch in one memory
    # layout is as far from itself in the other.
    compared=20,
    bar=1.25,
    aim=1.45,
)
