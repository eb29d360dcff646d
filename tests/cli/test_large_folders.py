"""Folders of images too large for memory: streamed by `chainrule train`, with the same bits; and what breaks off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule.data import image_files, image_folders, wholes
from chainrule.formats.folder import read_arrays
from tests.cli.calling import Command
from tests.data.pictures import photos, save

TRAIN = ("--hidden", "4", "--size", "8x8", "--epochs", "2", "--augment", "flip", "--engine", "reference")


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Not one image is read into memory, but for what is held out."""
    monkeypatch.setattr(image_folders, "MAXIMUM_BYTES", 1)
    return monkeypatch


def weights(run: str) -> dict[str, NDArray[Any]]:
    return read_arrays(Path(run) / "weights.safetensors")[0]


def test_a_folder_larger_than_memory_ends_with_the_bits_of_one_that_fits(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos(Path("photos"), each=40)
    told = command.works("train", "photos", *TRAIN, "--class-weights", "balanced")
    assert "too many to lie in memory" not in told
    monkeypatch.setattr(image_folders, "MAXIMUM_BYTES", 1)
    told = command.works("train", "photos", *TRAIN, "--class-weights", "balanced", "--epochs", "1")
    assert "photos: 58 samples to train on, 6 for validation, 16 for the test; 8×8×3 points" in " ".join(told.split())
    assert "too many to lie in memory: those to train on are read in each epoch anew" in " ".join(told.split())
    assert "(saying 'cat' every time would give 50" in " ".join(told.split())
    command.works("train", "--resume", "runs/photos-2", "--epochs", "2", "--quiet")
    first, second = weights("runs/photos-1"), weights("runs/photos-2")
    assert all((second[path] == array).all() for path, array in first.items())
    assert "of 16 right" in command.works("evaluate", "runs/photos-2")
    command.works("diagnose", "runs/photos-2")
    command.works("augment", "photos", "--augment", "flip", "--samples", "3", "--output", "flipped.png")
    assert "29" in Path("runs/photos-2/report.html").read_text()  # so many of each class are learned from


def test_what_is_held_out_takes_no_more_than_it_may(command: Command, small_memory: pytest.MonkeyPatch) -> None:
    small_memory.setattr(image_folders, "MAXIMUM_HELD", 8 * 8 * 3 * 10)
    photos(Path("photos"), each=50)
    told = command.works("train", "photos", *TRAIN)
    assert "photos: 81 samples to train on, 9 for validation, 10 for the test" in told


def test_a_test_part_of_its_own(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a stream where it is too large, measured whole, and the page about the run shows some of it."""
    photos(Path("photos/train"), each=20)
    photos(Path("photos/test"), each=5)
    in_memory = command.works("train", "photos", *TRAIN, "--validation", "0", "--quiet", "--output", "first")
    measured = command.works("evaluate", "first").split("Result")[1]
    monkeypatch.setattr(image_folders, "MAXIMUM_BYTES", 8 * 8 * 3 * 10)
    assert "none for validation, 10 for the test" in command.works("train", "photos", *TRAIN, "--validation", "0")
    monkeypatch.setattr(image_folders, "MAXIMUM_BYTES", 1)
    told = command.works("train", "photos", *TRAIN, "--validation", "0", "--output", "second")
    assert "none for validation, 10 for the test" in " ".join(told.split())
    assert in_memory.splitlines()[0] in told
    assert "5 of the 10 samples of the test part" in Path("second/report.html").read_text()
    assert "explain second --sample 0" in told
    assert command.works("evaluate", "second").split("Result")[1] == measured
    for one in ("look", "diagnose", "check", "explain"):
        command.works(one, "second")
    command.works("train", "--resume", "second", "--epochs", "3", "--quiet")


def test_a_test_part_that_is_damaged_loses_no_training(command: Command, small_memory: pytest.MonkeyPatch) -> None:
    small_memory.setattr(wholes, "_BYTES", 3 * 8 * 8 * 3)  # three images are read at a time
    photos(Path("photos/train"), each=20)
    cut = photos(Path("photos/test"), each=5) / "dog" / "3.png"
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-20])
    said = " ".join(command.refuses("train", "photos", *TRAIN, "--quiet").split())
    assert "3.png: is damaged or cut short" in said
    assert (
        "The run is trained, and saved in runs/photos-1. When the image is what it was again: chainrule evaluate"
        in said
    )
    cut.write_bytes(whole)
    assert "of 10 right" in command.works("evaluate", "runs/photos-1")
    cut.write_bytes(whole[:-20])
    assert "of 9 right" in command.works("train", "photos", *TRAIN, "--quiet", "--skip-damaged")


def test_damaged_files_are_named_or_left_out(command: Command, small_memory: pytest.MonkeyPatch) -> None:
    photos(Path("photos"), each=30)
    cut = Path("photos/dog/17.png")
    cut.write_bytes(cut.read_bytes()[:60])  # its header is whole
    said = command.refuses("train", "photos", *TRAIN, "--quiet")
    assert "17.png: is damaged or cut short" in said
    assert "or leave out what is damaged" in said
    told = command.works("train", "photos", *TRAIN, "--skip-damaged", "--output", "whole")
    assert "1 damaged file left out: photos/dog/17.png" in " ".join(told.split())
    command.works("evaluate", "whole")
    Path("photos/cat/3.png").rename("photos/cat/30.png")  # in its place, but is it the same image?
    assert "is not what it was when whole was trained" in command.refuses("evaluate", "whole")


def test_a_damaged_file_that_is_met_on_the_way_loses_nothing(
    command: Command, small_memory: pytest.MonkeyPatch
) -> None:
    """The training stops there, is saved, and goes on once the file is repaired."""
    small_memory.setattr(wholes, "_BYTES", 3 * 8 * 8 * 3)  # three images are read at a time
    photos(Path("photos"), each=30)
    train, _ = image_folders.open_images(Path("photos"), size=8, colour=None, fit="crop", skip_damaged=False, seed=0)
    assert isinstance(train, cr.data.Stream)
    part, _ = image_folders.hold_apart(train, 0.1, 0)
    assert isinstance(part.source, wholes.Whole)
    assert part.source.rows is not None
    cut = part.source.parts[0].paths[part.source.rows[-1]]
    content = cut.read_bytes()
    cut.write_bytes(content[:60])
    said = " ".join(command.refuses("train", "photos", *TRAIN, "--batch-size", "4").split())
    assert f"{cut.name}: is damaged or cut short" in said
    assert "as it is after 0 epochs and" in said
    assert "When the image is what it was again: " in said
    assert "--resume runs/photos-1" in said
    cut.write_bytes(content)
    command.works("train", "--resume", "runs/photos-1", "--quiet")
    command.works("train", "photos", *TRAIN, "--batch-size", "4", "--quiet")
    first, second = weights("runs/photos-1"), weights("runs/photos-2")
    assert all((second[path] == array).all() for path, array in first.items())


def test_one_class_and_all_at_once_are_refused(command: Command, small_memory: pytest.MonkeyPatch) -> None:
    photos(Path("photos"), classes="cat", each=10)
    assert "every one of the 8 samples is of class 'cat'" in command.refuses("train", "photos", *TRAIN)
    photos(Path("photos"), each=10)
    said = command.refuses("train", "photos", "--size", "8x8", "--batch-size", "all")
    assert "takes all samples at once, and a stream is never there at once" in said


def test_parts_of_a_stream_are_those_of_the_data() -> None:
    inputs, labels = np.arange(40.0).reshape(20, 2), np.array([0, 1, 2, 1] * 5)
    data, whole = cr.data.from_arrays(inputs, labels, ["a", "b", "c"]), None
    whole = cr.data.stream((inputs, labels), classes=["a", "b", "c"])
    for mine, wanted in zip(whole.split(0.3, 5), data.split(0.3, 5), strict=True):
        again, expected = mine.split(0.5, 1)[1].weigh_classes(), wanted.split(0.5, 1)[1].weigh_classes()
        found = again.take(len(again))
        assert isinstance(found, cr.data.Dataset)
        np.testing.assert_array_equal(found.inputs, expected.inputs)
        assert found.targets is not None
        np.testing.assert_array_equal(found.targets, expected.targets)
        np.testing.assert_array_equal(found.weights, expected.weights)
    with pytest.raises(cr.errors.ConfigurationError, match="a stream of chunks cannot be split"):
        cr.data.stream(lambda epoch: iter([(inputs, labels)]), classes=3).split()
    assert whole.labels is not None
    assert cr.data.stream((inputs, labels - 1), classes=3).labels is None  # they are refused as they come


def test_a_folder_larger_than_memory_is_measured_as_one_that_fits(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is read once for it, and no more of them at a time than a block."""
    photos(Path("photos"), each=10)
    command.works("train", "photos", *TRAIN, "--quiet")
    photos(Path("others"), each=7, shape=(11, 9, 3))
    asked = ("evaluate", "runs/photos-1", "others", "--metrics", "f1,recall_per_class")
    in_memory = command.works(*asked)
    assert "all 14 images of others" in in_memory
    monkeypatch.setattr(image_folders, "MAXIMUM_BYTES", 1)
    read: list[Path] = []
    whole = image_files.read_image

    def reading(path: Path, *rest: Any, **more: Any) -> NDArray[np.uint8]:
        read.append(path)
        return whole(path, *rest, **more)

    monkeypatch.setattr(image_files, "read_image", reading)
    assert command.works(*asked) == in_memory
    assert len(read) <= 14 + 14 + 5, "its head, all of it, and those that are drawn"
    for one in ("look", "diagnose"):
        assert "7 of all 14 images of others" in " ".join(command.works(one, "runs/photos-1", "others").split())
    for one in ("report", "explain", "check"):
        command.works(one, "runs/photos-1", "others")


def test_runs_that_know_other_images_measure_large_folders_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digits that come along are rows of numbers up to 16."""
    command.works("train", "digits", "--hidden", "8", "--epochs", "2", "--quiet", "--engine", "reference")
    _, test = cr.data.load("digits")
    for place in range(30):
        shades = (test.inputs[place].reshape(8, 8).astype(int) * 255 // 16).astype(np.uint8)
        assert test.targets is not None
        save(Path("files") / str(test.targets[place]) / f"{place}.png", shades)
    in_memory = command.works("evaluate", "runs/digits-1", "files")
    monkeypatch.setattr(image_folders, "MAXIMUM_BYTES", 1)
    assert command.works("evaluate", "runs/digits-1", "files") == in_memory


def test_a_damaged_file_among_those_to_be_measured(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(Path("photos"), each=10)
    command.works("train", "photos", *TRAIN, "--quiet")
    photos(Path("others"), each=7)
    cut = Path("others/dog/3.png")
    cut.write_bytes(cut.read_bytes()[:-30])
    for _ in ("in memory", "as a stream"):
        said = command.refuses("evaluate", "runs/photos-1", "others")
        assert "3.png: is damaged or cut short" in said
        assert "leave out what is damaged: --skip-damaged" in said
        told = " ".join(command.works("evaluate", "runs/photos-1", "others", "--skip-damaged").split())
        assert "all 13 images of others; 1 damaged file left out: others/dog/3.png" in told
        assert "of 13 right" in told
        assert "--skip-damaged is for another folder" in command.refuses("evaluate", "runs/photos-1", "--skip-damaged")
        monkeypatch.setattr(image_folders, "MAXIMUM_BYTES", 1)
