"""Which runtime commands take by `--runtime=auto`: by the work, and by what is asked for."""

from __future__ import annotations

import os
import pathlib

import pytest
from PIL import Image

from tfhific.commands import runtime
from tfhific.files.planning import Job, Plan

ROOT = pathlib.Path(__file__).resolve().parents[2]

LOADED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
names = ("tensorflow", "ai_edge_litert")
print(*(name for name in names if name in sys.modules), file=sys.stderr)
"""


@pytest.fixture
def pictures(tmp_path, photo) -> pathlib.Path:
    """A folder of `a.png` and `b.jpg`, 4,000 pixels each."""
    (tmp_path / "in").mkdir()
    for number, name in enumerate(("a.png", "b.jpg")):
        Image.fromarray(photo(50, 80, number)).save(tmp_path / "in" / name)
    return tmp_path / "in"


def plan_of(*sources, done: int = 0) -> Plan:
    """A plan of files, the first `done` of which are made already."""
    jobs = (
        Job(str(source), f"{number}.out", done=number < done)
        for number, source in enumerate(sources)
    )
    return Plan(tuple(jobs), folder=False)


def test_auto_is_light_up_to_so_many_pixels_that_are_still_to_do(pictures, monkeypatch):
    monkeypatch.setattr(runtime, "LIGHT_PIXELS", 8_000)
    monkeypatch.setattr(runtime, "PICTURE_PIXELS", 1)
    a, b = pictures / "a.png", pictures / "b.jpg"
    assert runtime.for_job("auto", plan_of()) == "light"
    assert runtime.for_job("auto", plan_of(a, b)) == "light"
    assert runtime.for_job("auto", plan_of(a, b, a)) == "auto"
    assert runtime.for_job("auto", plan_of(a, b, a, done=1)) == "light"
    assert runtime.for_job("auto", plan_of(a), passes=2) == "light"
    assert runtime.for_job("auto", plan_of(a), passes=3) == "auto"
    monkeypatch.setattr(runtime, "PICTURE_PIXELS", 4_001)
    assert runtime.for_job("auto", plan_of(a, b)) == "auto"


@pytest.mark.parametrize("name", ["tensorflow", "litert"])
def test_a_runtime_that_is_named_is_taken_whatever_the_work(name, pictures):
    assert runtime.for_job(name, plan_of(pictures / "a.png")) == name


def test_a_file_of_ours_counts_by_its_front_and_what_can_not_be_told_as_a_small_picture(
    pictures, tiny_codec, photo, monkeypatch
):
    (pictures / "a.tfh").write_bytes(tiny_codec.compress(photo(30, 40)))
    (pictures / "cut.tfh").write_bytes((pictures / "a.tfh").read_bytes()[:9])
    (pictures / "cut.png").write_bytes((pictures / "a.png").read_bytes()[:20])
    os.mkfifo(pictures / "pipe.png")  # whoever opened it would wait for a writer
    monkeypatch.setattr(runtime, "PICTURE_PIXELS", 10)
    for name, pixels in (
        *(("a.tfh", 1200), ("b.jpg", 4000), ("cut.tfh", 10), ("cut.png", 10)),
        *(("pipe.png", 10), ("missing.png", 10), ("-", 10)),
    ):
        plan = plan_of(name if name == "-" else pictures / name)
        monkeypatch.setattr(runtime, "LIGHT_PIXELS", pixels)
        assert runtime.for_job("auto", plan) == "light", name
        monkeypatch.setattr(runtime, "LIGHT_PIXELS", pixels - 1)
        assert runtime.for_job("auto", plan) == "auto", name


def test_a_picture_too_large_for_pillow_is_a_large_job(pictures, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    assert runtime.for_job("auto", plan_of(pictures / "a.png")) == "auto"


def test_a_few_pictures_go_through_and_back_without_tensorflow(pictures, run_python, models_folder):
    pytest.importorskip("ai_edge_litert")

    def loaded(script: str, *arguments) -> bytes:
        done = run_python(
            "-c",
            LOADED,
            ROOT / "bin" / f"{script}.py",
            *arguments,
            environment={"TFHIFIC_MODELS": str(models_folder)},
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stderr.splitlines()[-1]

    packed = pictures.with_name("packed")
    assert loaded("compress", pictures, packed, "--model=tiny", "--verify") == b"ai_edge_litert"
    assert loaded("decompress", packed, pictures.with_name("back")) == b"ai_edge_litert"
    assert loaded("thumbnail", packed / "a.tfh") == b"ai_edge_litert"
    flags = ("--model=tiny", "--precision=bfloat16", "--overwrite")
    assert b"tensorflow" in loaded("compress", pictures / "a.png", packed, *flags).split()
