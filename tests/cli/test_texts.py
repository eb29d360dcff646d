"""Texts on the command line: a language learned and gone on with, headlines told apart, and what is no text refused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.text import TextFile, streaming
from tests.cli.calling import Command, environment

LINE = "to be or not to be, that is the question.\n"
QUICK = ("--epochs", "2", "--hidden", "16", "--length", "16")


def notes(lines: int = 60) -> Path:
    path = Path("notes.txt")
    path.write_text(LINE * lines, encoding="utf-8")
    return path


def headlines(name: str = "headlines.tsv") -> Path:
    rows = [f"{word} 第{n}号 title\t{label}" for n in range(30) for word, label in (("good", "yes"), ("bad", "no"))]
    path = Path(name)
    path.write_text("title\tclass\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("model", ["lstm", "gru", "transformer"])
def test_a_language_is_learned_told_in_bits_and_gone_on_with(command: Command, model: str) -> None:
    output = command.works("train", notes(), "--task", "language-model", "--model", model, *QUICK)
    assert "language model: the next of 16 characters" in " ".join(output.split())
    assert re.search(r"251 tokens: [\d.]+ bits a character", output)
    assert "by how often each comes, it would be 3." in " ".join(output.split())
    assert "chainrule generate runs/notes-1 --temperature 0.8" in output
    first = command.works("generate", "runs/notes-1", "--prompt", "to be", "--length", 30, "--top-k", 5, "--top-p", 0.9)
    assert first.startswith("to be")
    assert len(first) == 5 + 30 + 1
    again = command.works("generate", "runs/notes-1", "--prompt", "to be", "--length", 30, "--top-k", 5, "--top-p", 0.9)
    assert again == first
    several = command.works("generate", "runs/notes-1", "--prompt", "to", "--prompt", "be", "--length", 9, "--seed", 3)
    run = cr.load("runs/notes-1")
    assert several == f"{run.generate('to', 9, seed=3)}\n\n{run.generate('be', 9, seed=4)}\n"
    assert "bits a character" in command.works("evaluate", "runs/notes-1")
    Path("other.txt").write_text(LINE * 3)
    assert "all 8 windows of other.txt" in command.works("evaluate", "runs/notes-1", "other.txt")
    assert Path("runs/notes-1/report.html").exists()


def test_headlines_are_told_apart_and_new_ones_predicted(command: Command) -> None:
    output = command.works(
        "train", headlines(), "--text", "title", "--target", "class", "--epochs", "20", "--learning-rate", "0.02"
    )
    assert "characters, " in output
    assert re.search(r"12 of 12 right", output)
    said = command.works("predict", "runs/headlines-1", "--row", "good 第3号", "--row", "bad news")
    assert [line.split(",")[1] for line in said.splitlines()[1:]] == ["yes", "no"]
    Path("new.tsv").write_text("title\ngood one\n")
    assert "yes" in command.works("predict", "runs/headlines-1", "new.tsv")
    assert "of 60 right" in command.works("evaluate", "runs/headlines-1", headlines("again.tsv"))


def test_headlines_are_told_apart_by_pairs_of_characters(command: Command) -> None:
    arguments = ("--text", "title", "--target", "class", "--tokens", "character-pairs", "--epochs", "20")
    assert "12 of 12 right" in command.works("train", headlines(), *arguments, "--learning-rate", "0.02")
    assert ",yes," in command.works("predict", "runs/headlines-1", "--row", "good 第3号")


@pytest.mark.parametrize("model", ["text_cnn", "lstm", "transformer"])
def test_networks_of_texts_by_name(command: Command, model: str) -> None:
    arguments = (
        "--text",
        "title",
        "--target",
        "class",
        "--model",
        model,
        "--tokens",
        "words",
        "--epochs",
        "1",
        "--quiet",
    )
    assert "saved in" in command.works("train", headlines(), *arguments)


def test_what_was_cut_is_gone_on_with_to_the_same_bits(command: Command) -> None:
    arguments = ("train", notes(), "--hidden", "8", "--length", "16", "--output")
    command.works(*arguments, "whole", "--epochs", "4")
    command.works(*arguments, "parts", "--epochs", "2")
    command.works("train", "--resume", "parts", "--epochs", "4")
    whole, parts = cr.load("whole"), cr.load("parts")
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(parts.parameters[name], array)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another matter there")
def test_ctrl_c_keeps_a_language_and_says_how_to_go_on(command: Command) -> None:
    arguments = ["train", str(notes(400)), "--epochs", "100000", "--output", "run", "--hidden", "8"]
    called = subprocess.Popen(
        [sys.executable, "-m", "chainrule", *arguments],
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        for _ in range(600):
            if Path("run/metrics.jsonl").exists() and Path("run/metrics.jsonl").stat().st_size:
                break
            time.sleep(0.1)
        os.kill(called.pid, signal.SIGINT)
        _, errors = called.communicate(timeout=60)
    finally:
        called.kill()
    assert called.returncode == 130
    assert b"chainrule train --resume run" in errors
    assert cr.load("run").generate("to", 3).startswith("to")


def test_a_text_begins_by_itself(command: Command) -> None:
    command.works("train", notes(), *QUICK, "--quiet")
    text = cr.load("runs/notes-1").generate(length=9, temperature=0)
    assert text.startswith("\n")
    assert command.works("generate", "runs/notes-1", "--length", 9, "--temperature", 0) == text[1:] + "\n"
    command.works("train", "notes.txt", *QUICK, "--tokens", "words", "--quiet")
    text = cr.load("runs/notes-2").generate(length=9, temperature=0)
    assert command.works("generate", "runs/notes-2", "--length", 9, "--temperature", 0) == text + "\n"


def test_what_has_come_of_a_text_is_written(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.works("train", notes(), *QUICK, "--quiet")

    def pieces(*arguments: object, **settings: object) -> Iterator[str]:
        yield "to "
        yield "be"
        raise KeyboardInterrupt

    monkeypatch.setattr(cr.Run, "generate_in_pieces", pieces)
    called = command("generate", "runs/notes-1", "--prompt", "to ", "--prompt", "or ")
    assert (called.code, called.output) == (130, "to be\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another matter there")
@pytest.mark.parametrize("ended", ["by Ctrl-C", "by who reads"])
def test_a_text_is_written_as_it_comes_until_somebody_ends_it(command: Command, ended: str) -> None:
    command.works("train", notes(), *QUICK, "--quiet")
    arguments = ["runs/notes-1", "--prompt", "to be", "--prompt", "or", "--length", "500000"]
    called = subprocess.Popen(
        [sys.executable, "-m", "chainrule", "generate", *arguments],
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert called.stdout is not None
        begin = called.stdout.read(1000)
        if ended == "by Ctrl-C":
            os.kill(called.pid, signal.SIGINT)
        else:
            called.stdout.close()
            called.stdout = None
        rest, errors = called.communicate(timeout=60)
    finally:
        called.kill()
    assert begin.decode() == cr.load("runs/notes-1").generate("to be", 995)
    assert b"Traceback" not in errors
    if ended == "by Ctrl-C":
        assert called.returncode == 130
        assert rest.endswith(b"\n")
        assert b"\n\nor" not in rest
        assert errors.decode().strip() in ("", "interrupted")  # as the version of Typer has it


def of_many_lengths() -> Path:
    """Texts of four words, and a few of forty."""
    rows = [f"{'so ' * (39 if n % 10 == 0 else 3)}{word}\t{label}" for n in range(60) for word, label in WORDS]
    path = Path("reviews.tsv")
    path.write_text("review\tclass\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


WORDS = (("good", "yes"), ("bad", "no"))
REVIEWS = ("--text", "review", "--target", "class", "--tokens", "words", "--epochs", "2")


@pytest.mark.parametrize("model", ["averaged_embeddings", "text_cnn", "lstm", "transformer"])
def test_batches_of_short_texts_are_cut_by_themselves(command: Command, model: str) -> None:
    output = " ".join(command.works("train", of_many_lengths(), *REVIEWS, "--model", model).split())
    assert "while learning, batches of short ones are cut to 5 or 10 or 20" in output
    command.works("evaluate", "runs/reviews-1")
    command.works("train", "--resume", "runs/reviews-1", "--epochs", "3")
    command.works("train", "reviews.tsv", *REVIEWS[:-1], "3", "--model", model, "--output", "whole")
    whole, parts = cr.load("whole"), cr.load("runs/reviews-1")
    assert whole.preparation.text is not None
    assert whole.preparation.text.buckets == (5, 10, 20)
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(parts.parameters[name], array)


@pytest.mark.parametrize(("asked", "cut"), [("none", ()), ("6,12", (6, 12))])
def test_buckets_are_as_they_were_asked_for(command: Command, asked: str, cut: tuple[int, ...]) -> None:
    output = command.works("train", of_many_lengths(), *REVIEWS, "--buckets", asked)
    assert ("batches of short ones" in " ".join(output.split())) == bool(cut)
    command.works("train", "--resume", "runs/reviews-1", "--epochs", "3")
    form = cr.load("runs/reviews-1").preparation.text
    assert form is not None
    assert form.buckets == cut


def test_a_network_of_ones_own_sees_what_fills_up(command: Command) -> None:
    Path("own.toml").write_text(
        '[model]\ntype = "Chain"\n[[model.layers]]\ntype = "Embedding"\nsymbols = 5\nunits = 4\n'
        '[[model.layers]]\ntype = "Flatten"\n[[model.layers]]\ntype = "Dense"\nunits = 2\n'
    )
    command.works("train", of_many_lengths(), *REVIEWS, "--model", "own.toml", "--quiet")
    form = cr.load("runs/reviews-1").preparation.text
    assert form is not None
    assert form.buckets == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reviews.tsv", *REVIEWS, "--buckets", "a,b"), "lengths are such as 8,16"),
        (("reviews.tsv", *REVIEWS, "--buckets", "12,6"), "buckets are rising lengths below 40"),
        (("reviews.tsv", *REVIEWS, "--buckets", "80"), "buckets are rising lengths below 40"),
        (("notes.txt", "--buckets", "8"), "--buckets 8 are for texts of a class"),
        (("digits", "--buckets", "8"), "--buckets 8 is for texts"),
    ],
)
def test_buckets_that_do_not_fit_are_refused(command: Command, arguments: tuple[str, ...], message: str) -> None:
    notes()
    of_many_lengths()
    assert message in " ".join(command.refuses("train", *arguments).split())


def large(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text that counts as large, of which a little is set apart."""
    monkeypatch.setattr(streaming, "LARGE", 10_000)
    monkeypatch.setattr(streaming, "MOST_APART", 1_000)
    return notes(400)


