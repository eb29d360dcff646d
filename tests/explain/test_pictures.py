from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chainrule.errors import DataError
from chainrule.explain.pictures import figure, image_rows, save_picture


def test_a_picture_is_a_png_in_a_folder_that_is_made(tmp_path: Path) -> None:
    drawn = figure(2, 1)
    drawn.subplots().plot([1, 2], [3, 4])
    place = save_picture(drawn, tmp_path / "new" / "line.png")
    assert place.read_bytes().startswith(b"\x89PNG")


def test_images_stand_in_rows_under_their_names(tmp_path: Path) -> None:
    """Five images in rows of three, and one more with a name of its own: the picture holds what the arrays hold."""
    from matplotlib.image import imread

    images = np.zeros((5, 4))
    images[4] = 1.0
    place = image_rows({"many": images, "one": images[4:]}, (2, 2), tmp_path / "rows.png", columns=3)
    pixels = imread(place)
    assert pixels.shape[0] > 200
    assert pixels.shape[1] > 300
    with pytest.raises(DataError, match=r"bad: images of 2×2 were expected, not \[5, 9\]"):
        image_rows({"bad": np.zeros((5, 9))}, (2, 2), tmp_path / "bad.png")
    assert not (tmp_path / "bad.png").exists()
