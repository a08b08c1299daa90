"""The built page in Chromium: files in, pictures out, by HTTP and from the file system."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from tests.clients.page import (
    SIZE,
    choose,
    complaints,
    far_apart,
    pixels_of,
    text_of,
    wait,
    wait_for_picture,
)
from tests.serving import pictures
from tfhific.pictures.images import encode_png, read_picture
from tfhific.pictures.profile import profile_of_code_points

pytestmark = pytest.mark.slow


def test_a_file_named_in_the_address_is_shown_with_its_figures(browser, address, site, tiny_codec):
    browser.get(f"{address}/?src=plain.tfh")
    wait_for_picture(browser, "plain.tfh")
    data = (site / "plain.tfh").read_bytes()
    found = pixels_of(browser, "#picture canvas")
    assert far_apart(found[..., :3], tiny_codec.decompress(data)) <= 1
    facts = text_of(browser, "facts")
    bits_per_pixel = f"{8 * len(data) / (SIZE[0] * SIZE[1]):.3f}"
    for figure in ("260", "180", bits_per_pixel, "6.5", "tiny"):
        assert figure in facts
    assert not complaints(browser)


def test_the_page_works_from_the_file_system_and_saves_png(browser, site, tiny_codec):
    browser.get((site / "index.html").as_uri())
    choose(browser, site / "whole.tfh")
    wait_for_picture(browser, "whole.tfh")
    browser.find_element("id", "save-png").click()
    saved = wait(lambda: list(browser.saved.glob("whole.png")))[0]
    wait(lambda: text_of(browser, "status") == "The PNG file is written.")
    wait(lambda: saved.stat().st_size and not list(browser.saved.glob("*.crdownload")))
    expected = tiny_codec.decompress_picture((site / "whole.tfh").read_bytes())
    found = read_picture(saved)
    assert far_apart(found.pixels, expected.pixels) <= 1
    assert np.array_equal(found.alpha, expected.alpha)
    assert found.icc == expected.icc
    assert found.exif.removeprefix(b"Exif\0\0") == expected.exif.removeprefix(b"Exif\0\0")
    assert not complaints(browser)


def test_what_cannot_be_shown_is_said_in_one_line_and_the_next_file_opens(browser, address, site):
    browser.get(address)
    cases = [("damaged.tfh", "checksum"), ("page.css", "can't read")]
    for name, words in cases:
        choose(browser, site / name)
        message = wait(lambda: text_of(browser, "error"))
        assert words in message
        assert "\n" not in message
    choose(browser, site / "plain.tfh")
    wait(lambda: text_of(browser, "error") == "")
    wait_for_picture(browser, "plain.tfh")
    browser.get(f"{address}/?src=none.tfh")
    assert "404" in wait(lambda: text_of(browser, "error"))


def test_a_photo_is_compressed_to_a_file_that_the_codec_reads(browser, address, site, tiny_codec):
    browser.get(address)
    choose(browser, site / "photo.png")
    wait_for_picture(browser, "photo.tfh")
    assert (
        far_apart(
            pixels_of(browser, "#picture .original")[..., :3],
            read_picture(site / "photo.png").pixels,
        )
        == 0
    )
    browser.find_element("id", "save-tfh").click()
    saved = wait(lambda: list(browser.saved.glob("photo.tfh")))[0]
    wait(lambda: saved.stat().st_size)
    decoded = tiny_codec.decompress(saved.read_bytes())
    assert far_apart(pixels_of(browser, "#picture canvas")[..., :3], decoded) <= 1


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_photo_keeps_its_profile_its_samples_and_its_exif(
    kind, browser, address, site, tiny_codec, photo
):
    # Display P3: samples that a browser made sRGB of would be others.
    icc = profile_of_code_points(12, 13)
    path = site / f"profiled.{kind}"
    options = {"quality": 100, "subsampling": 0} if kind == "jpg" else {}
    image = Image.fromarray(photo(*SIZE))
    image.save(path, icc_profile=icc, exif=pictures.exif(6), **options)
    expected = read_picture(path)
    assert expected.icc == icc
    browser.get(address)
    choose(browser, path)
    wait_for_picture(browser, "profiled.tfh")
    assert "ICC profile, EXIF" in text_of(browser, "facts")
    browser.find_element("id", "save-tfh").click()
    saved = wait(lambda: list(browser.saved.glob("profiled.tfh")))[0]
    wait(lambda: saved.stat().st_size)
    found = tiny_codec.decompress_picture(saved.read_bytes())
    assert (found.icc, found.exif) == (expected.icc, expected.exif)
    own = tiny_codec.decompress(tiny_codec.compress(expected.pixels, 5.0))
    # A latent at the edge between two symbols may fall to either side of it.
    assert np.abs(found.pixels.astype(int) - own).mean() < 0.2
    assert not complaints(browser)


def test_a_dropped_file_is_shown(browser, address):
    browser.get(address)
    browser.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        fetch("whole.tfh").then((answer) => answer.blob()).then((blob) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([blob], "dropped.tfh"));
          for (const kind of ["dragenter", "dragover", "drop"]) {
            const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
            document.body.dispatchEvent(event);
          }
          done();
        });
        """
    )
    wait_for_picture(browser, "dropped.tfh")
    assert "alpha, ICC profile, EXIF" in text_of(browser, "facts")


