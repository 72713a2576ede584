import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from napari_stem_gan.crystal.config import DefectConfig, SpecimenConfig
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import ContaminationConfig, DetectorConfig, ScanConfig
from napari_stem_gan.detect.labels import true_sites
from napari_stem_gan.simulate.batch import labelled_batch
from napari_stem_gan.simulate.config import OpticsConfig
from napari_stem_gan.simulate.pairs import degrade, ideal_image
from napari_stem_gan.simulate.scene import Degradation, Field, Scene

HEAVY = Degradation(
    contamination=ContaminationConfig(amount=0.4, clusters_per_100nm2=20.0),
    scan=ScanConfig(
        jitter_x_px=0.4, jitter_y_px=0.3, jitter_correlation=0.5, smear_px=0.8, ringing=0.2, drift_shear=0.02,
        flyback_px=1.5, frame_drift_px=0.4,
    ),
    detector=DetectorConfig(
        dose_e_per_A2=2e4, frames=3, pmt_spread=0.3, read_noise_e=1.0, tail_px=0.6, row_noise=0.01, row_offset_e=1.0,
        row_line_fraction=0.01, bad_pixel_fraction=0.001, gain=2.0, offset=10.0, saturation_e=4000.0, quantisation=0.5,
    ),
)  # fmt: skip
LIGHT = Degradation(scan=ScanConfig(jitter_x_px=0.2))


def field(material="WSe2", *, shape=(96, 112), pixel_size_A=0.2, rotation_deg=11.0):
    crystal = get_material(material)
    vectors = lattice_vectors_px(crystal, pixel_size_A, rotation_deg)
    return Field(
        material=crystal, vectors_px=vectors, origin_px=(3.0, 4.0), shape=shape, pixel_size_A=pixel_size_A
    )


def scenes():
    optics, defects = OpticsConfig(C23=300.0), DefectConfig()
    return [
        Scene(field=field(), optics=optics, defects=defects, degradation=HEAVY),
        Scene(field=field("MoS2"), optics=optics, defects=defects, degradation=LIGHT),
        Scene(field=field(pixel_size_A=0.15), optics=replace(optics, C12=10.0), defects=defects),
    ]


def rngs(count=3):
    return [np.random.default_rng(seed) for seed in range(count)]


def test_images_of_a_batch_are_those_made_one_by_one():
    for scene, rng, drawn in zip(scenes(), rngs(), labelled_batch(scenes(), rngs()), strict=True):
        alone = ideal_image(scene.field, scene.optics, scene.defects, rng)
        if scene.degradation:
            alone = degrade(alone, scene.degradation, rng)
        scale = alone.image.data.std()
        assert np.quantile(np.abs(drawn.image.data - alone.image.data), 0.999) < 1e-3 * scale
        assert drawn.defects == alone.defects
        np.testing.assert_allclose(drawn.positions_px, alone.positions_px)
        assert drawn.parameters == alone.parameters


def test_the_same_seeds_make_the_same_batch():
    for first, second in zip(labelled_batch(scenes(), rngs()), labelled_batch(scenes(), rngs()), strict=True):
        np.testing.assert_array_equal(first.image.data, second.image.data)


def test_every_drawn_value_is_kept_as_json():
    drawn = labelled_batch(scenes(), rngs())[0]
    told = json.loads(json.dumps(drawn.parameters, allow_nan=False))
    assert ScanConfig(**told["degradation"]["scan"]) == HEAVY.scan
    assert DetectorConfig(**told["degradation"]["detector"]) == HEAVY.detector
    assert told["optics"] == asdict(OpticsConfig(C23=300.0))


