"""The page's switch between a model's own decoder and another one for the same files."""

from __future__ import annotations

import pytest

import tfhific
from tests.clients.page import (
    choose,
    complaints,
    far_apart,
    pixels_of,
    text_of,
    wait,
    wait_for_picture,
)
from tfhific.pictures.images import read_picture

pytestmark = pytest.mark.slow


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
