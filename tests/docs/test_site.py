"""The documentation's site is built without a warning, and asks for nothing outside of itself."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _mkdocs() -> str | None:
    """The program, from the environment of CONTRIBUTING.md, or where MKDOCS or the PATH say."""
    own = ROOT / ".venv-docs" / "bin" / "mkdocs"
    return str(own) if own.exists() else os.environ.get("MKDOCS") or shutil.which("mkdocs")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> pathlib.Path:
    """The site, built strictly in an environment without TensorFlow."""
    program = _mkdocs()
    if program is None or not (ROOT / "mkdocs.yml").exists():
        pytest.skip("needs mkdocs: pip install -r requirements-docs.txt into .venv-docs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [program, "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.slow
def test_pages_ask_for_nothing_outside_of_the_site(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|link|iframe)[^>]*?(?:src|href)=\"([^\"]*)\"", text)
        assert loaded
        outside = [address for address in loaded if re.match(r"(?:https?:)?//", address)]
        assert not outside, f"{page.name} loads {outside}"


@pytest.mark.slow
def test_files_that_pages_load_or_link_to_are_there(site):
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue  # its addresses begin at a server's root
        text = page.read_text(encoding="utf-8")
        for address in re.findall(r"(?:src|href)=\"([^\"#:?]+)[#\"]", text):
            assert (page.parent / address).exists(), f"{page.name}: {address}"


@pytest.mark.slow
def test_the_reference_has_signatures_docstrings_and_types(site):
    for page, *wanted in (
        ("tfhific", "load_for", "BitstreamError", "found by its fingerprint"),
        ("codec", "decompress", "uint8"),
        ("tfc_port/layers", "SignalConv2D", "strides_down"),
        ("tfc_port/coding", "choose_streams", "allowance"),
    ):
        text = (site / "api" / f"{page}.html").read_text(encoding="utf-8")
        for each in wanted:
            assert each in text, f"{page} lacks {each}"


@pytest.mark.slow
def test_search_finds_pages_that_are_opened_from_disk(site):
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or browser is None:
        pytest.skip("needs chromium and chromium-driver")
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    service = webdriver.ChromeService(driver)
    with webdriver.Chrome(options=options, service=service) as chrome:
        chrome.set_window_size(1300, 900)
        chrome.get((site / "training.html").as_uri())
        field = chrome.find_element(By.CSS_SELECTOR, "input.md-search__input")
        chrome.execute_script("arguments[0].focus()", field)
        field.send_keys("fingerprint")
        found = WebDriverWait(chrome, 60).until(
            lambda _: chrome.find_elements(By.CSS_SELECTOR, "a.md-search-result__link")
        )
        targets = {each.get_attribute("href").partition("?")[0] for each in found}
    assert (site / "format.html").as_uri() in {target.partition("#")[0] for target in targets}