def test_labels_and_lattice_follow_drift_and_fly_back():
    drifting = ScanConfig(drift_scale=0.05, drift_shear=-0.04, flyback_px=2.0, flyback_length_px=6.0)
    detector = DetectorConfig(dose_e_per_A2=1e8)
    none = DefectConfig(single_vacancy=0.1, double_vacancy=0, metal_vacancy=0, anion_substitution=0, jitter_A=0.0)
    scene = Scene(
        field=field(shape=(160, 160)), optics=OpticsConfig(), defects=none,
        degradation=Degradation(scan=drifting, detector=detector),
    )  # fmt: skip
    drawn = labelled_batch([scene], rngs(1))[0]
    still = labelled_batch([replace(scene, degradation=Degradation(detector=detector))], rngs(1))[0]
    inner = ((drawn.columns_px > 3) & (drawn.columns_px < 156)).all(1)
    y, x = np.rint(drawn.columns_px[inner]).astype(int).T
    assert drawn.image.data[y, x].min() > np.quantile(still.image.data, 0.5)
    assert len(drawn.defects) == len(drawn.positions_px) == len(drawn.parameters["kinds"]) > 5
    sites = true_sites(drawn).positions_px
    far = drawn.columns_px[drawn.columns_px[:, 1] > 40]
    distance = np.hypot(*(far[:, None] - sites[None]).T).min(0)
    assert distance.max() < 0.3


@pytest.mark.parametrize("frames", [1, 3])
def test_labels_follow_the_wander_of_the_scan(frames):
    none = DefectConfig(single_vacancy=0.1, jitter_A=0.0)
    still = Degradation(detector=DetectorConfig(dose_e_per_A2=1e8, frames=frames))
    scene = Scene(field=field(shape=(160, 160)), optics=OpticsConfig(), defects=none, degradation=still)
    restless = replace(still, scan=ScanConfig(wander_px=3.0, wander_rows=40.0))
    calm, drawn = (labelled_batch([replace(scene, degradation=d)], rngs(1))[0] for d in (still, restless))
    inner = ((drawn.columns_px > 3) & (drawn.columns_px < 156)).all(1)
    y, x = np.rint(drawn.columns_px[inner]).astype(int).T
    assert np.median(drawn.image.data[y, x]) > np.quantile(calm.image.data, 0.85)
    assert np.abs(drawn.columns_px[:20] - calm.columns_px[:20]).max() > 0.5


def test_a_background_has_its_own_unit():
    clean = replace(scenes()[1], degradation=Degradation(detector=DetectorConfig(dose_e_per_A2=1e9)))
    ones = np.ones(clean.field.shape, np.float32)
    lit, dark = (
        labelled_batch([replace(clean, background=b, background_unit=0.25)], rngs(1))[0].image.data
        for b in (ones, 0 * ones)
    )
    assert (lit - dark).mean() / (1e9 * 0.04) == pytest.approx(0.25, rel=1e-3)


def test_scenes_of_two_shapes_or_without_a_seed_each_are_refused():
    with pytest.raises(ValueError, match="one shape and one rng each"):
        labelled_batch([scenes()[0], replace(scenes()[0], field=field(shape=(64, 64)))], rngs(2))
    with pytest.raises(ValueError, match="2 rngs for 3 scenes"):
        labelled_batch(scenes(), rngs(2))
    assert labelled_batch([], []) == []


def test_a_specimen_is_built_and_told():
    pytest.importorskip("napari_stem_gan.crystal.specimen")
    scene = replace(scenes()[2], specimen=SpecimenConfig(strain_xx_percent=3.0))
    drawn = labelled_batch([scene], rngs(1))[0]
    assert drawn.parameters["specimen"]["strain_xx_percent"] == 3.0
    json.dumps(drawn.parameters, allow_nan=False)
    plain = labelled_batch([scenes()[2]], rngs(1))[0]
    assert np.abs(drawn.image.data - plain.image.data).max() > 0.1 * plain.image.data.max()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
def test_a_graphics_card_makes_the_same_scenes():
    noisy = labelled_batch(scenes(), rngs(), device="cuda")
    for first, second in zip(noisy, labelled_batch(scenes(), rngs()), strict=True):
        assert first.defects == second.defects
        assert first.image.data.mean() == pytest.approx(second.image.data.mean(), rel=0.1)
    clean, same = (labelled_batch(scenes()[2:], rngs(1), device=d)[0].image.data for d in ("cuda", "cpu"))
    np.testing.assert_allclose(clean, same, atol=1e-5 * same.max())
