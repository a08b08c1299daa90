"""The checksum is farmhash64, with TensorFlow and without."""

from __future__ import annotations

import random

import pytest

from tfhific.bitstream.checksum import checksum, farmhash64

# Every form of the algorithm, and both sides of the borders between them.
LENGTHS = [*range(1, 201), 255, 256, 257, 1000, 4095, 4096, 4097, 33_000, 100_001]


@pytest.fixture(scope="module")
def data():
    return random.Random(5).randbytes(max(LENGTHS))


@pytest.mark.parametrize("fill", [None, 0, 255], ids=["random", "zeros", "ones"])
def test_plain_form_equals_the_core_op_at_every_length(fill, data):
    tf = pytest.importorskip("tensorflow")
    for length in LENGTHS:
        part = data[-length:] if fill is None else bytes([fill]) * length
        tensor = tf.io.decode_raw(tf.constant([part]), tf.uint8)
        expected = tf.raw_ops.Fingerprint(data=tensor, method="farmhash64").numpy().tobytes()
        assert farmhash64(part).to_bytes(8, "little") == expected, length
        assert checksum(part) == expected


def test_every_bit_counts(data):
    for length in (1, 7, 15, 31, 63, 64, 65, 130):
        part = data[:length]
        seen = {checksum(part)}
        for place in range(length):
            for bit in range(8):
                changed = bytearray(part)
                changed[place] ^= 1 << bit
                seen.add(checksum(bytes(changed)))
        assert len(seen) == 8 * length + 1


def test_is_computed_without_loading_tensorflow(data, run_python):
    program = (
        "import sys\n"
        "from tfhific.bitstream.checksum import checksum\n"
        "data = sys.stdin.buffer.read()\n"
        "sys.stdout.buffer.write(b''.join(checksum(data[:n]) for n in range(0, len(data), 7)))\n"
        "sys.exit('tensorflow' in sys.modules)\n"
    )
    done = run_python("-c", program, stdin=data[:2000])
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"".join(checksum(data[:n]) for n in range(0, 2000, 7))