def test_a_large_text_is_read_piece_by_piece(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = large(monkeypatch)
    output = " ".join(command.works("train", path, "--task", "language-model", *QUICK).split())
    assert "the file is large, so it is read piece by piece in each epoch" in output
    assert "language model: the next of 16 characters" in output
    assert "930 samples to train on, 61 for validation, 61 for the test" in output
    assert "by how often each comes in the first 929 samples, it would be 3." in output
    assert "bits a character" in command.works("evaluate", "runs/notes-1")
    assert command.works("generate", "runs/notes-1", "--prompt", "to be", "--length", 5).startswith("to be")
    command.works("train", "--resume", "runs/notes-1", "--epochs", "3")
    read, pieces = list[TextFile](), TextFile.pieces

    def listed(file: TextFile, size: int = 1 << 20) -> Iterator[str]:
        yield from pieces(file, size)
        read.append(file)  # to its end

    with monkeypatch.context() as patch:
        patch.setattr(TextFile, "pieces", listed)
        command.works("train", "--resume", "runs/notes-1", "--epochs", "4")
    assert [file.bytes > 10_000 for file in read] == [False, False, True]  # the two ends, and the epoch
    command.works("train", path, "--epochs", "4", "--output", "whole", *QUICK[2:])
    whole, parts = cr.load("whole"), cr.load("runs/notes-1")
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(parts.parameters[name], array)
    path.write_text(path.read_text().replace("to be", "be to", 1))
    assert "it holds 16,800 bytes of text as it did, with other values" in " ".join(
        command.refuses("train", "--resume", "whole", "--epochs", "5").split()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "a"), "is for tables"),
        (("--text", "title"), "names a column"),
        (("--task", "regression"), "is for tables"),
        (("--size", "8x8"), "is for folders of images"),
        (("--class-weights", "balanced"), "--class-weights is for classes"),
        (("--tokens", "letters"), "--tokens 'letters' is not known"),
        (("--buckets", "8"), "--buckets 8 are for texts of a class"),
    ],
)
def test_mistakes_with_a_large_text_are_refused(
    command: Command, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert message in " ".join(command.refuses("train", large(monkeypatch), *arguments).split())


def test_a_corpus_that_shrinks_while_it_is_read_ends_the_training_and_the_run_stays(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = large(monkeypatch)
    read = TextFile.pieces
    seen = []

    def pieces(file: TextFile, size: int = 1 << 20) -> Iterator[str]:
        for piece in read(file, 4_000):
            if Path("runs/notes-1/run.toml").exists():  # the training has begun, and is in its second epoch
                seen.append(piece)
                if len(seen) == 6:
                    notes(100)
            yield piece

    monkeypatch.setattr(TextFile, "pieces", pieces)
    errors = command.refuses("train", path, *QUICK)
    told = " ".join(errors.split())
    assert "notes.txt: was 16,800 bytes long, and ended after 8,000 while it was read" in told
    assert "The run is saved in runs/notes-1 as it is after 1 epoch" in told
    assert "chainrule train --resume runs/notes-1" in told
    monkeypatch.setattr(TextFile, "pieces", lambda file, size=0: read(file, 4_000))
    assert cr.load("runs/notes-1").generate("to", 3).startswith("to")
    gone = " ".join(command.refuses("train", "--resume", "runs/notes-1").split())
    assert "is not what it was" in gone or "It held 16,800 bytes of text" in gone
    notes(400)
    command.works("train", "--resume", "runs/notes-1")
    command.works("train", path, "--output", "whole", *QUICK)
    whole, cut = cr.load("whole"), cr.load("runs/notes-1")
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(cut.parameters[name], array)


def test_the_text_has_to_stay_what_it_was(command: Command) -> None:
    command.works("train", notes(), *QUICK, "--quiet")
    notes(30)
    assert "is not what it was" in command.refuses("train", "--resume", "runs/notes-1", "--epochs", "5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"word", "a window of 16 with the token after it wants 17"),
        (b"\n \n\n", "nothing in it but spaces"),
        (LINE.encode() * 9 + "é".encode("latin-1") + LINE.encode(), "notes.txt, byte 378: e9"),
        (b"a\0b", "notes.txt, byte 1: a zero byte"),
    ],
)
def test_bad_texts_are_refused(command: Command, content: bytes, message: str) -> None:
    Path("notes.txt").write_bytes(content)
    assert message in " ".join(command.refuses("train", "notes.txt", "--length", "16").split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("notes.txt", "--length", "0"), "--length is how many tokens"),
        (("notes.txt", "--tokens", "letters"), "--tokens 'letters' is not known"),
        (("notes.txt", "--tokens", "character-pairs"), "overlap, so a pair says"),
        (("notes.txt", "--text", "title"), "names a column"),
        (("notes.txt", "--task", "regression"), "is for tables"),
        (("notes.txt", "--activation", "tanh"), "--activation is for dense networks"),
        (("notes.txt", "--hidden", "8,8"), "--hidden is one number"),
        (("notes.txt", "--model", "resnet20"), "is not known: there are lstm, gru, transformer"),
        (("notes.txt", "--loss", "hinge"), "--loss is for classes"),
        (("headlines.tsv", "--text", "titel", "--target", "class"), "no column 'titel'"),
        (("headlines.tsv", "--text", "title"), "which column"),
        (("headlines.tsv", "--text", "class", "--target", "class"), "both the text and the target"),
        (("digits", "--text", "title"), "is for texts"),
        (("digits", "--task", "language-model"), "is for tables"),
    ],
)
def test_mistakes_with_texts_are_refused(command: Command, arguments: tuple[str, ...], message: str) -> None:
    notes()
    headlines()
    assert message in " ".join(command.refuses("train", *arguments).split())


def test_mistakes_in_going_on_are_refused(command: Command) -> None:
    command.works("train", notes(), *QUICK, "--quiet")
    for arguments, message in (
        (("--prompt", ""), "has no token"),
        (("--prompt", "Z"), "the prompt, token 0 (counted from 0): 'Z' is not among the 16 tokens"),
        (("--temperature", "-1"), "temperature is a number of 0 or more"),
        (("--top-p", "2"), "top_p is a number above 0"),
        (("--length", "-3"), "length is how many tokens"),
    ):
        assert message in " ".join(command.refuses("generate", "runs/notes-1", *arguments).split())
    assert "chainrule generate RUN goes on" in " ".join(command.refuses("predict", "runs/notes-1", "notes.txt").split())
    command.works("train", "xor", "--epochs", "1", "--quiet")
    assert "has not learned which token comes next" in " ".join(command.refuses("generate", "runs/xor-1").split())
