"""The page in Chromium: swiped, zoomed, leafed through and hovered, without a network."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory, photo):
    """A page of two pictures of the names and sizes that people have, by two codecs."""
    from tfhific.evaluation import evaluate

    folder = tmp_path_factory.mktemp("report")
    (folder / "in").mkdir()
    for seed, (name, size) in enumerate(
        [("one & <two>.png", (300, 400)), ("upright.png", (420, 280))]
    ):
        Image.fromarray(photo(*size, seed)).save(folder / "in" / name)
    done = evaluate(
        data=str(folder / "in"),
        codecs=["jpeg", "webp"],
        ladders={"jpeg": [8, 20, 40, 70], "webp": [5, 30, 60, 80]},
        memory=False,
    )
    done.save(str(folder / "out"))
    return folder / "out" / "report.html"


@pytest.fixture
def open_page(report, tmp_path):
    """A function that opens the page: `open_page(width, height, dark=False)`."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium and its chromedriver are not installed")
    opened = []

    def open_it(width=1280, height=900, dark=False):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        profile = tmp_path / f"profile{len(opened)}"
        for flag in (*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        if width < 600:
            screen = {"width": width, "height": height, "pixelRatio": 2, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": screen})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        browser = webdriver.Chrome(options=options, service=Service(DRIVER))
        opened.append(browser)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        # Scrolling must have ended when something is clicked on.
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, still]})
        browser.get("about:blank")
        browser.get_log("performance")  # of the browser's own first page
        browser.get(report.as_uri())
        wait(lambda: browser.execute_script("return document.querySelector('#chart svg') !== null"))
        return browser

    yield open_it
    for browser in opened:
        browser.quit()


