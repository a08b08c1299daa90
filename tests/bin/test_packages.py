"""What is built and installed: the wheel, the source distribution, and the commands in them."""

from __future__ import annotations

import configparser
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from tfhific.commands.table import COMMANDS
from tfhific.version import __version__

ROOT = pathlib.Path(__file__).resolve().parents[2]

_BUILD = """
import os, sys
from setuptools import build_meta
source, out = sys.argv[1:]
os.chdir(source)
print(build_meta.build_sdist(out))
"""
_BUILD_WHEEL = _BUILD.replace("build_sdist", "build_wheel")
_NOT_COPIED = (".*", "build", "dist", "out", "runs", "served", "node_modules", "__pycache__")
_NOT_COPIED += ("*.egg-info", "tests", "docs", "clients", "deploy", "bazel-*")


def metadata() -> dict:
    return pytest.importorskip("tomllib").loads((ROOT / "pyproject.toml").read_text())


def requirements(texts: list[str], **environment: str) -> dict[str, str]:
    """What is required somewhere: versions by name."""
    from packaging.markers import default_environment
    from packaging.requirements import Requirement

    found = map(Requirement, texts)
    place = {**default_environment(), **environment}
    return {
        each.name.lower().replace("_", "-"): str(each.specifier)
        for each in found
        if each.marker is None or each.marker.evaluate(place)
    }


@pytest.mark.parametrize(
    ("system", "machine", "python", "kernels"),
    [
        ("linux", "x86_64", "3.9", True),
        ("linux", "x86_64", "3.11", True),
        ("darwin", "x86_64", "3.10", True),
        ("linux", "x86_64", "3.12", False),
        ("linux", "x86_64", "3.13", False),
        ("linux", "aarch64", "3.11", False),
        ("darwin", "arm64", "3.11", False),
        ("win32", "AMD64", "3.11", False),
    ],
)
def test_kernels_are_required_where_there_are_some_and_keras_2_elsewhere(
    system, machine, python, kernels
):
    texts = metadata()["project"]["optional-dependencies"]["tensorflow"]
    place = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    found = requirements(texts, **place)
    assert ("tensorflow-compression" in found) is kernels
    assert ("tf-keras" in found) is not kernels
    assert ("tensorflow-probability" in found) is not kernels
    assert "tensorflow" in found


def test_without_an_extra_nothing_of_tensorflow_is_installed():
    light = requirements(metadata()["project"]["dependencies"])
    assert set(light) == {"absl-py", "ai-edge-litert", "numpy", "pillow", "safetensors", "tqdm"}


def test_every_command_is_installed_and_every_extra_is_there():
    project = metadata()["project"]
    scripts = {f"tfhific-{name}": f"{each.module}:run" for name, each in COMMANDS.items()}
    assert project["scripts"] == {"tfhific": "tfhific.commands.main:run", **scripts}
    extras = set(project["optional-dependencies"])
    assert {"tensorflow", "train", "evaluation", "serving", "dev", "docs", "fuzzing"} <= extras


def test_messages_of_a_missing_extra_name_one_that_brings_what_is_missing():
    extras = metadata()["project"]["optional-dependencies"]
    found = 0
    for path in (ROOT / "tfhific" / "commands").glob("*.py"):
        for extra in re.findall(r'extras\.require\([^"]*"[^"]*", "(\w+)"', path.read_text()):
            assert extra in extras, path
            found += 1
    assert found >= 3


def test_installed_requirements_are_those_that_the_tests_run_with():
    """Whoever installs the package gets what it is tested with."""
    project = metadata()["project"]
    texts = project["dependencies"] + project["optional-dependencies"]["tensorflow"]
    for name, version, python in (
        ("requirements.txt", "2.14", "3.11"),
        ("requirements-latest.txt", "2.21", "3.13"),
    ):
        place = {"sys_platform": "linux", "platform_machine": "x86_64", "python_version": python}
        pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / name).read_text(), re.MULTILINE))
        pinned = {key.lower().replace("_", "-"): value for key, value in pinned.items()}
        assert pinned["tensorflow"].startswith(version)
        assert set(requirements(texts, **place)) <= set(pinned)


