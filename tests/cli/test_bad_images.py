"""What is wrong with images, met by each command as a newcomer would meet it: exit code 2, and words that help."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chainrule.data import image_files
from tests.cli.calling import Command
from tests.data.pictures import claim_of_size, photos, pixels, save

TRAIN = ("--hidden", "4", "--epochs", "1", "--engine", "reference", "--quiet")


@pytest.fixture
def trained(command: Command) -> Command:
    """The command, with a run on photos of cats and dogs."""
    photos(Path("good"), each=10)
    command.works("train", "good", *TRAIN, "--output", "run")
    return command


def cut(place: Path) -> None:
    (place / "3.png").write_bytes((place / "3.png").read_bytes()[:-20])


def changed(place: Path) -> None:
    whole = (place / "3.png").read_bytes()
    (place / "3.png").write_bytes(whole[:-16] + bytes(4) + whole[-12:])


DAMAGED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut": (cut, "3.png: is damaged or cut short"),
    "changed": (changed, "3.png: is damaged or cut short (the sum of a chunk"),
    "text": (lambda place: (place / "3.png").write_text("no image"), "3.png: is no image of a kind that is known"),
    "empty": (lambda place: (place / "3.png").write_bytes(b""), "3.png: is empty, 0 bytes"),
    "bomb": (lambda place: claim_of_size(place / "3.png", 60000, 60000), "3.png: too large an image for Pillow"),
    "large": (lambda place: claim_of_size(place / "3.png", 8000, 8000), "make the image smaller, or, in Python, raise"),
    "no pixels": (lambda place: claim_of_size(place / "3.png", 0, 5), "3.png: is no image"),
    "circle": (lambda place: (place / "l.png").symlink_to("l.png"), "l.png: cannot be read (Too many levels of symb"),
    "link to nothing": (lambda place: (place / "l.png").symlink_to("gone.png"), "l.png: no such file"),
    "numbers": (
        lambda place: Image.fromarray(np.zeros((8, 6), np.float32)).save(place / "f.tiff"),
        "f.tiff: holds floating-point numbers",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_and_left_out_only_when_asked(name: str, trained: Command) -> None:
    make, message = DAMAGED[name]
    make(photos(Path("photos"), each=10) / "dog")
    for words in (
        ["train", "photos", *TRAIN],
        ["evaluate", "run", "photos"],
        ["look", "run", "photos", "--what", "mistakes"],
        ["predict", "run", "photos"],
    ):
        said = trained.refuses(*words)
        assert message in said
        assert "photos/dog/" in said
        assert "--skip-damaged" in said or words[0] == "predict"
        called = trained(*(word for word in words if word != "--quiet"), "--skip-damaged")
        assert called.code == 0
        told = " ".join((called.output + called.errors).split())
        assert message[:30] in told, "what is left out is said"


GOOD: dict[str, Callable[[Path], Any]] = {
    "a JPEG by another name": lambda place: Image.fromarray(pixels(8, 6, 3)).save(place / "3.png", "JPEG"),
    "palette": lambda place: Image.fromarray(pixels(8, 6, 3)).convert("P").save(place / "a.png"),
    "16 bits": lambda place: Image.fromarray(pixels(8, 6).astype(np.uint16) * 257).save(place / "a.png"),
    "CMYK": lambda place: Image.fromarray(pixels(8, 6, 3)).convert("CMYK").save(place / "a.jpg"),
    "animated": lambda place: Image.fromarray(pixels(8, 6)).save(
        place / "a.gif", save_all=True, append_images=[Image.fromarray(pixels(8, 6, seed=1))]
    ),
    "circle of no image": lambda place: (place.parent / "l").symlink_to("l"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_odd_but_whole_is_read(name: str, trained: Command) -> None:
    GOOD[name](photos(Path("photos"), each=10) / "dog")
    trained.works("train", "photos", *TRAIN)
    told = " ".join(trained.works("evaluate", "run", "photos").split())
    assert ("1 animation of which the first picture is taken: a.gif" in told) == (name == "animated")
    trained.works("look", "run", "photos", "--what", "mistakes")
    trained.works("predict", "run", "photos/dog")


def test_folders_that_are_no_classes(trained: Command) -> None:
    photos(Path("one"), "cat", each=1)
    assert "1 sample cannot be split" in trained.refuses("train", "one", *TRAIN)
    trained.works("evaluate", "run", "one")
    photos(Path("alone"), "cat", each=9)
    assert "there is nothing to tell apart" in trained.refuses("train", "alone", *TRAIN)
    trained.works("evaluate", "run", "alone", "--metrics", "f1,roc_auc")
    (photos(Path("hollow")) / "bird").mkdir()
    assert "hollow/bird: there are no images of this class" in trained.refuses("train", "hollow", *TRAIN)
    photos(Path("more"), "cat dog bird")
    for one in ("evaluate", "look"):
        assert "'bird' is not one of the classes 'cat', 'dog'" in trained.refuses(one, "run", "more")
    photos(Path("parts/train"))
    photos(Path("parts/test"), "cat dog bird")
    assert "test/bird: 'bird' is not one of the classes" in trained.refuses("train", "parts", *TRAIN)
    save(photos(Path("beside")) / "a.png", pixels(8, 6, 3))
    assert "beside: a.png lies beside the folders of the classes" in trained.refuses("train", "beside", *TRAIN)


def test_images_without_classes_are_predicted_and_looked_at_only(trained: Command) -> None:
    for number in range(4):
        save(Path("flat") / f"{number}.png", pixels(8, 6, 3, seed=number))
    for words in (["train", "flat", *TRAIN], ["diagnose", "flat"]):
        assert "flat: all its images lie in one folder" in trained.refuses(*words)
    for one in ("evaluate", "explain", "diagnose", "check", "report"):
        assert "flat: all its images lie in one folder" in trained.refuses(one, "run", "flat")
    trained.works("look", "run", "flat")
    trained.works("predict", "run", "flat")


def test_no_image_is_made_larger_than_memory(trained: Command) -> None:
    said = trained.refuses("train", "good", "--size", "60000x60000", *TRAIN)
    assert "images of 60,000×60,000 pixels are more than 50,000,000" in said


def test_a_file_that_may_not_be_read(trained: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.open

    def opening(path: Path, *rest: Any, **more: Any) -> Any:
        if path.name == "3.png":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *rest, **more)

    monkeypatch.setattr(Path, "open", opening)
    for words in (["train", "good", *TRAIN], ["evaluate", "run"], ["predict", "run", "good"]):
        assert "3.png: cannot be read (Permission denied)" in trained.refuses(*words)


def test_files_that_vanish_while_they_are_read(trained: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, left = image_files.read_image, [0]

    def reading(path: Path, *rest: Any, **more: Any) -> NDArray[np.uint8]:
        left[0] -= 1
        if not left[0]:
            shutil.rmtree("photos")
        return whole(path, *rest, **more)

    monkeypatch.setattr(image_files, "read_image", reading)
    for words in (
        ["train", "photos", *TRAIN],
        ["train", "photos", *TRAIN, "--skip-damaged"],
        ["evaluate", "run", "photos"],
        ["look", "run", "photos"],
        ["predict", "run", "photos"],
    ):
        photos(Path("photos"), each=10)
        left[0] = 4
        said = trained.refuses(*words)
        assert "photos/cat/3.png: no such file" in said or "every image of the class 'dog'" in said
    assert not Path("photos").exists()
