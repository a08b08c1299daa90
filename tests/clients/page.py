"""What the page in a browser shows, and what is done with it."""

from __future__ import annotations

import pathlib
import time

import numpy as np

PATIENCE = 120
"""Seconds that a page is waited for."""

SIZE = (180, 260)
"""Rows and columns of the pictures beside the page."""


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
