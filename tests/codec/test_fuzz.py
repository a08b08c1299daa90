"""Mutated files: refused, or with a repaired checksum some picture of the header's size."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from tfc_port import coding
from tfhific.bitstream import container, fuzz
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import BitstreamError

FINDS = pathlib.Path(__file__).parent / "data" / "finds"


@pytest.fixture(scope="module")
def small_file(tiny_codec, photo) -> bytes:
    return tiny_codec.compress(photo(40, 56, seed=2), 4.0)


def check(tally: fuzz.Tally, count: int) -> None:
    assert tally.wrong == []
    assert tally.tried == count
    assert tally.refused + tally.equal + tally.other == count


def test_mutated_files_are_refused(tiny_codec, small_file):
    tally = fuzz.fuzz(tiny_codec.decompress, small_file, count=3000, seed=1)
    check(tally, 3000)
    assert tally.refused == 3000


@pytest.mark.parametrize("coder", coding.available())
def test_mutated_files_with_a_repaired_checksum_end_well(tiny_published, small_file, coder):
    decompress = HyperpriorCodec(tiny_published, coder).decompress
    tally = fuzz.fuzz(decompress, small_file, count=150, seed=2, repaired=True)
    check(tally, 150)
    assert tally.refused > 0
    assert tally.other > 0, "no mutation got past the header: the fuzzer tests nothing"


@pytest.mark.slow
def test_180_000_mutated_files_are_refused(tiny_codec, small_file):
    tally = fuzz.fuzz(tiny_codec.decompress, small_file, count=180_000, seed=3)
    check(tally, 180_000)
    assert tally.refused == 180_000


@pytest.mark.slow
def test_20_000_mutated_files_with_a_repaired_checksum_end_well(tiny_codec, small_file):
    tally = fuzz.fuzz(tiny_codec.decompress, small_file, count=20_000, seed=4, repaired=True)
    check(tally, 20_000)


def test_the_fuzzer_reports_crashes_wrong_sizes_and_ignored_checksums(tiny_codec, small_file):
    def crash(data):
        if data != small_file:
            raise KeyError("broken")
        return tiny_codec.decompress(data)

    tally = fuzz.fuzz(crash, small_file, count=5)
    assert [what for _, what in tally.wrong] == ["KeyError: 'broken'"] * 5

    def accept(data):
        return tiny_codec.decompress(small_file)

    wrong = fuzz.fuzz(accept, small_file, count=5).wrong
    assert [what for _, what in wrong] == ["a picture of shape (40, 56, 3), not (0, 0)"] * 5


def test_mutations_of_a_seed_are_the_same_again(small_file):
    first = list(fuzz.mutations(small_file, 20, 9, repaired=True))
    assert first == list(fuzz.mutations(small_file, 20, 9, repaired=True))
    assert all(changed != small_file for changed in first)


def test_hostile_symbols_give_a_picture_or_a_refusal(tiny_codec, tiny_published, small_file):
    # Escapes can carry any int32: the networks behind them meet numbers no encoder makes.
    contents = container.unpack(small_file)
    shape = tiny_codec.decode_latents(small_file).z.shape
    indexes = np.broadcast_to(np.arange(shape[-1], dtype=np.int32), shape).ravel()
    for extreme in (2**31 - 1, -(2**31), 10**6):
        values = np.full(indexes.shape, extreme, np.int32)
        z = coding.encode(values, indexes, tiny_published.z_tables, streams=1)
        data = container.pack(dataclasses.replace(contents, z=z, z_streams=1))
        try:
            assert tiny_codec.decompress(data).shape == (40, 56, 3)
        except BitstreamError:
            continue


@pytest.mark.parametrize(
    "path", sorted(FINDS.glob("*.tfh")) or [None], ids=lambda p: p.name if p else "none yet"
)
def test_past_finds_stay_fixed(path, tiny_codec):
    if path is None:
        pytest.skip("no file has come out wrong so far; bin/fuzz.py --keep stores those that do")
    with pytest.raises(BitstreamError):
        tiny_codec.decompress(path.read_bytes())
