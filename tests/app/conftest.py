"""A viewer session with a known lattice of points, and a workflow that answers at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QSettings

from napari_stem_gan.app import simulate_panel
from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.detect.known_answer import KnownAnswer
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import LabelledImage, STEMImage
from napari_stem_gan.workflow.simulated import SimulatedSession

TRUE_PX = np.array([[12.0, 30.0], [40.25, 71.5], [55.0, 10.0]])
CONFIDENCE = np.array([0.95, 0.6, 0.2])
DEFECTS = ("V_Se", "V_2Se", "V_W")


@pytest.fixture(autouse=True)
def _own_settings(tmp_path):
    for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
        QSettings.setPath(QSettings.Format.IniFormat, scope, str(tmp_path / "settings"))


@pytest.fixture
def image_layer() -> Image:
    """0.02 nm/px, a translate, and unequal axes."""
    data = np.random.default_rng(0).random((64, 96), dtype=np.float32)
    place = {"scale": (0.02, 0.02), "translate": (3.0, -7.5), "units": ("nm", "nm"), "axis_labels": ("slow", "fast")}
    return Image(data, name="day WSe2 001", **place)


@dataclass
class FakeProgress:
    stage: str
    fraction: float
    message: str = "working"
    losses: dict = field(default_factory=dict)
    preview: Any = None
    eta_s: float | None = None


class Stopped(Exception):
    """Same name as training.Stopped."""


class FakeWorkflow:
    """The workflow's functions, with known answers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.closed = threading.Event()
        self.error: Exception | None = None
        self.endless = False
        self.seen: dict[str, Any] = {}
        self.match: dict[str, Any] = {}
        self.fit_error: Exception | None = None
        self.fitted: dict[str, Any] = {"optics": {"source_size_fwhm_A": 0.8}, "errors": {"source_size_fwhm_A": 0.03}}
        self.snapped: dict[str, Any] = {}

    def RunConfig(self, **configs):  # noqa: N802
        return SimpleNamespace(**configs)

    def _steps(self, stage: str, stop: threading.Event | None):
        self.calls.append(stage)
        count = 0
        try:
            while count < 3 or self.endless:
                if stop is not None and stop.is_set():
                    raise Stopped(stage)
                if self.error is not None and count == 1:
                    raise self.error
                count += 1
                losses = {"generator": 1.0 / count}
                yield FakeProgress(stage, min(count / 4, 0.9), losses=losses, preview=np.eye(8, dtype=np.float32))
                time.sleep(0.005)
        finally:
            self.closed.set()

    def match_images(self, images, config, *, stop=None):
        self.seen["images"] = images
        yield from self._steps("match", stop)
        return [fake_match(image, **self.match) for image in images]

    def fit(self, images, matches, optics=None, *, most=None, stop=None):
        self.seen["optics"] = optics
        yield FakeProgress("match", 0.5)
        if self.fit_error is not None:
            raise self.fit_error
        return [self.fitted if match.accepted else None for match in matches]

    def snap_image(self, image, config, start):
        self.calls.append("snap")
        self.seen["start"], self.seen["image"] = start, image
        return replace(start, **{"accepted": True, "reason": "snapped", "pixel_size_A": 0.2} | self.snapped)

    def write_simulated(self, drawn, folder):
        self.seen["saved"] = drawn
        return [folder / f"{one.image.name}.tif" for one in drawn]

    def simulate(self, images, matches, config, *, stop=None):
        yield from self._steps("simulate", stop)
        return SimulatedSession(tuple(labelled(i) for i in range(2)))

    def adapt(self, images, matches, config, *, simulate=None, decisions=None, device="auto", stop=None):
        self.seen["decisions"] = decisions
        yield from self._steps("adapt", stop)
        return FakeModel()

    def detect(self, images, matches, config, *, model=None, device="auto", stop=None):
        self.seen["model"], self.seen["detect"] = model, config
        yield from self._steps("detect", stop)
        return [detection(image) for image in images]

    def known_answer(self, images, matches, config, *, detections=None, model=None, device="auto", stop=None):
        self.calls.append("known answer")
        yield FakeProgress("detect", 0.9)
        return KnownAnswer(np.array([0.9, 0.9, 0.6, 0.0]), np.array([0.7]), 100.0, ("a",))

    def provenance(self, images, matches, *, configs, model=None):
        return {"images": [{"image": image.name, "sha256": image.sha256} for image in images], "threshold": 0.0}

    def by_polygons(self, polygons):
        return polygons

    def restore(self, images, config, *, device="auto", stop=None):
        yield from self._steps("restore", stop)
        one = np.array([[20.0, 20.0]])
        restored = [STEMImage(data=image.data + 1) for image in images]
        return [SimpleNamespace(image=image, invented_px=one, erased_px=one + 5) for image in restored]

    def run(self, images, config, *, device="auto", stop=None, folder=None, matches=None, decisions=None, divide=None):
        self.seen["statistics"], self.seen["divide"] = getattr(config, "statistics", None), divide
        self.seen["folder"], self.seen["matches"], self.seen["decisions"] = folder, matches, decisions
        yield from self._steps("run", stop)
        matches = matches or [fake_match(image) for image in images]
        detections = [detection(image) for image in images]
        restored = yield from self.restore(images, config.restore, stop=stop)
        sims = SimulatedSession((labelled(0),))
        found = {"matches": matches, "simulated": sims, "translated": sims, "detections": detections}
        return SimpleNamespace(**found, restored=restored, model=FakeModel(), report={}, known_answer=None)


