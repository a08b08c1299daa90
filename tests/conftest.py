"""A small model, pictures that resemble photographs, and the scripts: what many tests share."""

from __future__ import annotations

import gc
import os
import pathlib
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
from hypothesis import settings

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pytest_configure(config):
    # TensorFlow's start-up notices would bury a failing test's own words.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Graphs are millions of objects that live as long as the process: to look for garbage among
    # them at Python's own pace is a thirtieth of the time.
    gc.set_threshold(100_000, 20, 20)
    # What starts the tests in the background has it ignored, and programs inherit that. Not undone
    # between fork and exec of each program: threads of gRPC's make a fork here abort now and then.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A busy machine must not fail a property.
    settings.register_profile("patient", deadline=None)
    settings.load_profile("patient")


# Fixtures that take longer to make than most files take to run, and are made for several: what uses
# them runs in one process.
_SHARED = {"export_folder", "c_client"}

# Folders of long tests: those begin, so that no process ends with one while the others rest.
_LONG = ("training", "serving", "bin", "models", "interop", "clients")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Says what runs in one process, and first, where several share the tests out.

    The tests of a file do, but for those marked `apart`: they share fixtures. So do all that use
    the exported model. First of the hooks: pytest-xdist's reads the marks.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        if item.get_closest_marker("apart"):
            continue
        exported = not _SHARED.isdisjoint(item.fixturenames)
        group = "export" if exported else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
        # pytest-xdist 3.8 goes by a group that it adds to a test's name, which it can't with pytest
        # 9.2: each test would be shared out by itself, and fixtures made in every process.
        if hasattr(item, "_id"):
            item._id = type(item._id).parse(f"{item.nodeid}@{group}")

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=place)


def natural_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture with the 1/f spectrum and the correlated colours of photographs.

    Returns:
      uint8 [height, width, 3].
    """
    rng = np.random.default_rng([seed, height, width])
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    weight = 1.0 / (frequency + 1.0 / 256) ** 1.3
    weight[0, 0] = 0.0
    planes = []
    for strength in (1.0, 0.2, 0.15):
        noise = np.fft.rfft2(rng.normal(size=[height, width])) * weight
        plane = np.fft.irfft2(noise, [height, width])
        planes.append(strength * plane / max(float(plane.std()), 1e-9))
    light, red, blue = planes
    colours = np.stack([light + red, light - red / 2 - blue / 2, light + blue], axis=-1)
    return np.clip(np.rint(122 + 45 * colours), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photo():
    """The function `natural_picture(height, width, seed=0)`."""
    return natural_picture


@pytest.fixture(scope="session")
def tiny_config():
    """The configuration of a `Mini` that costs next to nothing."""
    from tfhific.models.mini import MiniConfig

    return MiniConfig(latent_channels=48, hyper_channels=16, fine_channels=8, coarse_channels=16)


@pytest.fixture(scope="session")
def tiny_model(tiny_config):
    """A `Mini` of that configuration, every weight of which is moved away from where it began.

    Its hyperprior is fitted to one picture by hand, so that its latents behave as a trained
    model's do: few escapes, many different scales.
    """
    import tensorflow as tf

    from tfhific.backend import keras
    from tfhific.models.mini import Mini

    keras.utils.set_random_seed(7)
    model = Mini(tiny_config)
    rng = np.random.default_rng(7)
    image = tf.constant(natural_picture(256, 256, seed=99)[None], tf.float32)
    y = model.analysis(image / 255.0 - 0.5)
    model.synthesis(y)
    z = model.hyper_analysis(y)
    model.hyper_synthesis_mean(z)
    model.hyper_synthesis_scale(z)
    for variable in model.trainable_variables:
        value = variable.numpy()
        size = 0.1 * float(np.abs(value).mean()) or 0.02 / np.sqrt(np.prod(value.shape[:-1]) or 1)
        # Gains and their inverses are to stay nearly that.
        size = 0.02 if "gain" in variable.name else size
        variable.assign_add(rng.normal(0.0, size, value.shape))

    gain, _ = model.gains(tf.constant([5.0]))
    y = model.analysis(image / 255.0 - 0.5) * gain
    _resize(model.hyper_analysis, lambda: model.hyper_analysis(y), 2.0)
    z = tf.round(model.hyper_analysis(y))
    _resize(model.hyper_synthesis_mean, lambda: model.hyper_synthesis_mean(z), 0.5)
    _resize(model.hyper_synthesis_scale, lambda: model.hyper_synthesis_scale(z), 0.3)
    deviation = np.sqrt(np.mean((y - model.hyper_synthesis_mean(z)).numpy() ** 2, (0, 1, 2)))
    scales = tiny_config.scales()
    wanted = np.interp(np.log(deviation), np.log(scales), np.arange(len(scales)))
    present = np.mean(model.scale_indexes(z).numpy(), (0, 1, 2))
    _, bias = sorted(
        model.hyper_synthesis_scale.layers[-1].trainable_variables, key=lambda v: -v.shape.rank
    )
    bias.assign_add((wanted - present) / model.scale_gain)
    return model


def _resize(network, output, deviation: float) -> None:
    """Scales a network's last layer so that its output has a standard deviation."""
    factor = deviation / float(np.std(output().numpy()))
    for variable in network.layers[-1].trainable_variables:
        variable.assign(variable * factor)


