"""What changes pixels where they are: identity at strength 0, the numbers said, keys, both engines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from chainrule.augmentation import Brightness, Colour, Contrast, CutMix, Cutout, PixelNoise
from chainrule.errors import ConfigurationError, ShapeError
from tests.augmentation.making import changed, everything, some_images

NOTHING = [Brightness(0), Contrast(0), Colour(0), PixelNoise(0), Cutout(0)]
MUCH = [Brightness(0.5), Contrast(0.5), Colour(0.5, 0.2), PixelNoise(0.3), Cutout(3), CutMix()]


@pytest.mark.parametrize("nothing", NOTHING, ids=lambda one: type(one).__name__)
def test_strength_0_leaves_every_bit(nothing: Any) -> None:
    images = some_images(3, 7, 5, 3)
    for dtype in ("float32", "float64"):
        np.testing.assert_array_equal(changed(nothing, images, dtype=dtype), images.astype(dtype))


@pytest.mark.parametrize("part", MUCH, ids=lambda one: type(one).__name__)
def test_keys_engines_and_images_without_channels(part: Any) -> None:
    images = some_images(8, 6, 5, 3)
    first, again, other = (changed(part, images, step) for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_allclose(changed(part, images, engine="native"), first, rtol=1e-12, atol=1e-12)
    assert len({(one - before).tobytes() for one, before in zip(first, images, strict=True)}) > 2
    if not isinstance(part, Colour):
        flat = changed(part, images[..., 0])
        np.testing.assert_allclose(flat, changed(part, images[..., :1])[..., 0])


def test_brightness_and_contrast_are_what_they_say() -> None:
    images = some_images(300, 5, 5, 2)
    added = changed(Brightness(0.2), images) - images
    np.testing.assert_allclose(added.std(axis=(1, 2, 3)), 0, atol=1e-12)
    assert -0.2 <= added.min() < -0.18
    assert 0.18 < added.max() <= 0.2
    found = changed(Contrast(0.5), images)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)))
    factors = found.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert 1 / 1.5 <= factors.min() < 0.7
    assert 1.4 < factors.max() <= 1.5
    assert abs(np.log(factors).mean()) < 0.05


def test_colour_leaves_grey_pixels_and_shifts_channels() -> None:
    images = some_images(100, 4, 4, 3)
    images[:, 0] = 0.5
    found = changed(Colour(0.7), images)
    np.testing.assert_array_equal(found[:, 0], images[:, 0])
    np.testing.assert_allclose(found.mean(axis=3), images.mean(axis=3))
    assert not np.allclose(found, images)
    shifts = changed(Colour(0.0, 0.1), images) - images
    np.testing.assert_allclose(shifts.std(axis=(1, 2)), 0, atol=1e-12)
    assert 0.08 < np.abs(shifts[:, 0, 0]).max() <= 0.1
    assert shifts[:, 0, 0].std(axis=1).min() > 0
    with pytest.raises(ShapeError, match=r"wants images with colours, and got \[2, 4, 4, 1\]"):
        changed(Colour(0.2), images[:2, ..., :1])


def test_noise_is_of_its_deviation() -> None:
    added = changed(PixelNoise(0.3), np.zeros((200, 8, 8, 1)))
    assert added.std() == pytest.approx(0.3, rel=0.02)
    assert abs(added.mean()) < 0.01
    assert changed(PixelNoise(0.3), np.zeros((3, 4))).shape == (3, 4)


def test_a_hole_has_its_size_and_its_middle_is_any_pixel() -> None:
    images = np.ones((2000, 6, 7, 2))
    found = changed(Cutout(3, value=-1.0), images)
    holes = found == -1
    np.testing.assert_array_equal(holes.all(axis=3), holes.any(axis=3))
    areas = holes[..., 0].sum(axis=(1, 2))
    assert set(areas) == {4, 6, 9}, "in a corner, at an edge, whole"
    assert (areas == 9).mean() == pytest.approx(4 * 5 / 42, abs=0.05)
    even = changed(Cutout(2), images)[..., 0] == 0
    assert set(even.sum(axis=(1, 2))) == {1, 2, 4}


def test_a_piece_of_another_counts_by_its_area() -> None:
    images = np.broadcast_to(np.arange(12.0)[:, None, None, None], (12, 10, 8, 1))
    shares = []
    for step in range(20):
        found = everything(CutMix(), images, step)
        own, other = found["t0"], found["t1"]
        assert (own != other).all()
        for sample in range(12):
            piece = found["x"][sample, ..., 0] == other[sample]
            assert ((found["x"][sample, ..., 0] == own[sample]) | piece).all()
            np.testing.assert_allclose(found["w1"][sample], piece.mean(), atol=1e-12)
            rows, columns = piece.any(axis=1), piece.any(axis=0)
            np.testing.assert_array_equal(piece, np.outer(rows, columns))
        np.testing.assert_allclose(found["w0"] + found["w1"], 1)
        shares += found["w1"].tolist()
    # The mean share of a piece: E[1 - λ] = 1/2, less what falls outside: E[(s - s²/4)²] with s² uniform over [0, 1].
    assert np.mean(shares) == pytest.approx(1 / 2 - 1 / 5 + 1 / 48, abs=0.06)
    assert math.isclose(min(shares), 0, abs_tol=0.02)


def test_what_is_no_image_is_refused_with_what_to_do() -> None:
    for part in (Brightness(0.1), CutMix(), Cutout(2)):
        with pytest.raises(ShapeError, match=r"changes images, \(batch, height, width, channels\), and got \[4, 9\]"):
            changed(part, np.zeros((4, 9)))
    for value in (-1, 1.5, True):
        with pytest.raises(ConfigurationError, match="Cutout: size is a whole number of pixels"):
            Cutout(value)  # type: ignore[arg-type]
