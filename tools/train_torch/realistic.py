"""Trains another decoder for the files of a trained `mini2`: one whose pictures look real.

    python tools/train_torch/realistic.py --run_dir RUN --init_from WEIGHTS --data PHOTOS \
        --lpips lpips_alex_v0.1.npz --features vgg16.npz

Encoder and prior stay as they are: the synthesis transform alone learns, from rounded latents.
With `--encoder` the encoder learns too, for this decoder: its files are about as large, and still
those of the codec, whose own decoder reads them.

F. Mentzer, G. Toderici, M. Tschannen, E. Agustsson: "High-Fidelity Generative Image Compression",
NeurIPS 2020, arXiv 2006.09965 (squared error, LPIPS and a patch discriminator that sees latents).
M. J. Muckley, A. El-Nouby, K. Ullrich, H. Jégou, J. Verbeek: "Improving Statistical Fidelity for
Neural Image Compression with Implicit Local Likelihood Models", ICML 2023, arXiv 2301.11189 (a
decoder alone, after training for squared error; `--adversary=illm`).

A run is a folder like `train.py`'s; its `weights.safetensors` holds all networks, those that learnt
in place of the ones that were there. Called again it goes on where the last checkpoint
stands. First there is no discriminator: `--gan_from` of the time.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import signal
import time

import measure
import numpy as np
import perceptual
import torch
from codec_weights import codec_digest, read_codec
from configuration import NUM_QUALITIES, Mini2Config
from crops import Crops
from discriminator import Adversary, LabelDiscriminator, PatchDiscriminator
from labels import Labels
from networks import Mini2, checkerboard, dead_zone_width, rounded, smallest_side
from rate_weight import RateWeight
from realistic_losses import Losses
from torch import Tensor
from train import (
    SAVE_SECONDS,
    Average,
    append,
    define_run,
    existing_file,
    learning_rate,
    on_device,
    write_checkpoint,
    write_weights,
)

MEASURED = (1.0, 2.0, 3.0, 4.0, 6.0)
# Steps from one look at what the codec's own encoder makes of a batch to the next.
LOOK_EVERY = 4


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    define_run(parser)
    parser.set_defaults(
        minutes=90, decay_share=0.5, learning_rate=3e-4, warmup_steps=100, ema=0.998
    )
    for name, required, what in (
        ("init_from", True, "weights of the codec"),
        ("lpips", True, "LPIPS to train for, npz"),
        ("features", True, "VGG16 to train for, npz"),
        ("judge", False, "LPIPS to measure by and not to train for, npz"),
    ):
        parser.add_argument(f"--{name}", type=existing_file, required=required, help=what)
    parser.add_argument("--gan_from", type=float, default=0.3, help="share of it before a GAN")
    parser.add_argument("--window", type=int, default=128, help="side of what VGG16 sees of a crop")
    parser.add_argument("--looked_at", type=float, default=1.0, help="share of crops VGG16 sees")
    parser.add_argument("--mse", type=float, default=0.0004, help="weight at quality 1")
    parser.add_argument("--gan", type=float, default=0.15, help="weight at quality 1")
    parser.add_argument(
        "--adversary",
        choices=("patch", "illm"),
        default="patch",
        help="a discriminator that tells what is real, or one that tells what is where",
    )
    parser.add_argument("--labels", type=int, default=1024, help="that illm tells apart")
    parser.add_argument("--pace", type=float, default=3.0, help="of the discriminator's rate")
    parser.add_argument("--spread", type=float, default=0.4, help="exponent of lambda for both")
    parser.add_argument(
        "--encoder", action="store_true", help="train the encoder too, for files of the same size"
    )
    parser.add_argument(
        "--decoder_blocks",
        type=int,
        help="of the synthesis transform; more than the codec's begin as nothing",
    )
    options = parser.parse_args()
    if options.labels < 2:
        parser.error(f"--labels: expected at least 2. Received: {options.labels}.")
    return options


@torch.no_grad()
def coded(model: Mini2, images: Tensor, quality: Tensor, dead_zone: float = 0.0) -> Tensor:
    """What a decoder's synthesis transform is given: [b, latent channels, h, w].

    Args:
      model: the codec.
      images: [b, 3, H, W] in 0..255.
      quality: [b], 1..8.
      dead_zone: that the codec's encoders have.
    """
    gain, inverse_gain = model.gains(quality)
    y = model.analysis(images / 255.0 - 0.5).float() * gain
    z = torch.round(model.hyper_analysis(y).float())
    features = model.context.features(z)
    width = dead_zone_width(model.deviations(z), dead_zone) if dead_zone else None
    first = checkerboard(y)
    mean, step = model.context.first_half(features)
    known = rounded(y, mean, step, width) * first
    later = rounded(y, *model.context.second_half(features, known), width)
    return torch.where(first > 0, known, later) * inverse_gain


def pixels(synthesis: torch.nn.Module, code: Tensor) -> Tensor:
    """Pictures in 0..255, not clipped."""
    return (synthesis(code).float() + 0.5) * 255.0


def tested_picture(image: np.ndarray, device: str) -> Tensor:
    """uint8 [H, W, 3] as float32 [1, 3, h, w], cut to sides that the networks take."""
    height, width = (side // smallest_side() * smallest_side() for side in image.shape[:2])
    return on_device(image[None, :height, :width], device)


def as_written_now(saved: dict, model: Mini2) -> dict:
    """A checkpoint; one from before `--encoder` held of the codec the synthesis transform alone."""
    if "model" in saved:
        return saved

    def whole(part: dict[str, Tensor]) -> dict[str, Tensor]:
        return model.state_dict() | {f"synthesis.{name}": value for name, value in part.items()}

    optimisers = {**saved["optimisers"], "codec": saved["optimisers"]["synthesis"]}
    parts = {"model": whole(saved["synthesis"]), "average": whole(saved["average"])}
    new = {"labels": 0, "encoder": False, "rate_weight": [0.0, 0.0]}
    return {**new, **saved, **parts, "optimisers": optimisers}


class Run:
    """What a checkpoint holds, and how it is written and read."""

    def __init__(self, options: argparse.Namespace, features: perceptual.Distance) -> None:
        self.options = options
        torch.manual_seed(options.seed)
        settings, state = read_codec(options.init_from)
        count = options.decoder_blocks or settings["decoder_blocks"]
        if count < settings["decoder_blocks"]:
            raise SystemExit(
                f"error: --decoder_blocks: expected at least the {settings['decoder_blocks']} of "
                f"{options.init_from}. Received: {count}."
            )
        self.config = Mini2Config(**{**settings, "decoder_blocks": count})
        self.model = Mini2(self.config)
        missing, unknown = self.model.load_state_dict(state, strict=False)
        if unknown or not all(name.startswith("synthesis.blocks.") for name in missing):
            raise SystemExit(f"error: {options.init_from} does not hold the weights of a mini2.")
        # Of what stays as it is: a run goes on with the codec that it began with.
        self.codec = codec_digest(state)
        self.model.requires_grad_(False)
        self.model.to(options.device, memory_format=torch.channels_last)
        self.before = copy.deepcopy(self.model)
        self.rate_weight = RateWeight(self.config)
        self.model.synthesis.requires_grad_(True)
        if options.encoder:
            # None of these is anything to a decoder.
            self.model.analysis.requires_grad_(True)
            self.model.hyper_analysis.requires_grad_(True)
            self.model.log_gain.requires_grad_(True)
        self.trained = [each for each in self.model.parameters() if each.requires_grad]
        self.labels = options.labels if options.adversary == "illm" else 0
        self.discriminator: Adversary = (
            LabelDiscriminator(self.config.latent_channels, Labels(features, self.labels))
            if self.labels
            else PatchDiscriminator(self.config.latent_channels)
        )
        self.discriminator.to(options.device, memory_format=torch.channels_last)
        self.average = Average(self.model, options.ema)
        self.optimisers = {
            "codec": torch.optim.Adam(self.trained, options.learning_rate),
            "discriminator": torch.optim.Adam(
                self.discriminator.parameters(), options.learning_rate, betas=(0.5, 0.9)
            ),
        }
        self.step, self.seconds, self.pixels = 0, 0.0, 0
        path = options.run_dir / "checkpoint.pt"
        if path.exists():
            saved = torch.load(path, map_location=options.device, weights_only=True)
            saved = as_written_now(saved, self.model)
            names = ("config", "codec", "labels", "encoder")
            now = (dataclasses.asdict(self.config), self.codec, self.labels, options.encoder)
            if tuple(saved.get(name) for name in names) != now:
                raise SystemExit(
                    f"error: {path} began with other weights than {options.init_from}, or another "
                    "--decoder_blocks, --encoder, --adversary or --labels than now. Give those, or "
                    "another --run_dir."
                )
            self.model.load_state_dict(saved["model"])
            self.rate_weight.state = saved["rate_weight"]
            self.discriminator.load_state_dict(saved["discriminator"])
            for name, optimiser in self.optimisers.items():
                optimiser.load_state_dict(saved["optimisers"][name])
            self.average.shadow, self.average.count = saved["average"], saved["count"]
            self.step, self.seconds = saved["step"], saved["seconds"]
            self.pixels = saved["pixels"]

    def save(self) -> None:
        """Writes the checkpoint, and all of the codec's weights with the averaged ones."""
        saved = {
            "config": dataclasses.asdict(self.config),
            "codec": self.codec,
            "labels": self.labels,
            "encoder": self.options.encoder,
            "model": self.model.state_dict(),
            "rate_weight": self.rate_weight.state,
            "discriminator": self.discriminator.state_dict(),
            "optimisers": {k: v.state_dict() for k, v in self.optimisers.items()},
            "average": self.average.shadow,
            "count": self.average.count,
            "step": self.step,
            "seconds": self.seconds,
            "pixels": self.pixels,
        }
        write_checkpoint(self.options.run_dir, saved)
        write_weights(self.options.run_dir, self.average.shadow, self.config)

    def averaged(self) -> Mini2:
        made = Mini2(self.config).to(self.options.device)
        made.load_state_dict(self.average.shadow)
        return made.to(memory_format=torch.channels_last).eval()


