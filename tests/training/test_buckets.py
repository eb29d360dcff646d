"""Texts by their lengths: every sample once, the same numbers as without, resumed to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError
from chainrule.training.batch import DataSpec
from chainrule.training.feeds import Bucketed

WORDS = "a b c d e f g h".split()
TEXTS = [" ".join(WORDS[n % 5 : n % 5 + 1 + n * 7 % 8]) for n in range(45)]
LABELS = ["odd" if len(text.split()) % 2 else "even" for text in TEXTS]


def data(buckets: tuple[int, ...]) -> cr.data.Dataset:
    return cr.data.texts(TEXTS, LABELS, tokens="words", buckets=buckets)


def model(symbols: int = 10) -> cr.layers.Masked:
    return cr.Masked(cr.Chain(cr.Embedding(symbols, 4), cr.LSTM(6), cr.Dense(2)))


@pytest.mark.parametrize("size", [1, 4, 7, 64])
def test_each_sample_comes_once_in_a_batch_that_holds_it(size: int) -> None:
    whole = data((2, 4))
    length = whole.sample_shape[0]
    arrays: dict[str, Any] = {"inputs": whole.inputs, "targets": np.arange(45, dtype=np.int32)}
    spec = DataSpec(45, {"inputs": ((length,), "int32"), "targets": ((), "int32")})
    feed = Bucketed(spec, arrays, lambda epoch: cr.keys.Key(epoch).permutation(45), size, (2, 4))
    seen, offset, found = [], 0, set()
    while offset < 45:
        fed = feed.take(3, offset, 5, lambda: False)
        assert fed is not None
        assert fed.spec is not None
        (bound,) = fed.spec.arrays["inputs"][0]
        found.add(bound)
        rows = fed.data["targets"][fed.indices.ravel()]
        seen += rows.tolist()
        np.testing.assert_array_equal(fed.data["inputs"][fed.indices.ravel()], whole.inputs[rows, :bound])
        assert not whole.inputs[rows, bound:].any()
        assert all(np.count_nonzero(whole.inputs[rows], axis=1) > {2: 0, 4: 2}.get(bound, 4))
        offset += fed.indices.size
    assert sorted(seen) == list(range(45))
    assert found == {2, 4, length}


def test_one_batch_of_all_is_the_same_with_buckets_and_without() -> None:
    """A bound that holds all texts changes nothing but what fills up."""
    short = [text for text in TEXTS if len(text.split()) <= 3]
    labels = LABELS[: len(short)]
    forms = [
        cr.data.texts([*short, *short], [*labels, *labels], tokens="words", length=12, buckets=b) for b in ((), (3,))
    ]
    runs = [
        cr.fit(model(forms[0].preparation.symbols), one, epochs=2, batch_size=None, dtype="float64", engine="reference")
        for one in forms
    ]
    for name, array in runs[0].parameters.items():
        np.testing.assert_allclose(runs[1].parameters[name], array, rtol=1e-10, atol=1e-12)


def test_what_was_cut_ends_with_the_same_bits(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"batch_size": 4, "optimizer": cr.optimizers.Adam(0.01)}
    whole = cr.fit(model(), data((2, 4)), epochs=3, **settings)
    run = cr.fit(model(), data((2, 4)), steps=17, **settings)
    assert run.offset
    again = cr.load(run.save(tmp_path / "run"))
    again.fit(data((2, 4)), epochs=3)
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], array)
    assert whole.evaluate(data(())) == whole.evaluate(data((2, 4)))


def test_a_parameter_that_depends_on_the_length_is_refused() -> None:
    flat = cr.Chain(cr.Embedding(10, 4), cr.Flatten(), cr.Dense(2))
    with pytest.raises(ConfigurationError, match=r"parameters/2.weight is \[32, 2\], and for samples of inputs \[4\]"):
        cr.fit(flat, data((2, 4)), epochs=1, batch_size=4)


@pytest.mark.parametrize("buckets", [(4, 2), (0, 4), (2, 8), (2.0,), "24"])
def test_bounds_without_meaning_are_refused(buckets: Any) -> None:
    with pytest.raises(ConfigurationError, match="buckets are rising lengths below 8"):
        cr.data.texts(TEXTS, LABELS, tokens="words", length=8, buckets=buckets)
