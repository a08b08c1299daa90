"""Tables fitted to latents."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import ModelError
from tfhific.models.mini import MiniConfig
from tfhific.published.network import Network
from tfhific.published.store import load_model, save_model
from tfhific.published.tables import TAIL_MASS
from tfhific.publishing import calibration
from tfhific.publishing.calibration import calibrate, count_symbols, fit_weights, fitted_tables
from tfhific.publishing.hyperprior import with_stream_of


def bits_by(tables, counts) -> float:
    """Code length of the counted magnitudes, half of which are negative; escapes at 21 bits."""
    total = 0.0
    for row in range(tables.rows):
        cdf = tables.cdf(row).astype(np.float64)
        share = np.diff(cdf) / cdf[-1]
        reach = -int(tables.minimum[row])
        own = counts[row]
        total -= own[0] * np.log2(share[reach])
        for magnitude in range(1, min(reach, len(own) - 1) + 1):
            pair = share[reach + magnitude], share[reach - magnitude]
            total -= own[magnitude] * np.mean(np.log2(pair))
        total += own[reach + 1 :].sum() * 21
    return total


def laplacian_counts(scales, number=20_000, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = np.zeros([len(scales), calibration._REACH + 1])
    for row, scale in enumerate(scales):
        values = np.abs(np.rint(rng.laplace(0, scale / np.sqrt(2), number))).astype(int)
        counts[row] += np.bincount(values, minlength=counts.shape[1])[: counts.shape[1]]
    return counts


@pytest.fixture(scope="module")
def scales():
    return MiniConfig().scales()[::4]


def test_fitted_tables_code_heavy_tails_in_fewer_bits_than_gaussian_ones(scales):
    from tfhific.published.tables import gaussian_tables

    fitted = fitted_tables(scales, laplacian_counts(scales, seed=1))
    unseen = laplacian_counts(scales, seed=2)
    assert bits_by(fitted, unseen) < 0.99 * bits_by(gaussian_tables(scales), unseen)


def test_fitted_tables_are_near_the_entropy_of_what_they_are_fitted_to(scales):
    counts = laplacian_counts(scales)
    entropy = 0.0
    for own in counts:
        share = own[own > 0] / own.sum()
        entropy -= (own[own > 0] * np.log2(share)).sum() - own[1:].sum()
    assert bits_by(fitted_tables(scales, counts), counts) < 1.02 * entropy


def test_fitted_tables_leave_at_most_the_tail_mass_to_escapes(scales):
    counts = laplacian_counts(scales)
    tables = fitted_tables(scales, counts)
    for row in range(tables.rows):
        reach = -int(tables.minimum[row])
        outside = counts[row][reach + 1 :].sum() / counts[row].sum()
        limit = calibration.CERTAIN_MASS if reach == 0 else TAIL_MASS
        # The share that was counted scatters about the mixture's tail.
        assert outside <= limit + 4 * np.sqrt(limit / counts[row].sum())


def test_rows_that_are_all_but_certain_are_not_coded(scales):
    counts = np.zeros([len(scales), calibration._REACH + 1])
    counts[:, 0] = 10**7
    counts[1:, 1] = 10**5
    tables = fitted_tables(scales, counts)
    assert tables.certain[0]
    assert not tables.certain[1:].any()


def test_a_row_never_seen_keeps_its_neighbours_shape(scales):
    counts = laplacian_counts(scales)
    counts[7] = 0
    weights = fit_weights(scales[6], counts[6], np.full(len(calibration.WIDTHS), 1 / 12))
    np.testing.assert_array_equal(fit_weights(scales[7], counts[7], weights), weights)


def test_a_mixture_fitted_to_a_gaussian_codes_it_as_well_as_the_gaussian():
    scale = 3.0
    magnitudes = np.arange(calibration._REACH + 1)
    mass = calibration.magnitude_mass(scale, magnitudes)
    weights = fit_weights(scale, 1e7 * mass, np.full(len(calibration.WIDTHS), 1 / 12))
    mixed = sum(
        w * calibration.magnitude_mass(scale * r, magnitudes)
        for w, r in zip(weights, calibration.WIDTHS)
    )
    seen = mass > 1e-12
    assert np.sum(mass[seen] * np.log2(mass[seen] / mixed[seen])) < 1e-3


def logistic_counts(scales, number=200_000, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = np.zeros([len(scales), calibration._REACH + 1])
    for row, scale in enumerate(scales):
        values = np.minimum(np.abs(np.rint(rng.logistic(0, scale, number))), calibration._REACH)
        counts[row] += np.bincount(values.astype(int), minlength=counts.shape[1])
    return counts


def test_a_logistic_component_is_the_logistic_that_tables_are_made_of(scales):
    from tfhific.published.tables import latent_tables

    tables = latent_tables("logistic", scales[:8])
    for row, scale in enumerate(scales[:8]):
        cdf, reach = tables.cdf(row), -int(tables.minimum[row])
        share = np.diff(cdf) / cdf[-1]
        mass = calibration.magnitude_mass(scale, np.arange(reach + 1), "logistic")
        assert share[reach] == pytest.approx(mass[0], abs=1e-3)
        for magnitude in range(1, min(reach, 3) + 1):
            assert 2 * share[reach + magnitude] == pytest.approx(mass[magnitude], abs=1e-3)


def test_tables_of_a_logistic_model_are_of_its_own_family(scales):
    """Rows never seen keep the likelihood's shape, and seen ones cost no more than its tables."""
    from tfhific.published.tables import latent_tables

    scales = scales[:8]
    seen = logistic_counts(scales)
    unseen = logistic_counts(scales, seed=1)
    own = bits_by(latent_tables("logistic", scales), unseen)
    fitted = bits_by(fitted_tables(scales, seen, "logistic"), unseen)
    assert fitted < 1.002 * own
    nothing = np.zeros_like(seen)
    blind = bits_by(fitted_tables(scales, nothing, "logistic"), unseen)
    assert blind < 1.01 * own
    assert bits_by(fitted_tables(scales, nothing, "gaussian"), unseen) > 1.03 * own