class FakeModel:
    report = {"finder": "adapted", "audit_passed": True}

    def translate(self, one):
        return one

    def save(self, path):
        with open(path, "w") as file:
            file.write("model")


def fake_match(image: STEMImage, *, accepted: bool = True, **more: Any) -> LatticeMatch:
    nominal = image.pixel_size_A
    vectors = np.array([[0.0, 16.0], [13.9, 8.0]])
    found = {
        "accepted": accepted, "reason": "" if accepted else "no periodic structure was found in the image",
        "material": "WSe2", "pixel_size_A": 0.21 if accepted else nominal, "nominal_pixel_size_A": nominal,
        "rotation_deg": 12.0, "goodness": 0.8, "fwhm_A": 1.2, "origin_px": np.array([30.0, 40.0]),
    }  # fmt: skip
    return LatticeMatch(**found | ({"lattice_vectors_px": vectors} if accepted else {}) | more)


def labelled(index: int) -> LabelledImage:
    data = np.random.default_rng(index).random((48, 48), dtype=np.float32)
    image = STEMImage(data=data, pixel_size_A=0.2, name=f"sim{index}")
    return LabelledImage(image=image, positions_px=TRUE_PX[:2], defects=DEFECTS[:2], sublattices=("Se", "Se"))


def detection(image: STEMImage) -> Any:
    table = PointTable.build(
        image=image.name, frame=image.frame, positions_px=TRUE_PX, pixel_size_nm=image.pixel_size_nm or 0.021,
        defects=DEFECTS, sublattices=("Se", "Se", "W"), confidence=CONFIDENCE,
    )  # fmt: skip
    maps = np.zeros((2, *image.shape), np.float32)
    return SimpleNamespace(points=table, probability=maps, classes=("background", "V_X"))


@pytest.fixture(autouse=True)
def _claims(monkeypatch):
    """What the model can claim is the crystal room's to say."""
    monkeypatch.setattr(simulate_panel, "claims", lambda material, layers: f"limits of {material} in {layers} layers")


@pytest.fixture
def fake() -> FakeWorkflow:
    return FakeWorkflow()


@pytest.fixture
def bench(qtbot, image_layer, fake) -> Callable[..., Any]:
    """Open a workbench on the image layer, with the fake workflow; a viewer without a window is enough for most."""

    def open_bench(*layers, viewer=None, widget=None):
        from napari_stem_gan.app.workbench import Workbench

        if viewer is None:
            viewer = ViewerModel()
        for layer in layers or (image_layer,):
            if layer not in viewer.layers:
                viewer.add_layer(layer)
        bench = (widget or Workbench)(viewer)
        bench.shell.device._timer.stop()
        bench.load_workflow = lambda: fake
        if hasattr(viewer, "window"):
            viewer.window.add_dock_widget(bench, area="right")
        else:
            qtbot.addWidget(bench)
        return bench

    return open_bench


@pytest.fixture
def finish(qtbot) -> Callable[..., None]:
    """Start a step and wait for its end."""

    def run(bench, step, timeout=20000):
        with qtbot.waitSignal(bench.bridge.ended, timeout=timeout):
            bench.start(step)

    return run
