#!/usr/bin/env python3
"""Writes a small file of each format version, and its picture: make_format_samples.py FOLDER.

The samples are kept in tests/codec/data; tests decode them with every later version.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="to write to")
    folder = parser.parse_args().folder

    import tfhific
    from tfhific.bitstream import container
    from tfhific.pictures.images import write_png

    codec = tfhific.load("mini")
    y, x = np.mgrid[:72, :104]
    image = np.stack([2 * x, 3 * y, (x * y) // 32], -1).astype(np.uint8)
    image[20:50, 30:70] = [200, 60, 40]
    data = codec.compress(image, 5.5)
    for version in container.READABLE_VERSIONS:
        contents = dataclasses.replace(container.unpack(data), version=version)
        path = os.path.join(folder, f"format{version}-{codec.name}.tfh")
        with open(path, "wb") as file:
            file.write(container.pack(contents))
        write_png(codec.decompress(container.pack(contents)), path[:-4] + ".png")


if __name__ == "__main__":
    main()
