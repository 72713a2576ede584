import numpy as np

from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.simulate.draws import (
    TMD,
    draw_degradation,
    draw_field,
    draw_mask,
    draw_optics,
)


def test_all_dichalcogenides_and_nothing_else_are_drawn():
    assert {m.key for m in TMD} == {"MoS2", "WS2", "MoSe2", "WSe2", "MoTe2"}


def test_drawn_fields_keep_the_cell_within_the_strain():
    rng, material = np.random.default_rng(0), get_material("WSe2")
    for _ in range(20):
        field = draw_field(rng, material, (64, 64), pixel_size_A=(0.1, 0.3), strain=0.02)
        lengths = np.linalg.norm(field.vectors_px, axis=1) * field.pixel_size_A / 3.282
        assert np.all(np.abs(lengths - 1) < 0.05)


def test_drawn_optics_differ_and_can_be_rendered():
    rng = np.random.default_rng(0)
    drawn = [draw_optics(rng) for _ in range(50)]
    assert {o.energy_keV for o in drawn} >= {60.0, 80.0}
    assert len({o.C23 for o in drawn}) == 50
    assert min(o.phi23 for o in drawn) < 0.5 < max(o.phi23 for o in drawn)  # its angle is free


def test_a_mask_leaves_part_of_the_field():
    rng = np.random.default_rng(1)
    shares = [draw_mask(rng, (64, 64)).mean() for _ in range(20)]
    assert 0.2 < np.mean(shares) < 0.95


def test_drawn_degradations_have_frames_fly_back_and_row_offsets_now_and_then():
    rng = np.random.default_rng(0)
    drawn = [draw_degradation(rng, 0.2) for _ in range(200)]
    for share in (
        np.mean([d.detector.frames > 1 for d in drawn]),
        np.mean([d.scan.flyback_px > 0 for d in drawn]),
        np.mean([d.detector.row_offset_e > 0 for d in drawn]),
    ):
        assert 0.1 < share < 0.3
    assert all(d.scan.drift_shear == d.scan.drift_scale == 0 for d in drawn)  # the field's affine distortion is drift
