"""Arrays read piece by piece, and memory maps: only what is wanted is read, and nothing is copied."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import Dataset, epoch_order, from_arrays, map_npz, stream
from chainrule.errors import DataError, StreamError

INPUTS = np.arange(60_000.0).reshape(20_000, 3)
LABELS = np.arange(20_000) % 3


def joined(data: cr.data.Stream, **settings: Any) -> dict[str, Any]:
    parts = list(data.chunks(**settings))
    assert len(parts) > 1
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("source", [(INPUTS, LABELS), Dataset(INPUTS, LABELS)])
def test_arrays_come_in_the_order_that_is_asked_for(source: Any) -> None:
    data = stream(source, classes=3)
    assert len(data) == 20_000
    np.testing.assert_array_equal(joined(data)["inputs"], INPUTS)
    order = epoch_order(4, 2, 20_000)
    found = joined(data, epoch=2, start=777, order=lambda epoch: epoch_order(4, epoch, 20_000))
    np.testing.assert_array_equal(found["inputs"], INPUTS[order[777:]])
    np.testing.assert_array_equal(found["targets"], LABELS[order[777:]])


def test_arrays_by_name() -> None:
    data = stream({"x": INPUTS, "n": LABELS})
    np.testing.assert_array_equal(joined(data)["n"], LABELS)
    assert isinstance(data.take(5), dict)


def test_the_sample_that_cannot_be_used_is_named_by_its_own_number() -> None:
    inputs = INPUTS.copy()
    inputs[12_345, 1] = np.inf
    for order in (None, lambda epoch: epoch_order(0, epoch, 20_000)):
        with pytest.raises(
            StreamError, match=r"the stream, sample 12,345: inputs, row 0, column 1: inf is not a finite"
        ):
            list(stream((inputs, LABELS), classes=3).chunks(order=order))


def peak(work: Any) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_memory_map_is_not_copied(dtype: str, tmp_path: Path) -> None:
    large = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", dtype, (20_000, 1000))
    large[::5000] = 1
    large.flush()
    labels = np.arange(20_000) % 2
    found: list[Any] = []

    def work() -> None:
        inputs = np.load(tmp_path / "x.npy", mmap_mode="r")
        data = from_arrays(inputs, labels)
        assert np.shares_memory(data.inputs, inputs)
        found.append(data)

    assert peak(work) < 3_000_000 < large.nbytes / 5
    data = found[0]
    model = cr.Chain(cr.Dense(2))
    resident: list[cr.Run] = []
    run = cr.fit(model, data, epochs=1, batch_size=500)  # compiled here, and not counted below
    assert peak(lambda: resident.append(cr.fit(model, data, epochs=1, batch_size=500))) < 8_000_000
    assert resident[0].parameters["0.weight"].tobytes() == run.parameters["0.weight"].tobytes()


def test_the_arrays_of_an_npz_file_are_mapped(tmp_path: Path) -> None:
    wanted = {
        "x": np.arange(600_000, dtype=np.float32).reshape(-1, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "empty": np.zeros((0, 4)),
        "number": np.array(5),
        "texts": np.array(["ab", "c"]),
    }
    np.savez(tmp_path / "all.npz", **wanted)  # type: ignore[arg-type]
    found: list[Any] = []
    assert peak(lambda: found.append(map_npz(tmp_path / "all.npz"))) < 1_000_000 < wanted["x"].nbytes
    assert list(found[0]) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[0][name], array)
        assert found[0][name].dtype == array.dtype
    with pytest.raises(ValueError, match="read-only"):
        found[0]["x"][0] = 1
    assert np.shares_memory(from_arrays(found[0]["x"]).inputs, found[0]["x"])


def test_files_that_cannot_be_mapped_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(DataError, match="no such file"):
        map_npz(path)
    np.savez_compressed(path, x=INPUTS)
    with pytest.raises(
        DataError, match=r"array 'x': is compressed, and cannot be mapped; write the file with numpy.savez"
    ):
        map_npz(path)
    np.savez(path, x=np.array([{}, 1], object))
    with pytest.raises(DataError, match="holds Python objects"):
        map_npz(path)
    np.savez(path, x=INPUTS)
    whole = path.read_bytes()
    for damaged in (b"", b"PK", whole[:1000], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"not a whole \.npz file"):
            map_npz(path)
    # Every byte of the head once: refused, or still the same numbers; never another error.
    for place in range(0, 128):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = map_npz(path)
        except DataError:
            continue
        assert found["x"].nbytes == INPUTS.nbytes


def test_not_finite_numbers_are_found_in_every_piece() -> None:
    inputs = np.zeros((1_500_000, 1), np.float32)
    for row in (0, 1_048_575, 1_048_576, 1_499_999):
        inputs[row] = np.nan
        with pytest.raises(DataError, match=f"inputs, row {row}, column 0: nan"):
            from_arrays(inputs)
        inputs[row] = 0
    assert len(from_arrays(inputs)) == len(inputs)
