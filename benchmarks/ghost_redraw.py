"""How long does a redraw of the lattice's ghost take while it is dragged? The bar is 20 ms with 10,000 sites.

    OMP_NUM_THREADS=1 python benchmarks/ghost_redraw.py [--side 1024] [--repeats 50]

Needs a display (on a server: start Xvfb and set DISPLAY first). Times are what our code and napari's layers take per
mouse move, on the clock and of the processor, without the painting of the canvas, which is the graphics card's.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_stem_gan.app.ghost import Ghost
from napari_stem_gan.app.layers import read_layer
from napari_stem_gan.app.placement import Placement
from napari_stem_gan.app.results import ResultLayers
from napari_stem_gan.app.spectrum_view import log_spectrum
from napari_stem_gan.crystal.materials import get_material

PIXEL_SIZE_A = 0.211  # 10,000 columns of WSe2 on 1024²


def timed(repeats: int, do: Callable[[int], object]) -> tuple[float, float]:
    """Median time of a call in ms: on the clock, and of the processor."""
    times = []
    for index in range(repeats):
        wall, busy = time.perf_counter(), time.process_time()
        do(index)
        times.append((time.perf_counter() - wall, time.process_time() - busy))
        QApplication.processEvents()
    wall_ms, busy_ms = 1e3 * np.median(times, axis=0)
    return float(wall_ms), float(busy_ms)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    viewer = napari.Viewer()
    image = np.random.default_rng(0).random((options.side, options.side), dtype=np.float32)
    layer = viewer.add_image(image, scale=(0.0211, 0.0211), units=("nm", "nm"), name="image")
    source, crystal, ghost = read_layer(layer), get_material("WSe2"), Ghost(ResultLayers(viewer))
    lies = Placement(crystal.cell / PIXEL_SIZE_A, np.full(2, options.side / 2))

    def moved(index: int) -> Placement:
        return lies.moved(np.array([0.1 * index, 0.0]))

    ghost.draw_placement(source, 0, crystal, lies)
    QApplication.processEvents()
    rows = {"redraw at the end of a drag": timed(10, lambda i: ghost.draw_placement(source, 0, crystal, moved(i)))}
    ghost.hold(source, 0, crystal, lies, lies.origin_px)
    rows["one mouse move"] = timed(options.repeats, lambda i: ghost.move(source, 0, moved(i)))
    rows["log power spectrum"] = timed(10, lambda i: log_spectrum(image))
    print(f"{len(lies.sites(crystal, source.shape))} sites on {options.side}²\n{'':30}{'clock ms':>10}{'CPU ms':>10}")
    for name, (wall, busy) in rows.items():
        print(f"{name:30}{wall:10.1f}{busy:10.1f}")
    viewer.close()


if __name__ == "__main__":
    main()
