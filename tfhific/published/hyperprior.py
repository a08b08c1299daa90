"""A published model of a mean-and-scale hyperprior: `mini`, `mini2`, `hific`, and others like them.

Entries of its description, beside those of every model (see `tfhific.published.store`):

| entry | holds |
| --- | --- |
| `format` | 1; 2 where an entry marked (2) differs; 3 for a checkerboard; 4 with a dead zone |
| `branch` | op, stride and shift of each layer of the integer branch |
| `density_layers` | number of layers of the hyperlatents' density |
| `density_gates` (2) | how many of them have a gate; default: all but the last |
| `scale_kind` (2) | what the scales' network gives: `index` (default) or `scale` |
| `scale_gain`, `scale_centre` | index = gain * network + centre; 1 and 0 where it gives the scale |
| `floor_row` | the row of the smallest scale that the float model knows |
| `likelihood` (2) | of the latents, `gaussian` (default) or `logistic` |
| `pixel_range` (2) | what the picture networks have for pixels of 0 and 255; default [-1/2, 1/2] |
| `min_latents` (2) | fewest latents a side: smaller pictures are extended to that; default 1 |
| `config` (2) | the system's configuration, from which the trainable model is made; default null |
| `single_rate` (2) | whether a quality has no effect, as all rows of the gains are alike |

In format 3 the networks of `tfhific.runtimes.checkerboard` stand in place of the means'.

The networks are those in `NETWORKS`. Arrays beside theirs: `branch/N/kernel` and `bias`,
`branch/thresholds` (2), `density/matrices/N`, `biases/N`, `factors/N`, `y_tables/lookup` and
`minimum`, `z_tables/...`, `log_gain`, `log_inverse_gain`, `scales`, `dead_zone` (4), which encoders
alone use, and `extras/...` (2), which only the trainable model has.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfc_port.coding import Tables
from tfhific.errors import ModelError
from tfhific.published import checkerboard
from tfhific.published.factorized import FactorizedDensity
from tfhific.published.fingerprint import Fingerprint
from tfhific.published.integer_branch import IntegerBranch, IntegerLayer
from tfhific.published.model import PublishedModel
from tfhific.published.network import Network
from tfhific.published.rate import LIKELIHOODS

SCALE_KINDS = ("index", "scale")
MAX_MIN_LATENTS = 64
NETWORKS = (
    "analysis",
    "synthesis",
    "hyper_analysis",
    "hyper_synthesis_mean",
    "hyper_synthesis_scale",
)
CHECKERBOARD_NETWORKS = tuple(name for name in NETWORKS if name != "hyper_synthesis_mean") + tuple(
    checkerboard.NETWORKS
)
# What a decoder needs to get the latents back; the synthesis transform is not part of it, so that
# several decoders can read one stream, and neither is what only an encoder uses.
_DECODING_NETWORKS = ("hyper_synthesis_mean", *checkerboard.NETWORKS)


@dataclasses.dataclass(frozen=True)
class HyperpriorModel(PublishedModel):
    """A published model whose latents are coded about means, by scales from hyperlatents.

    Attributes:
      networks: folded networks by the names in `NETWORKS`, or in `CHECKERBOARD_NETWORKS`.
      branch: scale indexes from hyperlatents, in exact arithmetic.
      scale_gain: the float scale index is `scale_gain * network + scale_centre`, where the
        scales' network gives indexes.
      scale_centre: see `scale_gain`.
      scales: float64 [rows of y_tables], standard deviations.
      floor_row: the row of the smallest scale that the float model knows; rows below it are for
        the integer branch alone.
      density: of the hyperlatents.
      y_tables: a CDF table for each scale.
      z_tables: a CDF table for each hyperlatent channel.
      log_gain: float32 [qualities, latent channels], at least two rows; all of them are the same
        in a model of one rate.
      log_inverse_gain: the decoder's.
      scale_kind: `index` where the scales' network gives scale indexes, `scale` where it gives
        the scales themselves.
      likelihood: of the latents, `gaussian` or `logistic`.
      pixel_range: what the picture networks have for pixels of 0 and of 255.
      min_latents: fewest latents a side; a smaller picture is extended until it has as many.
      config: the system's configuration, JSON values; None where it is not known.
      extras: arrays of the trainable model that no coding needs, by name.
      dead_zone: float32 [rows of y_tables], from 0 to 1/2: by how much an encoder moves a latent
        less its mean towards zero before it rounds; None for not at all. No decoder needs it.
    """

    branch: IntegerBranch
    scale_gain: float
    scale_centre: float
    scales: np.ndarray
    density: FactorizedDensity
    y_tables: Tables
    z_tables: Tables
    log_gain: np.ndarray
    log_inverse_gain: np.ndarray
    floor_row: int = 0
    scale_kind: str = "index"
    likelihood: str = "gaussian"
    pixel_range: tuple[float, float] = (-0.5, 0.5)
    min_latents: int = 1
    config: dict | None = None
    extras: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    dead_zone: np.ndarray | None = None

    def __post_init__(self) -> None:
        channels = self.log_gain.shape[-1]
        checks = {
            "networks": sorted(self.networks) in (sorted(NETWORKS), sorted(CHECKERBOARD_NETWORKS)),
            "gains": self.log_gain.ndim == 2
            and self.log_gain.shape == self.log_inverse_gain.shape
            and len(self.log_gain) > 1,
            "scales": self.scales.shape == (self.y_tables.rows,) and np.all(self.scales > 0),
            "rows of scales": 0 <= self.floor_row < self.y_tables.rows,
            "branch": self.branch.num_scales == self.y_tables.rows
            and len(self.branch.layers) > 0
            and self.branch.layers[-1].bias.shape == (channels,),
            "hyperlatent tables": self.density.channels == self.z_tables.rows,
            "likelihood": self.likelihood in LIKELIHOODS,
            "scales' network": self.scale_kind in SCALE_KINDS
            and (self.scale_kind == "scale") == (self.branch.thresholds is not None),
            "range of pixels": len(self.pixel_range) == 2
            and all(map(math.isfinite, self.pixel_range))
            and self.pixel_range[0] < self.pixel_range[1],
            "dead zone": self.dead_zone is None
            or (
                self.dead_zone.shape == (self.y_tables.rows,)
                and bool(np.all((self.dead_zone >= 0) & (self.dead_zone <= 0.5)))
            ),
            "fewest latents": 1 <= self.min_latents <= MAX_MIN_LATENTS,
            "networks' channels and strides": self._networks_fit(channels),
        }
        for what, fits in checks.items():
            if not fits:
                raise ModelError(f"The model {self.name!r} is inconsistent: its {what} do not fit.")

    def _networks_fit(self, channels: int) -> bool:
        """Whether what one network gives is what the next takes."""
        if sorted(self.networks) not in (sorted(NETWORKS), sorted(CHECKERBOARD_NETWORKS)):
            return False
        hyper = self.density.channels

        def outputs(name: str, inputs: int | None) -> int | None:
            return self.networks[name].channels_after(inputs)

        sides: dict[str, tuple[int | None, int | None]] = {
            "analysis": (3, channels),
            "synthesis": (channels, 3),
            "hyper_analysis": (channels, hyper),
            "hyper_synthesis_scale": (hyper, channels),
        }
        if self.checkerboard:
            inner = outputs(checkerboard.FEATURES, hyper)
            sides[checkerboard.FEATURES] = (hyper, inner)
            sides[checkerboard.NEAR] = (channels, inner)
            sides[checkerboard.FIRST] = sides[checkerboard.SECOND] = (inner, 2 * channels)
        else:
            sides["hyper_synthesis_mean"] = (hyper, channels)
        if any(
            outputs(name, before) not in (after, None) for name, (before, after) in sides.items()
        ):
            return False
        factors = {name: network.factor for name, network in self.networks.items()}
        down, hyper_down = factors["analysis"], factors["hyper_analysis"]
        if down < 1 or hyper_down < 1 or down * factors["synthesis"] != 1:
            return False
        beside = (checkerboard.FIRST, checkerboard.NEAR, checkerboard.SECOND)
        if any(factors.get(name, 1) != 1 for name in beside):
            return False
        means = checkerboard.FEATURES if self.checkerboard else "hyper_synthesis_mean"
        ups = (factors["hyper_synthesis_scale"], factors[means], self.branch.factor)
        return self.branch.takes() == hyper and all(hyper_down * each == 1 for each in ups)

    @property
    def checkerboard(self) -> bool:
        """Whether means come in two passes, with steps: see `tfhific.runtimes.checkerboard`."""
        return checkerboard.FEATURES in self.networks

    @property
    def single_rate(self) -> bool:
        """Whether the quality has no effect."""
        tables = (self.log_gain, self.log_inverse_gain)
        return all(bool(np.all(table == table[0])) for table in tables)

    def float_scales(self, raw: np.ndarray) -> np.ndarray:
        """Standard deviations, or scales of logistics, that the trained float model assigns.

        Args:
          raw: float, what the scales' network gives.

        Returns:
          float64, shaped like `raw`, at least the scale of `floor_row`.
        """
        raw = np.asarray(raw, np.float64)
        if self.scale_kind == "scale":
            return np.maximum(raw, self.scales[self.floor_row])
        index = np.maximum(self.scale_gain * raw + self.scale_centre, self.floor_row)
        return np.exp(np.interp(index, np.arange(len(self.scales)), np.log(self.scales)))

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """8 bytes of SHA-256 over everything that a decoder needs to get the latents back."""
        found = Fingerprint()
        found.add("y tables", self.y_tables.fingerprint_bytes())
        found.add("z tables", self.z_tables.fingerprint_bytes())
        for number, layer in enumerate(self.branch.layers):
            head = [layer.op, layer.stride, layer.shift, list(layer.kernel.shape)]
            found.add(f"branch {number}", json.dumps(head).encode())
            found.add("kernel", layer.kernel.astype("<i2").tobytes())
            found.add("bias", layer.bias.astype("<i8").tobytes())
        if self.branch.thresholds is not None:
            found.add("thresholds", self.branch.thresholds.astype("<i8").tobytes())
        if self.min_latents != 1:
            found.add("fewest latents", self.min_latents.to_bytes(8, "little"))
        for name in _DECODING_NETWORKS:
            if name in self.networks:
                found.add_network(name, self.networks[name])
        found.add("inverse gains", self.log_inverse_gain.astype("<f4").tobytes())
        return found.value()

    def facts(self) -> dict[str, Any]:
        """See `PublishedModel`; the table above lists them."""
        newer = self._newer_facts()
        return {
            **newer,
            "format": self._format(bool(newer)),
            "branch": [
                {"op": layer.op, "stride": layer.stride, "shift": layer.shift}
                for layer in self.branch.layers
            ],
            "scale_gain": self.scale_gain,
            "scale_centre": self.scale_centre,
            "floor_row": self.floor_row,
            "density_layers": len(self.density.matrices),
        }

    def _format(self, newer: bool) -> int:
        if self.dead_zone is not None:
            return 4
        return 3 if self.checkerboard else 2 if newer or self.extras else 1

    def _newer_facts(self) -> dict[str, Any]:
        """What the description says from format 2 on, where it differs from the default."""
        facts = {
            "density_gates": (len(self.density.factors), len(self.density.matrices) - 1),
            "scale_kind": (self.scale_kind, "index"),
            "likelihood": (self.likelihood, "gaussian"),
            "pixel_range": (list(self.pixel_range), [-0.5, 0.5]),
            "min_latents": (self.min_latents, 1),
            "config": (self.config, None),
            "single_rate": (self.single_rate, False),
        }
        return {name: value for name, (value, default) in facts.items() if value != default}

    @classmethod
    def says_one_rate(cls, description: Mapping[str, Any]) -> bool:
        """See `PublishedModel`."""
        return bool(description.get("single_rate", False))

    def arrays(self) -> dict[str, np.ndarray]:
        """See `PublishedModel`; listed above."""
        found: dict[str, np.ndarray] = {}
        for number, layer in enumerate(self.branch.layers):
            found[f"branch/{number}/kernel"] = layer.kernel
            found[f"branch/{number}/bias"] = layer.bias
        if self.branch.thresholds is not None:
            found["branch/thresholds"] = self.branch.thresholds
        found.update((f"extras/{name}", value) for name, value in self.extras.items())
        for name in ("matrices", "biases", "factors"):
            for number, value in enumerate(getattr(self.density, name)):
                found[f"density/{name}/{number}"] = value
        for name, tables in (("y_tables", self.y_tables), ("z_tables", self.z_tables)):
            found[f"{name}/lookup"] = tables.lookup
            found[f"{name}/minimum"] = tables.minimum
        found["log_gain"] = self.log_gain
        found["log_inverse_gain"] = self.log_inverse_gain
        found["scales"] = self.scales
        if self.dead_zone is not None:
            found["dead_zone"] = self.dead_zone
        return found

    @classmethod
    def assembled(
        cls, description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> HyperpriorModel:
        """See `PublishedModel`."""

        def single(name: str) -> np.ndarray:
            value = arrays[name]
            return value.astype(np.float32) if value.dtype == np.float16 else value

        networks = {}
        for name, layers in description["networks"].items():
            # As they are stored: a network computes with halves as with what they are halves of.
            own = {key: value for key, value in arrays.items() if key.startswith(name + "/")}
            networks[name] = Network(layers, own)
        layers = tuple(
            IntegerLayer(
                entry["op"],
                entry["stride"],
                entry["shift"],
                arrays[f"branch/{number}/kernel"],
                arrays[f"branch/{number}/bias"],
            )
            for number, entry in enumerate(description["branch"])
        )
        count = int(description["density_layers"])
        gates = int(description.get("density_gates", count - 1))
        tables = {
            name: Tables(arrays[f"{name}/lookup"], arrays[f"{name}/minimum"])
            for name in ("y_tables", "z_tables")
        }
        config = description.get("config")
        low, high = (float(v) for v in description.get("pixel_range", (-0.5, 0.5)))
        return cls(
            name=str(description["name"]),
            system=str(description["system"]),
            networks=networks,
            training=dict(description.get("training") or {}),
            branch=IntegerBranch(layers, tables["y_tables"].rows, arrays.get("branch/thresholds")),
            scale_gain=float(description["scale_gain"]),
            scale_centre=float(description["scale_centre"]),
            floor_row=int(description.get("floor_row", 0)),
            scales=single("scales").astype(np.float64),
            density=FactorizedDensity(
                tuple(single(f"density/matrices/{i}") for i in range(count)),
                tuple(single(f"density/biases/{i}") for i in range(count)),
                tuple(single(f"density/factors/{i}") for i in range(gates)),
            ),
            log_gain=single("log_gain"),
            log_inverse_gain=single("log_inverse_gain"),
            scale_kind=str(description.get("scale_kind", "index")),
            likelihood=str(description.get("likelihood", "gaussian")),
            pixel_range=(low, high),
            min_latents=int(description.get("min_latents", 1)),
            config=None if config is None else dict(config),
            dead_zone=single("dead_zone") if "dead_zone" in arrays else None,
            extras={
                key[len("extras/") :]: value
                for key, value in arrays.items()
                if key.startswith("extras/")
            },
            **tables,
        )
