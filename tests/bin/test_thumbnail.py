"""`bin/thumbnail.py`, and the files by which a desktop calls it."""

from __future__ import annotations

import configparser
import io
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.serving import pictures
from tfhific.bitstream import container
from tfhific.commands.thumbnail import shrunk
from tfhific.pictures.images import Picture
from tfhific.pillow import EXTENSION, MIME_TYPE

ROOT = pathlib.Path(__file__).resolve().parents[2]
DESKTOP = ROOT / "deploy" / "desktop"
MIME = "{http://www.freedesktop.org/standards/shared-mime-info}"


@pytest.fixture
def file(tiny_codec, photo, tmp_path) -> pathlib.Path:
    path = tmp_path / "a picture.tfh"
    path.write_bytes(tiny_codec.compress(photo(60, 120), 5.0))
    return path


def test_the_small_picture_is_the_decoded_one_made_small(file, tiny_codec, call_script):
    out = file.with_name("out.png")
    done = call_script("thumbnail", file, out, "--size=40")
    assert (done.code, done.err) == (0, "")
    wanted = Image.fromarray(tiny_codec.decompress(file.read_bytes()))
    wanted.thumbnail((40, 40))
    with Image.open(out) as found:
        assert (found.format, found.mode, found.size) == ("PNG", "RGB", (40, 20))
        assert np.array_equal(np.asarray(found), np.asarray(wanted))


def test_a_picture_that_is_small_already_keeps_its_size(file, call_script):
    assert call_script("thumbnail", file).code == 0
    with Image.open(file.with_suffix(".thumbnail.png")) as found:
        assert found.size == (120, 60)


def test_a_folder_gives_a_folder_and_what_is_there_is_left_alone(file, call_script, tiny_codec):
    again = file.with_name("b.tfh")
    again.write_bytes(tiny_codec.compress(np.zeros([9, 200, 3], np.uint8)))
    out = file.parent / "small"
    done = call_script("thumbnail", file.parent, out, "--size=20", "--json")
    assert done.code == 0, done.err
    facts = [json.loads(line) for line in done.out.splitlines()]
    assert [(each["width"], each["height"]) for each in facts] == [(20, 10), (20, 1)]
    found = {path: path.read_bytes() for path in out.iterdir()}
    assert len(found) == 2
    assert call_script("thumbnail", file.parent, out, "--size=30").code == 0
    assert {path: path.read_bytes() for path in out.iterdir()} == found


def test_standard_input_and_output_have_the_file_and_nothing_else(file, run_script):
    done = run_script("thumbnail", "-", "-", "--size=16", stdin=file.read_bytes())
    assert done.returncode == 0, done.stderr.decode()
    with Image.open(io.BytesIO(done.stdout)) as found:
        assert (found.format, found.size) == ("PNG", (16, 8))


def test_transparency_stays_and_hidden_colours_do_not_bleed():
    pixels = np.zeros([64, 64, 3], np.uint8)
    pixels[:, :32], pixels[:, 32:] = (255, 0, 0), (0, 255, 0)
    alpha = np.zeros([64, 64], np.uint8)
    alpha[:, :32] = 255
    small = np.asarray(shrunk(Picture(pixels, alpha), 7)).astype(int)
    seen = small[small[..., 3] > 0]
    assert (seen[:, 0] >= 250).all()
    assert (seen[:, 1] <= 5).all()
    assert {0, 255} <= set(small[..., 3].ravel())


