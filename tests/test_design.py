"""The programs of the design run as they are written there."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

#: Word for word.
THE_FACE = """
import chainrule as cr

train, test = cr.data.load("digits")                      # real handwritten digits, no download
model = cr.Chain(cr.Dense(64, cr.relu), cr.Dense(10))     # input sizes come from the data
run = cr.fit(model, train, validation=test, loss=cr.losses.cross_entropy,
             optimizer=cr.optimizers.SGD(learning_rate=0.1, momentum=0.9), epochs=20, seed=0)
run.evaluate(test)                                        # {'loss': …, 'accuracy': …}
run.predict(test.inputs[:5])
run.save("digits-run")                                    # model, preparation and classes travel together
"""

THE_STEP = """
@cr.step                                                  # your own step: two losses, two optimizers, anything
def gan_step(state, batch): ...
"""


def execute(program: str, **names: Any) -> dict[str, Any]:
    exec(compile(program, "the design", "exec"), names)
    return names


def test_the_ten_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = execute(THE_FACE)
    run, test, cr = found["run"], found["test"], found["cr"]
    assert set(run.evaluate(test)) == {"loss", "accuracy"}
    assert run.evaluate(test)["accuracy"] > 0.96
    said = run.predict(test.inputs[:5])
    assert said.shape == (5,)
    assert set(said) <= set("0123456789")
    again = cr.load("digits-run")
    assert (again.classes, again.model, again.preparation) == (run.classes, run.model, run.preparation)
    np.testing.assert_array_equal(again.outputs(test.inputs), run.outputs(test.inputs))


def test_the_example_is_the_ten_lines() -> None:
    example = Path(__file__).parent.parent / "examples" / "digits.py"
    assert THE_FACE.strip() in example.read_text()


def test_the_decorator_takes_what_is_written_there() -> None:
    import chainrule as cr

    found = execute(textwrap.dedent(THE_STEP), cr=cr)
    assert isinstance(found["gan_step"], cr.training.Step)
    assert found["gan_step"].name == "gan_step"
    # Three dots do nothing: the step says so, before anything is trained.
    with pytest.raises(
        cr.errors.ConfigurationError, match="the step gan_step never descends, so it would learn nothing"
    ):
        cr.fit(found["gan_step"], {"x": np.ones((4, 2), np.float32)})
