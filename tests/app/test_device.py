"""The device row: found in a thread, in words; an unusable device says why."""

from __future__ import annotations

from napari_stem_gan.app.device import DeviceRow


def test_the_device_is_found_without_holding_up_the_panel(qtbot):
    row = DeviceRow()
    qtbot.addWidget(row)
    assert "looking" in row.note.text()

    row.box.setCurrentText("cpu")

    qtbot.waitUntil(lambda: "CPU" in row.note.text(), timeout=60000)
    row.cancel()


def test_a_device_that_is_not_here_says_so(qtbot, monkeypatch):
    from napari_stem_gan import training

    def refuse(name):
        raise ValueError(f"device '{name}' is not available here; use auto")

    monkeypatch.setattr(training, "best_device", refuse)
    row = DeviceRow()
    qtbot.addWidget(row)

    row.box.setCurrentText("mps")

    qtbot.waitUntil(lambda: "not available" in row.note.text(), timeout=60000)
    row.cancel()
