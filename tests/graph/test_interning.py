from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref

import pytest

from chainrule import graph
from chainrule.errors import ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node, live_nodes, vectorize


def _settled() -> int:
    gc.collect()
    return live_nodes()


def _chain(length: int) -> Node:
    node = graph.input("chain", (2,))
    for number in range(length):
        node = graph.sin(node) if number % 2 else -node
    return node


def test_a_long_chain_is_freed() -> None:
    before = _settled()
    node = _chain(200_000)
    assert live_nodes() >= before + 200_000
    del node
    assert _settled() == before


def test_a_long_chain_is_differentiated_mapped_and_freed() -> None:
    before = _settled()
    x = graph.input("chain", (2,))
    (slope,) = gradients(graph.sum(_chain(20_000)), [x])
    whole = vectorize(graph.verify(Graph({"slope": slope})), ["chain"], 3)
    assert whole.outputs["slope"].shape == (3, 2)
    del slope, whole, x
    assert _settled() == before


def test_a_chain_is_freed_in_a_thread_with_a_small_stack_and_at_exit() -> None:
    """A crash would take the interpreter with it, so another one is asked."""
    program = (
        "import threading\n"
        "from chainrule import graph\n"
        "def chain(name):\n"
        "    node = graph.input(name, (2,))\n"
        "    for _ in range(100_000):\n"
        "        node = -node\n"
        "    return node\n"
        "threading.stack_size(256 * 1024)\n"
        "thread = threading.Thread(target=lambda: chain('a'))\n"
        "thread.start()\n"
        "thread.join()\n"
        "assert graph.live_nodes() == 0, graph.live_nodes()\n"
        "kept = chain('b')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _recurrent(width: int) -> tuple[Node, list[Node]]:
    w, x = graph.input("w", (width, width)), graph.input("x", (4, 1, width))
    _, (rows,) = graph.scan(
        lambda carries, slices: ([h := graph.tanh(carries[0] @ w + slices[0])], [h]),
        [graph.full((1, width), 0, "float32")],
        [x],
    )
    return graph.sum(rows), [w, x]


def test_scans_and_their_gradients_are_freed() -> None:
    before = _settled()
    loss, wrt = _recurrent(3)
    found = gradients(graph.sum(gradients(loss, wrt)[0]), wrt)
    batch = vectorize(Graph({"slope": found[0]}), ["x"], 2)
    watch = weakref.ref(batch.outputs["slope"])
    del loss, wrt, found, batch
    assert _settled() == before
    assert watch() is None


def test_a_node_that_failed_to_be_made_leaves_nothing_behind() -> None:
    x, y = graph.input("x", (2,)), graph.input("y", (3,))
    before = _settled()
    for _ in range(3):
        with pytest.raises(ShapeError):
            x + y
    assert _settled() == before


def test_threads_that_build_the_same_graph_get_the_same_nodes() -> None:
    started = threading.Barrier(4)
    built: dict[int, list[Node]] = {}
    failed: list[BaseException] = []

    def build(number: int) -> None:
        try:
            started.wait()
            nodes = []
            for size in range(1, 120):
                x = graph.input("x", (size,))
                y = graph.constant(0.5) * graph.sum(graph.exp(x) * x + 1)
                nodes += [y, *gradients(y, [x])]
            built[number] = nodes
        except BaseException as error:
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change places within make
    try:
        threads = [threading.Thread(target=build, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failed
    assert all(a is b for number in range(1, 4) for a, b in zip(built[0], built[number], strict=True))


def test_threads_that_drop_and_build_in_turn_never_meet_a_dead_node() -> None:
    failed: list[BaseException] = []

    def churn() -> None:
        try:
            for number in range(1500):
                x = graph.input("churn", (number % 7 + 1,))
                y = graph.exp(-x) + graph.exp(-x)
                assert y.inputs[0] is y.inputs[1]
                assert y is graph.exp(-x) + graph.exp(-x)
                assert y.inputs[0].inputs[0].inputs[0] is x
        except BaseException as error:
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=churn) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failed
