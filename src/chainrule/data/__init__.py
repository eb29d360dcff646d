"""The data room: every source hands over its data as a ``Dataset``, with the ``Preparation`` that belongs to it."""

from __future__ import annotations

from chainrule.data import text
from chainrule.data.batches import batches, epoch_order
from chainrule.data.dataset import Dataset, from_arrays
from chainrule.data.frames import from_frame
from chainrule.data.image_files import ImageFiles, read_image
from chainrule.data.image_folders import image_stream, images
from chainrule.data.image_form import ImageForm
from chainrule.data.loading import load, names
from chainrule.data.preparation import Column, Preparation
from chainrule.data.scaling import Scaling
from chainrule.data.sequences import adding_problem, copy_task
from chainrule.data.streams import Stream, stream
from chainrule.data.tables import read_csv, read_prepared
from chainrule.data.text.classified import read_texts, read_texts_as, texts
from chainrule.data.text.corpus import language, windows
from chainrule.data.text.streaming import language_stream
from chainrule.data.wholes import map_idx, map_npz

__all__ = [
    "Column", "Dataset", "ImageFiles", "ImageForm", "Preparation", "Scaling", "Stream", "adding_problem", "batches",
    "copy_task", "epoch_order", "from_arrays", "from_frame", "image_stream", "images", "language", "language_stream",
    "load", "map_idx", "map_npz", "names", "read_csv", "read_image", "read_prepared", "read_texts", "read_texts_as",
    "stream", "text", "texts", "windows",
]  # fmt: skip
