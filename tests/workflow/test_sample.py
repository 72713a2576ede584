import csv
from importlib.resources import files

import numpy as np
import pytest

from napari_stem_gan.image import STEMImage
from napari_stem_gan.workflow import describe, sample_images


def image(shape=(64, 64), nm=0.0207):
    data = np.random.default_rng(0).random(shape, dtype=np.float32)
    return STEMImage(data=data, pixel_size_A=None if nm is None else 10 * nm)


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ([], "no image"),
        ([image()], "1 image, 64×64, 0.0207 nm/px"),
        ([image((1024, 1024))] * 3, "3 images, 1024×1024, 0.0207 nm/px"),
        ([image(), image(), image((64, 80))], "3 images, 64×64 and other sizes, 0.0207 nm/px"),
        ([image(nm=None)], "1 image, 64×64, pixel size unknown"),
        ([image(), image(nm=None)], "2 images, 64×64, pixel size of some unknown"),
        ([image(nm=0.02), image(nm=0.03)], "2 images, 64×64, 0.0200 to 0.0300 nm/px"),
    ],
)
def test_a_session_is_described_in_one_line(images, told):
    assert describe(images) == told


def test_the_embedded_session_can_be_used_offline_and_has_its_truth_beside_it():
    images = sample_images()
    assert len(images) == 2
    for image, number in zip(images, (1, 2), strict=True):
        assert 0.1 < image.pixel_size_A < 0.3
        truth = files("napari_stem_gan") / "sample" / f"sample_WSe2_{number}.truth.csv"
        rows = list(csv.DictReader(truth.read_text(encoding="utf-8").splitlines()))
        assert len(rows) > 5
        positions = np.array([(float(r["y_px"]), float(r["x_px"])) for r in rows])
        assert (positions > -1).all()
        assert (positions < np.array(image.shape)).all()
