"""Records what tensorflow-compression 2.14.1 computes, for the tests of `tfc_port`.

Runs on the default stack: `python tools/record_tfc_golden.py tests/tfc_port/data`. Everything is
drawn from fixed seeds. Arrays of different lengths lie one after another in one array, with their
lengths in a second one whose name ends in `_lengths`.
"""

from __future__ import annotations

import argparse
import pathlib
from collections import defaultdict

import numpy as np
import tensorflow as tf
import tensorflow_compression as tfc
from tensorflow_compression.python.ops import gen_ops

CODING_CASES = 300
PMF_CASES = 120
MODEL_CASES = 60
DENSITY_CASES = 120
DEEP_CASES = 20
RUN_LENGTH_CASES = 150
RANGE_CASES = 40
UNBOUNDED_CASES = 80

# Further out, the overflow codes of the kernels do not end, or not as they should.
FURTHEST = 2**29
FURTHEST_UNBOUNDED = 2**26


class Recorder:
    """Collects cases field by field."""

    def __init__(self):
        self._fields = defaultdict(list)

    def add(self, **fields) -> None:
        """Adds a case; every case has the same fields."""
        for name, value in fields.items():
            self._fields[name].append(np.asarray(value).reshape(-1))

    def add_strings(self, strings) -> None:
        """Adds the strings of a case, flattened."""
        strings = np.asarray(strings, object).reshape(-1).tolist()
        self.add(
            string_sizes=np.array([len(string) for string in strings], np.int32),
            strings=np.frombuffer(b"".join(strings), np.uint8),
        )

    def save(self, path: pathlib.Path) -> None:
        """Writes all cases to an npz file."""
        arrays = {}
        for name, values in self._fields.items():
            arrays[name] = np.concatenate(values)
            arrays[f"{name}_lengths"] = np.array([value.size for value in values], np.int32)
        np.savez_compressed(path, **arrays)


def random_row(rng, case):
    """A row of a lookup tensor, its number of symbols and whether it has overflow."""
    precision = int(rng.choice([1, 2, 4, 8, 12, 16])) if case % 3 == 0 else int(rng.integers(3, 17))
    symbols = int(rng.integers(1, min(1 << precision, 40) + 1))
    inner = rng.choice(np.arange(1, 1 << precision), symbols - 1, replace=False)
    if case % 4 == 0:  # all mass on the last symbol
        inner = np.arange(1, symbols)
    overflow = bool(rng.random() < 0.6)
    sign = -1 if overflow else 1
    row = np.concatenate([[sign * precision, 0], np.sort(inner), [1 << precision]])
    return row.astype(np.int32), symbols, overflow


def random_value(rng, symbols, overflow):
    """A value for a row of so many symbols."""
    if not overflow:
        return int(rng.integers(0, symbols))
    if rng.random() < 0.08:
        return int(rng.choice([-1, symbols - 1, symbols, 10**5, -(10**5), FURTHEST, -FURTHEST]))
    return int(rng.normal() * symbols)


def record_coding(rng) -> Recorder:
    """Strings of the range coder's ops."""
    recorder = Recorder()
    for case in range(CODING_CASES):
        rows = [random_row(rng, case)]
        for _ in range(int(rng.integers(0, 4))):
            row = random_row(rng, case)
            # A precision equal to the last count before it would be taken for padding.
            if row[0][0] != rows[-1][0][-1]:
                rows.append(row)
        lookup = np.concatenate([row for row, _, _ in rows])
        shape = [[], [3], [2, 2]][case % 3]
        count = 0 if case % 25 == 0 else int(rng.integers(1, 40))
        lanes = int(np.prod(shape))
        channel = case % 2 == 0
        index = rng.integers(0, len(rows), (lanes, count))
        if channel:
            index = np.broadcast_to(np.arange(count) % len(rows), (lanes, count))
        value = np.zeros((lanes, count), np.int32)
        for lane in range(lanes):
            for place in range(count):
                _, symbols, overflow = rows[index[lane, place]]
                value[lane, place] = random_value(rng, symbols, overflow)
        full_shape = [*shape, count]
        tensors = [tf.constant(x.reshape(full_shape), tf.int32) for x in (index, value)]
        handle = tfc.create_range_encoder(shape, lookup)
        if channel:
            handle = tfc.entropy_encode_channel(handle, tensors[1])
        else:
            handle = tfc.entropy_encode_index(handle, *tensors)
        recorder.add(
            lookup=lookup,
            shape=np.array(shape, np.int32),
            channel=channel,
            index=index.astype(np.int32),
            value=value,
        )
        recorder.add_strings(tfc.entropy_encode_finalize(handle).numpy())
    return recorder


