"""Every schedule held to the same laws: its formula, PyTorch's numbers, no NaN, one program, saved and loaded."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.formats.configuration import from_plain, to_plain
from chainrule.graph import Node
from chainrule.optimizers import SGD
from chainrule.optimizers.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    OneCycle,
    Piecewise,
    Polynomial,
    Schedule,
    Step,
    WarmRestarts,
    Warmup,
)
from chainrule.optimizers.schedules.schedule import Numbers
from tests.optimizers.schedules.making import SCHEDULES, STEPS, TABLE, Floats, Formula, given, graph_of, halving
from tests.training.making import line, same_bits


def check(schedule: Schedule, formula: Formula, dtype: str, engine: str) -> None:
    expected = np.array([formula(step) for step in STEPS])
    found = given(schedule, STEPS, dtype, engine)
    assert found.dtype == dtype
    # In float32 only what comes out is rounded. A step near 2³¹ is known to 16 digits of itself, not of a period.
    tolerance = 1e-7 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-13 if dtype == "float64" else 1e-12)


@pytest.mark.parametrize("name", TABLE)
def test_it_is_its_formula(name: str) -> None:
    schedule, formula = TABLE[name]
    check(schedule, formula, "float64", "reference")
    check(schedule, formula, "float32", "reference")
    np.testing.assert_allclose(schedule.values(STEPS), given(schedule, STEPS), rtol=1e-14)
    np.testing.assert_array_equal(schedule.values(5), schedule.values(range(5)))


@pytest.mark.parametrize("name", TABLE)
def test_it_is_its_formula_when_compiled(name: str) -> None:
    check(*TABLE[name], "float32", "native")


@pytest.mark.parametrize("name", ["step", "restarts", "restarts, growing by 1.3", "one cycle", "joined"])
def test_it_is_its_formula_when_compiled_in_float64(name: str) -> None:
    check(*TABLE[name], "float64", "native")


@pytest.mark.parametrize("name", TABLE)
def test_it_is_one_number_finite_and_never_negative(name: str) -> None:
    one, _ = graph_of(SCHEDULES[name], "float32")
    assert one.outputs["rate"].shape == ()
    values = SCHEDULES[name].values(10**6 + 1)
    assert np.isfinite(values).all()
    assert values.min() >= 0


@pytest.mark.parametrize("name", ["cosine", "restarts", "equal restarts", "one cycle", "exponential", "polynomial"])
def test_nor_is_it_when_compiled(name: str) -> None:
    values = given(SCHEDULES[name], range(10**6 + 1), "float32", "native")
    assert np.isfinite(values).all()
    assert values.min() >= 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_its_numbers_are_inputs_of_the_program(name: str) -> None:
    """Twice the first values is twice what comes out, and nothing of them is in the graph."""
    if name == "warm-up of a function":
        return  # what a function says is a constant
    schedule = SCHEDULES[name]
    one, numbers = graph_of(schedule, "float32")
    assert set(one.inputs) - {"step"} == set(numbers)
    assert len(numbers) >= 2
    other = other_numbers(schedule)
    assert graph_of(other, "float32")[0].outputs == one.outputs
    assert graph_of(other, "float32")[1] != numbers


def other_numbers(schedule: Schedule) -> Schedule:
    """The same schedule, every number of it another."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(schedule):  # type: ignore[arg-type]
        value = getattr(schedule, field.name)
        if isinstance(value, Schedule):
            changed[field.name] = other_numbers(value)
        elif isinstance(value, tuple):
            changed[field.name] = tuple(other_numbers(x) if isinstance(x, Schedule) else 2 * x for x in value)
        elif isinstance(value, int | float) and not (field.name in ("power", "growth") and value == 1):
            changed[field.name] = 0.9 * value if field.name in ("factor", "rise") else 2 * value
    return dataclasses.replace(schedule, **changed)  # type: ignore[type-var]


