"""A matched crystal with known vacancies, and a finder whose network knows nothing yet."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.fcn import make_network
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.fusion import CLASSES, FEATURES, fit_fusion


@pytest.fixture
def vacancies(draw_crystal):
    """A WSe2 image with about 20 V_Se and counting noise, and its match."""
    drawn = draw_crystal(single_vacancy=0.08, dose_e_per_A2=5e4, seed=1)
    return drawn, match(drawn.image, MatchConfig(material="WSe2"))


@pytest.fixture
def new_finder() -> Finder:
    """Random network, and a fusion fitted to random sites."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    data = {r: (rng.normal(size=(40, FEATURES)), np.arange(40) % len(c)) for r, c in CLASSES.items()}
    return Finder(make_network().state_dict(), fit_fusion(data, iterations=1), "cpu")
