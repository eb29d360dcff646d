from __future__ import annotations

from tests.cli.calling import Command


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
    assert "there is no run folder" in command.refuses("diagnose", "nowhere")
