"""Text from a language model: one token after the other, each drawn by what the model says of those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.data.text import TextForm
from chainrule.engines.protocol import Array
from chainrule.errors import ConfigurationError, DataError
from chainrule.keys import Key
from chainrule.training.measuring import Measurable
from chainrule.training.sampling import Sampling
from chainrule.training.stepping import Stepper, steps_alone

#: The logits (samples, positions, symbols) of some tokens (samples, positions).
Model = Callable[[Array], Array]
#: The logits (symbols,) of what comes after some more tokens.
Telling = Callable[[Sequence[int]], Array]


class Generative(Measurable):
    """A training whose model may go on with a text."""

    def outputs(self, inputs: Any) -> Array:
        """What the last layer gives for some inputs."""
        raise NotImplementedError

    def generate(
        self,
        prompt: str = "\n",
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """Go on with a text: the prompt, and ``length`` tokens after it, drawn as `training.Sampling` says.

        The run has learned which token comes next (`chainrule.data.language`). The same seed gives the same text. A
        chain of recurrent layers, and of layers for each position, carries its states along from the first token on;
        any other model sees as many of the last tokens as it has learned with.

        >>> import chainrule as cr
        >>> train, test = cr.data.language("abc" * 200, length=8)
        >>> model = cr.Chain(cr.Embedding(3, 8), cr.Conv1D(16, 2, cr.tanh, padding="causal"), cr.Dense(3))
        >>> cr.fit(model, train, optimizer=cr.optimizers.Adam(0.01), epochs=20).generate("ab", 7)
        'abcabcabc'
        """
        form = language_form(self.preparation, self._known_spec())
        sampling = Sampling(temperature, top_k, top_p)
        tell: Telling = Windowed(self.outputs, form)
        if steps_alone(self.model):
            tell = Stepper(self.model, self.known_layers(), self.engine, self.dtype, self.arrays)
        return form.decode(continued(tell, form, prompt, length, sampling, seed))


def continued(tell: Telling, form: TextForm, prompt: str, length: int, sampling: Sampling, seed: int) -> Iterator[int]:
    """The numbers of the prompt's tokens, and then of ``length`` more, one by one."""
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise ConfigurationError(f"length is how many tokens to add, 0 or more, not {length!r}")
    known = [int(number) for number in form.numbers(prompt, "the prompt")]
    if not known:
        raise DataError(f"the prompt {prompt!r:.40} has no token; give one or more, such as the end of a line")
    vocabulary, key = form.vocabulary, Key(seed).child("generate")
    never = [number for number in (vocabulary.padding, vocabulary.unknown) if number is not None]
    if len(never) >= form.symbols:
        raise DataError("there is no token to draw: the vocabulary has none but padding and unknown")
    yield from known
    for place in range(length):
        known = [sampling.draw(tell(known), key.child(place), never)]
        yield known[0]


class Windowed:
    """The last `TextForm.length` tokens there are, at the first positions of a window, through the whole model.

    What stands after them it must not look at, and it is refused if it does.
    """

    def __init__(self, model: Model, form: TextForm) -> None:
        self._model, self._form = model, form
        self._known: list[int] = []

    def __call__(self, tokens: Sequence[int]) -> Array:
        """The logits of what comes after these tokens, and all those before."""
        if not self._known:
            _refuse_foresight(self._model, self._form, list(tokens))
        self._known = [*self._known, *tokens][-self._form.length :]
        window = np.zeros((1, self._form.length), np.int32)
        window[0, : len(self._known)] = self._known
        logits: Array = self._model(window)[0, len(self._known) - 1]
        return logits


def language_form(preparation: Any, spec: Any) -> TextForm:
    """The form of a run's text, if it has learned which token comes next; else ConfigurationError."""
    form: TextForm | None = preparation.text
    shape, kind = spec.arrays.get("targets", ((), ""))
    if form is None or kind != "int32" or not shape:
        raise ConfigurationError(
            "this run has not learned which token comes next, so it cannot go on with a text; "
            "chainrule.data.language(text) makes data for that"
        )
    return form


def _refuse_foresight(model: Model, form: TextForm, known: list[int]) -> None:
    """Raise where a later token changes what the model says at an earlier position: it was trained to copy it."""
    if form.length < 2 or form.symbols < 2:
        return
    seen = known[: form.length - 1]
    window = np.zeros((1, form.length), np.int32)
    window[0, : len(seen)] = seen
    other = window.copy()
    other[0, len(seen) :] = form.symbols - 1
    place = len(seen) - 1
    one, two = model(window)[0, place], model(other)[0, place]
    if not np.allclose(one, two, rtol=1e-4, atol=1e-5):
        raise ConfigurationError(
            "the model looks at tokens that come later, so it has learned to copy the next and not to tell it: make it "
            "causal (no Bidirectional, attention with causal=True, Conv1D with padding='causal')"
        )
