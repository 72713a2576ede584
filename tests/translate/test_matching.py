"""Each whole image is brought to today's spectrum and histogram."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from napari_stem_gan.image import LabelledImage
from napari_stem_gan.training import Stopped
from napari_stem_gan.translate.audit import audit
from napari_stem_gan.translate.matching import match_image
from napari_stem_gan.translate.patches import Normaliser
from napari_stem_gan.translate.similarity import Today
from napari_stem_gan.translate.statistics import Target

MakeCrystal = Callable[..., LabelledImage]


def test_matched_image_is_more_like_today_and_keeps_its_labels(make_crystal: MakeCrystal) -> None:
    real = [make_crystal(10 + i, side=256, noise=0.1, clouds=0.1, blur=2.0).image.data for i in range(2)]
    labelled = make_crystal(side=256, noise=0.1)
    image = Normaliser.fit([labelled.image.data]).apply(labelled.image.data)
    today, matched = Today(real), match_image(image, Target.measure(real))
    assert today.similarity([matched]).kl < 0.5 * today.similarity([image]).kl
    assert today.similarity([matched]).radial < today.similarity([image]).radial
    assert audit([labelled], [matched]).passed


def test_tiny_images_are_changed_less(make_crystal: MakeCrystal) -> None:
    target = Target.measure([np.random.default_rng(0).gamma(1.0, 1.0, (256, 256)).astype(np.float32)])
    image = np.random.default_rng(1).normal(0, 1 / 3.5, (256, 256)).astype(np.float32)
    changes = [np.abs(match_image(part, target) - part).mean() for part in (image[:40, :40], image)]
    assert changes[0] < 0.3 * changes[1]


def test_stop_ends_matching(make_crystal: MakeCrystal) -> None:
    stop, image = threading.Event(), make_crystal().image.data
    stop.set()
    with pytest.raises(Stopped):
        match_image(image, Target.measure([image]), stop=stop)
