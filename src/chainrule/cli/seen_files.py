"""Image files as a run sees its samples, read when they are looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.imaging import in_range
from chainrule.data.image_files import ImageFiles
from chainrule.data.image_folders import with_advice
from chainrule.errors import DataError
from chainrule.run import Run


class SeenFiles(ImageFiles):
    """Files in the place of an array, their pixels in the range of the data that a run knows, and in their shape."""

    def __init__(self, files: ImageFiles, run: Run, sample_shape: tuple[int, ...]) -> None:
        super().__init__(files.paths, files.form, files.maximum_pixels)
        self.run, self.sample_shape = run, sample_shape
        self.ndim = 1 + len(sample_shape)

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """(samples, …): in rows, if that is how the run sees them."""
        return (len(self.paths), *self.sample_shape)

    def read(self, place: int) -> NDArray[np.uint8]:
        """One image; what cannot be read may be left out."""
        try:
            return super().read(place)
        except DataError as error:
            raise with_advice(error) from None

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        found = in_range(self.run, super().__getitem__(rows))
        return found.reshape(len(found), *self.sample_shape)
