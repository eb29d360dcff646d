"""What is to be seen inside stands on the page of a network for images, in pictures that the page holds itself."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

import chainrule as cr
from chainrule.explain.inside import colours, mistakes
from chainrule.report.inside import inside_section
from chainrule.report.page import report_page
from tests.explain.inside.networks import dense, trained
from tests.report.test_page import HOSTILE, checked


def test_the_page_of_a_network_for_images_shows_it() -> None:
    run, test = trained()
    text = report_page(run, test)
    page = checked(text)
    surest = mistakes(run, test).indices[0]
    for words in ("Inside", "Filters of the first layer", "Feature maps of layer 0", f"Sample {surest} is taken for",
                  "128 samples by layer 7", "The surest of"):  # fmt: skip
        assert page.says(words), words
    pictures = page.of("img")
    assert len(pictures) == 6 + 6 + 4 + 16
    assert all(picture["alt"] for picture in pictures)
    for picture in pictures:
        address = picture["src"] or ""
        with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
            assert max(image.size) <= colours.LARGEST
    assert len(text) < 200_000
    assert report_page(run, test).count("<img") == len(pictures)


def test_a_network_that_sees_no_images_has_no_such_section() -> None:
    run, test = dense()
    assert inside_section(run, test) == []
    assert not checked(report_page(run, test)).says("Filters")
    seen, digits = trained()
    assert not checked(report_page(seen)).says("Filters"), "without data there is no sample to look at"
    assert inside_section(seen, cr.data.stream(digits)) == []


def test_a_large_network_is_not_asked_a_hundred_times() -> None:
    images = np.arange(6 * 64 * 64, dtype=np.int64).reshape(6, 64, 64, 1).astype(np.uint8)
    data = cr.data.Dataset(images, np.arange(6) % 2)
    model = cr.Chain(cr.Conv2D(60, 3, cr.relu), cr.GlobalAveragePool(), cr.Dense(2))
    text = report_page(cr.prepare(model, data, engine="reference"), data)
    page = checked(text)
    assert page.says("Grad-CAM, layer 0")
    assert not page.says("of the variance")
    assert len(text) < 300_000


def test_names_of_classes_are_text_whatever_they_are() -> None:
    images = np.arange(11 * 64, dtype=np.uint8).reshape(11, 8, 8, 1)
    data = cr.data.Dataset(images, np.arange(11) % len(HOSTILE), classes=HOSTILE)
    model = cr.Chain(cr.Conv2D(2, 3, cr.relu), cr.Flatten(), cr.Dense(11))
    page = checked(report_page(cr.prepare(model, data), data))
    assert page.says("Feature maps of layer 0")


def test_a_png_is_what_other_programs_read() -> None:
    shown = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    for picture in (shown, np.repeat(shown[:, :, :1], 3, axis=2)):
        with Image.open(io.BytesIO(colours.png(picture))) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), picture)
