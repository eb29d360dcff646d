"""Where a network looks: on a network of known weights Grad-CAM, occlusion and feature maps have answers by hand."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.protocol import Array
from chainrule.errors import ConfigurationError, DataError
from chainrule.explain import inside
from chainrule.explain.inside import view
from chainrule.keys import Key
from chainrule.run import Run
from tests.explain.inside.networks import SIZE, cross, crosses, dense, trained


@pytest.mark.parametrize("place", [(2, 6), (5, 3), (1, 1)])
def test_grad_cam_lies_where_the_filter_answers(place: tuple[int, int]) -> None:
    found = inside.grad_cam(crosses(), cross(*place), "cross")
    # The detecting filter gives 5 - 4 in the middle of the cross and nothing elsewhere; the class is the mean of it.
    by_hand = np.zeros((1, SIZE, SIZE))
    by_hand[(0, *place)] = 1.0 / SIZE**2
    np.testing.assert_allclose(found, by_hand, atol=1e-12)
    assert not inside.grad_cam(crosses(), cross(*place), "nothing").any()


def test_grad_cam_weighs_channels_by_the_mean_of_their_gradients() -> None:
    data = cr.data.from_arrays(Key(0).uniform((4, SIZE, SIZE, 1)), np.arange(4) % 2)
    model = cr.Chain(cr.Conv2D(3, 3, cr.relu), cr.Flatten(), cr.Dense(2))
    run = cr.prepare(model, data, dtype="float64", engine="reference")
    slopes = Key(1).uniform((SIZE, SIZE, 3), -0.4, 0.6)  # of the second class, by place and channel
    run.set_parameters({"2.weight": np.stack([0 * slopes.ravel(), slopes.ravel()], axis=1)})
    by_hand = np.maximum(inside.feature_maps(run, data) @ slopes.mean(axis=(0, 1)), 0)
    assert by_hand.any()
    np.testing.assert_allclose(inside.grad_cam(run, data, 1), by_hand, rtol=1e-9)


def test_what_speaks_against_an_output_is_left_out() -> None:
    run = crosses()
    run.set_parameters({"2.weight": -np.eye(2)})
    assert not inside.grad_cam(run, cross(4, 4), "cross").any()


@pytest.mark.parametrize("place", [(2, 6), (5, 3)])
def test_occlusion_finds_the_planted_patch(place: tuple[int, int]) -> None:
    found = inside.occlusion(crosses(), cross(*place), "cross", patch=1)
    by_hand = np.where(cross(*place)[..., 0] > 0, 1.0 / SIZE**2, 0.0)  # without any pixel of it the filter is silent
    np.testing.assert_allclose(found, by_hand, atol=1e-12)
    wide = inside.occlusion(crosses(), cross(*place), "cross", patch=3)
    assert wide[0][place] == pytest.approx(wide.max())
    assert wide[0, 8, 0] == 0
    coarse = inside.occlusion(crosses(), cross(*place), "cross", patch=4, stride=3)
    assert coarse.shape == (1, SIZE, SIZE)
    assert coarse[0][place] == coarse.max()


def test_a_large_image_is_covered_in_large_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(run: Run, seen: Array) -> Array:
        asked.append(len(seen))
        return view.outputs(run, seen)

    monkeypatch.setattr(importlib.import_module("chainrule.explain.inside.occlusion"), "outputs", counted)
    images = np.arange(2 * 96 * 64, dtype=np.int64).reshape(2, 96, 64).astype(np.uint8)
    data = cr.data.from_arrays(images, [0, 1])
    run = cr.prepare(cr.Chain(cr.Flatten(), cr.Dense(2)), data, engine="reference")
    found = inside.occlusion(run, images[:1], 0)
    assert found.shape == (1, 96, 64)
    assert np.isfinite(found).all()
    assert sum(asked) == 1 + 21 * 13  # squares of 16 in steps of 4
    assert max(asked) <= 64, "so that memory is bounded"


def test_occlusion_serves_rows_and_colours() -> None:
    train, test = cr.data.load("digits")
    run = cr.fit(cr.Chain(cr.Dense(16, cr.relu), cr.Dense(10)), train, epochs=2, progress=False)
    assert inside.occlusion(run, test.inputs[:2]).shape == (2, 8, 8)
    colours = cr.data.from_arrays(np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3), [0, 1])
    other = cr.prepare(cr.Chain(cr.Conv2D(2, 3), cr.Flatten(), cr.Dense(2)), colours)
    assert inside.occlusion(other, colours, patch=2).shape == (2, 4, 4)
    assert inside.grad_cam(other, colours).shape == (2, 4, 4)


def test_feature_maps_and_filters_are_what_they_are() -> None:
    run = crosses()
    np.testing.assert_array_equal(inside.filters(run), np.moveaxis(run.parameters["0.weight"], -1, 0))
    maps = inside.feature_maps(run, np.concatenate([cross(2, 2), cross(6, 5)]))
    assert maps.shape == (2, SIZE, SIZE, 2)
    assert maps[0, 2, 2, 0] == maps[1, 6, 5, 0] == 1.0
    assert maps.sum() == 2.0
    np.testing.assert_array_equal(inside.feature_maps(run, cross(2, 2), ""), run.outputs(cross(2, 2)))
    trained_run, test = trained()
    assert inside.feature_maps(trained_run, test.inputs[:3], "4.0").shape == (3, 4, 4, 6)
    assert inside.filters(trained_run, "4.1").shape == (6, 3, 3, 6)


def test_rows_that_are_images_have_filters_too() -> None:
    train, _ = cr.data.load("digits")
    run = cr.prepare(cr.Chain(cr.Dense(16, cr.relu), cr.Dense(10)), train)
    found = inside.filters(run)
    assert found.shape == (16, 8, 8, 1)
    np.testing.assert_array_equal(found[3].ravel(), run.parameters["0.weight"][:, 3])
    simple = cr.prepare(cr.models.simple_cnn(10, (8, 8, 1)), train)  # which makes images of rows
    assert inside.filters(simple).shape == (32, 3, 3, 1)
    assert inside.grad_cam(simple, train.inputs[:1]).shape == (1, 4, 4)
    assert inside.occlusion(simple, train.inputs[:1], stride=2).shape == (1, 8, 8)


def test_a_model_with_a_name_is_looked_into() -> None:
    train, test = cr.data.load("digits", images=True)
    model = cr.Chain(cr.Conv2D(2, 3, cr.relu), cr.Flatten(), cr.Dense(10), name="reader")
    run = cr.prepare(model, train)
    assert inside.grad_cam(run, test.inputs[:1], "3").shape == (1, 8, 8)
    assert inside.filters(run, "reader.0").shape == (2, 3, 3, 1)
    assert inside.embedding(run, test.inputs[:9]).layer == "reader.1"


def test_a_run_that_was_loaded_is_the_same_inside(tmp_path: object) -> None:
    run, test = trained()
    loaded = cr.load(run.save(f"{tmp_path}/run"), engine="reference")
    for look in (inside.grad_cam, inside.saliency):
        assert look(loaded, test.inputs[:2]).tobytes() == look(run, test.inputs[:2]).tobytes()


def test_what_has_no_places_says_so() -> None:
    run, test = dense()
    with pytest.raises(DataError, match=r"layer 0 \(Dense\) has no filters; its samples are no images"):
        inside.filters(run)
    with pytest.raises(DataError, match="Grad-CAM wants a layer with places, as a convolution has, and this network"):
        inside.grad_cam(run, test)
    with pytest.raises(DataError, match=r"occlusion wants images, and the samples of this run are \[4\]"):
        inside.occlusion(run, test)
    with pytest.raises(DataError, match="a feature map wants a layer with places"):
        inside.feature_maps(run, test)
    with pytest.raises(ConfigurationError, match=r"there is no layer '7'; there are .* 0 \(Dense, 8\), 1 \(Dense, 3\)"):
        inside.feature_maps(run, test, "7")
    seen, digits = trained()
    with pytest.raises(DataError, match=r"layer 6 \(Dense\) gives \[16\]; layers with places: 0 \(Conv2D\), "):
        inside.grad_cam(seen, digits, layer="6")
    with pytest.raises(DataError, match=r"layer 6 \(Dense\) has no filters; layers that have: 0 \(Conv2D\), 4.0"):
        inside.filters(seen, "6")
    with pytest.raises(ConfigurationError, match="a patch of 9×9 is larger than the image, which is 8×8"):
        inside.occlusion(seen, digits, patch=9)
    with pytest.raises(ConfigurationError, match="a stride of 3 leaves pixels between patches of 2×2"):
        inside.occlusion(seen, digits, patch=2, stride=3)
