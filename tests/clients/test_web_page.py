"""The built page in Chromium: files in, pictures out, by HTTP and from the file system."""

from __future__ import annotations

import functools
import http.server
import pathlib
import shutil
import subprocess
import threading
import time

import numpy as np
import pytest
from PIL import Image

import tfhific
from tests.clients import web_files
from tests.serving import pictures
from tfhific.pictures.images import Picture, encode_png, read_picture
from tfhific.pictures.profile import profile_of_code_points

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE = 120
SIZE = (180, 260)


@pytest.fixture(scope="module")
def realistic(tiny_published, tiny_model_folder, tmp_path_factory) -> pathlib.Path:
    """The folder of a decoder alone of the tiny model's files; the tiny model lies beside it."""
    folder = tmp_path_factory.mktemp("decoders")
    shutil.copytree(tiny_model_folder, folder / "tiny")
    return web_files.decoder_alone_of(tiny_published, folder / "tiny", folder / "tiny-realistic")


@pytest.fixture(scope="module")
def site(tools, tiny_model_folder, realistic, tiny_codec, photo) -> pathlib.Path:
    """The built page with the tiny model and another decoder for it, and files beside it."""
    out = tools / "site"
    command = ["node", "tools/build.js", f"--out={out}", str(realistic), str(tiny_model_folder)]
    done = subprocess.run(command, cwd=tools, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    plain = photo(*SIZE)
    alpha = np.tile(np.arange(SIZE[1]) % 256, (SIZE[0], 1)).astype(np.uint8)
    whole = Picture(pixels=plain, alpha=alpha, icc=pictures.profile(), exif=pictures.exif(1))
    (out / "plain.tfh").write_bytes(tiny_codec.compress(plain, 6.5))
    (out / "whole.tfh").write_bytes(tiny_codec.compress_picture(whole))
    (out / "damaged.tfh").write_bytes(tiny_codec.compress(plain)[:-1])
    Image.fromarray(plain).save(out / "photo.png")
    (out / "embed.html").write_text(
        "<!doctype html><title>t</title><script type=module src=tfh-img.js></script>"
        '<img src="whole.tfh" alt="first"><img src="damaged.tfh" alt="second">'
    )
    return out


@pytest.fixture(scope="module")
def address(site):
    """The address of a server of the page's folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def browser(tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium and its chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, "--window-size=1100,900", f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(DRIVER))
    opened.set_script_timeout(PATIENCE)
    saved = tmp_path / "saved"
    saved.mkdir()
    opened.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(saved)}
    )
    opened.saved = saved
    yield opened
    opened.quit()


def wait(condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def text_of(browser, identity: str) -> str:
    script = (
        f"const e = document.getElementById('{identity}'); return e.hidden ? '' : e.textContent"
    )
    return browser.execute_script(script)


def wait_for_picture(browser, name: str) -> None:
    def shown():
        assert text_of(browser, "error") == ""
        return text_of(browser, "status").startswith(f"{name} is shown")

    wait(shown)


def pixels_of(browser, selector: str) -> np.ndarray:
    """RGBA pixels of a canvas, or of an image drawn onto one."""
    values = browser.execute_script(
        """
        const drawn = document.querySelector(arguments[0]);
        const width = drawn.naturalWidth ?? drawn.width;
        const height = drawn.naturalHeight ?? drawn.height;
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext("2d");
        context.drawImage(drawn, 0, 0);
        return [width, height, ...context.getImageData(0, 0, width, height).data];
        """,
        selector,
    )
    width, height = values[:2]
    return np.array(values[2:], np.uint8).reshape(height, width, 4)


def far_apart(found: np.ndarray, expected: np.ndarray) -> int:
    return int(np.abs(found.astype(int) - expected).max())


def complaints(browser) -> list:
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def choose(browser, path: pathlib.Path) -> None:
    browser.find_element("id", "file").send_keys(str(path))


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


def fetched(browser) -> list[str]:
    """Names of the models that the page has fetched."""
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    found = [name.split("/")[-1] for name in browser.execute_script(script) if "/models/" in name]
    return sorted(name.partition(".")[2] for name in found)


def choose_decoder(browser, key: str) -> None:
    """Chooses another decoder by a key, as who sees no pointer does."""
    checked = browser.find_element("css selector", "#decoders input:checked")
    checked.send_keys(key)
    wait(lambda: "Decoding" in text_of(browser, "status") or text_of(browser, "error"))


def test_another_decoder_for_the_same_file_is_fetched_when_it_is_chosen(
    browser, address, site, tiny_codec, realistic
):
    from selenium.webdriver.common.keys import Keys

    browser.get(f"{address}/?src=plain.tfh")
    wait_for_picture(browser, "plain.tfh")
    group = browser.find_element("id", "decoders")
    labels = [label.text for label in group.find_elements("tag name", "label")]
    assert (group.aria_role, group.accessible_name) == ("group", "Decoder")
    assert labels == ["faithful", "realistic"]
    assert fetched(browser) == ["safetensors"]
    data = (site / "plain.tfh").read_bytes()
    codecs = {"tiny-realistic": tfhific.load(realistic), "tiny": tiny_codec}
    for (name, codec), key in zip(codecs.items(), (Keys.ARROW_RIGHT, Keys.ARROW_LEFT)):
        choose_decoder(browser, key)
        wait_for_picture(browser, "plain.tfh")
        assert (
            far_apart(pixels_of(browser, "#picture canvas")[..., :3], codec.decompress(data)) <= 1
        )
        facts = browser.find_elements("css selector", "#facts dd")
        assert name in [fact.text for fact in facts]
        # The focus stays where it was used.
        assert browser.switch_to.active_element.get_attribute("name") == "decoder"
        assert fetched(browser) == ["safetensors", "tiny-realistic.safetensors"]
    assert not complaints(browser)


def test_the_choice_of_a_decoder_holds_for_the_next_file_and_from_the_file_system(
    browser, site, realistic
):
    from selenium.webdriver.common.keys import Keys

    browser.get((site / "index.html").as_uri())
    choose(browser, site / "plain.tfh")
    wait_for_picture(browser, "plain.tfh")
    choose_decoder(browser, Keys.ARROW_DOWN)
    wait_for_picture(browser, "plain.tfh")
    choose(browser, site / "whole.tfh")
    wait_for_picture(browser, "whole.tfh")
    expected = tfhific.load(realistic).decompress((site / "whole.tfh").read_bytes())
    browser.find_element("id", "save-png").click()
    saved = wait(lambda: list(browser.saved.glob("whole.png")))[0]
    wait(lambda: text_of(browser, "status") == "The PNG file is written.")
    wait(lambda: saved.stat().st_size and not list(browser.saved.glob("*.crdownload")))
    assert far_apart(read_picture(saved).pixels, expected) <= 1
    assert not complaints(browser)


def test_a_decoder_that_can_not_be_fetched_is_told_and_the_picture_stays(
    browser, address, site, tiny_codec
):
    from selenium.webdriver.common.keys import Keys

    (decoder,) = site.glob("models/*.tiny-realistic.safetensors")
    browser.get(f"{address}/?src=plain.tfh")
    wait_for_picture(browser, "plain.tfh")
    decoder.rename(site / "away")
    try:
        browser.find_element("css selector", "#decoders input:checked").send_keys(Keys.ARROW_RIGHT)
        message = wait(lambda: text_of(browser, "error"))
    finally:
        (site / "away").rename(decoder)
    assert "decoder tiny-realistic is not among those of this page (404)" in message
    checked = browser.find_element("css selector", "#decoders input:checked")
    assert checked.get_attribute("value") == "faithful"
    found = pixels_of(browser, "#picture canvas")[..., :3]
    assert far_apart(found, tiny_codec.decompress((site / "plain.tfh").read_bytes())) <= 1
    choose_decoder(browser, Keys.ARROW_RIGHT)
    wait_for_picture(browser, "plain.tfh")


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
