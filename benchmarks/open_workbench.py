"""How long does the workbench take to open in a running napari? The bar is 1 s.

    python benchmarks/open_workbench.py [--screenshot FILE]

Needs a display (on a server: start Xvfb and set DISPLAY first).
"""

from __future__ import annotations

import argparse
import time

import napari
from qtpy.QtWidgets import QApplication


def main() -> None:
    """Print the time from the call to the first painted dock widget, in a fresh napari."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--screenshot", default="")
    options = parser.parse_args()
    viewer = napari.Viewer()
    viewer.window.resize(1280, 720)
    QApplication.processEvents()
    start = time.perf_counter()
    viewer.window.add_plugin_dock_widget("napari-stem-gan", "Workbench")
    QApplication.processEvents()
    print(f"workbench open after {time.perf_counter() - start:.2f} s")
    if options.screenshot:
        viewer.screenshot(options.screenshot, canvas_only=False, flash=False)
    viewer.close()


if __name__ == "__main__":
    main()