def test_colours_of_a_profile_become_those_of_srgb_and_metadata_goes(photo):
    icc = pictures.profile()
    picture = Picture(photo(40, 60), np.full([40, 60], 128, np.uint8), icc, pictures.exif(1))
    small = shrunk(picture, 60)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    plain = Image.fromarray(picture.pixels)
    wanted = ImageCms.profileToProfile(plain, profile, ImageCms.createProfile("sRGB"))
    assert np.array_equal(np.asarray(small)[..., :3], np.asarray(wanted))
    assert (np.asarray(small)[..., 3] == 128).all()
    assert dict(small.info) == {}
    unusable = shrunk(Picture(picture.pixels, icc=b"no profile"), 60)
    assert np.array_equal(np.asarray(unusable), picture.pixels)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Expected an input"),
        (["a picture.tfh", "out.jpg"], "out.jpg"),
        (["a picture.tfh", "there.png"], "there.png: is there already"),
        (["a picture.tfh", "a picture.tfh", "--overwrite", "--force_name"], "input"),
        (["a picture.tfh", "out.png", "--size=0"], "--size"),
        (["cut.tfh", "out.png"], "cut.tfh: The file is"),
        (["none.tfh", "out.png"], "none.tfh"),
        (["a picture.tfh", "out.png", "--max_pixels=100"], "limit of 100"),
    ],
)
def test_mistakes_are_told_in_one_line_and_change_no_file(
    arguments, said, file, call_script, monkeypatch
):
    monkeypatch.chdir(file.parent)
    pathlib.Path("cut.tfh").write_bytes(file.read_bytes()[:-20])
    pathlib.Path("there.png").write_bytes(b"there")
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    done = call_script("thumbnail", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done.err
    assert said in done.err
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before


def test_the_desktops_entry_makes_a_small_picture_in_a_file_that_is_there(
    file, clean_shell, models_folder, tmp_path
):
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str
    entry.read(DESKTOP / "tfhific.thumbnailer", encoding="utf-8")
    (name,) = entry.sections()
    assert name == "Thumbnailer Entry"
    facts = entry[name]
    assert facts["MimeType"] == f"{MIME_TYPE};"
    assert facts["TryExec"] == shlex.split(facts["Exec"])[0] == "tfhific"
    # As gnome-desktop does it: a file is there, and its name has no ending.
    out = tmp_path / ".thumbnail.X3KQ1Z"
    out.touch()
    filled = {"%s": "32", "%i": str(file), "%o": str(out)}
    _, *arguments = (filled.get(word, word) for word in shlex.split(facts["Exec"]))
    arguments = [word.replace("%s", filled["%s"]) for word in arguments]
    assert not any("%" in word for word in arguments)
    done = subprocess.run(
        [sys.executable, "-m", "tfhific", *arguments],
        env=clean_shell(PYTHONPATH=ROOT, TFHIFIC_MODELS=models_folder),
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    with Image.open(out) as found:
        assert (found.format, found.size) == ("PNG", (32, 16))


def mime_type() -> ElementTree.Element:
    root = ElementTree.parse(DESKTOP / "tfhific.xml").getroot()
    assert root.tag == f"{MIME}mime-info"
    (kind,) = root
    return kind


def test_the_types_magic_is_that_of_every_readable_version_and_of_no_other(file):
    kind = mime_type()
    assert kind.get("type") == MIME_TYPE
    assert [glob.get("pattern") for glob in kind.iter(f"{MIME}glob")] == [f"*{EXTENSION}"]
    values = []
    for match in kind.iter(f"{MIME}match"):
        assert (match.get("type"), match.get("offset")) == ("string", "0")
        values.append((match.get("value") or "").encode().decode("unicode_escape").encode("latin1"))
    assert values == [container.MAGIC + bytes([number]) for number in container.READABLE_VERSIONS]
    assert file.read_bytes().startswith(values[-1])


def test_the_types_file_is_taken_by_the_desktops_own_program(tmp_path, clean_shell):
    program = shutil.which("update-mime-database")
    if program is None:
        pytest.skip("needs update-mime-database, which is not installed")
    folder = tmp_path / "mime"
    (folder / "packages").mkdir(parents=True)
    shutil.copy(DESKTOP / "tfhific.xml", folder / "packages")
    done = subprocess.run(
        [program, folder],
        env=clean_shell(XDG_DATA_HOME=tmp_path),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    assert f":{MIME_TYPE}:*{EXTENSION}\n" in (folder / "globs2").read_text()
    magic = (folder / "magic").read_bytes()
    assert f"[60:{MIME_TYPE}]\n".encode() in magic
    assert b">0=\0\4TFH\1" in magic
