"""The public names are a list, and importing them is cheap: no engine, nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chainrule as cr

NAMES = """
AveragePool1D AveragePool2D BatchNorm Bidirectional Callback Chain Conv1D Conv2D ConvTranspose1D ConvTranspose2D Dense
DepthwiseConv1D DepthwiseConv2D Dropout Embedding EmbeddingBag Flatten GRU GaussianCode GaussianNoise
GlobalAveragePool GlobalMaxPool LSTM LayerNorm LearnedPositions Masked MaxPool1D MaxPool2D MultiHeadAttention Node
Pad1D Pad2D PadChannels Parallel Recurrent Rescale Reshape Residual Run Scope SelectChannels SimpleRNN
SinusoidalPositions Sparsity SpatialDropout TransformerDecoder TransformerEncoder Upsample1D Upsample2D WeightNoise
__version__ augmentation data errors fit gelu gradients graph identity initializers layers leaky_relu load losses
metrics models optimizers prepare regularizers relu schedules sigmoid softmax step step_function tanh training
""".split()

HEAVY = (
    "typer rich safetensors tomli_w PIL sklearn matplotlib torch llvmlite jax pandas tensorboardX "
    "chainrule.engines.reference"
).split()


@pytest.mark.tiny
def test_public_names_are_these() -> None:
    assert sorted(cr.__all__) == sorted(NAMES)
    for name in NAMES:
        assert hasattr(cr, name)


@pytest.mark.tiny
def test_importing_brings_in_no_engine_and_nothing_heavy() -> None:
    code = f"import sys, chainrule; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
