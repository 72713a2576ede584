"""The device row: which device is in use, found out in a thread so that the panel opens at once."""

from __future__ import annotations

import threading

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from napari_stem_gan.app import settings
from napari_stem_gan.app.compat import plugin_setting

DEVICES = ("auto", "cuda", "mps", "cpu")
LOOK_AFTER_MS = 800
POLL_MS = 200


class DeviceRow(QWidget):
    """Chooser of the device, and the device in words. torch is imported only in a thread.

    A plain thread and a timer, not a napari worker: a worker that is still importing torch when the
    program ends would emit signals that no longer exist.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: list[str] = []
        self._build()
        self.box.setCurrentText(settings.kept("device", "auto"))
        self.box.currentTextChanged.connect(self._on_changed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._first_look)
        self._timer.start(LOOK_AFTER_MS)
        self._poll = QTimer(self)
        self._poll.setInterval(POLL_MS)
        self._poll.timeout.connect(self._on_poll)

    def value(self) -> str:
        """Name of the chosen device."""
        return str(self.box.currentText())

    def cancel(self) -> None:
        """Look no more."""
        self._timer.stop()
        self._poll.stop()

    def look(self) -> None:
        """Find out, in a thread, what the chosen device is."""
        self._found = []
        thread = threading.Thread(target=look_up, args=(self.value(), self._found), name="device")
        thread.start()
        self._poll.start()

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

    def _first_look(self) -> None:
        """Take napari's preference where no choice was made here; reading it takes a moment."""
        if settings.kept("device", None) is None:
            self.box.blockSignals(True)
            self.box.setCurrentText(plugin_setting("run", "device", "auto"))
            self.box.blockSignals(False)
        self.look()

    def _on_poll(self) -> None:
        if self._found:
            self._poll.stop()
            self.note.setText(self._found[0])


def look_up(name: str, found: list[str]) -> None:
    """Append the device called `name`, in words, to `found`; an unusable one gives the reason."""
    try:
        found.append(describe_device(name))
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        found.append(str(error))


def describe_device(name: str) -> str:
    """The device called `name`, in words; imports torch."""
    from napari_stem_gan.training import best_device, device_note

    return device_note(best_device(name))
