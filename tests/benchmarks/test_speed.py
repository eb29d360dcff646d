"""The program that measures speed: what it decides, refuses and writes; and that its networks are right."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.speed import __main__ as program
from benchmarks.speed import page, training
from benchmarks.speed.figures import Measured, best_peer, largest_difference, undecided
from benchmarks.speed.network import stack
from benchmarks.speed.peers import Peer, chosen, cores
from benchmarks.speed.profiling import bound
from benchmarks.speed.workload import Update, Workload, batches, first_parameters
from benchmarks.speed.workloads import WORKLOADS
from chainrule.engines.native.inspecting import Spent

STACK = stack((5, 4, 3), normalized=True, dropout=0.2)
SMALL = Workload("small", "6-5-4-3", (6,), STACK, Update("adam", 0.01), 8, bar=1.0, aim=2.0)
PEERS = {
    "chainrule": Peer("chainrule", "chainrule", "chainrule"),
    "torch-1": Peer("torch-1", "PyTorch", "pytorch"),
    "jax": Peer("jax", "JAX", "jax"),
    "keras": Peer("keras", "Keras", "keras", rated=False),
}


def measured(*microseconds: float, rated: bool = True) -> Measured:
    return Measured("somebody", rated, list(microseconds))


# ---- the workloads --------------------------------------------------------------------------------------------------


def test_operations_count_the_products_of_a_step_and_no_gradient_of_the_data() -> None:
    forward, to_weights = 2 * 128 * (784 * 300 + 300 * 10), 2 * 128 * (784 * 300 + 300 * 10)
    assert WORKLOADS["mlp-128"].operations == forward + to_weights + 2 * 128 * 300 * 10


def test_first_parameters_are_weights_zeros_and_scales_of_one() -> None:
    arrays = first_parameters(SMALL)
    kinds = ["weight" if a.ndim == 2 else {0.0: "zeros", 1.0: "ones"}[float(a.min())] for a in arrays]
    assert kinds == ["weight", "zeros", "ones", "zeros"] * 2 + ["weight", "zeros"]
    assert [a.shape for a in arrays] == [p.shape for p in SMALL.parameters]
    assert all(a.dtype == np.float32 for a in arrays)


def test_batches_go_through_all_samples_epoch_after_epoch() -> None:
    rows = batches(SMALL, 24, 9)
    assert rows.shape == (9, 8)
    assert rows.dtype == np.int32
    for epoch in range(3):
        assert sorted(rows[3 * epoch : 3 * epoch + 3].ravel()) == list(range(24))
    assert (rows == batches(SMALL, 24, 9)).all()
    assert (rows != batches(SMALL, 24, 9, seed=1)).any()


# ---- what is decided ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "other", "bar", "expected"),
    [
        ((100, 101, 102), (200, 201, 202), 1.7, False),  # far from 1, above its bar
        ((100, 110, 120), (105, 112, 118), 1.0, True),  # either may be faster
        ((100, 101, 102), (110, 111, 112), 1.0, False),  # near, and yet apart
        ((90, 100, 110), (170, 175, 180), 1.7, True),  # either side of the bar
        ((90, 100, 110), (300, 305, 310), 1.7, False),  # far above the bar
    ],
)
def test_a_ratio_is_undecided_where_the_noise_could_turn_it(
    own: tuple[float, ...], other: tuple[float, ...], bar: float, expected: bool
) -> None:
    assert undecided(measured(*own), measured(*other), bar) is expected


def test_the_best_peer_is_rated_and_was_measured() -> None:
    found = {"chainrule": measured(1), "a": measured(5, 6, 7), "b": measured(2, rated=False), "c": measured()}
    assert best_peer(found) == "a"
    assert best_peer({"chainrule": measured(1), "c": measured()}) is None


def test_losses_are_apart_by_the_largest_difference_and_nan_is_never_alike() -> None:
    assert largest_difference([2.0, 1.0], [2.0, 1.5]) == 0.25
    assert largest_difference([2.0, 1.0], [2.0, float("nan")]) == float("inf")
    assert largest_difference([2.0], [2.0, 1.0]) == float("inf")
    assert largest_difference([], []) == float("inf")


# ---- the processes --------------------------------------------------------------------------------------------------


class Processes:
    """Stands for the processes: what each peer takes, and who was called when."""

    def __init__(self, **times: float | str) -> None:
        self.times, self.called, self.losses = times, list[str](), {key: [2.0, 1.0, 0.5] for key in PEERS}

    def __call__(self, peer: str, workload: str) -> dict[str, Any]:
        self.called.append(peer)
        time = self.times[peer.replace("-", "_")]
        if isinstance(time, str):
            return {"refused": time}
        return {"microseconds": time + len(self.called) % 3, "losses": self.losses[peer]}


def run(processes: Processes, **settings: Any) -> dict[str, Measured]:
    return training.measure(SMALL, PEERS, processes, tell=lambda line: None, **settings)


def test_the_peers_take_turns_and_the_record_is_taken_once() -> None:
    processes = Processes(chainrule=10.0, torch_1=1000.0, jax=500.0, keras=900.0)
    found = run(processes)
    assert [len(m.microseconds) for m in found.values()] == [5, 5, 5, 1]
    assert processes.called[:4] == ["chainrule", "torch-1", "jax", "keras"]
    assert processes.called[4:10] == ["torch-1", "jax", "chainrule", "jax", "chainrule", "torch-1"]


def test_what_is_close_is_measured_on_and_not_without_end() -> None:
    processes = Processes(chainrule=100.0, torch_1=1000.0, jax=100.0, keras=900.0)
    found = run(processes, rounds=5, most=8)
    assert len(found["chainrule"].microseconds) == len(found["jax"].microseconds) == 8
    assert len(found["torch-1"].microseconds) == 5, "only the best peer is measured on"


def test_a_peer_that_cannot_is_not_asked_again_and_its_reason_is_kept() -> None:
    processes = Processes(chainrule=10.0, torch_1="no compiler", jax=500.0, keras=900.0)
    row = training.row(SMALL, run(processes), {"openblas": 1e9})
    assert processes.called.count("torch-1") == 1
    assert row["refused"] == {"torch-1": "no compiler"}
    assert row["best"] == "jax"
    assert row["ratio"] == pytest.approx(46, rel=0.1)
    assert "no compiler" in page.page({"training": {"small": {**row, "made_with": {"machine": "here"}}}})


@pytest.mark.parametrize("other", [[2.0, 1.0, 0.6], [2.0, 1.0, float("nan")], [2.0, 1.0]])
def test_a_peer_that_does_other_work_is_refused(other: list[float]) -> None:
    processes = Processes(chainrule=10.0, torch_1=1000.0, jax=500.0, keras=900.0)
    processes.losses["jax"] = other
    with pytest.raises(AssertionError, match=r"do other work.*jax"):
        run(processes)


# ---- what is written ------------------------------------------------------------------------------------------------


def kept_row(ratio: float, decided: bool = True) -> dict[str, Any]:
    times = {
        "chainrule": 10.0,
        "torch-1": 60.0,
        "torch-2": 70.0,
        "torch-last-2": 55.0,
        "torch-compile-1": 50.0,
        "jax-scan": 20.0,
    }
    return {
        "network": "784-10", "microseconds": times, "titles": {}, "refused": {}, "differences": {"torch-1": 1e-7},
        "gigaflops": 50.0, "share_of_peak": {"openblas": 0.25}, "bar": 1.7, "aim": 2.0, "ratio": ratio,
        "decided": decided,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "decided", "word"),
    [(2.1, True, "aim"), (1.8, True, "bar"), (1.6, True, "**below**"), (1.75, False, "bar, undecided")],
)
def test_the_verdict_is_a_word(ratio: float, decided: bool, word: str) -> None:
    assert page.verdict(kept_row(ratio, decided)) == word


def test_a_library_stands_with_the_better_of_its_ways() -> None:
    line = page.training_table({"mlp-128": kept_row(5.0)})[-1]
    assert line.startswith("| mlp-128 | 10.0 | 60 | 55 | 50 | – | 20 | – | – | **5.00×** | 1.7× | 2.0× | aim |")
    assert line.endswith("| 25% | – |")


def test_a_row_takes_the_place_of_its_predecessor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = tmp_path / "speed.json", dict[str, Any]()
    monkeypatch.setattr(program, "made_with", lambda: {"machine": "this one", "numpy": "2"})
    program.keep(kept, "training", "mlp-128", kept_row(1.0), path)
    program.keep(kept, "others", "install", {"lines": [page.Line("install", "5 MB", "280 MB", True).kept()]}, path)
    program.keep(kept, "training", "tiny", kept_row(3.0), path)
    program.keep(kept, "training", "mlp-128", kept_row(2.0), path)
    read = json.loads(path.read_text())
    assert list(read["training"]) == ["tiny", "mlp-128"]
    assert read["training"]["mlp-128"]["ratio"] == 2.0
    text = path.with_suffix(".md").read_text()
    assert "this one. numpy 2." in text
    assert "| install | 5 MB | 280 MB | met |" in text
    monkeypatch.setattr(program, "made_with", lambda: {"machine": "another"})
    program.keep(kept, "training", "tiny", kept_row(3.0), path)
    assert "another. (tiny)\n\nthis one. numpy 2. (mlp-128, install)" in path.with_suffix(".md").read_text()


def test_rows_and_peers_that_do_not_exist_are_named() -> None:
    with pytest.raises(SystemExit, match="there is no row 'mlp-64'; there are tiny, mlp-1"):
        program.rows_named("tiny,mlp-64")
    with pytest.raises(SystemExit, match="there is no peer 'caffe'"):
        chosen("caffe")
    assert program.rows_named("mlp-32, tiny") == ["mlp-32", "tiny"]
    assert list(chosen("jax")) == ["chainrule", "jax", "jax-scan"]
    assert f"torch-{cores()}" in chosen("")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_bench_hands_its_words_on(tmp_path: Path) -> None:
    command = ["make", "-n", "bench", f"BENCH_VENV={tmp_path}", "ROW=mlp-128", "PROFILE=1", "PEERS=jax"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=program.KEPT.parents[1], check=True)
    assert "benchmarks.speed --row mlp-128 --peers jax" in done.stdout
    assert "--profile" in done.stdout
    assert "--quick" not in done.stdout
    assert f"environment.sh {tmp_path} benchmark" in done.stdout


def test_the_profile_says_what_bounds_a_kernel() -> None:
    def spent(size: int, operations: int) -> Spent:
        return Spent("kernel", "", "", 0.5, 1e-3, size, operations)

    assert bound(spent(1000, 90_000_000), 1e11, 1e10) == "arithmetic (90% of the peak)"
    assert bound(spent(9_000_000, 1000), 1e11, 1e10) == "memory (90% of a copy's bandwidth)"
    assert bound(spent(30_000_000, 1000), 1e11, 1e10).startswith("the cache")
    assert bound(spent(1000, 1000), 1e11, 1e10).startswith("neither")
