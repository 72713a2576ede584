"""A session of two small images, and models whose networks know nothing yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.fcn import make_network
from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.fusion import CLASSES, FEATURES, fit_fusion
from napari_stem_gan.translate.cyclegan import CycleGAN
from napari_stem_gan.workflow import SessionModel


@pytest.fixture
def images(draw_crystal):
    """Two WSe2 images of one session, named as a user names files."""
    drawn = [
        draw_crystal(shape=(160, 176), single_vacancy=0.05, dose_e_per_A2=5e4, contamination=0.1, seed=s)
        for s in (1, 2)
    ]
    return [replace(d.image, name=f"day_a_WSe2_{i:03d}") for i, d in enumerate(drawn, 1)]


@pytest.fixture
def matches(images):
    return [match(i, MatchConfig(material="WSe2")) for i in images]


@pytest.fixture
def finder() -> Finder:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    data = {r: (rng.normal(size=(40, FEATURES)), np.arange(40) % len(c)) for r, c in CLASSES.items()}
    return Finder(make_network().state_dict(), fit_fusion(data, iterations=1), "cpu")


@pytest.fixture
def model(finder) -> SessionModel:
    torch.manual_seed(1)
    return SessionModel(finder, CycleGAN(device="cpu"), {"finder": "as shipped"})
