from __future__ import annotations

from pathlib import Path

from tests.cli.calling import Command, prices


def test_a_healthy_run_and_one_whose_rate_is_too_high(command: Command) -> None:
    command.works("train", "digits", "--epochs", "3", "--output", "well", "--quiet")
    output = command.works("diagnose", "well")
    assert "the test part of digits" in output
    assert "update/weights" in output
    assert "nothing found" in output
    command.works(
        "train", "digits", "--hidden", "16", "--epochs", "3", "--output", "ill", "--quiet", "--learning-rate", "5"
    )
    assert "learning rate too high: the loss began at" in " ".join(command.works("diagnose", "ill").split())


def test_what_cannot_be_is_refused_in_words(command: Command) -> None:
    said = command.refuses("diagnose", "nowhere")
    assert "there is no run folder nowhere, and no data set of that name; there are " in said
    assert "digits" in said
    assert "is no run, so it takes no other data" in command.refuses("diagnose", "digits", "iris")
    prices(Path("prices.csv"))
    assert "which column of prices.csv" in command.refuses("diagnose", "prices.csv")


def test_data_alone_are_tried_with_the_network_that_train_would_make(command: Command) -> None:
    output = command.works("diagnose", "digits")
    assert "after 300 steps" in output
    assert "nothing found" in output
    kinds = [n * 3 % 5 % 2 for n in range(300)]
    rows = [f"{n % 7},{n * n % 11},{kind},{'ab'[kind]}" for n, kind in enumerate(kinds)]
    table = ["colour,size,answer,kind", *rows]
    Path("leak.csv").write_text("\n".join(table))
    assert "a leaking column (column answer)" in command.works("diagnose", "leak.csv", "--target", "kind")