def decoded(run: Run, images: Tensor, quality: Tensor) -> dict[str, Tensor]:
    """`picture` and `code` as `Mini2.forward` gives them; `bits` [b], where the encoder learns."""
    if not run.options.encoder:
        code = coded(run.model, images, quality, run.options.dead_zone)
        return {"picture": pixels(run.model.synthesis, code), "code": code}
    out = run.model(images, quality, True, run.options.dead_zone)
    # An encoder is to serve the decoder, not to talk a discriminator round.
    made = {"picture": out["picture"], "code": out["code"].detach()}
    return made | {"bits": (out["bits_y"] + out["bits_z"]) / images[0, 0].numel()}


@torch.no_grad()
def look_at_rate(run: Run, images: Tensor, quality: Tensor) -> None:
    """Lets a bit weigh more where the encoder's files have outgrown the codec's, or less."""
    found = []
    for model in (run.model, run.before):
        out = model(images, quality, False, run.options.dead_zone)
        found.append(out["bits_y"] + out["bits_z"])
    run.rate_weight.follow(quality, *found)


def step_of(run: Run, losses: Losses, images: Tensor, quality: Tensor, draw, gan: bool) -> dict:
    """One step of the codec's networks that learn, and of the discriminator where there is one."""
    autocast = torch.autocast(
        run.options.device, torch.bfloat16, enabled=run.options.bfloat16, cache_enabled=False
    )
    with autocast:
        if run.options.encoder and run.step % LOOK_EVERY == 0:
            look_at_rate(run, images, quality)
        out = decoded(run, images, quality)
        made, code = out["picture"], out["code"]
        mse = (images - made).square().mean((1, 2, 3))
        keep, real = losses.weights(quality)
        distance = losses.distances(images, made, draw)
        loss = keep * mse + distance
        parts = {"mse": mse, "distance": distance}
        if "bits" in out:
            loss = loss + keep * run.rate_weight(quality) * out["bits"]
            parts["bits"] = out["bits"]
        if gan:
            truth = run.discriminator.truth(images)
            parts["generator"] = run.discriminator.decoders(made, code, truth)
            loss = loss + real * parts["generator"]
    run.optimisers["codec"].zero_grad()
    loss.mean().backward()
    norm = torch.nn.utils.clip_grad_norm_(run.trained, run.options.clip_norm)
    if not torch.isfinite(norm):
        raise SystemExit(f"error: the gradient at step {run.step} is not finite.")
    run.optimisers["codec"].step()
    run.average.update(run.model)
    if gan:
        # The generator's gradient reached these weights too.
        run.optimisers["discriminator"].zero_grad()
        with autocast:
            own = run.discriminator.own(images, made.detach(), code, truth)
        parts["discriminator"] = own
        own.backward()
        run.optimisers["discriminator"].step()
    return {k: float(v.detach().mean()) for k, v in (parts | {"loss": loss}).items()}


