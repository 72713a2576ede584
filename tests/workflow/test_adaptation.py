import threading

import numpy as np
import pytest
import torch

from napari_stem_gan.detect.finder import Finder
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.simulate import session
from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig
from napari_stem_gan.simulate.instrument import InstrumentConfig
from napari_stem_gan.translate.config import AdaptConfig
from napari_stem_gan.translate.cyclegan import CycleGAN
from napari_stem_gan.workflow import adapt, adaptation, comparison, consume


@pytest.fixture
def small(monkeypatch, finder):
    """Untrained models in place of the shipped ones, and small pairs."""
    monkeypatch.setattr(CycleGAN, "from_file", classmethod(lambda cls, *_: CycleGAN(device="cpu")))
    monkeypatch.setattr(Finder, "load", classmethod(lambda cls, **_: finder))
    monkeypatch.setattr(adaptation, "PAIRS", 2)
    monkeypatch.setattr(adaptation, "PAIR_PX", 128)


def test_adaptation_ends_with_a_usable_model_and_a_report(small, images, matches, monkeypatch):
    monkeypatch.setattr(comparison, "POOR_F1", 1.01)  # any finder is poor
    seen = []
    model = consume(adapt(images, matches, AdaptConfig(minutes=0.1), device="cpu"), seen.append)
    assert {p.stage for p in seen} == {"adapt"}
    assert seen[-1].fraction == 1.0
    assert any(p.losses for p in seen)
    assert "F1" in model.report["finder"]
    assert set(model.report["held_out_f1"]) >= {"as shipped", "as shipped, calibrated today"}
    assert all(text.startswith("expect") for text in model.report["known_answer"].values())
    assert isinstance(model.finder, Finder)
    kept = model.report["finder"].removeprefix("finder ").partition(":")[0]
    assert model.report["kept_f1"] == model.report["held_out_f1"][kept]
    assert model.report["held_out_loss"][kept] <= model.report["held_out_loss"]["as shipped"]
    assert next(iter(model.report)) == "warning"
    assert model.report["warning"].startswith(f"F1 {model.report['kept_f1']:.2f} on held-out pairs")
    assert seen[-1].message == model.report["warning"]


def test_stop_gives_back_the_shipped_finder(small, images, matches, finder):
    stop = threading.Event()
    stop.set()
    model = consume(adapt(images, matches, AdaptConfig(minutes=5), device="cpu", stop=stop))
    torch.testing.assert_close(model.finder.state(), finder.state())
    assert "held_out_f1" not in model.report


def test_the_pairs_are_simulated_with_the_instrument_that_was_set(small, images, matches, monkeypatch):
    drawn = []
    real = session.session_image

    def spy(*args, **kwargs):
        drawn.append(real(*args, **kwargs))
        return drawn[-1]

    monkeypatch.setattr(session, "session_image", spy)
    by_hand = SimulateConfig(
        count=1, optics=OpticsConfig(energy_keV=60.0), instrument=InstrumentConfig(jitter_x_px=0.7), degrade=False
    )
    stop = threading.Event()
    steps = adapt(images, matches, AdaptConfig(minutes=0.1), simulate=by_hand, device="cpu", stop=stop)
    for step in steps:
        if "CycleGAN" in step.message:
            stop.set()
    assert {d.parameters["optics"]["energy_keV"] for d in drawn} == {60.0}
    assert {d.parameters["degradation"]["scan"]["jitter_x_px"] for d in drawn} == {0.7}


def test_a_session_without_a_match_is_refused(small, images, matches):
    with pytest.raises(ValueError, match="no image could be matched"):
        consume(adapt([], [], AdaptConfig()))


def test_decisions_of_the_user_are_learnt_from_unless_switched_off(small, images, matches):
    image = images[0]
    table = PointTable.build(
        image=image.name, frame=image.frame, positions_px=np.array([[40.0, 40.0], [60.0, 50.0]]), pixel_size_nm=0.02,
        defects=["V_Se", "V_Se"], sublattices=["Se", "Se"], confidence=np.ones(2),
    )  # fmt: skip
    decisions = PointTable({**table.columns, "decision": np.array(["accepted", "rejected"])})

    taught = consume(adapt(images, matches, AdaptConfig(minutes=0.1), decisions=decisions, device="cpu"))
    config = AdaptConfig(minutes=0.1, use_decisions=False)
    untaught = consume(adapt(images, matches, config, decisions=decisions, device="cpu"))

    assert taught.report["decisions"] == "learnt from 1 accepted or added and 1 rejected points of 1 image"
    assert "decisions" not in untaught.report
