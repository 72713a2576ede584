"""Bring a widget of a panel into view."""

from __future__ import annotations

from qtpy.QtWidgets import QScrollArea, QWidget


def scroll_to(widget: QWidget) -> None:
    """Scroll the panel that a widget is in, if it is in one that scrolls, until it is seen."""
    area = widget.parent()
    while area is not None and not isinstance(area, QScrollArea):
        area = area.parent()
    if area is not None:
        area.ensureWidgetVisible(widget, 0, 0)