def record_pmfs(rng) -> Recorder:
    """Tables of `pmf_to_quantized_cdf`."""
    recorder = Recorder()
    for case in range(PMF_CASES):
        size = int(rng.choice([2, 3, 5, 17, 40, 120]))
        precision = int(rng.integers(max(int(np.ceil(np.log2(size))), 1), 17))
        place = np.arange(size) - size // 2
        pmf = [
            rng.random(size),
            np.exp(-np.abs(place) / rng.uniform(0.2, 20)),
            rng.random(size) ** 20,
            rng.random(size) * (rng.random(size) < 0.5),
        ][case % 4]
        if case % 5:
            pmf = pmf / max(pmf.sum(), 1e-9)
        pmf = pmf.astype(np.float32)
        cdf = tfc.pmf_to_quantized_cdf(pmf, precision=precision).numpy()
        recorder.add(pmf=pmf, precision=precision, cdf=cdf)
    return recorder


FAMILIES = ("NoisyNormal", "NoisyLogistic", "NoisyLaplace")


def record_models(rng) -> Recorder:
    """Tables, strings and bits of batched entropy models."""
    recorder = Recorder()
    for case in range(MODEL_CASES):
        channels = int(rng.integers(1, 5))
        loc = rng.normal(size=channels).astype(np.float32)
        scale = np.exp(rng.uniform(np.log(0.11), np.log(256), channels)).astype(np.float32)
        if case % 6 == 0:
            scale[0], scale[-1] = 0.11, 256.0
        precision = 16 if case % 10 == 0 else 12
        prior = getattr(tfc, FAMILIES[case % 3])(loc=loc, scale=scale)
        model = tfc.ContinuousBatchedEntropyModel(
            prior, 2, compression=True, range_coder_precision=precision
        )
        count = 0 if case % 20 == 19 else int(rng.integers(1, 8))
        values = rng.normal(size=(2, count, channels)) * scale + loc
        values = values.astype(np.float32)
        if case % 5 == 0 and count:
            values[0, 0, :] += np.float32(1e5)
        _, bits = model(values, training=False)
        recorder.add(
            family=case % 3,
            precision=precision,
            loc=loc,
            scale=scale,
            values=values,
            cdf=model.cdf.numpy(),
            cdf_offset=model.cdf_offset.numpy(),
            quantization_offset=(
                np.zeros(0, np.float32)
                if model.quantization_offset is None
                else model.quantization_offset.numpy()
            ),
            bits=bits.numpy(),
            decoded=model.decompress(model.compress(values), [count]).numpy(),
        )
        recorder.add_strings(model.compress(values).numpy())
    return recorder


def record_densities(rng) -> Recorder:
    """Likelihoods and their gradients."""
    recorder = Recorder()
    for case in range(DENSITY_CASES):
        size = 12
        loc = (rng.normal(size=size) * 3).astype(np.float32)
        scale = np.exp(rng.uniform(np.log(0.11), np.log(256), size)).astype(np.float32)
        x = (loc + rng.normal(size=size) * scale * rng.choice([0.3, 1, 6])).astype(np.float32)
        if case % 4 == 0:
            x[:4] = [1e5, -1e5, 40.0, -40.0]
        tensors = [tf.constant(array) for array in (x, loc, scale)]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(tensors)
            prior = getattr(tfc, FAMILIES[case % 3])(loc=tensors[1], scale=tensors[2])
            prob, log_prob = prior.prob(tensors[0]), prior.log_prob(tensors[0])
        recorder.add(
            family=case % 3,
            x=x,
            loc=loc,
            scale=scale,
            prob=prob.numpy(),
            log_prob=log_prob.numpy(),
            gradients=np.stack([g.numpy() for g in tape.gradient(log_prob, tensors)]),
        )
    return recorder


def record_deep(rng) -> Recorder:
    """Likelihoods, gradients and tails of `NoisyDeepFactorized`."""
    recorder = Recorder()
    for _ in range(DEEP_CASES):
        channels = int(rng.integers(1, 4))
        prior = tfc.NoisyDeepFactorized(batch_shape=(channels,))
        weights = []
        for variable in prior.trainable_variables:
            noise = rng.normal(size=variable.shape) * 0.3
            variable.assign((variable.numpy() + noise).astype(np.float32))
            weights.append(variable.numpy().reshape(-1))
        x = tf.constant((rng.normal(size=(9, channels)) * 12).astype(np.float32))
        with tf.GradientTape() as tape:
            tape.watch(x)
            log_prob = prior.log_prob(x)
        gradients = tape.gradient(log_prob, [x, *prior.trainable_variables])
        recorder.add(
            channels=channels,
            weights=np.concatenate(weights),
            x=x.numpy(),
            log_prob=log_prob.numpy(),
            gradients=np.concatenate([g.numpy().reshape(-1) for g in gradients]),
        )
    return recorder


