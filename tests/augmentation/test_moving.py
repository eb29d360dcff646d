"""What moves pixels: exact where it can be, identity at strength 0, one pass however many there are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from chainrule import graph
from chainrule.augmentation import Augmentations, Crop, Elastic, Flip, Rotate, Samples, Shear, Shift, Zoom
from chainrule.augmentation.elastic import gaussian
from chainrule.augmentation.geometric import rotated
from chainrule.augmentation.maps import SamplingMap, resample
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError
from chainrule.graph import Graph, Node
from tests.augmentation.making import Array, changed, scope_at, some_images

OUTSIDE: list[Any] = ["edge", "reflect", 0.25]
NOTHING = [Shift(0), Shift(0, whole=False), Rotate(0), Zoom(0), Shear(0), Flip(0, 0), Crop(0), Elastic(0)]
MUCH = [Shift(3), Shift(2.5, whole=False), Rotate(30), Zoom(0.4), Shear(20), Flip(0.5, 0.5), Crop(0.6), Elastic(40, 3)]


def placed(images: Array, places: SamplingMap, outside: Any = "edge") -> Array:
    x = graph.constant(images, "float64")
    return ReferenceEngine().compile(graph.verify(Graph({"x": resample(x, places, outside)}))).run({})["x"]


def identity(images: Array) -> SamplingMap:
    return SamplingMap.identity(images.shape[:3], "float64")


def each(count: int, value: float) -> Node:
    return graph.full((count,), value, "float64")


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("nothing", NOTHING, ids=lambda one: type(one).__name__)
def test_strength_0_leaves_every_bit(nothing: Any, outside: Any) -> None:
    images = some_images(3, 7, 5, 2)
    part = type(nothing)(**{**vars(nothing), "outside": outside})
    for dtype in ("float32", "float64"):
        np.testing.assert_array_equal(changed(part, images, dtype=dtype), images.astype(dtype))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turns_by_90_degrees_are_numpys(turns: int) -> None:
    images = some_images(2, 6, 6, 3)
    found = placed(images, rotated(identity(images), each(2, turns * math.pi / 2)))
    np.testing.assert_allclose(found, np.rot90(images, turns, axes=(1, 2)), atol=1e-12)
    assert not np.allclose(found, np.rot90(images, -turns if turns != 2 else 1, axes=(1, 2)))


@pytest.mark.parametrize("outside", OUTSIDE)
def test_whole_shifts_are_exact(outside: Any) -> None:
    images = some_images(1, 6, 5, 1)
    settings: dict[str, Any] = {"mode": outside} if isinstance(outside, str) else {"constant_values": outside}
    wide = np.pad(images, [(0, 0), (9, 9), (9, 9), (0, 0)], **settings)
    for down, right in ((0, 0), (2, -1), (-3, 4), (4, 3), (-7, 8)):
        found = placed(images, identity(images).then(None, (each(1, down), each(1, right))), outside)
        if outside == 0.25:
            np.testing.assert_allclose(found, wide[:, 9 + down : 15 + down, 9 + right : 14 + right], rtol=1e-15)
        else:
            np.testing.assert_array_equal(found, wide[:, 9 + down : 15 + down, 9 + right : 14 + right])


def test_half_a_pixel_is_the_mean_of_two() -> None:
    images = some_images(1, 4, 5, 1)
    found = placed(images, identity(images).then(None, (each(1, 0.0), each(1, 0.5))))
    np.testing.assert_allclose(found[:, :, :-1], (images[:, :, :-1] + images[:, :, 1:]) / 2)
    np.testing.assert_array_equal(found[:, :, -1], images[:, :, -1])


def test_shifts_are_whole_and_of_each_size() -> None:
    image = np.zeros((400, 9, 9, 1))
    image[:, 4, 4] = 1.0
    found = changed(Shift(2, outside=0.0), image)
    assert sorted(np.unique(found)) == [0, 1]
    places = {tuple(map(int, np.argwhere(one[..., 0])[0])) for one in found}
    assert places == {(y, x) for y in range(2, 7) for x in range(2, 7)}


def test_flips_come_as_often_as_asked() -> None:
    images = some_images(1, 4, 5, 1).repeat(600, axis=0)
    found = changed(Flip(0.3, 0.6), images)
    known = {"none": images[0], "h": images[0, :, ::-1], "v": images[0, ::-1], "both": images[0, ::-1, ::-1]}
    counted = {name: sum(np.array_equal(one, image) for one in found) / 600 for name, image in known.items()}
    expected = {"none": 0.28, "h": 0.12, "v": 0.42, "both": 0.18}
    assert counted == pytest.approx(expected, abs=0.08)
    assert sum(counted.values()) == pytest.approx(1)


def test_a_zoom_reads_a_slope_as_a_slope() -> None:
    """On an image that is linear in its place, bilinear reading is exact, so that the numbers drawn can be read off."""
    rows = np.arange(9.0) - 4
    images = np.broadcast_to(rows[None, :, None, None], (200, 9, 9, 1))
    middle = slice(3, 6)
    slopes = np.diff(changed(Zoom(0.5), images)[:, middle, 4, 0], axis=1)
    np.testing.assert_allclose(slopes[:, 0], slopes[:, 1])
    assert 1 / 1.5 <= slopes.min() < 0.75
    assert 1.4 < slopes.max() <= 1.5
    cut = np.diff(changed(Crop(0.5), images)[:, middle, 4, 0], axis=1)
    assert math.sqrt(0.5) <= cut.min() < 0.75
    assert 0.97 < cut.max() <= 1
    columns = np.swapaxes(images, 1, 2)
    slant = np.diff(changed(Shear(20), columns)[:, middle, 4, 0], axis=1)
    assert abs(np.abs(slant).max() - math.tan(math.radians(20))) < 0.02
    turned = changed(Rotate(30), images)[:, middle, 4, 0]
    assert abs(np.diff(turned, axis=1).min() - math.cos(math.radians(30))) < 0.01


def test_a_crop_never_looks_outside() -> None:
    images = some_images(50, 8, 8, 1) + 5
    assert changed(Crop(0.9, outside=-100.0), images).min() > 4.9


def test_the_smoothing_is_a_gaussian_of_sum_1() -> None:
    matrix = gaussian(41, 3.0)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix[20].sum() == pytest.approx(1, abs=1e-9)
    assert (np.arange(41) - 20) ** 2 @ matrix[20] == pytest.approx(9, rel=0.01)
    assert matrix[0].sum() == pytest.approx(0.5 + matrix[0, 0] / 2, abs=1e-9)


def test_elastic_displacements_are_smooth_and_of_the_size_said() -> None:
    side, alpha, sigma = 41, 34.0, 4.0
    places = np.broadcast_to(np.arange(float(side))[None, :, None, None], (300, side, side, 1))
    bent = changed(Elastic(alpha, sigma), places)[..., 0] - places[..., 0]
    middle = bent[:, 16:25, 16:25]
    assert middle.std() == pytest.approx(alpha / sigma / math.sqrt(12 * math.pi), rel=0.1)
    assert abs(middle.mean()) < 0.25
    near = np.corrcoef(bent[:, 20, 20], bent[:, 20, 21])[0, 1]
    far = np.corrcoef(bent[:, 20, 10], bent[:, 20, 34])[0, 1]
    assert near > 0.95
    assert abs(far) < 0.25


def test_several_are_one_map_and_one_pass() -> None:
    """A turn by 30° and one back is nothing, where two passes would have blurred it."""
    images = some_images(2, 9, 9, 1)
    there_and_back = rotated(rotated(identity(images), each(2, 0.5)), each(2, -0.5))
    np.testing.assert_allclose(placed(images, there_and_back), images, atol=1e-12)
    alone = Augmentations(Rotate(20)).apply(scope_at(), Samples(graph.input("x", (2, 9, 9, 1), "float64"), ()))
    four = Augmentations(Shift(2), Rotate(20), Zoom(0.1), Elastic()).apply(
        scope_at(), Samples(graph.input("x", (2, 9, 9, 1), "float64"), ())
    )

    def gathers(samples: Samples) -> int:
        return sum(node.op == "gather" for node in graph.topological([samples.inputs]))

    assert gathers(alone) == gathers(four) == 4
    apart = Augmentations(Shift(2), Rotate(20, outside=0.0)).apply(
        scope_at(), Samples(graph.input("x", (2, 9, 9, 1), "float64"), ())
    )
    assert gathers(apart) == 8


def test_maps_follow_each_other_in_the_order_of_the_list() -> None:
    """First shifted to the right, then turned by 90°: what was on the right is at the top."""
    images = np.zeros((1, 5, 5, 1))
    images[0, 2, 2] = 1
    shifted = identity(images).then(None, (each(1, 0), each(1, -2)))
    assert placed(images, shifted)[0, 2, 4, 0] == 1
    assert placed(images, rotated(shifted, each(1, math.pi / 2)))[0, 0, 2, 0] == pytest.approx(1)
    turned = rotated(shifted, each(1, math.pi / 2))
    left = turned.then(None, (each(1, 0), each(1, 2)))
    assert placed(images, left)[0, 0, 0, 0] == pytest.approx(1)


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("channels", [1, 3])
def test_both_engines_give_the_same(outside: Any, channels: int) -> None:
    images = some_images(5, 8, 6, channels)
    parts = [type(part)(**{**vars(part), "outside": outside}) for part in MUCH]
    both = [changed(Augmentations(*parts), images, engine=engine) for engine in ("reference", "native")]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-9, atol=1e-9)
    assert not np.allclose(both[0], images)


@pytest.mark.parametrize("part", MUCH, ids=lambda one: type(one).__name__)
def test_numbers_come_from_the_key_and_are_each_samples_own(part: Any) -> None:
    images = some_images(1, 8, 8, 1).repeat(8, axis=0)
    first, again, other, seeded = (
        changed(part, images, step, seed=seed) for step, seed in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, seeded)
    assert len({one.tobytes() for one in first}) > 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shift(1.5), r"Shift: 1\.5 is no number of whole pixels; whole=False takes any"),
        (lambda: Shift(-1), "Shift: pixels is a number from 0 upwards, not -1"),
        (lambda: Rotate(400), "Rotate: degrees is a number from 0 to below 360, not 400"),
        (lambda: Zoom(float("nan")), "Zoom: part is a number from 0 upwards, not nan"),
        (lambda: Crop(1.0), "Crop: part is a number from 0 to below 1"),
        (lambda: Flip(1.5), "Flip: horizontal"),
        (lambda: Elastic(34, 0), "Elastic: sigma"),
        (lambda: Rotate(5, outside="wrap"), 'Rotate: outside is "edge", "reflect" or a finite number'),
        (lambda: Rotate(5, outside=float("inf")), "outside is"),
        (lambda: Rotate(5, outside=True), "outside is"),
        (lambda: Augmentations(Shift(1), Rotate), "Augmentations: entry 1 is one of chainrule.augmentation"),  # type: ignore[arg-type]
    ],
)
def test_a_setting_without_meaning_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
