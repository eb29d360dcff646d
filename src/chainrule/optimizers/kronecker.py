"""The curvature of dense layers: Kronecker factors of the Fisher matrix, its products with vectors, damped inverses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node
from chainrule.layers.dense import Dense
from chainrule.layers.scope import Record, Scope
from chainrule.losses import Loss
from chainrule.optimizers.driving import Descent, DrivenStep

if TYPE_CHECKING:
    from chainrule.engines.protocol import Array

#: What the directions are called whose products with the Fisher matrix are asked for.
FIRST, SECOND = "first", "second"


@dataclass(frozen=True)
class Affine:
    """A dense layer as it stands in a step: s = a·W + b, by the paths of W and b (if it has one) and the nodes a and s.

    In the formulas the row b stands below W: W̄, of (n + 1, units), and a has a last 1: the homogeneous coordinate.
    """

    weight: str
    bias: str | None
    inputs: Node
    sums: Node

    def joined(self, arrays: Mapping[str, Array]) -> Array:
        """W and b, or what is of their shapes, as one matrix W̄."""
        weight = arrays[self.weight]
        return weight if self.bias is None else np.concatenate([weight, arrays[self.bias][None]])

    def parted(self, matrix: Array) -> dict[str, Array]:
        """One matrix W̄ as what is of the shapes of W and b, by path."""
        if self.bias is None:
            return {self.weight: matrix}
        return {self.weight: matrix[:-1], self.bias: matrix[-1]}


def paired(shapes: Mapping[str, Sequence[int]]) -> dict[str, str | None]:
    """The paths of weights, each with that of its bias or None; `ConfigurationError` for parameters of other layers."""
    weights = {path for path, shape in shapes.items() if path.rpartition(".")[2] == "weight" and len(shape) == 2}
    found = {path: path.removesuffix("weight") + "bias" for path in weights}
    for path in shapes:
        if path not in weights and path not in found.values():
            raise ConfigurationError(_only_dense(path, list(shapes[path])))
    return {path: found[path] if found[path] in shapes else None for path in shapes if path in weights}


def affine_layers(step: DrivenStep) -> list[Affine]:
    """The dense layers of a step, with the nodes of what they are given and of their sums before the activation."""
    (descent,) = step.descents
    outputs, _ = predicted(descent)
    order = graph.topological([outputs])
    found = []
    for weight, bias in paired({path: node.shape for path, node in descent.parameters.items()}).items():
        place = weight.rpartition(".")[0]
        layers = [one for one in step.applied if one.path == place]
        if not all(isinstance(one.layer, Dense) for one in layers):
            raise ConfigurationError(_only_dense(weight, layers[0].layer))
        node = descent.parameters[weight]
        readers = [one for one in order if node in one.inputs]
        if len(readers) != 1 or len(layers) != 1:
            raise ConfigurationError(
                f"K-FAC: layer {place or 'of the model'} is applied {len(layers)} times in a step, or its weights are "
                "used elsewhere too; the factors are made for a layer that stands in one place"
            )
        (sums,) = readers
        if sums.op != "contract" or sums.inputs[0].rank != 2:
            raise ConfigurationError(
                f"K-FAC: layer {place or 'of the model'} is given {list(sums.inputs[0].shape)}, and the factors are "
                "made for (batch, features), with weights as they are: no WeightNoise, and Flatten before it if need be"
            )
        found.append(Affine(weight, bias, sums.inputs[0], sums))
    return found


def predicted(descent: Descent) -> tuple[Node, Loss]:
    """The outputs that the loss of a descent is of, and the loss on them."""
    if descent.outputs is None or descent.criterion is None:
        raise ConfigurationError(
            "K-FAC has to know which distribution the network predicts; in a step of your own: "
            "state.descend(loss, model, KFAC(), outputs=outputs, criterion=chainrule.losses.cross_entropy)"
        )
    criterion = descent.criterion
    if getattr(criterion, "smoothing", 0.0):  # targets that are drawn are not smoothed
        criterion = dataclasses.replace(criterion, smoothing=0.0)  # type: ignore[call-arg]
    return descent.outputs, criterion


def factors_graph(step: DrivenStep, layers: Sequence[Affine]) -> Graph:
    """For each layer aᵀa and Σa, and gᵀg, over the batch: "squares/PATH", "sums/PATH", "slopes/PATH".

    g is the gradient at the layer's sums of -log p(t | x), for targets t drawn from the network's own predictions by
    the key of the step.
    """
    outputs, criterion = predicted(step.descents[0])
    found: dict[str, Node] = {}
    with Build() as build:
        seed = graph.random_bits(
            graph.input("seed", (), "uint32"), graph.cast(graph.input("step", (), "int32"), "uint32"), "step"
        )
        with graph.scope("kfac", absolute=True):
            scope = Scope(Record(outputs.dtype, seed=seed), "kfac")
            targets = graph.stop_gradient(criterion.sample(outputs, scope))
            surprise = graph.sum(criterion.per_sample(outputs, targets))
            slopes = gradients(surprise, [layer.sums for layer in layers])
            for layer, slope in zip(layers, slopes, strict=True):
                found[f"squares/{layer.weight}"] = graph.contract(layer.inputs, layer.inputs, "bi,bj->ij")
                found[f"sums/{layer.weight}"] = graph.sum(layer.inputs, 0)
                found[f"slopes/{layer.weight}"] = graph.contract(slope, slope, "bi,bj->ij")
        return Graph.of(found, build)


def products_graph(step: DrivenStep) -> Graph:
    """uᵀF·u, uᵀF·v and vᵀF·v as "first first", "first second", "second second", for u = "first/…", v = "second/…".

    F = Jᵀ·H·J, with J the Jacobian of the outputs by the parameters and H the curvature of the loss in the outputs, is
    the Fisher matrix; what the loss has of parameters beside the outputs, a penalty, adds its own curvature.
    """
    (descent,) = step.descents
    outputs, _ = predicted(descent)
    parameters = list(descent.parameters.values())
    with Build() as build, graph.scope("kfac", absolute=True):
        moves, curved, penalised = {}, {}, {}
        (slope,) = gradients(descent.loss, [outputs])
        held = graph.input("kfac/outputs", outputs.shape, outputs.dtype)
        beside = graph.map_nodes([descent.loss], known={outputs: held})[descent.loss]
        penalty = gradients(beside, parameters)
        for which in (FIRST, SECOND):
            directions = [graph.input(f"{which}/{path}", p.shape, p.dtype) for path, p in descent.parameters.items()]
            moves[which] = forwards(outputs, parameters, directions)
            (curved[which],) = gradients(_inner([slope], [graph.stop_gradient(moves[which])]), [outputs])
            penalised[which] = directions, gradients(_inner(penalty, directions), parameters)
        found = {}
        for one, other in ((FIRST, FIRST), (FIRST, SECOND), (SECOND, SECOND)):
            found[f"{one} {other}"] = _inner([moves[one]], [curved[other]]) + _inner(
                penalised[one][0], penalised[other][1]
            )
        return Graph.of(found, build)


def forwards(output: Node, wrt: Sequence[Node], directions: Sequence[Node]) -> Node:
    """J·v: how an output moves where ``wrt`` moves along directions; by the gradient of the gradient.

    Jᵀ·u is linear in u, and its derivative by u, along v, is J·v: no rule is written for the way forwards.
    """
    u = graph.input("kfac/cotangent", output.shape, output.dtype)
    back = gradients(_inner([output], [u]), wrt)
    (moved,) = gradients(_inner(back, directions), [u])
    return moved


def _inner(ones: Sequence[Node], others: Sequence[Node]) -> Node:
    total, *rest = (graph.sum(one * other) for one, other in zip(ones, others, strict=True))
    for part in rest:
        total = total + part
    return total


def second_moments(found: Mapping[str, Array], layer: Affine) -> tuple[Array, Array]:
    """A = E[a·aᵀ] and G = E[g·gᵀ] of a batch, float64, from what `factors_graph` gives."""
    count = layer.inputs.shape[0]
    inputs = found[f"squares/{layer.weight}"].astype(np.float64)
    if layer.bias is not None:
        sums = found[f"sums/{layer.weight}"].astype(np.float64)[None]
        inputs = np.block([[inputs, sums.T], [sums, np.full((1, 1), float(count))]])
    return inputs / count, found[f"slopes/{layer.weight}"].astype(np.float64) / count


def damped_inverses(inputs: Array, slopes: Array, tikhonov: float) -> tuple[Array, Array]:
    """(A + π·γ·I)⁻¹ and (G + γ/π·I)⁻¹, with π² = (tr A / rows of A) / (tr G / rows of G) and γ = ``tikhonov``.

    >>> one, other = damped_inverses(np.eye(2) * 4.0, np.eye(3), 0.5)
    >>> float(one[0, 0]), float(other[0, 0])
    (0.2, 0.8)

    Reference: J. Martens and R. Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature",
    2015, section 6.3.
    """
    sizes = [max(float(np.trace(matrix)) / len(matrix), 1e-30) for matrix in (inputs, slopes)]
    ratio = (sizes[0] / sizes[1]) ** 0.5
    return _inverse(inputs, tikhonov * ratio), _inverse(slopes, tikhonov / ratio)


def _inverse(matrix: Array, damping: float) -> Array:
    found: Array = np.linalg.inv(matrix.astype(np.float64) + damping * np.eye(len(matrix)))
    return 0.5 * (found + found.T)


def _only_dense(path: str, what: object) -> str:
    return (
        f"K-FAC is for dense layers alone, and the model has the parameter {path} of {what}: use layers without "
        "parameters beside Dense, or another optimizer"
    )