def _run(command: list, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, timeout=900, check=False, **options
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done


@pytest.fixture(scope="module")
def distributions(tmp_path_factory, clean_shell) -> tuple[pathlib.Path, pathlib.Path]:
    """A source distribution of this tree, and the wheel that is built from it alone."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("distributions")
    shutil.copytree(ROOT, folder / "tree", ignore=shutil.ignore_patterns(*_NOT_COPIED))
    _run([sys.executable, "-c", _BUILD, folder / "tree", folder], env=clean_shell())
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder / "unpacked")
    (unpacked,) = (folder / "unpacked").iterdir()
    _run([sys.executable, "-c", _BUILD_WHEEL, unpacked, folder], env=clean_shell())
    (wheel,) = folder.glob("*.whl")
    return source, wheel


@pytest.mark.slow
def test_the_wheel_holds_two_packages_with_their_data_and_no_more(distributions):
    _, wheel = distributions
    assert wheel.name == f"tfhific-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        scripts = configparser.ConfigParser()
        (listed,) = [name for name in names if name.endswith("/entry_points.txt")]
        scripts.read_string(archive.read(listed).decode())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"tfhific", "tfc_port", f"tfhific-{__version__}.dist-info"}
    assert set(scripts["console_scripts"]) == {"tfhific", *(f"tfhific-{name}" for name in COMMANDS)}
    for package in ("tfhific", "tfc_port"):
        modules = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / package).rglob("*.py")
            if "build" not in path.parts
        }
        assert modules == {n for n in names if n.startswith(f"{package}/") and n.endswith(".py")}
    models = ("mini-v3",)
    folders = ["tfhific/evaluation/data", "tfhific/evaluation/page"]
    for folder in folders + [f"tfhific/zoo/{name}" for name in models]:
        data = {f"{folder}/{path.name}" for path in (ROOT / folder).iterdir() if path.is_file()}
        assert data <= set(names)
    found = {name.split("/")[2] for name in names if name.startswith("tfhific/zoo/")}
    assert found == {"__init__.py", *models}
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.slow
def test_the_source_distribution_has_launchers_and_requirements_and_the_model_of_the_wheel(
    distributions,
):
    source, _ = distributions
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "README.md", "LICENSE", "requirements.txt", "bin/compress.py"}
    assert wanted | {"tfhific/zoo/mini-v3/model.safetensors"} <= names
    assert not [name for name in names if name.startswith("tests/")]


def _new_environment(
    stack: str, tmp_path_factory, clean_shell
) -> tuple[pathlib.Path, pathlib.Path]:
    """The Python of a stack, and the folder of a new environment that it made."""
    python = ROOT / stack / "bin" / "python"
    if not python.exists():
        pytest.skip(f"needs {stack}, which bin/test makes")
    folder = tmp_path_factory.mktemp("new") / "environment"
    _run([python, "-m", "venv", folder], env=clean_shell())
    return python, folder


@pytest.fixture(scope="module", params=[".venv", ".venv-latest"])
def installed(request, distributions, tmp_path_factory, clean_shell) -> pathlib.Path:
    """The `bin` of a new environment that has the wheel, and a stack's other packages."""
    python, folder = _new_environment(request.param, tmp_path_factory, clean_shell)
    ours = folder / "bin" / "python"
    install = [ours, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    _run([*install, "--disable-pip-version-check", distributions[1]], env=clean_shell())
    show = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = _run(show, env=clean_shell()).stdout.decode().strip()
    (place,) = (folder / "lib").glob("python3.*/site-packages")
    # After the environment's own, so that what is installed there comes first.
    (place / "others.pth").write_text(f"{packages}\n")
    return folder / "bin"


@pytest.mark.slow
def test_an_installed_package_works_from_any_folder(installed, tmp_path, photo, clean_shell):
    Image.fromarray(photo(64, 96)).save(tmp_path / "a.png")
    Image.fromarray(photo(64, 96, 1)).save(tmp_path / "b.jpg")
    environment = clean_shell()

    def run(*words) -> str:
        program = installed / words[0]
        return _run([program, *words[1:]], cwd=tmp_path, env=environment).stdout.decode()

    code = "import tfhific; print(tfhific.__file__); import importlib.metadata as m; "
    code += "print(m.version('tfhific') == tfhific.__version__)"
    place, same = run("python", "-c", code).split()
    assert pathlib.Path(place).is_relative_to(installed.parent)
    assert same == "True"
    assert run("tfhific", "--version") == f"tfhific {__version__}\n"
    assert "compress pictures" in run("tfhific")
    for name in COMMANDS:
        assert f"tfhific-{name}" in run(f"tfhific-{name}", "--help")
    run("tfhific", "compress", "a.png", "b.jpg", "-o", "packed/")
    run("tfhific-decompress", "packed/a.tfh", "a.back.png")
    assert Image.open(tmp_path / "a.back.png").size == (96, 64)
    assert "mini-v3" in run("python", "-m", "tfhific", "info", "packed/b.tfh")
    code = "import tfhific; c = tfhific.load(); d = open('packed/a.tfh', 'rb').read(); "
    code += "print(c.decompress(d).shape)"
    assert run("python", "-c", code).strip() == "(64, 96, 3)"


@pytest.fixture(scope="module", params=[".venv", ".venv-latest"])
def light(request, distributions, tmp_path_factory, clean_shell) -> pathlib.Path:
    """The `bin` of a new environment with the wheel and what it asks for, no extra."""
    _, folder = _new_environment(request.param, tmp_path_factory, clean_shell)
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", distributions[1]]
    done = subprocess.run(
        list(map(str, install)), capture_output=True, env=clean_shell(), timeout=900, check=False
    )
    if done.returncode:
        pytest.skip(f"no registry of packages answers: {done.stderr.decode()[-300:]}")
    return folder / "bin"


@pytest.mark.slow
def test_a_light_installation_is_small_and_codes_pictures_without_tensorflow(
    light, tmp_path, photo, clean_shell
):
    (place,) = (light.parent / "lib").glob("python3.*/site-packages")
    own = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    sizes = {
        each.name: sum(file.stat().st_size for file in [each, *each.rglob("*")] if file.is_file())
        for each in place.iterdir()
        if not each.name.startswith(own)
    }
    assert "tensorflow" not in sizes
    assert sum(sizes.values()) <= 150e6, sizes

    Image.fromarray(photo(64, 96)).save(tmp_path / "a.png")
    see_through = np.dstack([photo(50, 70, 1), photo(50, 70)[..., 0]])
    Image.fromarray(see_through).save(tmp_path / "b.png")
    environment = clean_shell(PYTHONPATH="")

    def run(*words) -> str:
        program = light / words[0]
        done = _run([program, *words[1:]], cwd=tmp_path, env=environment)
        assert b"warning" not in done.stderr.lower()
        return done.stdout.decode()

    run("tfhific", "compress", "a.png", "b.png", "-o", "packed/")
    run("tfhific-decompress", "packed/a.tfh", "a.back.png")
    run("tfhific", "decompress", "packed/b.tfh", "b.back.png")
    assert "mini-v3" in run("python", "-m", "tfhific", "info", "packed/b.tfh")
    assert Image.open(tmp_path / "a.back.png").size == (96, 64)
    assert Image.open(tmp_path / "b.back.png").mode == "RGBA"
    code = "import tfhific; c = tfhific.load(); d = open('packed/a.tfh', 'rb').read(); "
    code += "print(c.runtime, c.decompress(d).shape)"
    shown = subprocess.run(
        [light / "python", "-c", code], cwd=tmp_path, env=environment, capture_output=True
    )
    assert shown.stdout == b"litert (64, 96, 3)\n"
    wanting = subprocess.run(
        [light / "tfhific", "train", "--data=.", "--run_dir=run", "--steps=2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
    )
    assert wanting.returncode == 1
    assert b"pip install '.[tensorflow]'" in wanting.stderr
    assert wanting.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("requirements", "version"), [("requirements.txt", "3.11"), ("requirements-latest.txt", "3.13")]
)
def test_locked_packages_are_those_that_are_required_each_with_a_hash(requirements, version):
    text = (ROOT / f"requirements-locked-{version}.txt").read_text()
    entry = re.compile(r"([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}")
    found = {}
    for line in text.splitlines()[1:]:
        matched = entry.fullmatch(line)
        assert matched, line
        found[matched[1]] = matched[2]
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / requirements).read_text(), re.MULTILINE)
    assert len(pinned) > 10
    for name, exact in pinned:
        assert found[re.sub(r"[-_.]+", "-", name).lower()] == exact


def test_a_lock_takes_names_and_hashes_from_what_pip_says():
    lock = runpy.run_path(str(ROOT / "tools" / "lock.py"))["locked"]

    def item(name: str, **info) -> dict:
        return {"metadata": {"name": name, "version": "1.2"}, "download_info": info}

    hashes = {"hashes": {"sha256": "ab" * 32}}
    report = {"install": [item("Some_Thing", archive_info=hashes), item("a", archive_info=hashes)]}
    tail = f"==1.2 --hash=sha256:{'ab' * 32}"
    assert lock(report) == [f"a{tail}", f"some-thing{tail}"]
    with pytest.raises(ValueError, match="theirs: expected a file with a SHA-256"):
        lock({"install": [item("theirs", vcs_info={})]})
