"""Weights for another run: what fits is taken, what does not is told, and nothing is taken by halves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError, RunFileError
from chainrule.formats.folder import write_arrays

TRAIN, TEST = cr.data.load("iris")


def model(classes: int = 3, hidden: int = 8) -> cr.Chain:
    return cr.Chain(cr.Dense(hidden), cr.BatchNorm(), cr.tanh, cr.Dense(classes))


@pytest.fixture(scope="module")
def known() -> cr.Run:
    return cr.fit(model(), TRAIN, epochs=2, progress=False)


def test_all_of_a_run_is_taken_and_says_the_same(known: cr.Run, tmp_path: Path) -> None:
    folder = known.save(tmp_path / "run")
    for source in (known, folder, str(folder), folder / "weights.safetensors"):
        run = cr.prepare(model(), TRAIN, seed=5, weights=source)
        assert run.transfer is not None
        assert set(run.transfer.taken) == {
            "0.weight", "0.bias", "1.scale", "1.shift", "1.mean", "1.variance", "3.weight", "3.bias",
        }  # fmt: skip
        assert not run.transfer.anew
        assert not run.transfer.left
        np.testing.assert_array_equal(run.outputs(TEST.inputs), known.outputs(TEST.inputs))
        assert int(run.arrays["step"]) == 0


def test_the_report_says_what_did_not_fit_and_why(known: cr.Run) -> None:
    weights = known.parameters | {"0.weight": np.zeros((5, 8)), "9.weight": np.zeros((2, 2))}
    run = cr.prepare(model(), TRAIN, weights=weights)
    transfer = run.transfer
    assert transfer is not None
    assert transfer.taken == ("0.bias", "1.scale", "1.shift", "3.weight", "3.bias")
    assert transfer.anew == ("0.weight", "1.mean", "1.variance")
    assert transfer.left == ("9.weight",)
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in str(transfer).splitlines()}
    assert told["weights"] == "of arrays given: 5 taken, 3 begin anew, 1 left"
    assert told["0.weight"] == "5×8 4×8 begins anew: another shape"
    assert told["1.mean"] == "– 8 begins anew: there is none of this path"
    assert told["9.weight"] == "2×2 – left: nothing here has this path"
    # What begins anew begins as it would have without.
    np.testing.assert_array_equal(run.parameters["0.weight"], cr.prepare(model(), TRAIN).parameters["0.weight"])


def test_a_new_head_on_a_known_body(known: cr.Run) -> None:
    assert known.model is not None
    layers = known.model.layers  # type: ignore[union-attr]
    two = TRAIN.subset(np.flatnonzero(np.asarray(TRAIN.targets) < 2))
    two = cr.data.from_arrays(two.inputs, two.targets, classes=("setosa", "versicolor"))
    run = cr.fit(cr.Chain(*layers[:-1], cr.Dense(2)), two, weights=known, freeze=["0", "1"], progress=False)
    assert run.transfer is not None
    assert run.transfer.anew == ("3.weight", "3.bias")
    assert run.evaluate(two)["accuracy"] > 0.9


def test_a_step_of_ones_own_takes_weights_too(known: cr.Run) -> None:
    net = model()
    named = cr.Chain(*net.layers, name="net")

    @cr.step
    def own(state: cr.training.StepState, batch: cr.training.Batch) -> dict[str, cr.Node]:
        loss = cr.losses.cross_entropy(state.apply(named, batch.inputs), batch.targets)
        state.descend(loss, named, cr.optimizers.SGD(0.1))
        return {"loss": loss}

    run = cr.prepare(own, TRAIN, weights={f"net.{path}": array for path, array in known.parameters.items()})
    np.testing.assert_array_equal(run.parameters["net.0.weight"], known.parameters["0.weight"])


def test_a_run_is_not_changed_by_giving_its_weights(known: cr.Run) -> None:
    before = known.parameters
    cr.fit(model(), TRAIN, weights=known, epochs=1, progress=False)
    for path, array in known.parameters.items():
        np.testing.assert_array_equal(array, before[path])


def test_what_cannot_be_used_is_refused(known: cr.Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none of the weights fits this model\n.*0 taken, 8 begin anew"):
        cr.prepare(model(), TRAIN, weights={"a.weight": np.zeros((2, 2))})
    with pytest.raises(ConfigurationError, match=r"0\.weight would be frozen at first values drawn by chance"):
        cr.prepare(model(), TRAIN, freeze=["0"], weights={"0.bias": known.parameters["0.bias"]})
    with pytest.raises(ConfigurationError, match=r"0\.weight is int64, and weights are floats"):
        cr.prepare(model(), TRAIN, weights={"0.weight": np.zeros((4, 8), np.int64)})
    with pytest.raises(ConfigurationError, match=r"0\.weight holds numbers that are not finite"):
        cr.prepare(model(), TRAIN, weights={"0.weight": np.full((4, 8), np.nan)})
    with pytest.raises(ConfigurationError, match="weights are a run, the folder of one, a safetensors file"):
        cr.prepare(model(), TRAIN, weights=3)  # type: ignore[arg-type]
    with pytest.raises(RunFileError, match="there are no weights at"):
        cr.prepare(model(), TRAIN, weights=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFileError, match=r"is not a run: it has no weights\.safetensors"):
        cr.prepare(model(), TRAIN, weights=tmp_path / "empty")
    (tmp_path / "bad.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(RunFileError, match="is damaged"):
        cr.prepare(model(), TRAIN, weights=tmp_path / "bad.safetensors")


def test_weights_of_other_programs_are_read_by_their_paths(tmp_path: Path) -> None:
    write_arrays(tmp_path / "other.safetensors", {"3.bias": np.arange(3, dtype=np.float16)}, {})
    run = cr.prepare(model(), TRAIN, weights=tmp_path / "other.safetensors")
    np.testing.assert_array_equal(run.parameters["3.bias"], np.arange(3, dtype=np.float32))
