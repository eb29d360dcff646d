from __future__ import annotations

import numpy as np
import pytest

from chainrule.keys import Key
from chainrule.report.curves import Line, axis, floats, line_chart, thin
from chainrule.report.markup import Markup, element, escaped, joined
from chainrule.report.numbers import duration, linear_ticks, logarithmic_ticks, told


def test_text_is_escaped_unless_an_element_made_it() -> None:
    assert element("p", "<b>", Markup("<i>"), ["&", None, 3]) == "<p>&lt;b&gt;<i>&amp;3</p>"
    assert element("p", title='"') == '<p title="&quot;"></p>'
    assert joined([element("b", "x")]) == "<b>x</b>"
    assert escaped("\x00\ud800\n") == "\ufffd\ufffd\n"
    assert not isinstance(element("b") + "<", Markup)


@pytest.mark.parametrize("count", [1, 5, 1599, 1601, 123_456])
def test_thinned_lines_keep_ends_and_extremes(count: int) -> None:
    x, y = np.arange(float(count)), Key(count).normal((count,))
    fewer_x, fewer_y = thin(x, y)
    assert len(fewer_x) <= 1600
    assert (np.diff(fewer_x) > 0).all()
    assert [fewer_y.min(), fewer_y.max(), fewer_x[0], fewer_x[-1]] == [y.min(), y.max(), x[0], x[-1]]
    np.testing.assert_array_equal(y[fewer_x.astype(int)], fewer_y)


def test_thinned_lines_keep_what_is_crowded_together() -> None:
    """Stochastic and then batch descent: most points in one column."""
    x = np.concatenate([np.linspace(0, 1e-6, 5000), [1.0, 2.0]])
    assert thin(x, np.arange(5002.0))[1].tolist() == [0.0, 4999.0, 5000.0, 5001.0]


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-3, 7), (0.1, 0.1000001), (1e-12, 3e-12), (-1e9, 1e9), (5, 6), (0.9, 1.0), (1e-300, 1e300)],
)
def test_ticks_lie_within_and_are_few(low: float, high: float) -> None:
    for ticks in (linear_ticks(low, high), *([logarithmic_ticks(low, high)] if low > 0 else [])):
        assert 1 <= len(ticks) <= 10
        assert ticks == sorted(ticks)
        room = 1e-9 * (high - low)
        assert all(low - room <= tick <= high + room for tick in ticks)


def test_wide_numbers_are_drawn_by_their_logarithms_and_no_others() -> None:
    def chart(*values: float) -> str:
        return str(line_chart("loss", [Line("training", np.arange(float(len(values))), floats(values))]))

    assert "logarithmic" in chart(1.0, 0.01)
    assert "logarithmic" not in chart(1.0, 0.1)
    assert "logarithmic" not in chart(*[1.0] * 9, 1e-5), "the end of a cosine"
    accuracy = Line("", np.arange(2.0), floats([0.01, 1.0]))
    assert "logarithmic" not in str(line_chart("accuracy", [accuracy], by_size=False))
    assert "logarithmic" not in chart(1.0, 0.0)
    assert "logarithmic" not in chart(1.0, -0.001)
    assert "nan" not in chart(1.0, float("nan"), float("inf"), 2.0)
    assert line_chart("loss", [Line("", floats([1.0]), floats([np.nan]))]) is None
    assert "circle" in chart(3.0)
    for value in (0.0, 1e-300, -5.0, 1e300):
        assert "nan" not in chart(value, value)


def test_an_axis_has_room_for_all() -> None:
    for values in ([0.0], [1.0, 1.0], [-2.0, 3.0], [1e-9, 1e9]):
        for logarithmic in (False, True) if min(values) > 0 else (False,):
            scale = axis(floats(values), 100.0, 0.0, logarithmic=logarithmic)
            placed = scale(values)
            assert (placed >= 0).all()
            assert (placed <= 100).all()


def test_numbers_in_words() -> None:
    assert told(float("-inf")) == "−∞"
    assert duration(0.0) == "0 s"
    assert duration(3599.9) == "1 h 0 min"
