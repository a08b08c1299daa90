"""Where what a light installation needs can be installed without a compiler."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

LIGHT = ("absl-py", "ai-edge-litert>=2.0.3", "numpy", "pillow", "safetensors", "tqdm")
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
_GLIBC = tuple(range(17, 36))
PLATFORMS = {
    "linux x86-64": (*(f"manylinux_2_{n}_x86_64" for n in _GLIBC), "manylinux2014_x86_64"),
    "linux arm64": (*(f"manylinux_2_{n}_aarch64" for n in _GLIBC), "manylinux2014_aarch64"),
    "macos arm64": tuple(f"macosx_{n}_0_arm64" for n in range(11, 15)),
    "windows x86-64": ("win_amd64",),
}
NONE = {
    ("ai-edge-litert>=2.0.3", "3.9", "windows x86-64"),
}
"""What there are no wheels of: there the networks are TensorFlow's to run."""

pytestmark = pytest.mark.slow


def _download(package: str, python: str, platforms: tuple[str, ...], folder: pathlib.Path):
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    words += ["--only-binary=:all:", "--no-cache-dir", "--python-version", python]
    words += [f"--platform={platform}" for platform in platforms]
    return subprocess.run(
        [*words, "--dest", str(folder), package],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> None:
    """Skips where no registry answers."""
    done = _download("absl-py", "3.11", ("any",), tmp_path_factory.mktemp("any"))
    if done.returncode:
        pytest.skip(f"no package registry answers: {done.stderr.strip()[-200:]}")


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_everything_light_has_wheels(platform, python, registry, tmp_path):
    missing = set()
    for package in LIGHT:
        done = _download(package, python, PLATFORMS[platform], tmp_path)
        if done.returncode:
            assert "No matching distribution" in done.stderr, done.stderr[-1000:]
            missing.add((package, python, platform))
    assert missing == {each for each in NONE if each[1:] == (python, platform)}
