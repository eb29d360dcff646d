"""Prediction by the network of mlp-128, one sample and 1024: each library's usual call, float32 in, logits out.

python -m benchmarks.speed.others.prediction PEER BATCH SECONDS    prints the median microseconds of a call
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.page import Line
from benchmarks.speed.peers import cores
from benchmarks.speed.workload import Array, Given, first_parameters
from benchmarks.speed.workloads import WORKLOADS

WORKLOAD = WORKLOADS["mlp-128"]
Call = Callable[[Array], Any]
TITLES = {
    "chainrule": "`run.outputs`",
    "program": "its compiled program alone",
    "onnxruntime-1": "onnxruntime, 1 thread",
    "onnxruntime": "onnxruntime, all threads",
    "torch-1": "PyTorch, 1 thread",
    "torch": "PyTorch, all threads",
    "sklearn": "scikit-learn",
}
#: Not a way that people call it: it says how much of a call is Python around the program.
FOR_THE_RECORD = ("program",)


def given() -> Given:
    """The network, and samples to begin with."""
    random = np.random.default_rng(1)
    labels = np.arange(1024, dtype=np.int32) % 10
    return Given(WORKLOAD, random.random((1024, 784), np.float32), labels, first_parameters(WORKLOAD))


def chainrule_call(batch: int) -> Call:
    """The face: a run, and its outputs."""
    outputs: Call = _run().outputs
    return outputs


def program_call(batch: int) -> Call:
    """The compiled program that `run.outputs` calls in the end."""
    from chainrule.training import build_measure
    from chainrule.training.batch import DataSpec

    run = _run()
    spec = DataSpec(batch, {"inputs": ((784,), "float32")})
    model = run.model
    assert model is not None
    measure = build_measure(lambda state, rows: {"outputs": state.apply(model, rows["inputs"])}, spec, batch)
    program = run.engine.compile(measure.graph)
    arrays = {name: run.arrays[name] for name in program.graph.inputs if name in run.arrays}
    return lambda x: program.run({**arrays, "batch/inputs": x})["outputs"]


def _run() -> Any:
    import chainrule as cr
    from benchmarks.speed.peers.chainrule_peer import model_of

    start = given()
    run = cr.prepare(model_of(WORKLOAD), cr.data.Dataset(start.inputs, start.labels))
    run.set_parameters(dict(zip(run.parameters, start.parameters, strict=True)))
    return run


def onnxruntime_call(batch: int, threads: int) -> Call:
    """A session on a graph of two Gemm and a Relu."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    names = ("w0", "b0", "w1", "b1")
    pairs = zip(names, given().parameters, strict=True)
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"]),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w1", "b1"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 784])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 10])]
    values = [numpy_helper.from_array(array, name) for name, array in pairs]
    model = helper.make_model(
        helper.make_graph(nodes, "network", inputs, outputs, values),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def torch_call(batch: int, threads: int) -> Call:
    """A module, called in inference mode, from NumPy and back."""
    import torch

    from benchmarks.speed.peers.pytorch_peer import network

    torch.set_num_threads(threads)
    model = network(given()).eval()

    def call(x: Array) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return call


def sklearn_call(batch: int) -> Call:
    """The probabilities: it has no call for logits."""
    from benchmarks.speed.peers.scikit_learn_peer import network

    probabilities: Call = network(given()).predict_proba
    return probabilities


def calls(peer: str, batch: int) -> Call:
    """The call of a peer."""
    threads = 1 if peer.endswith("-1") else cores()
    if peer.startswith("onnxruntime"):
        return onnxruntime_call(batch, threads)
    if peer.startswith("torch"):
        return torch_call(batch, threads)
    return {"chainrule": chainrule_call, "program": program_call, "sklearn": sklearn_call}[peer](batch)


def time_call(peer: str, batch: int, seconds: float) -> tuple[float, Array]:
    """The median microseconds of a call, and what it gave."""
    call, x = calls(peer, batch), given().inputs[:batch]
    for _ in range(5):
        outputs = np.asarray(call(x))
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call(x)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6, outputs


def measure(folder: Path, quick: bool) -> list[Line]:
    """Both batch sizes: five processes of each peer in turn."""
    from benchmarks.speed.training import run_module

    lines = []
    for batch in (1, 1024):
        found: dict[str, list[float]] = {peer: [] for peer in TITLES}
        for _ in range(1 if quick else 5):
            outputs: dict[str, Any] = {}
            for peer in TITLES:
                printed = json.loads(run_module("others.prediction", peer, str(batch), "0.3" if quick else "1"))
                found[peer].append(printed["microseconds"])
                outputs[peer] = np.array(printed["outputs"])
            for peer, values in outputs.items():
                if peer == "sklearn":
                    values = np.log(values) - np.log(values).max()
                    outputs[peer] = values + outputs["chainrule"].max()
                assert np.abs(outputs[peer] - outputs["chainrule"]).max() < 1e-4, f"{peer} predicts something else"
        medians = {peer: statistics.median(times) for peer, times in found.items()}
        own = medians["chainrule"]
        others = {peer: m for peer, m in medians.items() if peer not in ("chainrule", *FOR_THE_RECORD)}
        best = min(others, key=lambda peer: others[peer])
        told = ", ".join(f"{TITLES[peer]} {m:,.1f}" for peer, m in medians.items())
        what = f"prediction, batch {batch:,}: µs a call"
        lines.append(Line(what, f"{told}; {medians[best] / own:.2f}× the best", "1×", medians[best] >= own))
    return lines


if __name__ == "__main__":
    each, outputs = time_call(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
    print(json.dumps({"microseconds": each, "outputs": [float(value) for value in outputs[0]]}))
