"""The scripts with models that see whole pictures: trained, published, files made and read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tfhific.bitstream import container


@pytest.fixture
def street(tmp_path, photo, label_picture):
    """A folder `street` of pictures with `street_labels` beside it."""
    for name in ("street", "street_labels"):
        (tmp_path / name).mkdir()
    for number in range(2):
        Image.fromarray(photo(64, 80, number)).save(tmp_path / "street" / f"{number}.png")
        labels = label_picture(64, 80, 5, number)
        Image.fromarray(labels).save(tmp_path / "street_labels" / f"{number}.png")
    return tmp_path / "street"


@pytest.fixture
def search_whole(whole_models_folder, monkeypatch):
    """Lets these models be found by name and by fingerprint."""

    def search():
        monkeypatch.setenv("TFHIFIC_MODELS", str(whole_models_folder))

    return search


def _pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("name", ["gc", "gc-hyper", "noisy"])
def test_gc_goes_through_the_scripts(
    name, call_script, search_whole, street, tmp_path, whole_codec
):
    search_whole()
    out = tmp_path / "out"
    done = call_script("compress", street, out, f"--model={name}", "--verify", "--json")
    assert done.code == 0, done.err
    facts = [json.loads(line) for line in done.out.splitlines()]
    assert [f["model"] for f in facts] == [name, name]
    assert all(f["quality"] is None for f in facts)
    done = call_script("decompress", out, tmp_path / "back")
    assert done.code == 0, done.err
    data = (out / "0.tfh").read_bytes()
    np.testing.assert_array_equal(
        _pixels(tmp_path / "back" / "0.png"), whole_codec(name).decompress(data)
    )
    done = call_script("info", out / "0.tfh")
    assert done.code == 0
    assert name in done.out


def test_sc_keeps_what_is_named(call_script, search_whole, street, tmp_path, whole_codec):
    search_whole()
    source, labels = street / "0.png", street.parent / "street_labels"
    flags = ("--model=sc", f"--labels={labels}", "--keep=car,pedestrian", "--keep_box=3,4,20,10")
    done = call_script("compress", source, tmp_path / "a.tfh", *flags, "--verify")
    assert done.code == 0, done.err
    data = (tmp_path / "a.tfh").read_bytes()
    from tfhific.bitstream.kept import Kept

    with Image.open(labels / "0.png") as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(whole_codec("sc").decode_labels(data), expected)
    assert container.unpack(data).kept == Kept((2, 3), ((3, 4, 20, 10),)).to_bytes()
    done = call_script("info", tmp_path / "a.tfh", "--json")
    facts = json.loads(done.out)
    assert facts["label_map_bytes"] > 0
    assert facts["kept_region_bytes"] > 0
    assert call_script("decompress", tmp_path / "a.tfh", tmp_path / "a.png").code == 0
    one = call_script("compress", street, tmp_path / "all", *flags)
    assert one.code == 0, one.err


def test_conditional_gc_sends_the_map(call_script, search_whole, street, tmp_path):
    search_whole()
    labels = street.parent / "street_labels" / "1.png"
    done = call_script(
        "compress", street / "1.png", tmp_path / "a.tfh", "--model=sent", f"--labels={labels}"
    )
    assert done.code == 0, done.err
    assert container.unpack((tmp_path / "a.tfh").read_bytes()).labels


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--model=sc",), "--labels"),
        (("--model=sc", "--labels=LABELS"), "--keep"),
        (("--model=sc", "--labels=LABELS", "--keep=boat"), "sky, road, car, pedestrian, tree"),
        (("--model=sc", "--labels=LABELS", "--keep_box=1,2,3"), "left,top,width,height"),
        (("--model=sc", "--labels=LABELS", "--keep_box=70,0,20,5"), "80x64"),
        (("--model=sc", "--labels=MISSING", "--keep=car"), "no such label map"),
        (("--model=gc", "--labels=LABELS"), "not for gc"),
        (("--model=gc", "--quality=3"), "one rate"),
        (("--model=gc", "--target_bytes=20"), "one rate"),
        (("--model=gc", "--tile=512"), "--tile"),
        (("--model=gc", "--bits=3"), "not for gc"),
        (("--model=tiny", "--keep=car"), "not for tiny"),
        (("--model=inversion", "--bits=9"), "1 to 8"),
        (("--model=inversion", "--search_loss=x"), "mse, ms_ssim, lpips"),
        (("--model=inversion", "--label=1"), "no classes"),
    ],
)
def test_mistakes_get_one_line_and_no_file(
    flags, message, call_script, whole_models_folder, models_folder, monkeypatch, street, tmp_path
):
    import os

    folders = f"{whole_models_folder}{os.pathsep}{models_folder}"
    monkeypatch.setenv("TFHIFIC_MODELS", folders)
    labels = str(street.parent / "street_labels" / "0.png")
    flags = [flag.replace("LABELS", labels).replace("MISSING", "none.png") for flag in flags]
    done = call_script("compress", street / "0.png", tmp_path / "a.tfh", *flags)
    assert done.code == 1
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (tmp_path / "a.tfh").exists()


def test_labels_of_another_size_or_unknown_classes_are_refused(
    call_script, search_whole, street, tmp_path
):
    search_whole()
    labels = tmp_path / "labels.png"
    for array, message in (
        (np.zeros([64, 79], np.uint8), "80x64 pixels. Received: 79x64"),
        (np.full([64, 80], 7, np.uint8), "classes from 0 to 4. Received: 7"),
    ):
        Image.fromarray(array).save(labels)
        done = call_script(
            "compress", street / "0.png", tmp_path / "a.tfh", "--model=sent", f"--labels={labels}"
        )
        assert done.code == 1
        assert message in done.err
        assert not (tmp_path / "a.tfh").exists()


def test_a_file_of_sc_given_to_gc_is_refused(call_script, search_whole, street, tmp_path):
    search_whole()
    labels = street.parent / "street_labels"
    flags = ("--model=sc", f"--labels={labels}", "--keep=road")
    assert call_script("compress", street / "0.png", tmp_path / "a.tfh", *flags).code == 0
    done = call_script("decompress", tmp_path / "a.tfh", tmp_path / "a.png", "--model=gc")
    assert done.code == 1
    assert "selective compression" in done.err
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("name", ["inversion", "cgan"])
def test_inverted_generators_go_through_the_scripts(
    name, call_script, search_whole, photo, tmp_path, whole_codec
):
    search_whole()
    Image.fromarray(photo(8, 8)).save(tmp_path / "a.png")
    flags = (f"--model={name}", "--bits=3", "--search_steps=5", "--restarts=2", "--verify")
    done = call_script("compress", tmp_path / "a.png", tmp_path / "a.tfh", *flags)
    assert done.code == 0, done.err
    assert whole_codec(name).decode_levels((tmp_path / "a.tfh").read_bytes())[1] == 3
    done = call_script("decompress", tmp_path / "a.tfh", tmp_path / "b.png")
    assert done.code == 0, done.err
    assert _pixels(tmp_path / "b.png").shape == (8, 8, 3)


TINY = {"width": 2, "blocks": 1, "discriminator_width": 2}


@pytest.mark.parametrize(
    ("system", "settings", "prior"),
    [
        ("gc", {**TINY, "adversarial": False}, "hyper"),
        pytest.param(
            "sc",
            {**TINY, "classes": 5, "label_width": 2, "label_features": 2},
            "static",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_extreme_systems_are_trained_published_and_used(
    system, settings, prior, run_script, call_script, monkeypatch, street, tmp_path
):
    run, models = tmp_path / "run", tmp_path / "models"
    arguments = (f"--model={system}", f"--data={street}", f"--run_dir={run}", "--steps=2")
    flags = ("--crop=64", "--bottleneck=2", "--log_every=1", f"--settings={json.dumps(settings)}")
    # In its own process: a run sets signal handlers.
    done = run_script("train", *arguments, *flags)
    assert done.returncode == 0, done.stderr.decode()
    done = call_script(
        "publish", run, "mine", f"--data={street}", f"--out={models}", f"--prior={prior}"
    )
    assert done.code == 0, done.err
    monkeypatch.setenv("TFHIFIC_MODELS", str(models))
    extra = (f"--labels={street.parent / 'street_labels'}", "--keep=1") if system == "sc" else ()
    done = call_script("compress", street, tmp_path / "out", "--model=mine", *extra, "--verify")
    assert done.code == 0, done.err
    assert call_script("decompress", tmp_path / "out", tmp_path / "back").code == 0


def test_an_inversion_is_trained_published_and_used(
    run_script, call_script, monkeypatch, street, tmp_path
):
    run, models = tmp_path / "run", tmp_path / "models"
    settings = json.dumps({"side": 16, "latent": 6, "width": 2})
    done = run_script(
        "train", "--model=inversion", f"--data={street}", f"--run_dir={run}", "--steps=2",
        "--batch_size=4", f"--settings={settings}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    done = call_script("publish", run, "mine", f"--data={street}", f"--out={models}", "--images=2")
    assert done.code == 0, done.err
    monkeypatch.setenv("TFHIFIC_MODELS", str(models))
    done = call_script("compress", street / "0.png", tmp_path / "a.tfh", "--search_steps=3",
                       "--model=mine")  # fmt: skip
    assert done.code == 0, done.err
    assert call_script("decompress", tmp_path / "a.tfh", tmp_path / "a.png").code == 0
    assert _pixels(tmp_path / "a.png").shape == (64, 80, 3)