@pytest.mark.parametrize("name", SCHEDULES)
def test_written_and_read(name: str) -> None:
    read = from_plain(to_plain(SCHEDULES[name]), custom=[halving])
    assert read == SCHEDULES[name]
    assert read.values(50).tobytes() == SCHEDULES[name].values(50).tobytes()


@pytest.mark.parametrize("name", SCHEDULES)
def test_saved_loaded_and_gone_on_with(name: str, tmp_path: Path) -> None:
    """Two numbers by the schedule; what they were is in the history."""
    data, schedule = line(12), SCHEDULES[name]
    optimizer = SGD(0.01, momentum=0.5) if name == "constant" else SGD(schedule, momentum=Warmup(2, schedule))
    settings: dict[str, Any] = {"optimizer": optimizer, "batch_size": 5, "dtype": "float64", "engine": "reference"}
    whole = cr.fit(cr.Chain(cr.Dense(1)), data, epochs=4, **settings)
    half = cr.fit(cr.Chain(cr.Dense(1)), data, epochs=2, **settings).save(tmp_path / "run")
    again = cr.load(half, engine="reference", custom=[halving])
    assert again.optimizer == optimizer
    same_bits(whole, again.fit(data, epochs=4))
    if name != "constant":
        steps = whole.history.steps
        np.testing.assert_allclose(steps["learning_rate"], schedule.values(12), rtol=1e-14)
        np.testing.assert_allclose(steps["momentum"], Warmup(2, schedule).values(12), rtol=1e-14)


# ---- PyTorch ----

#: The names are those of schedules.npz; what each means is written in golden/make_schedules.py.
GOLDEN: dict[str, Schedule] = {
    "constant": Constant(0.2),
    "step": Step(0.2, 0.3, every=150),
    "exponential": Exponential(0.2, 0.995),
    "inverse_time": InverseTime(0.2, 0.01),
    "linear": Polynomial(0.2, 800, final=0.02),
    "polynomial": Polynomial(0.2, 800, power=2.5),
    "cosine": Cosine(0.2, 999, final=0.01),
    "warm_restarts": WarmRestarts(0.2, 70, growth=2, final=0.001),
    "equal_restarts": WarmRestarts(0.2, 70),
    # Its first way ends at 0.3·1001 - 1 of 1000 steps.
    "one_cycle": OneCycle(0.5, 1000, rise=(0.3 * 1001 - 1) / 1000),
    "warmup": Warmup(50, 0.2),
    "warmed_step": Warmup(50, Step(0.2, 0.1, every=300)),
    "piecewise": Piecewise((200, 650), (0.2, 0.02, 0.002)),
    "joined": Piecewise((300,), (0.1, Exponential(0.2, 0.99))),
}


def golden() -> dict[str, Floats]:
    with np.load(Path(__file__).parents[2] / "golden" / "schedules.npz") as file:
        return dict(file)


def test_all_arrays_are_compared() -> None:
    assert set(golden()) == set(GOLDEN)


@pytest.mark.parametrize("name", GOLDEN)
def test_it_is_that_of_pytorch(name: str) -> None:
    # Some of PyTorch's are computed each from the one before, and gather rounding.
    np.testing.assert_allclose(GOLDEN[name].values(1000), golden()[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("step", Step(0.2, 0.3, every=151)),
        ("cosine", Cosine(0.2, 1000, final=0.01)),
        ("warm_restarts", WarmRestarts(0.2, 71, growth=2, final=0.001)),
        ("one_cycle", OneCycle(0.5, 1000)),
        ("warmup", Warmup(51, 0.2)),
    ],
)
def test_a_small_difference_is_found(name: str, other: Schedule) -> None:
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(other.values(1000), golden()[name], rtol=1e-9, atol=1e-12)


# ---- the laws can fail ----


