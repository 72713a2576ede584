from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import shift as shifted

from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.crystal.match import match
from napari_stem_gan.detect.registration import register
from napari_stem_gan.image import STEMImage

SIZE_A = 0.2
PLACES = np.array([[60.0, 70.0], [150.0, 110.0], [90.0, 200.0]])


@pytest.fixture
def wide(draw_crystal):
    """A specimen larger than a frame, with defects and contamination to tell cells by."""
    return draw_crystal(
        shape=(360, 400), pixel_size_A=SIZE_A, single_vacancy=0.05, dose_e_per_A2=2e5, contamination=0.3
    ).image.data


def frames_of(data, drifts):
    """Frames that see a specimen through a window that drifts: what lies at p in the first lies at p − drift."""
    rng, frames = np.random.default_rng(0), []
    for index, (y, x) in enumerate(drifts):
        part = shifted(data, (-y, -x), order=3, mode="nearest")[60:300, 60:330]
        noisy = (part + rng.normal(0, 0.02 * part.std(), part.shape)).astype(np.float32)
        frames.append(STEMImage(data=noisy, pixel_size_A=SIZE_A, name="stack", frame=index))
    return frames


DRIFTS = [(0.0, 0.0), (3.3, -5.1), (20.4, 14.2), (38.7, 33.5)]


def test_a_drift_of_more_than_a_cell_is_found_to_a_part_of_a_pixel(wide):
    frames = frames_of(wide, DRIFTS)
    placings = register(frames, [match(f, MatchConfig(material="WSe2")) for f in frames])
    for placing, drift in zip(placings, DRIFTS, strict=True):
        np.testing.assert_allclose(placing.to_reference(PLACES - drift), PLACES, atol=0.6)


def test_another_cell_of_the_same_lattice_is_the_same_place(wide):
    frames = frames_of(wide, DRIFTS[:2])
    first, second = (match(f, MatchConfig(material="WSe2")) for f in frames)
    a1, a2 = second.lattice_vectors_px
    other = replace(second, lattice_vectors_px=np.array([-a1 - a2, a1]), origin_px=second.origin_px + 3 * a1 - a2)
    placing = register(frames, [first, other])[1]
    np.testing.assert_allclose(placing.to_reference(PLACES - DRIFTS[1]), PLACES, atol=0.6)


def test_frames_without_a_lattice_follow_the_picture(wide):
    frames = frames_of(wide, DRIFTS[:3])
    found = [match(f, MatchConfig(material="WSe2")) for f in frames]
    lost = [found[0], replace(found[1], accepted=False), replace(found[2], accepted=False)]
    for placing, drift in zip(register(frames, lost), DRIFTS, strict=False):
        np.testing.assert_allclose(placing.to_reference(PLACES - drift), PLACES, atol=2.0)


def test_there_and_back_is_the_same_place(wide):
    frames = frames_of(wide, DRIFTS[:2])
    placing = register(frames, [match(f, MatchConfig(material="WSe2")) for f in frames])[1]
    np.testing.assert_allclose(placing.from_reference(placing.to_reference(PLACES)), PLACES, atol=0.05)


def test_frames_of_different_shapes_are_refused(wide):
    frames = frames_of(wide, DRIFTS[:2])
    frames[1] = replace(frames[1], data=frames[1].data[:200])
    with pytest.raises(ValueError, match="one shape"):
        register(frames, [match(f, MatchConfig(material="WSe2")) for f in frames])


def test_a_hot_pixel_that_stays_does_not_hold_the_frames(wide):
    frames = frames_of(wide, DRIFTS[:3])
    for frame in frames:
        frame.data[120, 140] = 1e7
    lost = [replace(match(f, MatchConfig(material="WSe2")), accepted=False) for f in frames]
    for placing, drift in zip(register(frames, lost), DRIFTS, strict=False):
        np.testing.assert_allclose(placing.to_reference(PLACES - drift), PLACES, atol=2.0)
