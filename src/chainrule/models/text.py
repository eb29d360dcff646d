"""Known networks for text: for the next token of a language, and for the class of a text."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.graph.composites import relu
from chainrule.layers import (
    GRU,
    LSTM,
    Chain,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    EmbeddingBag,
    GlobalAveragePool,
    GlobalMaxPool,
    LayerNorm,
    LearnedPositions,
    Masked,
    TransformerEncoder,
)


def lstm_language(symbols: int, length: int, *, units: int = 256, dropout: float = 0.0) -> Chain:
    """The next of so many symbols, by an LSTM: (batch, length) -> (batch, length, symbols).

    Reference: A. Graves, "Generating sequences with recurrent neural networks", 2013.
    """
    between = [Dropout(dropout)] if dropout else []
    return Chain(Embedding(symbols, 64), LSTM(units, sequences=True), *between, Dense(symbols))


def gru_language(symbols: int, length: int, *, units: int = 256) -> Chain:
    """The next of so many symbols, by gated recurrent units: (batch, length) -> (batch, length, symbols)."""
    return Chain(Embedding(symbols, 64), GRU(units, sequences=True), Dense(symbols))


def transformer_language(
    symbols: int, length: int, *, units: int = 128, heads: int = 4, blocks: int = 4, dropout: float = 0.0
) -> Chain:
    """The next of so many symbols, by a causal transformer: (batch, length) -> (batch, length, symbols).

    Reference: A. Radford et al., "Improving language understanding by generative pre-training", 2018.
    """
    inside = [TransformerEncoder(heads, causal=True, dropout=dropout) for _ in range(blocks)]
    return Chain(Embedding(symbols, units), LearnedPositions(length), *inside, LayerNorm(), Dense(symbols))


def averaged_embeddings(symbols: int, length: int, classes: int, *, units: int = 64) -> Masked:
    """A class of a text, by the mean of its tokens' rows: (batch, length) -> (batch, classes).

    Reference: A. Joulin et al., "Bag of tricks for efficient text classification", 2017.
    """
    return Masked(Chain(EmbeddingBag(symbols, units), Dense(classes)))


def text_cnn(symbols: int, length: int, classes: int, *, units: int = 64, channels: int = 128) -> Masked:
    """A class of a text, by the strongest answer of each kernel over three tokens: (batch, length) -> (batch, classes).

    Reference: Y. Kim, "Convolutional neural networks for sentence classification", 2014, with kernels of three sizes.
    """
    return Masked(Chain(Embedding(symbols, units), Conv1D(channels, 3, relu), GlobalMaxPool(), Dense(classes)))


def lstm_classifier(symbols: int, length: int, classes: int, *, units: int = 64) -> Masked:
    """A class of a text, by the last state of an LSTM: (batch, length) -> (batch, classes)."""
    return Masked(Chain(Embedding(symbols, 64), LSTM(units), Dense(classes)))


def transformer_classifier(
    symbols: int, length: int, classes: int, *, units: int = 64, heads: int = 4, blocks: int = 2, dropout: float = 0.0
) -> Masked:
    """A class of a text, by the mean of what a transformer gives: (batch, length) -> (batch, classes)."""
    inside = [TransformerEncoder(heads, dropout=dropout) for _ in range(blocks)]
    places, pooled = LearnedPositions(length), GlobalAveragePool()
    return Masked(Chain(Embedding(symbols, units), places, *inside, LayerNorm(), pooled, Dense(classes)))


#: Names for the command line: functions of how many symbols and positions there are.
LANGUAGE: dict[str, Callable[[int, int], Chain]] = {
    "lstm": lstm_language,
    "gru": gru_language,
    "transformer": transformer_language,
}

#: Names for the command line: functions of how many symbols, positions and classes there are.
CLASSIFYING: dict[str, Callable[[int, int, int], Masked]] = {
    "averaged_embeddings": averaged_embeddings,
    "text_cnn": text_cnn,
    "lstm": lstm_classifier,
    "transformer": transformer_classifier,
}