@dataclasses.dataclass(frozen=True)
class Wrong(Schedule):
    """A cosine in one formula, with the cancellation and the rounded division that ours does without."""

    initial: float
    steps: float
    late: float = 0.0

    def at(self, step: Node, number: Numbers) -> Node:
        share = (step + number("late", self.late)) / number("steps", self.steps)
        return number("initial", self.initial) * (graph.cos(share * 3.141592653589793) + 1.0) / 2.0


def test_a_schedule_that_is_a_step_late_is_found() -> None:
    formula = TABLE["cosine, one step"][1]
    with pytest.raises(AssertionError):
        check(Wrong(0.2, 1, late=1.0), formula, "float64", "reference")


def test_one_that_counts_in_float32_is_found() -> None:
    def counting(step: Node) -> Node:
        return graph.rem(graph.cast(step, "float32"), 7.0)

    exact = [step % 7 for step in STEPS]
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(given(counting, STEPS), exact)
    np.testing.assert_array_equal(given(lambda step: graph.rem(step, 7.0), STEPS), exact)


# ---- bad settings ----

BAD: list[tuple[str, Any, str]] = [
    ("a negative number", lambda: Constant(-0.1), "Constant: initial is a number of 0 or more, not -0.1"),
    ("no number", lambda: Constant("fast"), "initial is a number of 0 or more, not 'fast'"),  # type: ignore[arg-type]
    ("infinity", lambda: Cosine(float("inf"), 10), "Cosine: initial is a number of 0 or more, not inf"),
    ("no steps", lambda: Cosine(0.1, 0), "Cosine: steps is a number of steps, 1 or more, not 0; steps_per_epoch"),
    ("steps NaN", lambda: Polynomial(0.1, float("nan")), "Polynomial: steps is a number of steps"),
    ("a factor of 0", lambda: Step(0.1, 0.0, 10), "Step: factor is a number above 0, not 0.0"),
    ("power 0", lambda: Polynomial(0.1, 10, power=0), "Polynomial: power is a number above 0"),
    ("shrinking", lambda: WarmRestarts(0.1, 10, growth=0.5), "growth is 1 or more, not 0.5: periods do not shrink"),
    ("all rise", lambda: OneCycle(0.1, 10, rise=1.0), "OneCycle: rise is the part of the steps that go up, below 1"),
    ("a class", lambda: Warmup(10, Cosine), r"then is a schedule such as Cosine\(…\), not the class itself"),  # type: ignore[arg-type]
    ("too few parts", lambda: Piecewise((10, 20), (0.1, 0.2)), "2 boundaries part 3 values, not 2"),
    ("falling boundaries", lambda: Piecewise((20, 10), (1, 2, 3)), "boundaries rise, and these are 20, 10"),
    ("boundary 0", lambda: Piecewise((0,), (1, 2)), "a boundary is a number of steps, 1 or more, not 0"),
    ("no list", lambda: Piecewise(10, (1, 2)), "Piecewise: boundaries is a list, not 10"),  # type: ignore[arg-type]
    ("T_max", lambda: Cosine(0.1, T_max=10), "Cosine: the name is steps, not T_max"),  # type: ignore[call-arg]
    ("gamma", lambda: Step(0.1, gamma=0.5, every=3), "Step: the name is factor, not gamma"),  # type: ignore[call-arg]
    ("max_lr", lambda: OneCycle(max_lr=0.1, steps=3), "OneCycle: the name is peak, not max_lr"),  # type: ignore[call-arg]
    ("milestones", lambda: Piecewise(milestones=(3,), parts=(1, 2)), "the name is boundaries, not milestones"),  # type: ignore[call-arg]
    ("two values", lambda: given(lambda step: graph.iota(3, "float64"), [0]), "gives one number for a step"),
    ("no step", lambda: Constant(0.1).values(0), "steps is how many of the first steps"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), [pytest.param(call, text, id=name) for name, call, text in BAD])
def test_bad_settings_are_refused_in_words(call: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        call()
