"""Folders and files of images on the command line: trained on, evaluated, predicted, augmented; and what is refused."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli.imaging import make_augmentation
from chainrule.data import ImageForm, read_image
from chainrule.errors import ConfigurationError
from tests.cli.calling import Command
from tests.data.pictures import claim_of_size, photos, pixels, save

TRAIN = ("--hidden", "8", "--epochs", "8", "--validation", "0", "--quiet")


def rows(output: str) -> list[dict[str, str]]:
    return list(csv.DictReader(output.splitlines()))


def test_a_folder_from_training_to_prediction(command: Command, tmp_path: Path) -> None:
    photos(tmp_path / "photos", each=12)
    command.works("train", "photos", "--size", "6x5", "--fit", "stretch", "--augment", "flip,shift=1", *TRAIN)
    run = cr.load("runs/photos-1")
    assert run.preparation.images == cr.data.ImageForm(6, 5, 3, "stretch")
    assert repr(run.augmentation) == (
        "Augmentations(parts=(Flip(outside='edge', horizontal=0.5, vertical=0.0), "
        "Shift(outside='edge', pixels=1, whole=True)))"
    )
    assert "accuracy" in command.works("evaluate", "runs/photos-1")
    command.works("train", "--resume", "runs/photos-1", "--epochs", "9", "--quiet")
    photos(tmp_path / "others", each=3)
    assert "all 6 images of others" in command.works("evaluate", "runs/photos-1", "others")
    save(tmp_path / "large.bmp", pixels(50, 70, 3) // 2 + 120)
    save(tmp_path / "grey.jpg", pixels(20, 20) // 2)
    found = rows(command.works("predict", "runs/photos-1", "large.bmp", "grey.jpg", "others"))
    assert [row["file"] for row in found[:3]] == ["large.bmp", "grey.jpg", "others/cat/0.png"]
    assert len(found) == 8
    assert found[0]["prediction"] == "dog"
    for row in found:
        parts = {name: float(row[f"probability of {name}"]) for name in ("cat", "dog")}
        assert sum(parts.values()) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == max(parts.values())
        assert row["prediction"] == max(parts, key=parts.__getitem__)
    assert list(rows(command.works("predict", "runs/photos-1", "grey.jpg", "--no-probabilities"))[0]) == [
        "file", "prediction", "probability",
    ]  # fmt: skip
    command.works("predict", "runs/photos-1", "grey.jpg", "--output", "said.csv")
    assert rows(Path("said.csv").read_text())[0]["file"] == "grey.jpg"
    save(tmp_path / "photos" / "cat" / "new.png", pixels(8, 6, 3))
    assert "none: the network that train would make" in command.works("diagnose", "others")
    assert command("doctor", "--plan", "others").code == 0
    assert "others is not a run" not in command("rate", "others").errors
    assert "is not a run" in command.refuses("diagnose", tmp_path / "runs")
    assert "is not what it was when" in command.refuses("evaluate", "runs/photos-1")


def test_a_file_is_brought_into_the_range_of_the_digits(command: Command, tmp_path: Path) -> None:
    _, test = cr.data.load("digits")
    command.works("train", "digits", *TRAIN)
    for place in range(20):
        shades = (test.inputs[place].reshape(8, 8).astype(int) * 255 // 16).astype(np.uint8)
        save(tmp_path / "files" / f"{place:02}.png", shades)
    found = [row["prediction"] for row in rows(command.works("predict", "runs/digits-1", "files"))]
    assert found == cr.load("runs/digits-1").predict(test.inputs[:20]).tolist()
    for place in range(20):
        source = tmp_path / "files" / f"{place:02}.png"
        target = tmp_path / "by-class" / str(np.asarray(test.targets)[place])
        target.mkdir(parents=True, exist_ok=True)
        source.rename(target / source.name)
    expected = sum(one == str(label) for one, label in zip(found, np.asarray(test.targets)[:20], strict=True))
    assert f"{expected} of 20 right" in command.works("evaluate", "runs/digits-1", "by-class")
    paper = np.linspace(210, 120, 300)[None].repeat(400, axis=0)
    paper[100:260, 120:138] *= 0.3
    note = save(tmp_path / "note.jpg", paper.astype(np.uint8))
    (row,) = rows(command.works("predict", "runs/digits-1", note, "--as", "digit"))
    assert row["file"] == str(note)
    seen = read_image(note, ImageForm(8, 8, 1, kind="digit")).reshape(1, 64).astype(int) * 16 // 255
    assert row["prediction"] == cr.load("runs/digits-1").predict(seen.astype(np.uint8))[0]
    assert "there is no ink on the paper" in command.refuses(
        "predict", "runs/digits-1", save(tmp_path / "blank.png", np.full((90, 90), 200, np.uint8)), "--as", "digit"
    )


def test_bad_files_are_named_with_exit_code_2(command: Command, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", each=6)
    command.works("train", "photos", *TRAIN)
    good, text = save(tmp_path / "good.png", pixels(8, 6, 3)), tmp_path / "text.png"
    text.write_text("no image")
    bomb = claim_of_size(tmp_path / "bomb.png", 20000, 20000)
    assert "text.png: is no image" in command.refuses("predict", "runs/photos-1", good, text)
    assert "bomb.png" in command.refuses("predict", "runs/photos-1", bomb)
    assert "gone.png: no such file" in command.refuses("predict", "runs/photos-1", "gone.png")
    called = command("predict", "runs/photos-1", good, text, bomb, "--skip-damaged")
    assert (called.code, [row["file"] for row in rows(called.output)]) == (0, [str(good)])
    assert called.errors.count("left out: ") == 2
    assert "none of the 1 files could be read" in command.refuses("predict", "runs/photos-1", text, "--skip-damaged")
    assert "--as 'letter' is not known" in command.refuses("predict", "runs/photos-1", good, "--as", "letter")
    assert "a digit is grey" in command.refuses("predict", "runs/photos-1", good, "--as", "digit")
    command.works("train", "iris.csv", "--target", "species", *TRAIN)
    assert "not on images" in command.refuses("predict", "runs/iris-1", good)
    assert "--as is for image files" in command.refuses("predict", "runs/iris-1", "iris.csv", "--as", "digit")
    os.symlink(tmp_path / "good.png", folder / "cat" / "z.png")
    assert "is a link that leads out of photos" in command.refuses("train", "photos", *TRAIN)
    (folder / "cat" / "z.png").unlink()
    (folder / "cat" / "z.png").write_bytes(good.read_bytes()[:-40])
    message = command.refuses("train", "photos", *TRAIN)
    assert "z.png: is damaged or cut short" in message
    assert "--skip-damaged" in message
    output = command.works("train", "photos", "--skip-damaged", "--augment", "flip", "--hidden", "8", "--epochs", "1")
    assert "changed by Flip" in output
    assert "1 damaged file left out: " in output
    assert command("evaluate", "runs/photos-2", "--quiet").code == 0
    save(folder / "dog" / "odd.png", pixels(9, 9, 3))
    assert "Bring all to one size: --size 8x6" in " ".join(command.refuses("train", "photos", *TRAIN).split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train empty", "there are no images in it"),
        ("train one", "1 sample cannot be split"),
        ("train alone", "is of class 'cat'; there is nothing to tell apart"),
        ("train photos --size 0x4", "--size '0x4' is no height and width"),
        ("train photos --colour blue", "--colour 'blue' is not known"),
        ("train photos --fit pad", "--fit 'pad' is not known"),
        ("train photos --target a", "is for tables"),
        ("train digits --size 8x8", "is for folders of images; digits is none"),
        ("train digits --augment spin", "--augment 'spin' is not known"),
        ("train digits --augment shift=far", "'far' is no number"),
        ("train digits --augment shift=1:2:3:4", "too many numbers"),
        ("train digits --augment shift=1.5", "is no number of whole pixels"),
        ("train iris --target species --augment shift", "what changes images is for digits"),
        ("augment iris", "what changes images is for digits"),
        ("augment digits --samples 0", "--samples is a whole number from 1 to 100"),
        ("augment digits --output no/where.png", "there is no folder no"),
        ("train --resume runs/none --augment shift", "--augment cannot be given with it"),
    ],
)
def test_mistakes_are_answered(arguments: str, message: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    photos(tmp_path / "one", "cat", each=1)
    photos(tmp_path / "alone", "cat", each=5)
    photos(tmp_path / "photos", each=5)
    assert message in " ".join(command.refuses(*arguments.split()).split())


def test_words_become_augmentations() -> None:
    from chainrule.augmentation import CutMix, Elastic, Flip, Mixup, Rotate, Shift

    found = make_augmentation("shift=1,rotate,elastic=30:5,flip=0.2:0.3,mixup=0.4,CutMix")
    assert found == [Shift(1), Rotate(15), Elastic(30, 5), Flip(0.2, 0.3), Mixup(0.4), CutMix()]
    with pytest.raises(ConfigurationError, match="did you mean rotate"):
        make_augmentation("rotation")


def test_a_picture_of_augmented_samples(command: Command, tmp_path: Path) -> None:
    from PIL import Image

    said = command.works("augment", "digits", "--augment", "rotate=20,elastic=10:2,mixup", "--samples", "3")
    assert "3 samples, each as it is and 9 times changed, are in augmented.png" in said
    with Image.open("augmented.png") as image:
        assert image.size[0] > image.size[1] > 100
        assert len(np.unique(np.asarray(image.convert("L")))) > 50
    photos(tmp_path / "photos")
    command.works("augment", "photos", "--augment", "colour,flip", "--output", "photos.png", "--versions", "2")
    assert Path("photos.png").exists()
