"""A digit on a photo: found under shadow and specks, dark or light, brought into MNIST's form; and read rightly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule.data.handwriting import as_digit, otsu, pieces
from chainrule.data.sources import locate
from chainrule.errors import DataError
from chainrule.keys import Key

Array = NDArray[Any]


def paper(height: int = 240, width: int = 200, shadow: float = 0.0) -> Array:
    """Grey paper, darker towards the right, with a camera's noise."""
    noise = Key(3).normal((height, width), 2.0)
    found: Array = np.linspace(200, 200 * (1 - shadow), width)[None] + noise
    return found


def stroke(photo: Array, top: int, left: int, height: int = 90, width: int = 14) -> Array:
    """The photo with an upright stroke of dark ink on it, and a foot to the right."""
    drawn: Array = photo.copy()
    drawn[top : top + height, left : left + width] *= 0.3
    drawn[top + height - width : top + height, left : left + 3 * width] *= 0.3
    return np.clip(drawn, 0, 255).astype(np.uint8)


def test_ink_is_light_on_black_of_mnists_size_and_centred_by_mass() -> None:
    found = as_digit(stroke(paper(shadow=0.4), 20, 30))
    assert found.shape == (28, 28)
    assert found.dtype == np.uint8
    assert found.max() == 255
    ink = found > 100
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert 19 <= rows[-1] - rows[0] + 1 <= 21
    for axis, places in ((1, np.arange(28)), (0, np.arange(28))):
        assert abs((found.sum(axis=axis) @ places) / found.sum() - 13.5) <= 0.51
    assert (found[:, columns[-1] + 2 :] == 0).all()
    assert np.median(found) == 0


def test_where_it_stands_the_shadow_and_the_colour_of_the_ink_change_little() -> None:
    first = as_digit(stroke(paper(), 20, 30)).astype(int)
    for other in (
        stroke(paper(), 120, 100),
        stroke(paper(shadow=0.6), 20, 30),
        stroke(paper(480, 400), 40, 60, 180, 28),
        255 - stroke(paper(shadow=0.3), 20, 30),
    ):
        assert np.abs(as_digit(other).astype(int) - first).mean() < 12


def test_specks_and_what_touches_the_edge_are_left_aside() -> None:
    clean = stroke(paper(), 60, 60)
    dirty = clean.copy()
    dirty[10:14, 150:154] = 40
    dirty[:, :6] = 30  # the edge of the table
    assert np.abs(as_digit(dirty).astype(int) - as_digit(clean)).mean() < 8


def test_a_page_without_ink_is_refused() -> None:
    for blank in (paper(shadow=0.5), np.full((50, 50), 255), np.zeros((3, 3))):
        with pytest.raises(DataError, match="there is no ink on the paper"):
            as_digit(blank.astype(np.uint8))


def test_a_digit_that_is_in_the_form_already_stays_nearly_as_it_is() -> None:
    train, _ = cr.data.load("digits", images=True)
    for image in train.inputs[:20, ..., 0]:
        wide = np.pad(np.kron(image, np.ones((2, 2))), 6).astype(np.uint8) * 15
        found = as_digit(wide)
        assert np.corrcoef(found.ravel(), as_digit(found).ravel())[0, 1] > 0.75


def test_otsus_threshold_and_pieces() -> None:
    two = np.concatenate([Key(0).normal((500,), 0.05), 1 + Key(1).normal((300,), 0.05)])
    assert 0.2 < otsu(two) < 0.8
    snake = np.array([[1, 1, 1, 0, 1], [0, 0, 1, 0, 1], [1, 1, 1, 0, 1], [1, 0, 0, 0, 0]], bool)
    assert pieces(snake).tolist() == [[1, 1, 1, 0, 2], [0, 0, 1, 0, 2], [1, 1, 1, 0, 2], [1, 0, 0, 0, 0]]


@pytest.mark.skipif(locate("mnist") is None, reason="MNIST is not on this machine")
def test_digits_on_photos_are_read_nearly_as_well_as_the_digits_themselves() -> None:
    from benchmarks.photos import photo

    train, test = cr.data.load("mnist", images=True)
    model = cr.Chain(cr.Flatten(), cr.Dense(40, cr.relu), cr.Dense(10))
    few = train.subset(np.arange(12_000))
    moved = [cr.augmentation.Rotate(15), cr.augmentation.Shift(1)]
    run = cr.fit(model, few, epochs=3, batch_size=50, optimizer=cr.optimizers.Adam(0.003), augmentation=moved)
    digits, labels = test.inputs[:80], np.asarray(test.targets)[:80].astype(str)
    photos = np.stack([as_digit(photo(digit, Key(5).child(n))) for n, digit in enumerate(digits[..., 0])])
    itself, seen = ((run.predict(inputs) == labels).mean() for inputs in (digits, photos[..., None]))
    assert itself > 0.93
    assert seen > itself - 0.06
