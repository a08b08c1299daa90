"""The peak memory of a codec in a process of its own: see `tfhific.evaluation.bench.peak_memory`.

Reads a JSON array on standard input: label, members, setting, picture. Prints MiB.
"""

from __future__ import annotations

import json
import math
import sys


def peak_mib() -> float:
    """The most memory that this process has held at once, in MiB; NaN where it is not known."""
    try:  # not ru_maxrss, which starts at what the parent process had
        with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
            for line in stream:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return math.nan
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)


def main() -> None:
    from tfhific.evaluation.codecs import CodecSpec, open_codec
    from tfhific.pictures.images import read_picture

    label, members, setting, path = json.load(sys.stdin)
    codec = open_codec(CodecSpec(label, tuple(members)))
    codec.decode(codec.encode(read_picture(path).pixels, setting))
    print(peak_mib())


if __name__ == "__main__":
    main()