@torch.no_grad()
def report(run: Run, judges: dict[str, perceptual.Distance], tested: list[np.ndarray]) -> None:
    """Measures the averaged weights on whole pictures and appends to `curve.csv`."""
    model, device = run.averaged(), run.options.device
    row: dict = {"step": run.step, "seconds": round(run.seconds), "pixels": run.pixels}
    for quality in MEASURED:
        found: dict[str, list[float]] = {
            name: [] for name in ("psnr", *judges, *(["bpp"] if run.options.encoder else []))
        }
        for image in tested:
            x = tested_picture(image, device)
            chosen = torch.tensor([quality], device=device)
            out = model(x, chosen, False, run.options.dead_zone)
            made = out["picture"].round().clamp(0, 255)
            if run.options.encoder:
                found["bpp"].append(float(out["bits_y"] + out["bits_z"]) / x[0, 0].numel())
            error = float((x - made).square().mean())
            found["psnr"].append(10 * np.log10(255.0**2 / max(error, 1e-9)))
            for name, judge in judges.items():
                found[name].append(float(judge(x, made)))
        row |= {f"{n}_{quality:g}": round(float(np.mean(v)), 4) for n, v in found.items()}
    append(run.options.run_dir / "curve.csv", row)
    print(row, flush=True)


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    options.run_dir.mkdir(parents=True, exist_ok=True)
    stop: list[bool] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.append(True))
    device = options.device
    features = perceptual.vgg16(options.features).to(device)
    run = Run(options, features)
    judges = {"lpips": perceptual.lpips(options.lpips).to(device)}
    losses = Losses(options, run.config, judges["lpips"], features)
    if options.judge:
        judges["judge"] = perceptual.lpips(options.judge).to(device)
    crops = Crops(options.data, options.crop, options.seed)
    if isinstance(run.discriminator, LabelDiscriminator) and not run.step:
        run.discriminator.labels.fit(crops, options.seed)
    tested = measure.pictures(options.kodak, 4) if options.kodak else []
    print(f"{len(crops.images)} pictures, step {run.step}", flush=True)
    if tested and not run.step:
        report(run, judges, tested)
    clock = time.process_time if device == "cpu" and options.threads == 1 else time.monotonic
    saved, measured = time.monotonic(), run.seconds
    logged: list[dict] = []
    while not stop:
        begun = clock()
        elapsed = run.seconds / (options.minutes * 60)
        if options.steps:
            elapsed = max(elapsed, run.step / options.steps)
        if elapsed >= 1:
            break
        rate = learning_rate(options, run.step, elapsed)
        for name, optimiser in run.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = rate * (options.pace if name == "discriminator" else 1.0)
        draw = np.random.default_rng([options.seed, run.step])
        if options.encoder:
            # The noise of its bits.
            torch.manual_seed(int(draw.integers(1 << 62)))
        images = on_device(crops.batch(run.step, options.batch_size), device)
        # As many crops of the lower half of the rates as of all: there a decoder has most to add.
        share = (np.arange(options.batch_size) + draw.random(options.batch_size)) / len(images)
        share[::2] *= 0.5
        quality = torch.tensor(1.0 + (NUM_QUALITIES - 1.0) * share, dtype=torch.float32)
        gan = elapsed >= options.gan_from
        logged.append(step_of(run, losses, images, quality.to(device), draw, gan))
        run.step += 1
        run.pixels += images.shape[0] * options.crop**2
        run.seconds += clock() - begun
        if len(logged) == 50:
            means = {
                k: round(float(np.mean([r[k] for r in logged if k in r])), 5) for k in logged[-1]
            }
            print({"step": run.step, "seconds": round(run.seconds)} | means, flush=True)
            logged = []
        if time.monotonic() - saved > SAVE_SECONDS:
            run.save()
            saved = time.monotonic()
        if tested and run.seconds - measured > options.measure_minutes * 60:
            report(run, judges, tested)
            measured = run.seconds
    run.save()
    if tested:
        report(run, judges, tested)


if __name__ == "__main__":
    main()
