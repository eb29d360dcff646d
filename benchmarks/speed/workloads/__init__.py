"""The workloads by name, a file each."""

from __future__ import annotations

from benchmarks.speed.workload import Workload
from benchmarks.speed.workloads import (
    autoencoder,
    charlstm,
    gru,
    lenet,
    lstm,
    mlp_1,
    mlp_32,
    mlp_128,
    mlp_bn,
    mlp_bn_clip,
    resnet20,
    tiny,
    transformer,
)

WORKLOADS: dict[str, Workload] = {
    module.WORKLOAD.name: module.WORKLOAD
    for module in (
        tiny,
        mlp_1,
        mlp_32,
        mlp_128,
        mlp_bn,
        mlp_bn_clip,
        autoencoder,
        lenet,
        resnet20,
        lstm,
        gru,
        charlstm,
        transformer,
    )
}
