"""Layers of images: what is refused, with the arithmetic shown, and what the laws do not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import Build, Graph, vectorize
from chainrule.initializers import Glorot, He
from chainrule.keys import Key
from chainrule.layers import Applicable, Record, Scope
from tests.layers.test_laws import arrays_of, build, run


def of(make: Any, *given: Any, **named: Any) -> Any:
    """Call with what the types would not allow."""
    return make(*given, **named)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.Conv2D(0), "Conv2D: channels is a whole number above 0, not 0"),
        (lambda: cr.Conv2D(4, (3, 3, 3)), r"kernel is .* above 0, or one an axis \(height, width\), not \(3"),
        (lambda: of(cr.Conv2D, 4, 2.5), "not 2.5"),
        (lambda: cr.Conv2D(4, stride=0), "Conv2D: stride is .*, not 0"),
        (lambda: cr.Conv2D(4, dilation=True), "Conv2D: dilation is .*, not True"),
        (lambda: cr.Conv2D(4, padding="full"), "Conv2D: padding is \"same\", \"valid\", a whole number .* not 'full'"),
        (lambda: cr.Conv2D(4, padding="causal"), "not 'causal'"),
        (lambda: cr.Conv2D(4, padding=-1), "not -1"),
        (lambda: of(cr.Conv2D, 4, padding=(1, (1, 2, 3))), "each a number or a pair"),
        (lambda: cr.Conv1D(4, padding=(2, 0)), r"one entry an axis \(length\), .* as in \(\(2, 0\),\); not \(2, 0\)"),
        (lambda: of(cr.Conv2D, 4, 3, "relu"), "activation is a function such as chainrule.relu, not 'relu'"),
        (lambda: cr.Conv2D(4, groups=3), "Conv2D: 4 channels cannot be divided into 3 groups"),
        (lambda: cr.Conv2D(4, groups=0), "groups is a whole number above 0, not 0"),
        (lambda: cr.DepthwiseConv2D(multiplier=0), "DepthwiseConv2D: multiplier is a whole number above 0, not 0"),
        (lambda: cr.ConvTranspose2D(4, stride=2, output_padding=2), "so it is below the stride 2, not 2"),
        (lambda: cr.ConvTranspose2D(4, stride=2, output_padding=1), 'padding "same" says how large the output is'),
        (lambda: cr.MaxPool2D(0), "MaxPool2D: size is .*, not 0"),
        (lambda: cr.MaxPool2D(2, stride=0), "MaxPool2D: stride is .*, not 0"),
        (lambda: cr.AveragePool1D((2, 2)), r"one an axis \(length\), not \(2, 2\)"),
        (lambda: cr.Upsample2D(interpolation="linear"), "Upsample2D: interpolation is 'nearest' or 'bilinear', not"),
        (lambda: cr.PadChannels(0), "PadChannels: channels is a whole number above 0"),
        (lambda: cr.SelectChannels(()), "SelectChannels: channels is a tuple of channel numbers from 0 on, not"),
        (lambda: cr.SelectChannels((0, -1)), r"not \(0, -1\)"),
        (lambda: cr.Rescale(float("nan")), "Rescale: scale is a number from -inf upwards, not nan"),
        (lambda: cr.Pad2D("same"), "Pad2D: padding is a whole number of 0 or more, or one entry an axis"),
        (lambda: cr.SpatialDropout(1), "SpatialDropout: rate is a number from 0 to below 1, not 1"),
        (lambda: cr.Residual(), "Residual: at least one layer"),
        (lambda: of(cr.Residual, cr.Dense), "Residual: entry 0 is the class Dense"),
        (lambda: of(cr.Residual, cr.Dense(3), projection=3), "Residual: projection is 3, which is neither"),
        (lambda: cr.Parallel(cr.Dense(3), combine="multiply"), "combine is 'concatenate' or 'add', not 'multiply'"),
    ],
)  # fmt: skip
def test_a_setting_without_meaning_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (cr.Conv2D(4, 7, padding="valid"), (2, 9, 5, 1),
         "width 5 + 2·0 − 7 is negative: the kernel is larger than the image"),
        (cr.Conv2D(4, 7, padding=(0, (1, 0))), (2, 9, 5, 1), "width 5 + 1 + 0 − 7 is negative"),
        (cr.Conv2D(4, 4, padding=1, dilation=3), (2, 7, 9, 1),
         "height 7 + 2·1 − 10 is negative (10 = 3·(4 − 1) + 1, by the dilation 3)"),
        (cr.Conv1D(4, 7, padding="valid"), (2, 5, 1), "length 5 + 2·0 − 7 is negative: the kernel is larger"),
        (cr.MaxPool2D(3), (2, 2, 8, 1), "height 2 + 2·0 − 3 is negative: the window is larger than the image"),
        (cr.MaxPool2D(2, padding=2), (2, 4, 4, 1),
         "window 0 along the height sees nothing but padding: a window of 2 over 4 elements with 2 before them and 2"),
        (cr.Conv2D(4, groups=2), (2, 4, 4, 3), "3 channels that come in cannot be divided into 2 groups"),
        (cr.Conv2D(4), (2, 28, 28), "wants (batch, height, width, channels), and got [2, 28, 28]: "
         "for grey images of 28×28, put Reshape((28, 28, 1)) before it"),
        (cr.Conv2D(4), (2, 784), "for grey images of 28×28, put Reshape((28, 28, 1)) before it"),
        (cr.Conv1D(4), (2, 100), "for sequences of one channel of 100, put Reshape((100, 1)) before it"),
        (cr.MaxPool2D(2), (2, 784), "put Reshape((28, 28, 1)) before it"),
        (cr.Conv2D(4), (2, 3, 4, 5, 6), "and got [2, 3, 4, 5, 6]"),
        (cr.ConvTranspose2D(4, 2, padding=2), (2, 2, 3, 1), "height (2 − 1)·1 + 2 + 0 − 2 − 2 is -1: the padding"),
        (cr.GlobalAveragePool(), (2, 3), "wants (batch, places…, channels), such as images, and got [2, 3]"),
        (cr.SpatialDropout(0.5), (2, 3), "and got [2, 3]: use Dropout"),
        (cr.PadChannels(2), (2, 4, 4, 3), "with 2 channels at most, and got [2, 4, 4, 3]"),
        (cr.SelectChannels((0, 3)), (2, 4, 4, 3), "with a channel 3, and got [2, 4, 4, 3]"),
        (cr.Residual(cr.Conv2D(4)), (2, 5, 5, 3),
         "the layers give [2, 5, 5, 4], and what came in is [2, 5, 5, 3]: give a projection to [5, 5, 4]"),
        (cr.Residual(cr.Conv2D(4), projection=cr.Conv2D(4, stride=2)), (2, 5, 5, 3),
         "the projection gives [2, 3, 3, 4]"),
        (cr.Parallel(cr.Conv2D(4), cr.MaxPool2D(2)), (2, 4, 4, 3),
         "the branches give [2, 4, 4, 4], [2, 2, 2, 3], which differ before the last axis"),
        (cr.Parallel(cr.Dense(4), cr.Dense(3), combine="add"), (2, 4), "[2, 4], [2, 3], which are not of one shape"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_name_the_layer_and_show_the_arithmetic(
    layer: Applicable, shape: tuple[int, ...], message: str
) -> None:
    with Build(), pytest.raises(ShapeError) as caught:
        Scope(Record("float32")).apply(cr.Chain(cr.identity, layer), graph.input("x", shape), name="")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"layer 1 ({type(layer).__name__}(")


@pytest.mark.parametrize("layer", [cr.Conv2D(3), cr.MaxPool2D(2), cr.GlobalMaxPool(), cr.SpatialDropout(0.5)])
def test_whole_numbers_are_refused(layer: Applicable) -> None:
    with Build(), pytest.raises(DtypeError, match=r"and got uint8; use graph\.cast"):
        Scope(Record("float32")).apply(layer, graph.input("x", (2, 4, 4, 3), "uint8"), name="0")


def test_two_inputs_are_refused() -> None:
    x = graph.input("x", (2, 4, 4, 3))
    for layer in (cr.Conv2D(3), cr.MaxPool2D(2), cr.Upsample2D(2), cr.DepthwiseConv2D(), cr.GlobalMaxPool()):
        with Build(), pytest.raises(ShapeError, match="takes one input, and got 2"):
            Scope(Record("float32")).apply(layer, x, x, name="0")
    with Build(), pytest.raises(ShapeError, match="without a projection there is one input to add, and 2 came"):
        Scope(Record("float32")).apply(cr.Residual(lambda a, b: a + b), x, x, name="0")


def test_what_is_shown_of_a_layer_is_what_was_said() -> None:
    layer = cr.Conv2D(8, (5, 3), cr.relu, stride=2, weight=He())
    assert (
        repr(layer) == "Conv2D(channels=8, kernel=(5, 3), activation=relu, stride=2, weight=He(distribution='normal'))"
    )
    assert of(cr.Conv2D, 8, [5, 3]) == cr.Conv2D(8, (5, 3))
    assert of(cr.Conv2D, 8, padding=[[1, 2], 0]) == cr.Conv2D(8, padding=((1, 2), 0))


def test_dropped_channels_are_dropped_everywhere() -> None:
    whole, record = build(cr.SpatialDropout(0.25), (200, 3, 4, 5), training=True)
    y = run(whole, arrays_of(record, np.ones((200, 3, 4, 5))))["y"]
    assert ((y == 0).all((1, 2)) | (y == 1 / 0.75).all((1, 2))).all()
    part = (y[:, 0, 0] == 0).mean()
    assert abs(part - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 1000)


def test_a_causal_convolution_sees_nothing_that_comes_later() -> None:
    layer = cr.Conv1D(3, 3, padding="causal", dilation=2, stride=2)
    whole, record = build(layer, (1, 9, 2))
    arrays = arrays_of(record, Key(0).normal((1, 9, 2)))
    before = run(whole, arrays)["y"]
    x = arrays["x"].copy()
    x[:, 5:] += 1
    after = run(whole, arrays | {"x": x})["y"]
    np.testing.assert_array_equal(before[:, :3], after[:, :3])  # places 0, 2, 4
    assert (before[:, 3:] != after[:, 3:]).all()


def test_first_weights_are_scaled_by_what_one_output_sees() -> None:
    data = cr.data.from_arrays(np.zeros((4, 8, 8, 64), np.float32), np.array([0, 1, 0, 1]))
    deviations: dict[str, tuple[Any, float]] = {
        "relu": (cr.Conv2D(256, 3, cr.relu), np.sqrt(2 / (9 * 64))),
        "linear": (cr.Conv2D(256, 3), np.sqrt(2 / (9 * 64 + 9 * 256))),
        "groups": (cr.Conv2D(256, 3, cr.relu, groups=16), np.sqrt(2 / (9 * 4))),
        "depthwise": (cr.DepthwiseConv2D(3, cr.relu, multiplier=16), np.sqrt(2 / 9)),
        "given": (cr.Conv2D(256, 3, cr.relu, weight=Glorot()), np.sqrt(2 / (9 * 64 + 9 * 256))),
    }
    for name, (layer, deviation) in deviations.items():
        weight = cr.prepare(cr.Chain(layer, cr.GlobalAveragePool(), cr.Dense(2)), data).parameters["0.weight"]
        assert abs(weight.std() / deviation - 1) < 4 / np.sqrt(2 * weight.size), name


def test_a_shortcut_without_parameters_is_the_image_at_every_second_place() -> None:
    """Option A of residual networks."""
    layer = cr.Chain(cr.MaxPool2D(1, stride=2), cr.PadChannels(5))
    whole, record = build(layer, (2, 4, 4, 3))
    x = Key(0).normal((2, 4, 4, 3))
    y = run(whole, arrays_of(record, x))["y"]
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    assert not y[..., 3:].any()


@pytest.mark.parametrize(("size", "kernel", "stride"), [(6, 3, 2), (6, 2, 3), (4, 1, 2), (5, 4, 1), (8, 5, 4)])
def test_a_transposed_convolution_is_the_adjoint_of_a_convolution(size: int, kernel: int, stride: int) -> None:
    """⟨conv(x), y⟩ = ⟨x, transposed(y)⟩ with one kernel, whose channels change sides; "same" on both."""
    x, y = Key(0, "x").normal((1, size, 2)), Key(0, "y").normal((1, size // stride, 3))
    weight = Key(0, "w").normal((kernel, 2, 3))
    forth, record = build(cr.Conv1D(3, kernel, stride=stride, bias=False), x.shape)
    back, other = build(cr.ConvTranspose1D(2, kernel, stride=stride, bias=False), y.shape)
    there = run(forth, arrays_of(record, x) | {"parameters/weight": weight})["y"]
    here = run(back, arrays_of(other, y) | {"parameters/weight": weight.swapaxes(1, 2)})["y"]
    np.testing.assert_allclose((there * y).sum(), (x * here).sum(), rtol=1e-12)


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_gradients_sample_by_sample_are_one_graph(engine: str) -> None:
    """`vectorize` has every op of these layers, and of what goes back through them."""
    model = cr.Chain(
        cr.Conv2D(4, 3, cr.tanh, stride=2), cr.ConvTranspose2D(2, 4, stride=2), cr.MaxPool2D(2), cr.DepthwiseConv2D(3),
        cr.AveragePool2D(2, padding="same"), cr.Upsample2D(2, interpolation="bilinear"), cr.Flatten(), cr.Dense(3),
    )  # fmt: skip
    one, record = build(model, (1, 6, 6, 2), slopes=True)
    wanted = Graph({name: node for name, node in one.outputs.items() if name.startswith("d ")})
    many = vectorize(wanted, ["x"], 3)
    x = Key(0, "x").normal((3, 1, 6, 6, 2))
    arrays = arrays_of(record, x)
    together = run(many, arrays, None if engine == "reference" else NativeEngine(cores=1))
    for sample in range(3):
        alone = run(wanted, arrays | {"x": x[sample]})
        for name, array in alone.items():
            np.testing.assert_allclose(together[name][sample], array, rtol=1e-9, atol=1e-11, err_msg=name)


def test_every_layer_is_under_the_laws() -> None:
    from chainrule import layers
    from tests.layers.cases import CASES

    tried = {type(case.layer).__name__ for case in CASES.values()}
    here = {
        name
        for name, value in vars(layers).items()
        if isinstance(value, type) and hasattr(value, "apply") and value.__module__.startswith("chainrule.layers.")
    }
    # What takes symbols, or several inputs, has laws of its own, beside this file.
    apart = {"Embedding", "EmbeddingBag", "Recurrent", "TransformerDecoder"}
    assert here - tried <= {"Applicable", "Looping", "Scope"} | apart
