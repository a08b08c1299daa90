"""Systems and their settings by name."""

from __future__ import annotations

import pytest

from tfhific import systems
from tfhific.errors import TfhificError
from tfhific.models.mini import Mini, MiniConfig


def test_settings_replace_defaults():
    assert systems.configuration("mini") == MiniConfig()
    changed = systems.configuration("mini", {"latent_channels": 48, "lambda_max": 0.1})
    assert changed == MiniConfig(latent_channels=48, lambda_max=0.1)


def test_system_is_made_of_its_configuration(tiny_config):
    model = systems.create("mini", tiny_config, clip_norm=0.5)
    assert isinstance(model, Mini)
    assert model.config == tiny_config
    assert model.clip_norm == 0.5


def test_unknown_systems_and_settings_are_told():
    with pytest.raises(TfhificError, match="mini"):
        systems.configuration("maxi")
    with pytest.raises(TfhificError, match=r"no setting depth, width\. It has: .*latent_channels"):
        systems.configuration("mini", {"width": 3, "depth": 4, "num_blocks": 2})