def wait(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def text(browser, name):
    return browser.execute_script(f"return document.getElementById('{name}').textContent")


def value(browser, name, attribute):
    return browser.find_element("id", name).get_attribute(attribute)


def keys(browser, name, *pressed):
    browser.find_element("id", name).send_keys(*pressed)


def check_quiet(browser):
    """No errors on the console, and nothing asked for but the page and what is inside it."""
    assert browser.get_log("browser") == []
    asked = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"].split(":")[0])
    assert asked <= {"file", "data"}


def test_everything_is_reached_with_the_pointer(open_page):
    from selenium.webdriver import ActionChains

    browser = open_page()
    stage = browser.find_element("id", "stage")
    handle = browser.find_element("id", "handle")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    assert value(browser, "handle", "aria-valuenow") == "50"
    ActionChains(browser).drag_and_drop_by_offset(handle, -100, 0).perform()
    assert int(value(browser, "handle", "aria-valuenow")) < 35
    clip = browser.execute_script("return document.getElementById('layer-right').style.clipPath")
    assert clip.startswith("inset(")

    before = value(browser, "image-left", "src")
    browser.find_element("id", "next").click()
    assert value(browser, "image-left", "src") != before
    assert value(browser, "image-left", "alt") == "upright.png, original"
    loaded = "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
    wait(lambda: browser.execute_script(loaded))

    browser.find_element("id", "zoom-in").click()
    assert text(browser, "zoom") == "200 %"
    moved = browser.execute_script("return document.getElementById('image-left').style.transform")
    ActionChains(browser).drag_and_drop_by_offset(stage, -90, -40).perform()
    transforms = [
        browser.execute_script(f"return document.getElementById('image-{s}').style.transform")
        for s in ("left", "right")
    ]
    assert transforms[0] == transforms[1]
    assert "scale(2)" in transforms[0]
    assert transforms[0] != moved

    chart = browser.find_element("css selector", "#chart svg")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    for mark in browser.find_elements("css selector", "#chart .mark"):
        ActionChains(browser).move_to_element(mark).perform()
        wait(lambda: browser.find_element("id", "tip").is_displayed())
        tip = text(browser, "tip")
        assert "bpp" in tip
        assert "PSNR over RGB" in tip
    check_quiet(browser)


def test_everything_is_reached_with_the_keyboard(open_page):
    from selenium.webdriver.common.keys import Keys

    browser = open_page()
    keys(browser, "handle", Keys.ARROW_LEFT * 5)
    assert value(browser, "handle", "aria-valuenow") == "40"
    keys(browser, "handle", Keys.HOME)
    assert value(browser, "handle", "aria-valuenow") == "0"
    keys(browser, "stage", "+")
    assert text(browser, "zoom") == "200 %"
    keys(browser, "stage", "++++")
    assert text(browser, "zoom") == "800 %"
    keys(browser, "stage", "-----")
    assert text(browser, "zoom").startswith("fit")
    keys(browser, "stage", Keys.PAGE_DOWN)
    assert value(browser, "image-left", "alt") == "upright.png, original"
    keys(browser, "stage", Keys.PAGE_DOWN)
    assert value(browser, "image-left", "alt") == "one & <two>.png, original"
    assert "jpeg" in text(browser, "tag-right")
    keys(browser, "stage", "2")
    assert "webp" in text(browser, "tag-right")
    bytes_before = text(browser, "tag-right")
    keys(browser, "stage", "]")
    assert text(browser, "tag-right") != bytes_before
    keys(browser, "stage", "d")
    mode = "return document.getElementById('layer-right').style.mixBlendMode"
    assert browser.execute_script(mode) == "difference"
    assert not browser.find_element("id", "handle").is_displayed()
    keys(browser, "stage", "d")
    keys(browser, "stage", "f")
    assert not browser.find_element("id", "layer-right").is_displayed()

    browser.execute_script("document.querySelector('#chart svg').focus()")
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    first = text(browser, "chart-values")
    assert first.startswith("jpeg, 20")
    ActionChains(browser).send_keys(Keys.ARROW_DOWN).perform()
    assert text(browser, "chart-values").startswith("webp")
    check_quiet(browser)


def test_controls_can_be_reached_by_tabbing(open_page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser = open_page()
    reached = set()
    for _ in range(60):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.add(browser.execute_script("return document.activeElement.id"))
    assert {"previous", "picture", "next", "left", "right", "zoom-in", "stage", "handle"} <= reached


def test_difference_of_a_picture_from_itself_is_black(open_page):
    browser = open_page()
    browser.execute_script(
        "const side = document.getElementById('right'); side.value = '';"
        "side.dispatchEvent(new Event('change'))"
    )
    stage = browser.find_element("id", "stage")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    wait(lambda: browser.execute_script("return document.getElementById('image-right').complete"))
    keys(browser, "stage", "d")
    import io

    shown = np.asarray(Image.open(io.BytesIO(stage.screenshot_as_png)).convert("RGB"))
    assert shown[60:-60, 60:-60].max() <= 2
    keys(browser, "stage", "1")
    wait(lambda: browser.execute_script("return document.getElementById('image-right').complete"))
    shown = np.asarray(Image.open(io.BytesIO(stage.screenshot_as_png)).convert("RGB"))
    assert shown[60:-60, 60:-60].max() > 20


@pytest.mark.parametrize("dark", [False, True])
def test_page_fits_a_phone_in_light_and_dark(dark, open_page):
    browser = open_page(390, 844, dark)
    widths = "return [document.documentElement.scrollWidth, window.innerWidth]"
    assert browser.execute_script(widths) == [390, 390]
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, ground[4:-1].split(","))) / 3
    assert (brightness < 60) is dark
    small = browser.execute_script(
        "return [...document.querySelectorAll('button, select')].filter(e => e.offsetHeight && "
        "e.getBoundingClientRect().height < 28).length"
    )
    assert small == 0
    browser.find_element("id", "next").click()
    assert value(browser, "image-left", "alt") == "upright.png, original"
    for button in browser.find_elements("css selector", "#metric-buttons button"):
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
    check_quiet(browser)
