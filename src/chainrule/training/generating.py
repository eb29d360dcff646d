"""Text from a language model: one token after the other, each drawn by what the model says of those before it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, overload

import numpy as np

from chainrule.data.text import TextForm
from chainrule.engines.protocol import Array
from chainrule.errors import CannotGoOnError, ConfigurationError, DataError
from chainrule.keys import Key
from chainrule.training.predicting import Predictive
from chainrule.training.sampling import Sampling
from chainrule.training.stepping import Stepper, Texts, first_seen

#: The logits (samples, positions, symbols) of some tokens (samples, positions).
Model = Callable[[Array], Array]


class Generative(Predictive):
    """A training whose model may go on with a text."""

    @overload
    def generate(
        self,
        prompt: str | None = None,
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str: ...

    @overload
    def generate(
        self,
        prompt: list[str] | tuple[str, ...],
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> list[str]: ...

    def generate(
        self,
        prompt: str | list[str] | tuple[str, ...] | None = None,
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str | list[str]:
        """Go on with a text: the prompt, and ``length`` tokens after it, drawn as `training.Sampling` says.

        Without a prompt it begins with an end of line, or, where that is no token, with the one that comes most often.
        The run has learned which token comes next (`chainrule.data.language`). The same seed gives the same text. A
        model whose layers can go on position by position (`layers.going_on`) keeps what came before; any other is
        computed anew for each token. Recurrent layers carry their states along from the first token on; a model with
        attention or learned places sees at most as many tokens as it has learned with: whenever they are so many, the
        first half of them is forgotten.

        Of a list of prompts comes the list of their texts: text n is the one that prompt n gives alone with the seed
        ``seed`` + n, up to the rounding of sums. They go on side by side, as rows of one product, up to 16 at once.

        >>> import chainrule as cr
        >>> train, test = cr.data.language("abc" * 200, length=8)
        >>> model = cr.Chain(cr.Embedding(3, 8), cr.Conv1D(16, 2, cr.tanh, padding="causal"), cr.Dense(3))
        >>> run = cr.fit(model, train, optimizer=cr.optimizers.Adam(0.01), epochs=20)
        >>> run.generate("ab", 7), run.generate(["ab", "c"], 4)
        ('abcabcabc', ['abcabc', 'cabca'])
        """
        several = isinstance(prompt, list | tuple)
        form, known = self._known_tokens(prompt if isinstance(prompt, list | tuple) else [prompt])
        for fresh in self._gone_on(form, known, length, Sampling(temperature, top_k, top_p), seed):
            for tokens, more in zip(known, fresh, strict=True):
                tokens += more
        texts = [form.decode(tokens) for tokens in known]
        return texts if several else texts[0]

    def generate_in_pieces(
        self,
        prompt: str | None = None,
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> Iterator[str]:
        """The text that `generate` gives, piece by piece as it is drawn: first the prompt, then what comes after it.

        What is wrong with the arguments is refused at once. A character of several tokens comes when it is whole.
        """
        form, known = self._known_tokens([prompt])
        fresh = self._gone_on(form, known, length, Sampling(temperature, top_k, top_p), seed)
        return form.decode_parts(itertools.chain(known, (part for (part,) in fresh)))

    def _known_tokens(self, prompts: Sequence[str | None]) -> tuple[TextForm, list[list[int]]]:
        """The form of the run's text, and the tokens of each prompt; an error where there are none."""
        form = language_form(self.preparation, self._known_spec())
        if not prompts:
            raise DataError("there is no prompt in the list; give one or more")
        known = []
        for number, prompt in enumerate(prompts):
            place = "the prompt" if len(prompts) == 1 else f"prompt {number}"
            if prompt is None and len(prompts) == 1:
                known.append([_beginning(form)])
                continue
            if not isinstance(prompt, str):
                raise DataError(f"{place}: a text was expected, not {type(prompt).__name__}")
            known.append([int(one) for one in form.numbers(prompt, place)])
            if not known[-1]:
                raise DataError(f"{place} {prompt!r:.40} has no token; give one or more")
        return form, known

    def _gone_on(
        self, form: TextForm, known: Texts, length: int, sampling: Sampling, seed: int
    ) -> Iterator[list[list[int]]]:
        """Some tokens at a time that come after those of each text; what is not allowed is refused at once."""
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            raise ConfigurationError(f"length is how many tokens to add, 0 or more, not {length!r}")
        never = _never(form)
        keys = [Key(seed + place).child("generate") for place in range(len(known))]
        stepper = self._stepper(form.length)
        if stepper is not None:
            return stepper.continued(known, keys, length, sampling, never, self.arrays)
        for tokens in known:
            _refuse_foresight(self.outputs, form, tokens)
        return by_windows(self.outputs, form, known, keys, length, sampling, never)

    def _stepper(self, positions: int) -> Stepper | None:
        """What goes on with a text token by token; None for a model that cannot."""
        key = "stepper", id(self.model), positions
        if self.model is None:
            return None
        if key not in self._measures:
            try:
                layers = self.known_layers()
                self._measures[key] = Stepper(self.model, layers, self.engine, self.dtype, positions)
            except CannotGoOnError:
                self._measures[key] = None
        found: Stepper | None = self._measures[key]
        return found


def by_windows(
    model: Model,
    form: TextForm,
    known: Texts,
    keys: Sequence[Key],
    length: int,
    sampling: Sampling,
    never: Collection[int],
) -> Iterator[list[list[int]]]:
    """One token after the other, text after text: each by all that is seen, at the first positions of a window.

    What stands after them the model must not look at.
    """
    for place, (given, key) in enumerate(zip(known, keys, strict=True)):
        tokens = list(given)
        for drawn in range(length):
            seen = tokens[first_seen(len(tokens), form.length) :]
            window = np.zeros((1, form.length), np.int32)
            window[0, : len(seen)] = seen
            tokens.append(sampling.draw(model(window)[0, len(seen) - 1], key.child(drawn), never))
            yield [tokens[-1:] if place == other else [] for other in range(len(known))]


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


def _never(form: TextForm) -> list[int]:
    """The tokens that are not drawn, of which there are others."""
    never = [number for number in (form.vocabulary.padding, form.vocabulary.unknown) if number is not None]
    if len(never) >= form.symbols:
        raise DataError("there is no token to draw: the vocabulary has none but padding and unknown")
    return never


def _beginning(form: TextForm) -> int:
    """An end of line, or, where that is no token, the one that comes most often."""
    known = form.vocabulary.tokens
    lines = [known.index(token) for token in form.tokens.split("\n") if token in known]
    return lines[0] if lines else next(number for number in range(form.symbols) if number not in _never(form))


def _refuse_foresight(model: Model, form: TextForm, known: Sequence[int]) -> None:
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
