"""Which region of a picture selective compression keeps: classes of the label map, and boxes.

The file's entry: a varint count of classes and one byte for each, rising; a varint count of boxes
and four varints for each: left, top, width and height in pixels, within the picture.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfhific.bitstream.container import Reader, write_varint
from tfhific.errors import BitstreamError, ImageError

_MAX_BOXES = 1024


@dataclasses.dataclass(frozen=True)
class Kept:
    """A region to keep.

    Attributes:
      classes: of the label map, rising.
      boxes: left, top, width and height of each, in pixels.
    """

    classes: tuple[int, ...] = ()
    boxes: tuple[tuple[int, int, int, int], ...] = ()

    def checked(self, size: tuple[int, int], classes: int) -> Kept:
        """The same, its classes sorted.

        Raises:
          ImageError: for an unknown class, a box that is empty or not within the picture, or
            nothing at all.
        """
        height, width = size
        unknown = [c for c in self.classes if not 0 <= c < classes]
        if unknown:
            raise ImageError(f"Expected classes from 0 to {classes - 1}. Received: {unknown}.")
        for left, top, wide, tall in self.boxes:
            if min(left, top) < 0 or min(wide, tall) < 1 or left + wide > width:
                raise ImageError(_outside((left, top, wide, tall), size))
            if top + tall > height:
                raise ImageError(_outside((left, top, wide, tall), size))
        if (not self.classes and not self.boxes) or len(self.boxes) > _MAX_BOXES:
            raise ImageError(
                f"Selective compression needs a region to keep, of classes (`keep`) or of 1 to "
                f"{_MAX_BOXES} boxes (`keep_box`). Received: {len(self.classes)} classes and "
                f"{len(self.boxes)} boxes."
            )
        return Kept(tuple(sorted(set(self.classes))), tuple(self.boxes))

    def pixels(self, labels: np.ndarray) -> np.ndarray:
        """bool [H, W], true where kept.

        Args:
          labels: uint8 [H, W].
        """
        kept = np.isin(labels, np.array(self.classes, np.uint8))
        for left, top, wide, tall in self.boxes:
            kept[top : top + tall, left : left + wide] = True
        return kept

    def to_bytes(self) -> bytes:
        """The file's entry."""
        numbers = [len(self.boxes), *(number for box in self.boxes for number in box)]
        head = write_varint(len(self.classes)) + bytes(self.classes)
        return head + b"".join(write_varint(number) for number in numbers)


def read_kept(data: bytes, size: tuple[int, int], classes: int) -> Kept:
    """The region of a file's entry.

    Raises:
      BitstreamError: when it is damaged, or does not fit the picture.
    """
    reader = Reader(data, len(data))
    named = tuple(reader.take(reader.varint("kept classes"), "kept classes"))
    count = reader.varint("kept boxes")
    if count > min(_MAX_BOXES, reader.left // 4):
        raise BitstreamError(f"The file claims {count} kept boxes, more than it has room for.")
    numbers = [reader.varint("kept box") for _ in range(4 * count)]
    boxes = tuple(zip(numbers[0::4], numbers[1::4], numbers[2::4], numbers[3::4]))
    if reader.left or list(named) != sorted(set(named)):
        raise BitstreamError("The file's kept region is damaged.")
    try:
        return Kept(named, boxes).checked(size, classes)
    except ImageError as error:
        raise BitstreamError(f"The file's kept region does not fit its picture: {error}") from None


def _outside(box: tuple, size: tuple[int, int]) -> str:
    return (
        f"Expected a box within the picture's {size[1]}x{size[0]} pixels, as left,top,width,height."
        f" Received: {','.join(map(str, box))}."
    )


def blocks_of(kept: np.ndarray, shape: tuple[int, ...], stride: int) -> np.ndarray:
    """Latents of which any pixel is kept, bool [h, w].

    Args:
      kept: bool [H, W].
      shape: h and w; latents beyond the picture are not kept.
      stride: pixels a latent.
    """
    padded = np.zeros([shape[0] * stride, shape[1] * stride], bool)
    padded[: kept.shape[0], : kept.shape[1]] = kept
    return padded.reshape(shape[0], stride, shape[1], stride).any((1, 3))
