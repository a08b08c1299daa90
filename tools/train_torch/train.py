"""Trains `mini2` on a folder of photographs: python tools/train_torch/train.py --run_dir RUN.

A run is a folder with `checkpoint.pt` (weights, their moving average, optimiser, step), `log.csv`
and, after each measurement, `curve.csv`. Called again it goes on where the last checkpoint stands.
The learning rate falls to zero over the last part of `--minutes` of training or `--steps`, counted
over all calls; more of them than before start another such period. Minutes are of processor time
on a CPU with one thread. `SIGTERM` and Ctrl-C write a checkpoint and stop.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import math
import os
import signal
import time
from pathlib import Path

import measure
import numpy as np
import torch
from configuration import NUM_QUALITIES, Mini2Config
from crops import Crops
from networks import Mini2

SAVE_SECONDS = 600


def existing_file(name: str) -> Path:
    """A flag's value that has to be a file."""
    if not Path(name).is_file():
        raise argparse.ArgumentTypeError(f"expected a file; there is none at {name}")
    return Path(name)


def define_run(parser: argparse.ArgumentParser) -> None:
    """Flags of any run on crops of photographs; defaults that differ are the parser's own."""
    parser.add_argument("--run_dir", type=Path, required=True, help="the run's folder")
    parser.add_argument("--data", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--kodak", type=Path, help="folder of pictures to measure on")
    parser.add_argument("--minutes", type=float, default=120, help="of training, in all")
    parser.add_argument("--steps", type=int, default=0, help="at most so many, in all; 0: no bound")
    parser.add_argument("--decay_share", type=float, default=0.4, help="of it with a falling rate")
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--crop", type=int, default=192, help="side, a multiple of 64")
    parser.add_argument("--learning_rate", type=float, default=8e-4)
    parser.add_argument("--warmup_steps", type=int, default=200)
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument("--clip_norm", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--measure_minutes", type=float, default=15)
    parser.add_argument("--bfloat16", action="store_true", help="autocast, where it is quicker")
    parser.add_argument(
        "--dead_zone", type=float, default=0.0, help="that encoders will have: see publish.py"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    define_run(parser)
    parser.add_argument("--large_crop", type=int, default=0, help="side in the final tenth")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON of Mini2Config")
    parser.add_argument(
        "--init_from", type=existing_file, help="weights (.safetensors) to begin with"
    )
    return parser.parse_args()


def learning_rate(options: argparse.Namespace, step: int, elapsed: float) -> float:
    """Constant after a warm-up, then half a cosine to zero. `elapsed` counts from 0 to 1."""
    warm = min(1.0, (step + 1) / options.warmup_steps)
    late = (elapsed - 1.0 + options.decay_share) / max(options.decay_share, 1e-9)
    return options.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(max(late, 0), 1)))


def loss_of(
    model: Mini2, images: torch.Tensor, quality: torch.Tensor, dead_zone: float = 0.0
) -> dict:
    """Rate plus weighted distortion, each quality counting alike; every value a tensor."""
    out = model(images, quality, not dead_zone, dead_zone)
    pixels = images.shape[2] * images.shape[3]
    mse = (images - out["picture"]).square().mean((1, 2, 3))
    log_lambda = model.config.log_lambda(quality)
    # Both rate and lambda * MSE grow about as lambda^(1/3) along the operational curve.
    weight = torch.exp((model.config.log_lambda(0.5 * (NUM_QUALITIES + 1)) - log_lambda) / 3.0)
    bpp = (out["bits_y"] + out["bits_z"]) / pixels
    loss = (weight * (bpp + torch.exp(log_lambda) * mse)).mean()
    return {"loss": loss, "bpp": bpp, "bpp_z": out["bits_z"] / pixels, "mse": mse}


class Average:
    """A moving average of a model's weights."""

    def __init__(self, model: Mini2, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.shadow = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: Mini2) -> None:
        rate = 1.0 - min(self.decay, (1 + self.count) / (10 + self.count))
        state = model.state_dict()
        torch._foreach_lerp_(
            list(self.shadow.values()), [state[name] for name in self.shadow], rate
        )
        self.count += 1


def write_checkpoint(folder: Path, saved: dict) -> None:
    """Writes `checkpoint.pt` beside the old one and then in its place."""
    torch.save(saved, folder / "checkpoint.new")
    os.replace(folder / "checkpoint.new", folder / "checkpoint.pt")


def write_weights(folder: Path, state: dict[str, torch.Tensor], config: Mini2Config) -> None:
    """Writes a codec's weights in half precision, `weights.safetensors`, likewise."""
    from safetensors.torch import save_file

    halves = {name: value.half().contiguous() for name, value in state.items()}
    metadata = {"config": json.dumps(dataclasses.asdict(config))}
    save_file(halves, folder / "weights.new", metadata=metadata)
    os.replace(folder / "weights.new", folder / "weights.safetensors")


def on_device(batch: np.ndarray, device: str) -> torch.Tensor:
    """Crops, uint8 [b, H, W, 3], as float32 [b, 3, H, W]."""
    return torch.from_numpy(batch.transpose(0, 3, 1, 2).copy()).to(device).float()


def begin_with(model: Mini2, state: dict[str, torch.Tensor]) -> None:
    """Gives a model the weights of one of as many blocks or fewer: further ones start as nothing.

    Raises:
      SystemExit: where the weights are not those of such a model.
    """
    own = model.state_dict()
    others = [name for name in own if name not in state and ".blocks." not in name]
    others += [name for name in state if name not in own or own[name].shape != state[name].shape]
    if others:
        raise SystemExit(
            "error: expected weights of a model with these settings, with as many blocks or fewer. "
            f"Received other ones, such as {others[0]}."
        )
    model.load_state_dict(own | state)


class Run:
    """What a checkpoint holds, and how it is written and read."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        torch.manual_seed(options.seed)
        self.config = Mini2Config(**options.settings)
        self.model = Mini2(self.config).to(options.device, memory_format=torch.channels_last)
        if options.init_from:
            from safetensors.torch import load_file

            state = load_file(options.init_from)
            begin_with(self.model, {name: value.float() for name, value in state.items()})
        self.average = Average(self.model, options.ema)
        if options.dead_zone:
            # Of rounded symbols no gradient is of use to what they are made by.
            self.model.requires_grad_(False)
            self.model.synthesis.requires_grad_(True)
            self.model.scales.requires_grad_(True)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(self.trained, options.learning_rate, foreach=True)
        self.step, self.seconds, self.pixels = 0, 0.0, 0
        path = options.run_dir / "checkpoint.pt"
        if path.exists():
            saved = torch.load(path, map_location=options.device, weights_only=True)
            if saved["config"] != dataclasses.asdict(self.config):
                raise SystemExit(
                    f"error: {path} was made with the settings {saved['config']}. Received: "
                    f"{dataclasses.asdict(self.config)}. Give those, or another --run_dir."
                )
            self.model.load_state_dict(saved["model"])
            self.average.shadow = saved["average"]
            self.average.count = saved["count"]
            self.optimiser.load_state_dict(saved["optimiser"])
            self.step, self.seconds = saved["step"], saved["seconds"]
            self.pixels = saved["pixels"]

    def save(self) -> None:
        """Writes the checkpoint and the averaged weights."""
        saved = {
            "config": dataclasses.asdict(self.config),
            "model": self.model.state_dict(),
            "average": self.average.shadow,
            "count": self.average.count,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "pixels": self.pixels,
        }
        write_checkpoint(self.options.run_dir, saved)
        self.export()

    def export(self) -> None:
        """Writes the averaged weights in half precision, `weights.safetensors`."""
        write_weights(self.options.run_dir, self.average.shadow, self.config)

    def averaged(self) -> Mini2:
        model = Mini2(self.config).to(self.options.device, memory_format=torch.channels_last)
        model.load_state_dict(self.average.shadow)
        return model


def append(path: Path, row: dict) -> None:
    """Adds a row to a CSV file, with a heading where it is new."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    options.run_dir.mkdir(parents=True, exist_ok=True)
    stop = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.append(True))
    run = Run(options)
    model, device = run.model, options.device
    count = sum(p.numel() for p in model.parameters())
    crops = Crops(options.data, options.crop, options.seed)
    print(f"{count} parameters, {len(crops.images)} pictures, step {run.step}", flush=True)
    tested = measure.pictures(options.kodak, 4) if options.kodak else []
    reference = measure.jpeg_curve(tested) if tested else []
    # Processor time where it is known: other work on the machine does not shorten the training.
    clock = time.process_time if device == "cpu" and options.threads == 1 else time.monotonic
    saved, measured = time.monotonic(), run.seconds
    logged: list[dict] = []
    side, size = options.crop, options.batch_size
    large = None
    while not stop:
        begun = clock()
        elapsed = run.seconds / (options.minutes * 60)
        if options.steps:
            elapsed = max(elapsed, run.step / options.steps)
        if elapsed >= 1:
            break
        if options.large_crop and elapsed > 0.9 and large is None:
            large = Crops(options.data, options.large_crop, options.seed)
            side = options.large_crop
            size = max(2, round(options.batch_size * (options.crop / side) ** 2))
        rate = learning_rate(options, run.step, elapsed)
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        batch = (large or crops).batch(run.step, size)
        images = on_device(batch, device)
        generator = np.random.default_rng([options.seed, run.step])
        torch.manual_seed(int(generator.integers(1 << 62)))
        # One quality from each of `size` equal intervals: every step sees low and high rates.
        slots = (np.arange(size) + generator.random(size)) / size
        quality = torch.tensor(1.0 + (NUM_QUALITIES - 1.0) * slots, dtype=torch.float32)
        with torch.autocast(device, torch.bfloat16, enabled=options.bfloat16):
            parts = loss_of(model, images, quality.to(device), options.dead_zone)
        run.optimiser.zero_grad()
        parts["loss"].backward()
        norm = torch.nn.utils.clip_grad_norm_(run.trained, options.clip_norm, foreach=True)
        if not torch.isfinite(norm):
            raise SystemExit(f"error: the gradient at step {run.step} is not finite.")
        run.optimiser.step()
        run.average.update(model)
        run.step += 1
        run.pixels += size * side * side
        run.seconds += clock() - begun
        logged.append(
            {k: float(v.detach().mean()) for k, v in parts.items()} | {"norm": float(norm)}
        )
        if len(logged) == 100:
            means = {key: round(float(np.mean([r[key] for r in logged])), 5) for key in logged[0]}
            row = {"step": run.step, "seconds": round(run.seconds), "pixels": run.pixels}
            append(options.run_dir / "log.csv", row | means | {"rate": round(rate, 7)})
            print(row | means, flush=True)
            logged = []
        if time.monotonic() - saved > SAVE_SECONDS:
            run.save()
            saved = time.monotonic()
        if tested and run.seconds - measured > options.measure_minutes * 60:
            report(run, tested, reference)
            measured = run.seconds
    run.save()
    if tested:
        report(run, tested, reference)


def report(run: Run, tested: list, reference: list) -> None:
    """Measures the averaged weights and appends to `curve.csv`."""
    model = run.averaged()
    options = run.options
    points = measure.curve(model, tested, device=options.device, dead_zone=options.dead_zone)
    difference = measure.bits_against(reference, points)
    row = {"step": run.step, "seconds": round(run.seconds), "pixels": run.pixels}
    row["bits_against_jpeg"] = round(difference, 2)
    for quality, (bits, decibels) in enumerate(points, 1):
        row[f"bpp_{quality}"], row[f"psnr_{quality}"] = round(bits, 4), round(decibels, 3)
    append(run.options.run_dir / "curve.csv", row)
    print(row, flush=True)


if __name__ == "__main__":
    main()
