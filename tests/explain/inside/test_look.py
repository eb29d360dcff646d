"""One look gathers what there is: numbers in tables, pictures in files; what cannot be is left out, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import chainrule as cr
from chainrule.data import Dataset, Preparation
from chainrule.errors import ConfigurationError, DataError
from chainrule.explain import inside
from chainrule.explain.inside.colours import laid_over, shades, shrunk, signs
from tests.explain.inside.networks import cross, crosses, dense, trained


def test_all_that_there_is_to_see_of_digits() -> None:
    run, test = trained()
    seen = run.look(test, 3)
    assert list(seen.found) == list(inside.WHAT)
    assert seen.absent == {}
    assert [panel.name for panel in seen.panels] == ["filters", "features", "sample", "exciting", "map", "mistakes"]
    np.testing.assert_array_equal(seen.found["saliency"], inside.saliency(run, test.inputs[3:4]))
    np.testing.assert_array_equal(seen.found["grad-cam"], inside.grad_cam(run, test.inputs[3:4]))
    text = str(seen)
    for words in (
        "sample 3 is taken for",
        "integrated  ",
        "unit of the output",
        "of the variance",
        "taken for another",
    ):
        assert words in text, words
    assert str(run.look(test, 3)) == text


def test_of_a_table_the_columns_are_told_and_what_is_not_there_is_said_why() -> None:
    run, test = dense()
    seen = run.look(test, 2)
    assert set(seen.found) == {"saliency", "smooth", "integrated", "exciting", "map", "mistakes"}
    assert set(seen.absent) == {"filters", "features", "grad-cam", "occlusion"}
    assert [panel.name for panel in seen.panels] == ["map"]
    text = str(seen)
    for words in ("petal_width", "no filters: layer 0 (Dense) has no filters", "no occlusion: occlusion wants images"):
        assert words in text
    with pytest.raises(DataError, match="has no filters"):
        run.look(test, 2, ["filters"])


def test_numbers_may_be_predicted_too() -> None:
    data = cr.data.from_arrays(np.arange(24.0).reshape(12, 2), np.arange(12.0))
    run = cr.fit(cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(1)), data, epochs=2, engine="reference", progress=False)
    seen = run.look(data)
    assert "mistakes are of classes" in seen.absent["mistakes"]
    assert "the network says" in str(seen)


def test_symbols_have_no_gradient_and_are_looked_at_by_layer() -> None:
    rows = (np.arange(60) % 7).reshape(12, 5)
    data = Dataset(rows, np.arange(12) % 2, preparation=Preparation(symbols=7))
    model = cr.Chain(cr.Embedding(7, 8), cr.Conv1D(4, 3, cr.relu), cr.Flatten(), cr.Dense(2))
    run = cr.prepare(model, data, engine="reference")
    seen = run.look(data, 1)
    assert set(seen.found) == {"features", "grad-cam", "map", "mistakes"}
    assert "layer 0 (Embedding) has no filters; layers that have: 1 (Conv1D)" in seen.absent["filters"]
    assert "rows of symbols, by which there is no gradient" in seen.absent["saliency"]
    assert seen.found["grad-cam"].shape == (1, 5)
    np.testing.assert_array_equal(inside.feature_maps(run, data, ""), run.outputs(rows))
    tags = Dataset(rows, rows, preparation=Preparation(symbols=7))
    tagger = cr.prepare(cr.Chain(cr.Embedding(7, 8), cr.Dense(7)), tags, engine="reference")
    assert tagger.look(tags, 1, ["features"], layer="0").found["features"].shape == (1, 5, 8)


def test_pictures_are_written_as_one_or_one_by_one(tmp_path: Path) -> None:
    run, test = trained()
    seen = run.look(test, 0, ["saliency", "occlusion", "map"])
    (whole,) = seen.save(tmp_path / "all.png")
    with Image.open(whole) as image:
        assert image.size[0] > 500
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 100
    written = seen.save(tmp_path / "folder")
    assert [path.name for path in written] == ["sample.png", "map.png"]
    assert all(path.stat().st_size > 3000 for path in written)
    with pytest.raises(DataError, match="there is nothing to be drawn"):
        dense()[0].look(dense()[1], 0, ["saliency"]).save(tmp_path / "none.png")


def test_what_is_asked_for_is_refused_in_words() -> None:
    run, test = trained()
    with pytest.raises(ConfigurationError, match="there is no 'salience' to look at; there are filters, features, "):
        run.look(test, 0, ["salience"])
    with pytest.raises(ConfigurationError, match="sample 359: there are samples 0 to 358"):
        run.look(test, len(test))
    with pytest.raises(ConfigurationError, match=r"there is no layer '9'; there are '' \(Chain, 10\), 0 \(Conv2D"):
        run.look(test, layer="9")
    with pytest.raises(DataError, match="of a stream, take some of it"):
        run.look(cr.data.stream(test))  # type: ignore[arg-type]


def test_the_layer_and_the_class_that_are_asked_for() -> None:
    run, test = trained()
    seen = run.look(test, 1, ["features", "grad-cam", "exciting", "map"], layer="4.0", output="8")
    assert seen.found["features"].shape == (1, 4, 4, 6)
    assert seen.found["map"].layer == seen.found["exciting"].layer == "4.0"
    np.testing.assert_array_equal(seen.found["grad-cam"], inside.grad_cam(run, test.inputs[1:2], "8", "4.0"))
    run_of_crosses = crosses()
    data = cr.data.from_arrays(
        np.concatenate([cross(2, 2), cross(6, 5), 0 * cross(2, 2)]), [0, 0, 1], ["cross", "nothing"]
    )
    by_hand = run_of_crosses.look(data, 1, ["grad-cam"], output="cross").found["grad-cam"]
    assert by_hand[0, 6, 5] == by_hand.sum() > 0


def test_colours_say_the_sign_and_the_size() -> None:
    assert signs([[[0.0, 1.0, -0.5]]])[0, 0].tolist() == [[255, 255, 255], [194, 87, 12], [143, 175, 223]]
    assert signs(np.zeros((1, 2, 2))).min() == 255
    assert shades(np.full((2, 3, 3, 1), 7.0)).max() == 0
    assert shades(np.array([np.nan, 1.0, 2.0]).reshape(1, 1, 3, 1))[0, 0, :, 0].tolist() == [0, 128, 255]
    assert laid_over(np.full((1, 2, 2, 3), 9, np.uint8), np.zeros((1, 2, 2))).tolist() == [[[[9] * 3] * 2] * 2]
    for size in ((64, 64), (65, 64), (1, 500), (130, 3)):
        assert max(shrunk(np.ones((*size, 3), np.uint8)).shape[:2]) <= 64