@pytest.fixture(scope="session")
def tiny_published(tiny_model):
    """The tiny model, published; in memory."""
    from tfhific.publishing.hyperprior import publish

    return publish(tiny_model, "tiny", {"system": "mini", "step": 0})


@pytest.fixture(scope="session")
def models_folder(tiny_published, tmp_path_factory) -> pathlib.Path:
    """A folder of models as TFHIFIC_MODELS names them: `tiny`, and `stranger`, another one."""
    import dataclasses

    from tfhific.published.store import save_model

    folder = tmp_path_factory.mktemp("models")
    save_model(tiny_published, folder / "tiny")
    changed = tiny_published.log_inverse_gain + np.float32(0.25)
    stranger = dataclasses.replace(tiny_published, name="stranger", log_inverse_gain=changed)
    save_model(stranger, folder.parent / f"{folder.name}-elsewhere" / "stranger")
    return folder


@pytest.fixture(scope="session")
def tiny_model_folder(models_folder) -> pathlib.Path:
    """The folder of the published tiny model."""
    return models_folder / "tiny"


@pytest.fixture(scope="session")
def tiny_codec(tiny_model_folder):
    """The tiny model as a codec, read from its folder."""
    import tfhific

    return tfhific.load(tiny_model_folder)


@pytest.fixture(scope="session")
def light_codec(tiny_model_folder):
    """The same as a command has it in a process of its own: by LiteRT, where it is installed."""
    import tfhific
    from tfhific.runtimes import choice

    name = "litert" if choice.installed("litert") else "tensorflow"
    return tfhific.load(tiny_model_folder, runtime=name)


@pytest.fixture(scope="session")
def stranger_codec(models_folder):
    """The codec of another model, which lies where nobody searches."""
    import tfhific

    return tfhific.load(models_folder.parent / f"{models_folder.name}-elsewhere" / "stranger")


@pytest.fixture
def tiny_search(models_folder, monkeypatch):
    """Lets the tiny model be found by name and by fingerprint in this process."""
    monkeypatch.setenv("TFHIFIC_MODELS", str(models_folder))
    return models_folder


