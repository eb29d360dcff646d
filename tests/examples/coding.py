"""What is learned from images without their names, and taken elsewhere."""

from __future__ import annotations

import re

import numpy as np

from tests.examples.reading import numbers


def transfer(variables: dict[str, object], text: str) -> None:
    found = variables["found"]
    assert isinstance(found, dict)
    assert all(len(shares) == 2 and min(shares) > 0.65 for shares in found.values())
    assert "14 taken, 2 begin anew, 0 left" in text
    assert numbers(text, "eight digits:")[0] > 0.97
    runs = variables["runs"]
    assert isinstance(runs, dict)
    known = runs["all at once"].transfer
    assert known.anew == ("8.weight", "8.bias")
    first = runs["the new layer alone"].parameters["0.weight"]
    assert not np.array_equal(first, runs["the new layer, then all"].parameters["0.weight"])


def pretraining(variables: dict[str, object], text: str) -> None:
    curves = variables["curves"]
    assert isinstance(curves, dict)
    mean_digit = float(re.findall(r"mean digit: ([\d.]+)", text)[0])
    assert min(curves["from nothing"]) > 0.95 * mean_digit
    assert curves["pretrained"][0] < 0.9 * mean_digit
    assert curves["pretrained"][-1] < 0.65 * mean_digit


def autoencoders(variables: dict[str, object], text: str) -> None:
    errors = {name: numbers(text, name) for name in ("dense, 16", "convolutional, 16", "denoising, 16", "sparse")}
    plain, hidden = errors["dense, 16"]
    assert plain < 0.015
    assert errors["denoising, 16"][1] < 0.85 * hidden
    assert errors["convolutional, 16"][0] < 0.02
    assert errors["sparse"][0] < 0.05
    assert 0.03 < numbers(text, "sparse: the mean activation is")[0] < 0.15
    codes, rows = variables["codes"], variables["rows"]
    assert isinstance(codes, dict)
    assert isinstance(rows, dict)
    # The normal distribution draws the variational code to itself; nothing draws the other.
    assert np.abs(codes["variational, 2"]).max() < 3.5 < np.abs(codes["dense, 2"]).max()
    assert 0 <= rows["noise, decoded"].min() <= rows["noise, decoded"].max() <= 1


def convolutional_pair(variables: dict[str, object], text: str) -> None:
    real, drawn = numbers(text, "real"), numbers(text, "epoch 2")
    assert real[0] > 7
    assert real[1] < 5
    assert 1 <= drawn[0] < real[0]
    assert drawn[1] > 10 * real[1]
    assert "the diagnosis finds nothing" in text
