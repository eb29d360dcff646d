"""The same as mlp-bn, with the global norm of the gradients clipped and the learning rate by a cosine."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.speed.workload import Update
from benchmarks.speed.workloads import mlp_bn

WORKLOAD = replace(
    mlp_bn.WORKLOAD, name="mlp-bn-clip", update=Update("adam", 1e-3, clip=1.0, cosine=100_000), bar=1.9, aim=2.4
)
