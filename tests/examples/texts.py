"""Examples of text: what is learned of a few lines, and the table of headlines."""

from __future__ import annotations

import re

from tests.examples.reading import share


def shakespeare(variables: dict[str, object], text: str) -> None:
    assert len(re.findall(r"^epoch +\d+ ", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^--- \{'\w+': [\d.]+\}\nTo be", text, re.MULTILINE)) == 4


def poems(variables: dict[str, object], text: str) -> None:
    learned = re.search(r"44 characters known; after 12 epochs, bits a character: ([\d.]+) training", text)
    assert learned
    assert float(learned[1]) < 5.4  # each of 44 characters alike would be 5.46
    assert text.count("--- 明月\n明月") == 3


def headlines(variables: dict[str, object], text: str) -> None:
    lines = [line for line in text.splitlines() if "%" in line]
    names = ["averaged_embeddings", "averaged_embeddings", "text_cnn", "lstm", "transformer", "TF-IDF,"]
    assert [line.split()[0] for line in lines] == names
    assert all(share(line) > 0.9 for line in lines)