def record_run_length(rng) -> Recorder:
    """Strings of the run-length ops."""
    recorder = Recorder()
    for case in range(RUN_LENGTH_CASES):
        count = 0 if case % 30 == 0 else int(rng.integers(1, 60))
        codes = int(rng.integers(-1, 5)), int(rng.integers(-1, 5)), bool(case % 2)
        values = np.rint(rng.normal(size=count) * rng.choice([0.3, 1, 20]))
        values *= rng.random(count) < rng.choice([0.1, 0.6, 1])
        values = values.astype(np.int32)
        if case % 7 == 0 and count and codes[1] < 0:
            values[-1] = rng.choice([-(2**31), 2**31 - 1, 2**30, -(2**30) + 1])
        recorder.add(values=values, codes=np.array(codes, np.int32))
        recorder.add_strings([tfc.run_length_encode(values, *codes).numpy()])
    return recorder


def strict_cdf(rng, symbols, precision):
    """Counts that rise strictly from 0 to 2**precision."""
    inner = rng.choice(np.arange(1, 1 << precision), symbols - 1, replace=False)
    return np.concatenate([[0], np.sort(inner), [1 << precision]]).astype(np.int32)


def record_range(rng) -> Recorder:
    """Strings of `range_encode`."""
    recorder = Recorder()
    for case in range(RANGE_CASES):
        precision = int(rng.integers(4, 17))
        symbols = int(rng.integers(2, 14))
        shape = [int(rng.integers(1, 4)), int(rng.integers(1, 9))]
        if case % 10 == 0:
            shape[1] = 0
        prefix = [1 if rng.random() < 0.5 else size for size in shape]
        cdfs = [strict_cdf(rng, symbols, precision) for _ in range(int(np.prod(prefix)))]
        cdf = np.array(cdfs, np.int32).reshape([*prefix, symbols + 1])
        data = rng.integers(0, symbols, shape).astype(np.int16)
        string = gen_ops.range_encode(data, cdf, precision=precision).numpy()
        recorder.add(
            shape=np.array(shape, np.int32),
            cdf=cdf,
            cdf_shape=np.array(cdf.shape, np.int32),
            precision=precision,
            data=data,
        )
        recorder.add_strings([string])
    return recorder


def record_unbounded(rng) -> Recorder:
    """Strings of `unbounded_index_range_encode`."""
    recorder = Recorder()
    for case in range(UNBOUNDED_CASES):
        precision = 16 if case % 2 else int(rng.integers(4, 16))
        # The kernels' own shifts by 32 bits and more would spoil wider ones.
        width = 4 if case % 2 else int(rng.integers(1, min(precision, 7) + 1))
        rows = int(rng.integers(1, 4))
        sizes = rng.integers(3, 14, rows).astype(np.int32)
        cdf = np.zeros([rows, int(sizes.max()) + case % 2], np.int32)
        for row, size in enumerate(sizes):
            cdf[row, :size] = strict_cdf(rng, int(size) - 1, precision)
        offset = rng.integers(-9, 3, rows).astype(np.int32)
        count = 0 if case % 20 == 0 else int(rng.integers(1, 40))
        index = rng.integers(0, rows, count).astype(np.int32)
        data = rng.integers(-12, 12, count).astype(np.int32)
        if case % 3 == 0 and count:
            data[0] = rng.choice([FURTHEST_UNBOUNDED, -FURTHEST_UNBOUNDED, 10**5, -(10**5)])
        string = gen_ops.unbounded_index_range_encode(
            data, index, cdf, sizes, offset, precision=precision, overflow_width=width
        ).numpy()
        recorder.add(
            data=data,
            index=index,
            cdf=cdf,
            cdf_size=sizes,
            offset=offset,
            precision=precision,
            overflow_width=width,
        )
        recorder.add_strings([string])
    return recorder


def main(folder: str) -> None:
    """Writes the recordings into `folder`."""
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for seed, (name, record) in enumerate(
        {
            "coding": record_coding,
            "pmfs": record_pmfs,
            "models": record_models,
            "densities": record_densities,
            "deep": record_deep,
            "run_length": record_run_length,
            "range": record_range,
            "unbounded": record_unbounded,
        }.items()
    ):
        record(np.random.default_rng(seed)).save(target / f"{name}.npz")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="to write to")
    main(parser.parse_args().folder)
