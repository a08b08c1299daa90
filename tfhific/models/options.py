"""How a system is trained."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How a system is trained: the flags of `bin/train.py`, kept in the run's `config.json`.

    Attributes:
      batch_size: crops a step, over all replicas.
      crop: side of the crops, in pixels.
      seed: of the weights, the crops and all that a step draws.
      learning_rate: after the warm-up.
      schedule: "cosine" (to zero at the run's end), "step" (times `decay` at each of
        `boundaries`) or "constant".
      warmup_steps: steps of linear warm-up.
      boundaries: steps of the "step" schedule.
      decay: factor at a boundary.
      clip_norm: largest global norm of a gradient; 0 for no limit.
      accumulate: into how many parts a step's batch is cut, one after the other, to save memory.
      precision: "float32", "mixed_bfloat16" or "mixed_float16".
      ema: decay of an exponential moving average of the weights; 0 for none.
      stage: of systems that are trained in stages, from 1.
      adversary: which discriminator, for systems that have a choice.
      freeze: names of parts whose weights stay as they are.
      lpips: file of the perceptual loss, or "".
      labels: run folder of a label autoencoder, for adversaries that predict labels, or "".
      downscale_min: crops are scaled down by a factor drawn between this
      downscale_max: and this.
      downscale_share: share of the crops that are scaled down.
      flip: whether half of the crops are mirrored.
    """

    batch_size: int = 4
    crop: int = 192
    seed: int = 0
    learning_rate: float = 6e-4
    schedule: str = "cosine"
    warmup_steps: int = 200
    boundaries: tuple[int, ...] = ()
    decay: float = 0.1
    clip_norm: float = 1.0
    accumulate: int = 1
    precision: str = "float32"
    ema: float = 0.0
    stage: int = 1
    adversary: str = ""
    freeze: tuple[str, ...] = ()
    lpips: str = ""
    labels: str = ""
    downscale_min: float = 0.6
    downscale_max: float = 1.0
    downscale_share: float = 0.5
    flip: bool = True
