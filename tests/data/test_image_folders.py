"""Folders of images as data: which file is what, which is refused, and the same pixels by all three ways."""

from __future__ import annotations

import mmap
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import chainrule as cr
from chainrule.data import image_folders
from chainrule.errors import ConfigurationError, DataError, StreamError
from tests.data.pictures import claim_of_size, photos, pixels, save


def is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_a_folder_a_class(tmp_path: Path) -> None:
    data = cr.data.images(photos(tmp_path / "photos"))
    assert repr(data) == "<Dataset photos: 10 samples of 8×6×3 numbers (uint8), 2 classes of 5 samples>"
    assert (data.classes, data.labels is not None and data.labels.tolist()) == (("cat", "dog"), [0] * 5 + [1] * 5)
    np.testing.assert_array_equal(data.inputs[6], pixels(8, 6, 3, seed=11) // 2 + 100)
    assert data.preparation == cr.data.Preparation(scale=1 / 255, shape=(8, 6, 3), images=cr.data.ImageForm(8, 6, 3))
    grey = cr.data.images(tmp_path / "photos", colour="grey", size=4)
    assert grey.sample_shape == (4, 4, 1)
    assert grey.preparation.shape == (4, 4)


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    data = cr.data.images(photos(tmp_path, "10 2 1", each=1))
    assert data.classes == ("1", "2", "10")
    other = cr.data.images(tmp_path, classes=["2", "1", "10", "11"])
    assert other.labels is not None
    assert [other.classes[label] for label in other.labels] == ["2", "1", "10"]  # type: ignore[index]


def test_a_flat_folder_with_and_without_labels(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", pixels(4, 4, seed=number))
    assert cr.data.images(tmp_path).targets is None
    names: dict[str, Any] = {"0.png": "b", "1.png": "a", "2.png": "b"}
    data = cr.data.images(tmp_path, labels=names)
    assert (data.classes, data.labels is not None and data.labels.tolist()) == (("a", "b"), [1, 0, 1])
    numbered = cr.data.images(tmp_path, labels={"0.png": 1, "1.png": 0, "2.png": 1}, classes=["a", "b"])
    np.testing.assert_array_equal(numbered.labels, data.labels)
    for labels, classes, message in (
        ({**names, "2.png": 2}, ["a", "b"], "2.png: its label is 2, and there are 2 classes"),
        ({**names, "2.png": "c"}, ["a", "b"], "2.png: its label 'c' is not one of 'a', 'b'"),
        ({"0.png": "a", "1.png": "b"}, None, "2.png: labels= says nothing of it"),
        ({**names, "9.png": "a"}, None, "labels= names '9.png', which is not there"),
        ({"0.png": 0, "1.png": 1, "2.png": 1}, None, "give the names of the classes as well"),
    ):
        with pytest.raises(DataError, match=message):
            cr.data.images(tmp_path, labels=labels, classes=classes)


def test_three_ways_to_the_same_training(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", each=12)
    data = cr.data.images(folder)
    mapped = cr.data.images(folder, into=tmp_path / "packed" / "photos.npy")
    assert is_mapped(mapped.inputs)
    np.testing.assert_array_equal(np.load(tmp_path / "packed" / "photos.npy"), data.inputs)
    assert [path.name for path in (tmp_path / "packed").iterdir()] == ["photos.npy"]
    ways: list[Any] = [data, mapped, cr.data.stream(mapped), cr.data.image_stream(folder)]
    runs = [
        cr.fit(cr.Chain(cr.Flatten(), cr.Dense(4, cr.tanh), cr.Dense(2)), one, epochs=3, batch_size=5) for one in ways
    ]
    for run in runs[1:]:
        assert run.preparation == data.preparation
        assert all(run.arrays[name].tobytes() == array.tobytes() for name, array in runs[0].arrays.items())
    runs[0].save(tmp_path / "run")
    assert cr.load(tmp_path / "run").preparation.images == cr.data.ImageForm(8, 6, 3)


def test_a_mapped_file_takes_the_memory_of_an_image_or_two(tmp_path: Path) -> None:
    for number in range(60):
        save(tmp_path / "photos" / str(number % 2) / f"{number}.png", pixels(64, 64, 3))
    peaks = []
    for into in (None, tmp_path / "photos.npy"):
        tracemalloc.start()
        cr.data.images(tmp_path / "photos", into=into)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    whole = 60 * 64 * 64 * 3
    assert peaks[0] > whole
    assert peaks[1] < whole / 4


def test_train_and_test_parts(tmp_path: Path) -> None:
    photos(tmp_path / "train")
    photos(tmp_path / "val", each=2)
    train, test = cr.data.load(tmp_path)
    assert (len(train), len(test), train.classes == test.classes) == (10, 4, True)
    photos(tmp_path / "val", "bird", each=1)
    with pytest.raises(DataError, match=r"val.bird: 'bird' is not one of the classes 'cat', 'dog'"):
        cr.data.load(tmp_path)
    split, rest = cr.data.load(tmp_path / "train")
    assert (len(split), len(rest)) == (8, 2)


def test_the_test_part_has_the_size_and_colours_of_the_training_part(tmp_path: Path) -> None:
    photos(tmp_path / "train", shape=(8, 6))
    photos(tmp_path / "test", shape=(8, 6, 3))
    train, test = cr.data.load(tmp_path)
    assert train.sample_shape == test.sample_shape == (8, 6, 1)
    save(tmp_path / "test" / "cat" / "9.png", pixels(9, 9))
    with pytest.raises(DataError, match=r"9\.png: is 9×9 pixels .* to train on are 6×8; bring all to one size"):
        cr.data.load(tmp_path)
    assert cr.data.load(tmp_path, size=(8, 6))[1].sample_shape == (8, 6, 1)


def test_sizes_that_differ_are_told(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    odd = save(folder / "dog" / "odd.png", pixels(4, 9, 3))
    with pytest.raises(DataError) as caught:
        cr.data.images(folder)
    assert str(caught.value) == (
        f"{odd}: is 9×4 pixels (width × height), and 10 of the 11 images are 6×8; in all there are 2 sizes. Bring "
        "all to one size: size=(8, 6), (height, width)"
    )
    assert len(cr.data.images(folder, size=(8, 6))) == 11


def test_damaged_files_are_named_and_skipped_only_when_asked(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    whole = (folder / "cat" / "1.png").read_bytes()
    (folder / "cat" / "1.png").write_bytes(whole[: len(whole) - 40])  # its header is good
    (folder / "dog" / "2.png").write_text("hello")
    claim_of_size(folder / "dog" / "4.png", 9000, 9000)
    with pytest.raises(DataError, match=r"2\.png: is no image .* or leave out what is damaged: skip_damaged=True"):
        cr.data.images(folder)
    for into in (None, tmp_path / "all.npy"):
        data = cr.data.images(folder, skip_damaged=True, into=into)
        assert data.labels is not None
        assert (len(data), data.labels.tolist()) == (7, [0] * 4 + [1] * 3)
        assert "2 damaged files left out: " in data.note
        assert "1 damaged file left out: " in data.note
        assert all(name in data.note for name in ("1.png", "2.png", "4.png"))
        np.testing.assert_array_equal(data.inputs[1], pixels(8, 6, 3, seed=2) // 2)
    (folder / "dog" / "2.png").unlink()
    (folder / "dog" / "4.png").unlink()
    with pytest.raises(DataError, match=r"1\.png: is damaged or cut short"):
        cr.data.images(folder, into=tmp_path / "other.npy")
    assert not list(tmp_path.glob("other*")), "no half of a file"
    with pytest.raises(StreamError, match=r"1\.png: is damaged or cut short") as caught:
        cr.fit(cr.Chain(cr.Flatten(), cr.Dense(2)), cr.data.image_stream(folder), epochs=1, batch_size=2)
    assert caught.value.run is not None or "sample" in str(caught.value)


def test_all_that_is_left_out_is_named(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", each=9)
    for number in range(1, 9):
        (folder / "cat" / f"{number}.png").write_text("hello")
    note = cr.data.images(folder, skip_damaged=True).note
    assert note.startswith("8 damaged files left out: ")
    assert all(f"{number}.png" in note for number in range(1, 9))
    assert note.count("is no image") == 5


def test_a_class_whose_images_are_all_damaged_is_told(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", "cat dog bird", each=1)
    (folder / "dog" / "0.png").write_text("hello")
    with pytest.raises(DataError, match="every image of the class 'dog' is damaged"):
        cr.data.images(folder, skip_damaged=True)
    for name in ("cat", "bird"):
        (folder / name / "0.png").write_text("hello")
    with pytest.raises(DataError, match="none of its 3 images can be read; the first: "):
        cr.data.images(folder, skip_damaged=True)


def test_what_is_no_image_and_what_is_cut_is_noted(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "dog" / "notes.txt").write_text("hello")
    (folder / ".hidden").write_text("hello")
    (folder / "cat" / "Thumbs.db").write_text("hello")
    frames = [Image.fromarray(pixels(8, 6, 3, seed=seed)) for seed in (1, 2)]
    frames[0].save(folder / "cat" / "9.gif", save_all=True, append_images=frames[1:])
    note = cr.data.images(folder).note
    assert note == (
        "left aside, as by name no image: dog/notes.txt; 1 animation of which the first picture is taken: 9.gif"
    )


def prepared(case: str, folder: Path) -> None:
    photos(folder / "photos")
    photos(folder / "elsewhere", "bird")
    inside = folder / "photos"
    if case == "loose":
        save(inside / "a.png", pixels(8, 6, 3))
    elif case == "deep":
        photos(inside / "cat" / "small")
    elif case == "empty class":
        (inside / "eel").mkdir()
    elif case == "linked folder":
        os.symlink(folder / "elsewhere" / "bird", inside / "eel")
    elif case == "linked file":
        os.symlink(folder / "elsewhere" / "bird" / "0.png", inside / "cat" / "z.png")
    elif case == "dangling":
        os.symlink(inside / "cat" / "gone.png", inside / "cat" / "z.png")
    elif case == "pipe":
        os.mkfifo(inside / "cat" / "z.png")


REFUSED = {
    "loose": r"a\.png lies beside the folders of the classes, cat and so on",
    "deep": r"cat.small: a folder in the folder of a class",
    "empty class": r"eel: there are no images of this class; remove the folder",
    "linked folder": r"eel: is a link that leads out of photos",
    "linked file": r"z\.png: is a link that leads out of photos",
    "dangling": r"z\.png: no such file",
    "pipe": r"z\.png: not a file",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_that_is_none_is_refused(case: str, tmp_path: Path) -> None:
    prepared(case, tmp_path)
    with pytest.raises(DataError, match=REFUSED[case]):
        cr.data.images(tmp_path / "photos")


def test_other_mistakes_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photos(tmp_path / "photos", each=1)
    (tmp_path / "none").mkdir()
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (DataError, "no such folder", {"folder": tmp_path / "gone"}),
        (DataError, "not a folder", {"folder": folder / "cat" / "0.png"}),
        (DataError, "there are no images in it", {"folder": tmp_path / "none"}),
        (ConfigurationError, r"size is \(height, width\) in pixels", {"size": 0}),
        (ConfigurationError, r"size is \(height, width\) in pixels", {"size": (3, 4, 5)}),
        (ConfigurationError, "colour is grey or rgb, not 'gray'", {"colour": "gray"}),
        (ConfigurationError, "fit is crop or stretch", {"fit": "pad"}),
        (ConfigurationError, r"into is a \.npy file", {"into": tmp_path / "a.png"}),
        (ConfigurationError, "maximum_pixels is a whole number above 0", {"maximum_pixels": 0}),
        (DataError, "labels= is for images in one folder", {"labels": {}}),
        (DataError, "'dog' is not one of the classes 'cat'", {"classes": ["cat"]}),
        (DataError, r"2 images of 100×100×3 take 60,000 bytes.* name a file for them, into=", {"size": 100}),
    ]
    monkeypatch.setattr(image_folders, "MAXIMUM_BYTES", 50_000)
    for error, message, settings in cases:
        with pytest.raises(error, match=message):
            cr.data.images(**{"folder": folder, **settings})
    with pytest.raises(DataError, match="every class has a single sample"):
        cr.data.load(folder)
    one = photos(tmp_path / "one", "cat", each=1)
    with pytest.raises(DataError, match="1 sample cannot be split"):
        cr.data.load(one)
    alone = photos(tmp_path / "alone", "cat")
    with pytest.raises(DataError, match="every one of the 5 samples is of class 'cat'"):
        cr.fit(cr.Chain(cr.Flatten(), cr.Dense(2)), cr.data.images(alone))
    with pytest.raises(ConfigurationError, match="size=4 is for folders of images; iris is none"):
        cr.data.load("iris", size=4)
    with pytest.raises(ConfigurationError, match="target='a' is for tables"):
        cr.data.load(folder, target="a")


def test_an_idx_file_is_mapped(tmp_path: Path) -> None:
    array = pixels(5, 4, 3)
    head = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(head + array.tobytes())
    found = cr.data.map_idx(path)
    assert is_mapped(found)
    np.testing.assert_array_equal(found, array)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0
    path.write_bytes(head + array.tobytes()[:-1])
    with pytest.raises(DataError, match="is 75 bytes, and its header promises 76"):
        cr.data.map_idx(path)
    path.write_bytes(b"\x1f\x8b" + head)
    with pytest.raises(DataError, match="is gzipped, and cannot be mapped"):
        cr.data.map_idx(path)
