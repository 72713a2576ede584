"""The device row: which device is in use, found out in a thread so that the panel opens at once."""

from __future__ import annotations

from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from napari_stem_gan.app import settings
from napari_stem_gan.app.compat import plugin_setting

DEVICES = ("auto", "cuda", "mps", "cpu")
LOOK_AFTER_MS = 800


class DeviceRow(QWidget):
    """Chooser of the device, and the device in words. torch is imported only in the worker."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._build()
        self.box.setCurrentText(settings.kept("device", plugin_setting("run", "device", "auto")))
        self.box.currentTextChanged.connect(self._on_changed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.look)
        self._timer.start(LOOK_AFTER_MS)

    def value(self) -> str:
        """Name of the chosen device."""
        return str(self.box.currentText())

    def cancel(self) -> None:
        """Do not look, if that has not begun."""
        self._timer.stop()

    def look(self) -> None:
        """Find out, in a thread, what the chosen device is."""
        slots = {"returned": self._on_found, "errored": self._on_error}
        self._worker = create_worker(describe_device, self.value(), _connect=slots, _ignore_errors=True)

    def _build(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.box = QComboBox()
        self.box.addItems(DEVICES)
        self.box.setToolTip("Where the networks run; auto takes the graphics card if torch can use it")
        self.note = QLabel("looking for the device …")
        self.note.setWordWrap(True)
        layout.addWidget(QLabel("Device"))
        layout.addWidget(self.box)
        layout.addWidget(self.note, 1)

    def _on_changed(self, name: str) -> None:
        settings.keep("device", name)
        self.note.setText("looking for the device …")
        self.look()
        self.changed.emit()

    def _on_found(self, note: str) -> None:
        self.note.setText(note)

    def _on_error(self, error: Exception) -> None:
        self.note.setText(str(error))


def describe_device(name: str) -> str:
    """The device called `name`, in words; imports torch."""
    from napari_stem_gan.training import best_device, device_note

    return device_note(best_device(name))
