"""Make the golden arrays: values and gradients that another framework has computed, in float64.

    python -m venv golden && golden/bin/pip install torch==2.13.0 numpy
    golden/bin/python tests/golden/make_golden.py

writes the .npz files beside this script; the tests read them and never need that framework. A file holds cases, and
a key is ``case/name``: the operands of a case (``case/x``), its value (``case/value``) and, for
L = Σ cotangent·value, the gradients of L (``case/d:x``). The operands come from a seeded generator, so a new run
gives the same files.

``batch_norm.npz`` has cases of steps: ``rows/0/x``, and the state after a step, ``rows/0/mean``; channels are last.

``optimizers.npz`` is laid out otherwise: ``start`` (shape 3×4) are parameters, ``gradients`` (100×3×4) the gradients
that come in, one a step, and ``NAME/parameters`` (50×3×4) what the update NAME has made of them after steps 2, 4, …:

    sgd               learning_rate 0.1
    momentum          learning_rate 0.1, momentum 0.9:             v ← 0.9 v + g;  w ← w − 0.1 v
    nesterov          the same, Nesterov's form:                   v ← 0.9 v + g;  w ← w − 0.1 (g + 0.9 v)
    weight_decay      learning_rate 0.1, momentum 0.9, g + 0.01 w in the place of g
    adam              learning_rate 0.01, beta1 0.9, beta2 0.999, epsilon 1e-8 (beside the root of the corrected mean)
    adamw             the same, and w ← w − 0.01·0.05 w before each update
    amsgrad           adam with the largest second moment so far
    rmsprop           learning_rate 0.01, rho 0.99, epsilon 1e-8 (beside the root)
    rmsprop_momentum  the same, momentum 0.9 of what is divided:   v ← 0.9 v + g / root;  w ← w − 0.01 v
    rmsprop_centred   rmsprop with the running variance under the root
    rmsprop_both      centred, with momentum
    adagrad           learning_rate 0.1, epsilon 1e-10 (beside the root)
    adadelta          learning_rate 1, rho 0.9, epsilon 1e-6 (inside the roots)
    adamax            learning_rate 0.002, beta1 0.9, beta2 0.999, epsilon 1e-8 (beside the absolute gradient)
    nadam             learning_rate 0.002, beta1 0.9, beta2 0.999, epsilon 1e-8, momentum_decay 0.004
    rprop             first step 0.01, times 0.5 or 1.2, from 1e-6 to 50; no step is taken back
    averaged          the exponential moving average, decay 0.9, of the weights of momentum
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

HERE = Path(__file__).parent
CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stride": {"stride": 2},
    "padding": {"padding": 1},
    "dilation": {"dilation": 2},
    "groups": {"groups": 2, "padding": 1},
    "depthwise": {"groups": 4},
    "everything": {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2},
}
POOLINGS: dict[str, dict[str, Any]] = {
    "plain": {"kernel_size": 2},
    "overlapping": {"kernel_size": 3, "stride": 2},
    "padded": {"kernel_size": 3, "stride": 2, "padding": 1},
    "dilated": {"kernel_size": (2, 3), "stride": 1, "dilation": (2, 1)},
}

Arrays = dict[str, Any]


def recorded(case: str, function: Callable[..., Any], **operands: Any) -> Arrays:
    """The operands of a case, its value, and the gradients of Σ cotangent·value for the floats among them."""
    tensors = {
        name: torch.tensor(value, requires_grad=np.asarray(value).dtype.kind == "f") for name, value in operands.items()
    }
    value = function(**tensors)
    cotangent = np.random.default_rng(0).standard_normal(tuple(value.shape))
    (value * torch.tensor(cotangent)).sum().backward()
    arrays = {f"{case}/{name}": np.asarray(operand) for name, operand in operands.items()}
    arrays |= {f"{case}/value": value.detach().numpy(), f"{case}/cotangent": cotangent}
    for name, tensor in tensors.items():
        if tensor.grad is not None:
            arrays[f"{case}/d:{name}"] = tensor.grad.numpy()
    return arrays


def elementwise(random: np.random.Generator) -> Arrays:
    x = random.standard_normal((4, 5)) * 2
    far = np.array([-40.0, -15.0, -1e-9, 1e-12, 15.0, 30.0])
    near = np.array([-0.9, -1e-10, 1e-15, 1e-3, 0.5, 20.0])
    arrays: Arrays = {}
    for name in ("tanh", "sigmoid", "erf", "expm1", "exp", "sin", "cos"):
        arrays |= recorded(name, getattr(torch, name), x=x)
        arrays |= recorded(
            f"{name}, far and near", getattr(torch, name), x=far if name in ("tanh", "sigmoid") else near
        )
    arrays |= recorded("log1p", torch.log1p, x=np.abs(x))
    arrays |= recorded("log1p, far and near", torch.log1p, x=near)
    arrays |= recorded("log", torch.log, x=np.abs(x) + 0.01)
    arrays |= recorded("power", lambda x: x**2.5, x=np.abs(x) + 0.01)
    arrays |= recorded("div", lambda a, b: a / b, a=x, b=np.abs(random.standard_normal((4, 5))) + 0.1)
    return arrays


def convolution(random: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for case, form in CONVOLUTIONS.items():
        x = random.standard_normal((2, 4, 6, 7))
        w = random.standard_normal((4, 4 // form.get("groups", 1), 3, 2))
        arrays |= recorded(case, lambda x, w, form=form: functional.conv2d(x, w, **form), x=x, w=w)
    return arrays


def pooling(random: np.random.Generator) -> Arrays:
    arrays: Arrays = {}
    for case, form in POOLINGS.items():
        x = random.standard_normal((2, 3, 7, 8))
        arrays |= recorded(case, lambda x, form=form: functional.max_pool2d(x, **form), x=x)
        # Ties: the first of the largest gets the gradient, here as there.
        ties = np.round(random.uniform(0, 2, (1, 2, 6, 6)))
        arrays |= recorded(f"{case}, ties", lambda x, form=form: functional.max_pool2d(x, **form), x=ties)
    arrays |= recorded("mean", lambda x: functional.avg_pool2d(x, 2), x=random.standard_normal((2, 3, 6, 6)))
    return arrays


def losses(random: np.random.Generator) -> Arrays:
    logits = random.standard_normal((6, 5)) * 3
    labels = random.integers(0, 5, 6)
    targets = random.dirichlet(np.ones(5), 6)
    far = np.array([[500.0, -500.0, 0.0], [-1000.0, 1000.0, 999.0]])
    binary = (random.uniform(0, 1, (6, 5)) > 0.5).astype(float)
    return {
        **recorded("cross_entropy", functional.cross_entropy, input=logits, target=labels),
        **recorded("cross_entropy, far", functional.cross_entropy, input=far, target=np.array([0, 2])),
        **recorded(
            "cross_entropy of probabilities",
            lambda input, target: functional.cross_entropy(input, target.detach()),
            input=logits,
            target=targets,
        ),
        **recorded(
            "binary_cross_entropy",
            lambda input, target: functional.binary_cross_entropy_with_logits(input, target.detach()),
            input=logits * 10,
            target=binary,
        ),
        **recorded("mean_squared_error", functional.mse_loss, input=logits, target=targets),
    }


def embedding(random: np.random.Generator) -> Arrays:
    table = random.standard_normal((7, 4))
    index = np.array([[0, 3, 3], [6, 0, 3]])
    return recorded("embedding", lambda table, index: functional.embedding(index, table), table=table, index=index)


def layer_norm(random: np.random.Generator) -> Arrays:
    x, weight, bias = random.standard_normal((3, 4, 6)), random.standard_normal(6), random.standard_normal(6)
    return recorded(
        "layer_norm",
        lambda x, weight, bias: functional.layer_norm(x, (6,), weight, bias, 1e-5),
        x=x,
        weight=weight,
        bias=bias,
    )


def batch_norm(random: np.random.Generator) -> Arrays:
    """Three training steps, each with its gradients and what the running statistics are after it, and a prediction."""
    arrays: Arrays = {}
    for case, shape in (("rows", (6, 3)), ("pictures", (4, 3, 2, 5))):
        layer = (torch.nn.BatchNorm1d if case == "rows" else torch.nn.BatchNorm2d)(3, dtype=torch.float64)
        scale, shift = random.standard_normal(3), random.standard_normal(3)
        layer.load_state_dict({"weight": torch.tensor(scale), "bias": torch.tensor(shift)}, strict=False)
        arrays |= {f"{case}/scale": scale, f"{case}/shift": shift}
        for step in ("0", "1", "2", "predicted"):
            layer.train(step != "predicted")
            x = torch.tensor(random.standard_normal(shape) * 3 + 1, requires_grad=True)
            cotangent = torch.tensor(random.standard_normal(shape))
            layer.zero_grad()
            value = layer(x)
            (value * cotangent).sum().backward()
            found = {"x": x, "cotangent": cotangent, "value": value, "d:x": x.grad}
            # Channels last, as here.
            last = {name: tensor.detach().movedim(1, -1).numpy() for name, tensor in found.items()}
            last |= {"d:scale": layer.weight.grad.numpy().copy(), "d:shift": layer.bias.grad.numpy().copy()}
            last |= {"mean": layer.running_mean.numpy().copy(), "variance": layer.running_var.numpy().copy()}
            arrays |= {f"{case}/{step}/{name}": array for name, array in last.items()}
    return arrays


def weighted_losses(random: np.random.Generator) -> Arrays:
    """Label smoothing, and classes that weigh more."""
    logits, labels = random.standard_normal((6, 5)) * 3, random.integers(0, 5, 6)
    targets, weights = random.dirichlet(np.ones(5), 6), random.uniform(0.5, 3, 5)
    binary, width = (random.uniform(0, 1, (6, 5)) > 0.5).astype(float), 1.5
    per_class = torch.tensor(weights)
    far = logits * 2
    return {
        "weights": weights,
        **recorded("smoothing", partial(functional.cross_entropy, label_smoothing=0.1), input=logits, target=labels),
        **recorded(
            "smoothing of probabilities",
            lambda input, target: functional.cross_entropy(input, target.detach(), label_smoothing=0.1),
            input=logits,
            target=targets,
        ),
        **recorded("class weights", partial(functional.cross_entropy, weight=per_class), input=logits, target=labels),
        **recorded(
            "binary smoothing",
            lambda input, target: functional.binary_cross_entropy_with_logits(input, target.detach() * 0.8 + 0.1),
            input=logits,
            target=binary,
        ),
        **recorded(
            "absolute error",
            lambda input, target: functional.l1_loss(input, target.detach()),
            input=far,
            target=targets,
        ),
        **recorded(
            "huber",
            lambda input, target: functional.huber_loss(input, target.detach(), delta=width),
            input=far,
            target=targets,
        ),
    }


def attention(random: np.random.Generator) -> Arrays:
    """A transformer block, normalised first: causal attention of two heads, and GELU between two dense layers."""
    width, heads = 8, 2
    shapes = {
        "x": (2, 5, width),
        **dict.fromkeys(("query", "key", "values", "out"), (width, width)),
        **dict.fromkeys(("weight1", "bias1", "weight2", "bias2"), (width,)),
        "up": (width, 16), "up_bias": (16,), "down": (16, width), "down_bias": (width,),
    }  # fmt: skip

    def block(**p: Any) -> Any:
        normal = functional.layer_norm(p["x"], (width,), p["weight1"], p["bias1"], 1e-5)
        q, k, v = ((normal @ p[name]).unflatten(-1, (heads, -1)).transpose(1, 2) for name in ("query", "key", "values"))
        scores = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = p["x"] + scores.transpose(1, 2).flatten(2) @ p["out"]
        normal = functional.layer_norm(x, (width,), p["weight2"], p["bias2"], 1e-5)
        return x + functional.gelu(normal @ p["up"] + p["up_bias"]) @ p["down"] + p["down_bias"]

    operands: Arrays = {name: random.standard_normal(shape) * 0.7 for name, shape in shapes.items()}
    return recorded("block", block, **operands)


def recurrence(random: np.random.Generator) -> Arrays:
    """An LSTM and a GRU over five steps, with that framework's gate orders: i f g o, and r z n."""
    arrays: Arrays = {}
    for case, gates in (("lstm", 4), ("gru", 3)):

        def run(x: Any, w: Any, u: Any, b: Any, c: Any, case: str = case, gates: int = gates) -> Any:
            cell = (torch.nn.LSTM if case == "lstm" else torch.nn.GRU)(2, 3, dtype=torch.float64)
            names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
            return torch.func.functional_call(cell, dict(zip(names, (w, u, b, c), strict=True)), (x,))[0]

        arrays |= recorded(
            case,
            run,
            x=random.standard_normal((5, 4, 2)),
            w=random.standard_normal((gates * 3, 2)),
            u=random.standard_normal((gates * 3, 3)),
            b=random.standard_normal(gates * 3),
            c=random.standard_normal(gates * 3),
        )
    return arrays


