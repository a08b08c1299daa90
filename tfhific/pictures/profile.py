"""ICC profiles made for pictures that state their colours by numbers.

PNG's cICP and AVIF's nclx name primaries and transfer function by code points of ITU-T H.273; PNG's
gAMA and cHRM give them as numbers. What is not sRGB already becomes a matrix profile (ICC.1:2022),
so that the pixels stay as they are.
"""

from __future__ import annotations

import struct

import numpy as np

# x and y of red, green, blue and white, by H.273's code points (its table 2).
_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_NAMES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_UNSPECIFIED = 2
# Curves of cameras; what they filmed is watched on displays whose curve is close to sRGB's, and
# browsers show it so. And sRGB's own.
_SHOWN_AS_SRGB = (1, 6, 7, 13, 14, 15, _UNSPECIFIED)
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_OTHER_TRANSFERS = {
    9: "a logarithmic transfer function",
    10: "a logarithmic transfer function",
    11: "the extended range of xvYCC",
    12: "the extended range of BT.1361",
    17: "the transfer function of SMPTE ST 428",
}
_SRGB = 1
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_SRGB_GAMMA = 1 / 2.2
# How far numbers may be off and still mean sRGB: gAMA by a factor, cHRM in x and y.
_GAMMA_TOLERANCE = 0.05
_CHROMATICITY_TOLERANCE = 0.002
_SANE_GAMMA = (0.1, 10.0)

Chromaticities = tuple[tuple[float, float], ...]
"""x and y of red, green, blue and white."""


def unread_code_points(primaries: int, transfer: int) -> str | None:
    """A name for colours that no profile of ours describes, or None."""
    if transfer in HDR_TRANSFERS:
        return f"high dynamic range samples ({HDR_TRANSFERS[transfer]})"
    if transfer in _OTHER_TRANSFERS:
        return f"samples with {_OTHER_TRANSFERS[transfer]}"
    return "samples in CIE XYZ" if primaries == 10 else None


def are_known(primaries: int, transfer: int) -> bool:
    """Whether H.273 gives both code points a meaning."""
    known = transfer in _SHOWN_AS_SRGB or transfer in _GAMMAS or transfer in HDR_TRANSFERS
    known |= transfer in _OTHER_TRANSFERS
    return known and (primaries in _PRIMARIES or primaries in (_UNSPECIFIED, 10))


def profile_of_code_points(primaries: int, transfer: int) -> bytes | None:
    """An ICC profile of colours named by H.273; None if they are sRGB's or have no meaning."""
    primaries = _SRGB if primaries == _UNSPECIFIED else primaries
    if primaries not in _PRIMARIES:
        return None
    if transfer in _GAMMAS:
        curve: tuple[float, ...] = (_GAMMAS[transfer],)
    elif transfer in _SHOWN_AS_SRGB:
        if primaries == _SRGB:
            return None
        curve = _SRGB_CURVE
    else:
        return None
    name = _NAMES.get(primaries, f"H.273 primaries {primaries}")
    if transfer in _GAMMAS:
        name = f"{name}, gamma {_GAMMAS[transfer]:g}"
    return _matrix_profile(name, _PRIMARIES[primaries], curve)


def profile_of_gamma(gamma: float, chromaticities: Chromaticities | None) -> bytes | None:
    """An ICC profile of what PNG's gAMA and cHRM state.

    Args:
      gamma: exponent from light to sample, as gAMA has it: 1/2.2 for what resembles sRGB.
      chromaticities: as cHRM has them, but red first; None for sRGB's.

    Returns:
      The profile; None where the numbers mean sRGB, or nothing that light can be.
    """
    if not _SANE_GAMMA[0] <= gamma <= _SANE_GAMMA[1]:
        return None
    srgb = _PRIMARIES[_SRGB]
    if chromaticities is not None and _are_close(chromaticities, srgb):
        chromaticities = None
    like_srgb = abs(gamma / _SRGB_GAMMA - 1) <= _GAMMA_TOLERANCE
    if like_srgb and chromaticities is None:
        return None
    curve = _SRGB_CURVE if like_srgb else (1 / gamma,)
    return _matrix_profile("gAMA and cHRM of a PNG", chromaticities or srgb, curve)


def _are_close(one: Chromaticities, other: Chromaticities) -> bool:
    return bool(np.abs(np.array(one) - np.array(other)).max() <= _CHROMATICITY_TOLERANCE)


def _matrix_profile(
    name: str, chromaticities: Chromaticities, curve: tuple[float, ...]
) -> bytes | None:
    """A display profile, version 4.3; None when the colours do not span a space."""
    x, y = np.array(chromaticities, np.float64).T
    if (y <= 0).any():
        return None
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    white = xyz[:, 3]
    try:
        strengths = np.linalg.solve(xyz[:, :3], white)
    except np.linalg.LinAlgError:
        return None
    # Adapted to the white of profiles, D50.
    scale = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD
    columns = adaptation @ (xyz[:, :3] * strengths)
    if not np.isfinite(columns).all() or np.abs(columns).max() > 10:
        return None
    tone = _parametric(curve)
    tags = [
        (b"desc", _text(name)),
        (b"cprt", _text("No copyright: numbers only")),
        (b"wtpt", _xyz(_D50)),
        (b"chad", b"sf32" + bytes(4) + _fixed(adaptation.ravel())),
        *((tag, _xyz(columns[:, k])) for k, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))),
        *((tag, tone) for tag in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    placed: dict[bytes, int] = {}
    for tag, data in tags:
        if data not in placed:
            placed[data] = at + len(body)
            body += data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", placed[data], len(data))
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp")
    head = head.ljust(68, b"\0") + _fixed(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _fixed(values: np.ndarray) -> bytes:
    return np.round(np.asarray(values) * 65536).astype(">i4").tobytes()


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data


def _parametric(curve: tuple[float, ...]) -> bytes:
    # Type 0: one exponent. Type 3: exponent, a, b, c, d: (aX + b)^g from d on, cX below.
    kind = 0 if len(curve) == 1 else 3
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + _fixed(np.array(curve))