def test_images_of_a_page_are_shown_and_damaged_ones_say_why(browser, address, site, tiny_codec):
    browser.get(f"{address}/embed.html")
    script = "return document.querySelector('img').naturalWidth"
    wait(lambda: browser.execute_script(script) == SIZE[1])
    # Drawn on a canvas, colours are premultiplied by alpha: only where that is all are they kept.
    expected = tiny_codec.decompress_picture((site / "whole.tfh").read_bytes())
    found = pixels_of(browser, "img")
    assert np.array_equal(found[..., 3], expected.alpha)
    opaque = expected.alpha == 255
    assert far_apart(found[opaque][:, :3], expected.pixels[opaque]) <= 2
    second = "return document.querySelectorAll('img')[1].title"
    assert "checksum" in wait(lambda: browser.execute_script(second))
    assert encode_png(expected).startswith(b"\x89PNG")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_passes_the_accessibility_check(scheme, browser, address, tools):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(f"{address}/?src=plain.tfh")
    wait_for_picture(browser, "plain.tfh")
    browser.execute_script((tools / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    faults = [(fault["id"], fault["nodes"][0]["html"]) for fault in found["violations"]]
    assert faults == []


def test_every_control_is_reached_by_keyboard(browser, address):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.get(f"{address}/?src=plain.tfh")
    wait_for_picture(browser, "plain.tfh")
    reached = []
    for _ in range(3):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.append(browser.switch_to.active_element.get_attribute("id"))
    assert reached == ["file", "decoder-0", "save-png"]


def test_a_large_picture_is_decoded_in_strips_while_the_page_stays_responsive(
    browser, address, site, tiny_codec, photo
):
    (site / "large.tfh").write_bytes(tiny_codec.compress(np.tile(photo(250, 250), (8, 8, 1))))
    browser.get(address)
    browser.execute_script(
        """
        window.longest = 0; window.ticks = 0;
        let last = performance.now();
        setInterval(() => {
          const now = performance.now();
          window.longest = Math.max(window.longest, now - last);
          window.ticks++;
          last = now;
        }, 10);
        """
    )
    start = time.monotonic()
    choose(browser, site / "large.tfh")
    wait_for_picture(browser, "large.tfh")
    seconds = time.monotonic() - start
    longest, ticks = browser.execute_script("return [window.longest, window.ticks]")
    # Strips of several workers: every 97th row, so that some of each are seen.
    rows = list(range(0, 2000, 97))
    found = browser.execute_script(
        """
        const context = document.querySelector("#picture canvas").getContext("2d");
        return arguments[0].map((row) => [...context.getImageData(0, row, 2000, 1).data]);
        """,
        rows,
    )
    found = np.array(found, np.uint8).reshape(len(rows), 2000, 4)[..., :3]
    expected = tiny_codec.decompress((site / "large.tfh").read_bytes())
    assert far_apart(found, expected[rows]) <= 1
    assert ticks > 5
    assert longest / 1000 < max(0.5 * seconds, 1.0)
