"""What is done to the samples of a batch in training, in the graph and from keys: other inputs, mixtures of samples."""

from __future__ import annotations

from chainrule.augmentation.colours import Brightness, Colour, Contrast, PixelNoise
from chainrule.augmentation.cutout import Cutout
from chainrule.augmentation.elastic import Elastic
from chainrule.augmentation.geometric import Crop, Flip, Rotate, Shear, Shift, Zoom
from chainrule.augmentation.mixing import CutMix, Mixup, symmetric_beta
from chainrule.augmentation.samples import Augmentation, Samples
from chainrule.augmentation.several import Augmentations

__all__ = [
    "Augmentation", "Augmentations", "Brightness", "Colour", "Contrast", "Crop", "CutMix", "Cutout", "Elastic", "Flip",
    "Mixup", "PixelNoise", "Rotate", "Samples", "Shear", "Shift", "Zoom", "symmetric_beta",
]  # fmt: skip
