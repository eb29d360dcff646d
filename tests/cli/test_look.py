from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calling import Command, prices

#: A single look at a small network: compiling would take longer.
PLAIN = ("--engine", "reference")


def test_a_network_for_images_is_looked_into(command: Command) -> None:
    command.works("train", "digits", "--model", "simple_cnn", "--epochs", "1", "--output", "seen", "--quiet")
    output = command.works(
        "look", "seen", *PLAIN, "--sample", "3", "--what", "filters,saliency,mistakes", "--out", "look.png"
    )
    for words in ("the test part of digits", "sample 3 is taken for", "filters", "32×3×3×1", "taken for another class",
                  "drawn in look.png"):  # fmt: skip
        assert words in output, words
    assert Path("look.png").read_bytes()[:4] == b"\x89PNG"
    output = command.works(
        "look", "seen", *PLAIN, "--what", "grad-cam", "--class", "8", "--layer", "1", "--output", "some"
    )
    assert "8×8" in output
    assert Path("some/sample.png").is_file()
    for arguments, words in (
        (("--what", "salience"), "--what salience: there is no such thing to look at; there are filters, "),
        (("--sample", "999"), "--sample 999: there are samples 0 to 358 in the test part of digits"),
        (("--class", "x"), "--class x: the run has the classes 0, 1, 2"),
        (("--layer", "99"), "there is no layer '99'; there are"),
        (("--layer", "7", "--what", "grad-cam"), "layers with places: 1 (Conv2D), 2 (MaxPool2D)"),
        (("--method", "umap"), "--method umap: pca or t-sne"),
        (("--output", "look.png/x"), "look.png/x: Not a directory"),
        (("--output", "seen/run.toml"), "is a file; name a folder, or a picture that ends in .png"),
        (("--output", "nowhere/look.png"), "there is no folder nowhere"),
    ):
        refused = command.refuses("look", "seen", *PLAIN, *arguments)
        assert words in " ".join(refused.split()), refused


def test_a_dense_network_on_a_table_has_no_filters(command: Command) -> None:
    prices(Path("prices.csv"))
    command.works("train", "prices.csv", "--target", "price", "--epochs", "2", "--output", "dense", "--quiet")
    output = command.works("look", "dense", *PLAIN)
    assert "no filters: layer 0 (Dense) has no filters" in output
    assert "column" in output
    assert "has no filters" in command.refuses("look", "dense", *PLAIN, "--what", "filters")
    assert "there is nothing to be drawn" in command.works(
        "look", "dense", *PLAIN, "--what", "saliency", "--output", "a.png"
    )
    assert not Path("a.png").exists()


def test_without_matplotlib_a_picture_is_refused_before_any_work(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "chainrule.explain.pictures", raising=False)
    refused = command.refuses("look", "nowhere", "--output", "look.png")
    assert "pip install 'chainrule[plot]'" in " ".join(refused.split())
