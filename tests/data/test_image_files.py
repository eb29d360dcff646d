"""One image file: every kind becomes the same uint8 pixels, and what cannot be used is named."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chainrule.data import ImageForm, Preparation, read_image
from chainrule.data.image_files import ImageFiles, read_header
from chainrule.errors import ConfigurationError, DataError, MissingExtraError, RunFileError
from tests.data.pictures import claim_of_size, pixels, save


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm", "webp", "gif"])
def test_what_is_stored_without_loss_comes_back(kind: str, tmp_path: Path) -> None:
    grey = kind == "gif"
    array = pixels(7, 5) if grey else pixels(7, 5, 3)
    path = save(tmp_path / f"a.{kind}", array, **({"lossless": True} if kind == "webp" else {}))
    found = read_image(path)
    np.testing.assert_array_equal(found, array.reshape(found.shape))
    assert read_header(path)[:2] == (7, 5)


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    found = read_image(save(tmp_path / "a.jpg", smooth, quality=95))
    assert found.shape == (64, 64, 1)
    assert np.abs(found[..., 0].astype(int) - smooth).max() < 6


def test_each_mode_becomes_grey_or_rgb(tmp_path: Path) -> None:
    rgb = pixels(6, 5, 3)
    image = Image.fromarray(rgb)

    def read(name: str, image: Any, **settings: Any) -> Any:
        image.save(tmp_path / name, **settings)
        return read_image(tmp_path / name)

    palette = image.convert("P", palette=Image.Palette.ADAPTIVE, colors=30)
    np.testing.assert_array_equal(read("palette.png", palette), rgb)
    assert read("grey-palette.gif", Image.fromarray(rgb[..., 0]).convert("P")).shape == (6, 5, 1)
    assert set(np.unique(read("bits.png", image.convert("1")))) == {0, 255}
    cmyk = read("cmyk.tiff", image.convert("CMYK"))
    np.testing.assert_allclose(cmyk.astype(int), rgb, atol=2)
    clear = np.concatenate([rgb, np.zeros((6, 5, 1), np.uint8)], axis=2)
    assert (read("clear.png", Image.fromarray(clear)) == 255).all(), "what is transparent shows white"
    clear[..., 3] = 255
    np.testing.assert_array_equal(read("opaque.png", Image.fromarray(clear)), rgb)
    np.testing.assert_array_equal(
        read("clear-palette.png", palette, transparency=palette.getpixel((0, 0)))[0, 0], [255, 255, 255]
    )


def test_16_bits_become_8_and_are_not_cut_off(tmp_path: Path) -> None:
    wide = np.array([[0, 128, 255, 256], [257, 32768, 65534, 65535]], np.uint16)
    for name in ("a.png", "a.tiff"):
        Image.fromarray(wide).save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name)[..., 0], [[0, 0, 1, 1], [1, 128, 255, 255]])
    Image.fromarray(np.array([[0.5]], np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(DataError, match=r"float\.tiff: holds floating-point numbers"):
        read_image(tmp_path / "float.tiff")
    Image.fromarray(np.array([[70000]], np.int32)).save(tmp_path / "int.tiff")
    with pytest.raises(DataError, match="holds numbers from 70,000 to 70,000; 8 or 16 bits"):
        read_image(tmp_path / "int.tiff")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_that_was_turned_is_followed(orientation: int, tmp_path: Path) -> None:
    array = pixels(4, 6, 3)
    turned = {1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
              5: lambda x: x.swapaxes(0, 1), 6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
              8: lambda x: np.rot90(x)}  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.png", "a.tiff"):
        path = save(tmp_path / name, array, exif=exif)
        np.testing.assert_array_equal(read_image(path), turned[orientation](array))
        assert read_header(path)[:2] == read_image(path).shape[:2]
    path = save(tmp_path / "a.jpg", array, exif=exif)
    assert read_header(path)[:2] == read_image(path).shape[:2] == turned[orientation](array).shape[:2]


def test_of_an_animation_it_is_the_first_picture(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 4), shade, np.uint8)) for shade in (50, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "a.gif") == 50).all()
    assert read_header(tmp_path / "a.gif").animated


def test_images_are_made_to_fit(tmp_path: Path) -> None:
    wide = np.zeros((4, 8), np.uint8)
    wide[:, 2:6] = 255
    path = save(tmp_path / "a.png", wide)
    assert (read_image(path, ImageForm(4, 4, 1)) == 255).all(), "cut off left and right"
    stretched = read_image(path, ImageForm(4, 4, 1, "stretch"))[:, :, 0]
    assert (stretched[:, 0] < 128).all()
    assert (stretched[:, 1:3] > 128).all()
    assert read_image(path, ImageForm(8, 8, 3)).shape == (8, 8, 3)
    large = np.zeros((400, 300), np.uint8)
    large[:200] = 240
    for name in ("large.png", "large.jpg"):
        small = read_image(save(tmp_path / name, large), ImageForm(12, 12, 1))
        assert small[:5].min() > 230, "a mean over what a pixel covers"
        assert small[7:].max() < 10


def test_files_stand_in_the_place_of_an_array(tmp_path: Path) -> None:
    arrays = [pixels(4, 5, 3, seed=seed) for seed in range(6)]
    paths = tuple(save(tmp_path / f"{n}.png", array) for n, array in enumerate(arrays))
    files = ImageFiles(paths, ImageForm(4, 5, 3))
    whole = np.stack(arrays)
    assert (files.shape, files.dtype, files.ndim, files.nbytes) == (whole.shape, whole.dtype, 4, whole.nbytes)
    for rows in (slice(1, 4), np.array([5, 0, 3]), slice(None), 2):
        np.testing.assert_array_equal(files[rows], np.atleast_2d(whole[rows]).reshape(-1, 4, 5, 3))


def bad_file(name: str, folder: Path) -> Path:
    path = folder / name
    good = save(folder / "good.png", pixels(40, 40, 3)).read_bytes()
    if name == "empty.png":
        path.write_bytes(b"")
    elif name == "text.png":
        path.write_text("no image at all")
    elif name == "cut.png":
        path.write_bytes(good[: len(good) // 2])
    elif name == "cut.jpg":
        whole = save(folder / "good.jpg", pixels(64, 64, 3)).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif name == "flipped.png":
        middle = len(good) // 2
        path.write_bytes(
            good[:middle] + bytes(255 - byte for byte in good[middle : middle + 200]) + good[middle + 200 :]
        )
    elif name == "bomb.png":
        return claim_of_size(path, 8000, 8000)
    elif name == "great-bomb.png":
        return claim_of_size(path, 60000, 60000)
    elif name == "none.png":
        return claim_of_size(path, 0, 5)
    elif name == "folder.png":
        path.mkdir()
    elif name == "program.png":
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n")
    return path


BAD = {
    "empty.png": "is empty, 0 bytes",
    "text.png": "is no image of a kind that is known",
    "cut.png": "is damaged or cut short",
    "cut.jpg": "is damaged or cut short",
    "flipped.png": "is damaged or cut short",
    "bomb.png": r"is 8,000×8,000 pixels; up to 50,000,000 are read",
    "great-bomb.png": "too large an image for Pillow",
    "none.png": "is no image of a kind that is known",
    "folder.png": "not a file",
    "gone.png": "no such file",
    "program.png": "is PostScript",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_and_takes_no_memory(name: str, tmp_path: Path) -> None:
    path = bad_file(name, tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=BAD[name]) as caught:
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)


def test_a_large_image_is_read_when_it_is_meant(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((30, 40), np.uint8))
    with pytest.raises(DataError, match=r"is 40×30 pixels; up to 1,000 are read.*raise maximum_pixels"):
        read_image(path, maximum_pixels=1000)
    assert read_image(path, maximum_pixels=1200).shape == (30, 40, 1)


def test_a_wrongly_named_image_is_read_by_what_is_in_it(tmp_path: Path) -> None:
    save(tmp_path / "a.png", pixels(4, 4, 3)).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), pixels(4, 4, 3))


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"reading image files needs Pillow.*chainrule\[images\]"):
        read_image(tmp_path / "a.png")


def test_a_form_is_kept_with_the_preparation() -> None:
    first = Preparation(scale=1 / 255, images=ImageForm(28, 20, 1, "stretch", "digit"))
    assert Preparation.from_dict(first.to_dict()) == first
    assert "images" not in Preparation().to_dict()
    for wrong, message in (
        ({"height": 5}, "width, channels is missing"),
        ({"height": 0, "width": 5, "channels": 1}, "height is a whole number from 1"),
        ({"height": 5, "width": 5, "channels": 2}, r"1 \(grey\) or 3 \(RGB\), not 2"),
        ({"height": 5, "width": 5, "channels": 3, "fit": "pad"}, "fit is crop or stretch, not 'pad'"),
        ({"height": 5, "width": 5, "channels": 3, "kind": "digit"}, "a digit is grey"),
        ({"height": 5, "width": 5, "channels": 3, "colour": 1}, "unknown key 'colour'"),
        (5, "a table with height, width and channels was expected"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            ImageForm.from_dict(wrong)
        with pytest.raises(RunFileError, match=message):
            Preparation.from_dict({"images": wrong})