def blocky_labels(height: int, width: int, classes: int, seed: int = 0) -> np.ndarray:
    """A label map of a few boxes over a horizon, uint8 [height, width]."""
    rng = np.random.default_rng(seed)
    labels = np.zeros([height, width], np.uint8)
    labels[height // 2 :] = 1
    for _ in range(6):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        size = rng.integers(1, max(height // 2, 2), 2)
        labels[top : top + size[0], left : left + size[1]] = rng.integers(classes)
    return labels


@pytest.fixture(scope="session")
def label_picture():
    """The function `blocky_labels(height, width, classes, seed=0)`."""
    return blocky_labels


def _moved(model, seed: int = 5):
    """A model all of whose weights are away from where they began."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        value = variable.numpy()
        variable.assign(value + rng.normal(0.0, 0.05, value.shape))
    return model


@pytest.fixture(scope="session")
def extreme_models():
    """Keras models, tiny: `gc`, `noisy` (gc with noise), `sent` (conditional gc) and `sc`."""
    from tfhific.backend import keras
    from tfhific.models.extreme import Extreme, GCConfig, SCConfig

    keras.utils.set_random_seed(11)
    tiny = {"width": 2, "blocks": 1, "discriminator_width": 2, "label_width": 2}
    tiny["label_features"] = 3
    configs = {
        "gc": GCConfig(**tiny),
        "noisy": GCConfig(noise=4, **tiny),
        "sent": GCConfig(maps="sent", classes=5, **tiny),
        "sc": SCConfig(classes=5, class_names=("sky", "road", "car", "pedestrian", "tree"), **tiny),
    }
    models = {}
    for name, config in configs.items():
        models[name] = Extreme(config)
        models[name].build_variables()
        _moved(models[name])
        # Codes of an untrained encoder are all but zero: they are to reach every centre.
        last = models[name].encoder.layers[-1]
        last.set_weights([30.0 * weights for weights in last.get_weights()])
    return models


@pytest.fixture(scope="session")
def whole_models_folder(extreme_models, tmp_path_factory) -> pathlib.Path:
    """A folder of published models that see whole pictures.

    `gc`, `noisy`, `sent`, `sc` (static priors), `gc-hyper`, `sc-hyper`, `inversion` (side 16, grey)
    and `cgan` (side 8, three classes).
    """
    from tfhific.backend import keras
    from tfhific.models.cgan import CGAN, CGANConfig
    from tfhific.models.inversion import Inversion, InversionConfig
    from tfhific.published.store import save_model
    from tfhific.publishing.centres import publish_extreme
    from tfhific.publishing.inversion import publish_cgan, publish_inversion

    folder = tmp_path_factory.mktemp("whole_models")
    pictures = [(natural_picture(128, 160, seed), None) for seed in range(4)]
    for name, model in extreme_models.items():
        for prior in ("static", "hyper") if name in ("gc", "sc") else ("static",):
            title = name if prior == "static" else f"{name}-hyper"
            published = publish_extreme(model, title, {"step": 0}, pictures, prior)
            save_model(published, folder / title)
    keras.utils.set_random_seed(12)
    small = Inversion(InversionConfig(side=16, channels=1, latent=8, width=4))
    small.build_variables()
    _moved(small)
    for variable in small.generator.trainable_variables:
        if variable.shape.rank > 1:
            variable.assign(6.0 * variable)
    save_model(publish_inversion(small, "inversion"), folder / "inversion")
    units = {"noise_units": 8, "label_units": 8, "joint_units": 16, "image_maxout": 4}
    digits = CGAN(CGANConfig(side=8, classes=3, noise=6, label_maxout=2, joint_maxout=4, **units))
    digits.build_variables()
    for variable in digits.trainable_variables:
        variable.assign(3.0 * variable)
    save_model(publish_cgan(digits, "cgan"), folder / "cgan")
    return folder


@pytest.fixture(scope="session")
def whole_codec(whole_models_folder):
    """A function that gives the codec of one of these models, by name."""
    import functools

    import tfhific

    return functools.lru_cache(lambda name: tfhific.load(whole_models_folder / name))


def clean_environment(**more: str) -> dict[str, str]:
    """What a login shell sets, and no more: not what TensorFlow set in this process.

    A variable that an import leaves behind here would hide that a command needs it.
    """
    # With other thread pools than this process's, pixels may differ by one.
    names = ("HOME", "PATH", "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {"LANG": "C.UTF-8", **kept, **{name: str(value) for name, value in more.items()}}


@pytest.fixture(scope="session")
def clean_shell():
    """The function `clean_environment(**more)`, the environment of commands that tests start."""
    return clean_environment


@pytest.fixture(scope="session")
def run_python():
    """A function that runs Python in a new process, in a clean environment.

    `run_python(*arguments, stdin=None, environment=None)` returns the CompletedProcess, its
    streams as bytes.
    """

    def run(*arguments, stdin=None, environment=None, python=None) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(python or sys.executable), *map(str, arguments)],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=clean_environment(PYTHONPATH=ROOT, **(environment or {})),
            timeout=600,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def run_script(run_python, models_folder):
    """A function that runs a script of `bin` in a new process: `run_script("info", "x.tfh")`.

    The script finds the tiny model by its name and by its fingerprint.
    """

    def run(name, *arguments, stdin=None) -> subprocess.CompletedProcess:
        environment = {"TFHIFIC_MODELS": str(models_folder)}
        script = ROOT / "bin" / f"{name}.py"
        return run_python(script, *arguments, stdin=stdin, environment=environment)

    return run


@pytest.fixture
def call_script(tiny_search, call_command):
    """`call_command`, where the tiny model can be found."""
    return call_command


@pytest.fixture
def call_command(capfd):
    """A function that calls a command in this process, as its process would.

    `call_command("compress", "a.png", "--quality=2")` returns `code`, `out` and `err`.
    """
    import importlib

    from absl import flags

    from tfhific.commands import launcher

    def call(name, *arguments) -> types.SimpleNamespace:
        module = importlib.import_module(f"tfhific.commands.{name}")
        before = set(flags.FLAGS)
        capfd.readouterr()
        try:
            module.define_flags()
            code = launcher.call(module.main, [name, *map(str, arguments)])
        finally:
            # Two scripts may define one flag: each has the flags for itself in its own process.
            for flag in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, flag)
        out, err = capfd.readouterr()
        return types.SimpleNamespace(code=code, out=out, err=err)

    return call


@pytest.fixture(scope="session")
def small_lpips(tmp_path_factory) -> str:
    """A file of random LPIPS weights of a narrow AlexNet."""
    rng = np.random.default_rng(0)
    arrays, width = {}, 3
    for number, (size, out) in enumerate([(11, 5), (5, 6), (3, 7), (3, 4), (3, 3)]):
        scale = (2.0 / (size * size * width)) ** 0.5
        kernel = rng.normal(0, scale, [size, size, width, out])
        arrays[f"conv{number + 1}/kernel"] = kernel.astype(np.float32)
        arrays[f"conv{number + 1}/bias"] = rng.normal(0, 0.1, [out]).astype(np.float32)
        arrays[f"lin{number}"] = rng.uniform(0, 1, [out]).astype(np.float32)
        width = out
    path = tmp_path_factory.mktemp("lpips") / "small.npz"
    np.savez(path, **arrays)
    return str(path)