def test_a_logistic_model_is_calibrated_with_logistics(tiny_published, photo, monkeypatch):
    families = []
    mass = calibration.magnitude_mass

    def noted(scale, magnitudes, likelihood="gaussian"):
        families.append(likelihood)
        return mass(scale, magnitudes, likelihood)

    monkeypatch.setattr(calibration, "magnitude_mass", noted)
    logistic = dataclasses.replace(tiny_published, likelihood="logistic")
    calibrated = calibrate(logistic, [photo(64, 64, seed=3)], (5.0,))
    assert set(families) == {"logistic"}
    assert calibrated.likelihood == "logistic"


@pytest.fixture(scope="module")
def calibrated(tiny_published, photo):
    images = [photo(128, 192, seed=seed) for seed in range(20, 24)]
    # The quality that the tiny model's scales were made for: it is not trained at any other.
    return calibrate(tiny_published, images, (5.0,))


def test_a_calibrated_model_makes_smaller_files_of_other_pictures(
    calibrated, tiny_published, photo
):
    pictures = [photo(150, 170, seed=seed) for seed in range(40, 44)]
    sizes = [
        sum(len(HyperpriorCodec(model).compress(picture, 5.0)) for picture in pictures)
        for model in (calibrated, tiny_published)
    ]
    assert sizes[0] < sizes[1], sizes


def test_a_calibrated_model_survives_its_file_and_decodes(calibrated, photo, tmp_path):
    save_model(calibrated, tmp_path)
    codec = HyperpriorCodec(load_model(tmp_path))
    assert codec.fingerprint == calibrated.fingerprint
    coded = codec.encode(photo(90, 75, seed=5), 3.3)
    np.testing.assert_array_equal(codec.decompress(coded.data), codec.reconstruct(coded))


def test_calibration_changes_the_fingerprint_but_not_the_estimate(
    calibrated, tiny_published, photo
):
    picture = photo(100, 100, seed=6)
    assert calibrated.fingerprint != tiny_published.fingerprint
    estimates = [
        HyperpriorCodec(model).estimate_bpp(picture) for model in (calibrated, tiny_published)
    ]
    assert estimates[0] == pytest.approx(estimates[1], rel=1e-6)


def test_the_extended_branch_counts_from_further_below(calibrated, tiny_published):
    rng = np.random.default_rng(0)
    z = rng.integers(-9, 10, [1, 4, 5, tiny_published.z_tables.rows]).astype(np.int32)
    before, after = tiny_published.branch(z), calibrated.branch(z) - calibration.EXTRA_ROWS
    inside = (before > 0) & (before < tiny_published.branch.num_scales - 1)
    assert np.mean(before[inside] == after[inside]) > 0.999
    assert np.abs(before[inside] - after[inside]).max(initial=0) <= 1


def test_counts_are_of_every_latent_once(tiny_published, photo):
    counts = count_symbols(tiny_published, [photo(64, 96, seed=1)], (2.0, 7.0))
    assert counts.sum() == 2 * 4 * 6 * tiny_published.log_gain.shape[-1]


def test_another_decoder_takes_over_fitted_tables_and_reads_the_files(
    tiny_published, calibrated, photo
):
    synthesis = tiny_published.networks["synthesis"]
    weights = {key: value * np.float32(1.01) for key, value in synthesis.weights.items()}
    networks = {**tiny_published.networks, "synthesis": Network(synthesis.layers, weights)}
    other = with_stream_of(dataclasses.replace(tiny_published, networks=networks), calibrated)
    data = HyperpriorCodec(calibrated).compress(photo(64, 80))
    assert other.fingerprint == calibrated.fingerprint != tiny_published.fingerprint
    assert not np.array_equal(
        HyperpriorCodec(other).decompress(data), HyperpriorCodec(calibrated).decompress(data)
    )


def test_a_model_of_other_latents_can_not_take_over_a_stream(tiny_published, calibrated):
    other = dataclasses.replace(
        tiny_published, log_inverse_gain=tiny_published.log_inverse_gain + np.float32(0.1)
    )
    with pytest.raises(ModelError, match="`freeze=encoder,prior`"):
        with_stream_of(other, calibrated)