def optimizers(random: np.random.Generator) -> Arrays:
    start, gradients = random.standard_normal((3, 4)), random.standard_normal((100, 3, 4))
    gradients[40:60] *= 0.01
    rules: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        "weight_decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        "adam": lambda p: torch.optim.Adam(p, lr=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.05),
        "amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99),
        "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
        "rmsprop_momentum": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, momentum=0.9),
        "rmsprop_centred": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, centered=True),
        "rmsprop_both": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, momentum=0.9, centered=True),
        "adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0, rho=0.9, eps=1e-6),
        "adamax": lambda p: torch.optim.Adamax(p, lr=0.002),
        "nadam": lambda p: torch.optim.NAdam(p, lr=0.002, momentum_decay=0.004),
        "rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    }
    arrays: Arrays = {"start": start, "gradients": gradients}
    torch.set_default_dtype(torch.float64)  # the momentum product of NAdam is of the default dtype, not the weights'
    for name, rule in rules.items():
        parameter = torch.tensor(start, requires_grad=True)
        update, rows = rule([parameter]), []
        for gradient in gradients:
            parameter.grad = torch.tensor(gradient)
            update.step()
            rows.append(parameter.detach().numpy().copy())
        arrays[f"{name}/parameters"] = np.stack(rows)
    # Its first average is of the weights that it is shown first; it is shown those before the first step.
    averaged = torch.optim.swa_utils.AveragedModel(
        torch.nn.ParameterList([torch.tensor(start)]), multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    rows = []
    for weights in (start, *arrays["momentum/parameters"]):
        averaged.update_parameters(torch.nn.ParameterList([torch.tensor(weights)]))
        rows.append(next(averaged.module.parameters()).detach().numpy().copy())
    arrays["averaged/parameters"] = np.stack(rows[1:])
    for name in [name for name in arrays if "/" in name]:
        arrays[name] = arrays[name][1::2]
    torch.set_default_dtype(torch.float32)
    return arrays


FILES: dict[str, Callable[[np.random.Generator], Arrays]] = {
    "elementwise": elementwise,
    "convolution": convolution,
    "pooling": pooling,
    "losses": losses,
    "embedding": embedding,
    "layer_norm": layer_norm,
    "attention": attention,
    "recurrence": recurrence,
    "optimizers": optimizers,
    "batch_norm": batch_norm,
    "weighted_losses": weighted_losses,
}

if __name__ == "__main__":
    for number, (name, make) in enumerate(FILES.items()):
        arrays = make(np.random.default_rng(number))
        np.savez_compressed(HERE / f"{name}.npz", **arrays)
        print(f"{name}.npz: {len(arrays)} arrays, {(HERE / f'{name}.npz').stat().st_size / 1024:.0f} kB")
