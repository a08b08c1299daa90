"""The web page: the tools that build it, a built one, its address, and a browser."""

from __future__ import annotations

import functools
import http.server
import pathlib
import shutil
import subprocess
import threading

import numpy as np
import pytest
from PIL import Image

from tests.clients import web_files
from tests.clients.page import PATIENCE, SIZE
from tests.serving import pictures
from tfhific.pictures.images import Picture

WEB = pathlib.Path(__file__).resolve().parents[2] / "clients" / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def tools(tmp_path_factory) -> pathlib.Path:
    """A copy of the module's folder with its build tools."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js and npm, which are not installed")
    copy = tmp_path_factory.mktemp("web") / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    if (WEB / "node_modules" / "axe-core").is_dir():
        (copy / "node_modules").symlink_to(WEB / "node_modules")
        return copy
    if subprocess.run(["npm", "ping"], capture_output=True, check=False).returncode:
        pytest.skip("npm has no registry to install the build tools from")
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=copy, capture_output=True, check=True, timeout=600)
    return copy


@pytest.fixture(scope="session")
def realistic(tiny_published, tiny_model_folder, tmp_path_factory) -> pathlib.Path:
    """The folder of a decoder alone of the tiny model's files; the tiny model lies beside it."""
    folder = tmp_path_factory.mktemp("decoders")
    shutil.copytree(tiny_model_folder, folder / "tiny")
    return web_files.decoder_alone_of(tiny_published, folder / "tiny", folder / "tiny-realistic")


@pytest.fixture(scope="session")
def site(tools, tiny_model_folder, realistic, tiny_codec, photo) -> pathlib.Path:
    """The built page with the tiny model and another decoder for it, and files beside it."""
    out = tools / "page"
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


@pytest.fixture(scope="session")
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
