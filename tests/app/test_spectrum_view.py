"""The spectrum: spots lie on the peaks, labels on the low orders, another grain looks different."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stem_gan.app.spectrum_view import SpectrumView, frequency_rectangle, log_spectrum

PERIOD_PX = 8.0


def waves():
    y, x = np.mgrid[:160, :200]
    return (np.cos(2 * np.pi * x / PERIOD_PX) + 0.5 * np.cos(2 * np.pi * (y / 10 + x / 20))).astype(np.float32)


def spots():
    hk = np.array([(1, 0), (0, 1), (-1, 0), (2, 2), (3, 0)])
    return hk, hk @ np.array([[0.0, 1 / PERIOD_PX], [0.1, 0.05]])


@pytest.fixture
def view(qtbot):
    view = SpectrumView()
    qtbot.addWidget(view)
    return view


def test_the_spots_lie_on_the_peaks(view):
    view.show_image("waves", waves(), [spots()], None)

    power = view.image.image
    for frequency in spots()[1][:3]:
        place = view.image.mapFromParent(*frequency[::-1])
        row, column = int(place.y()), int(place.x())
        assert power[row, column] > np.quantile(power, 0.999)
    np.testing.assert_allclose(np.c_[view.spots[0].getData()][:, ::-1], spots()[1])


def test_low_orders_carry_their_indices(view):
    view.show_image("waves", waves(), [spots()], None)

    assert [label.toPlainText() for label in view.labels] == ["1 0", "0 1"]


def test_the_axes_are_in_inverse_nm_once_the_pixel_size_is_known(view):
    view.show_image("waves, 0.02 nm per pixel", waves(), [spots()], 0.02)

    assert "1/nm" in view.plot.getAxis("bottom").labelText
    np.testing.assert_allclose(np.c_[view.spots[0].getData()][0], (1 / PERIOD_PX / 0.02, 0.0))
    assert view.title.text() == "waves, 0.02 nm per pixel"


def test_another_grain_has_another_symbol_and_the_next_image_starts_anew(view):
    view.show_image("two grains", waves(), [spots(), spots()], None)
    assert [item.opts["symbol"] for item in view.spots] == ["o", "s"]

    view.show_image("none", waves(), [], None)

    assert view.spots == []
    assert view.labels == []


@pytest.mark.parametrize("shape", [(8, 10), (7, 9)])
def test_the_zero_frequency_lies_at_zero(shape):
    rectangle = frequency_rectangle(shape, 1.0)

    column = rectangle.left() + (shape[1] // 2 + 0.5) / shape[1]
    row = rectangle.top() + (shape[0] // 2 + 0.5) / shape[0]
    assert column == pytest.approx(0.0, abs=1e-12)
    assert row == pytest.approx(0.0, abs=1e-12)


def test_of_a_large_image_the_middle_is_shown():
    assert log_spectrum(np.random.default_rng(0).random((1200, 1100))).shape == (1024, 1024)


def test_the_spectrum_button_opens_it_on_the_selected_image(bench, finish, image_layer):
    workbench = bench()
    finish(workbench, "match")

    workbench.shell.panels["match"].lattice.spectrum.click()

    view = workbench.lattice._view
    assert view.isVisible()
    assert "day WSe2 001" in view.title.text()
    assert "0.02100 nm per pixel" in view.title.text()
    assert len(view.labels) > 4
    workbench.close_down()
    assert not view.isVisible()
