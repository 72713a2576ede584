"""Look at the results of a run in napari: the images, their defects, the restored images, and the workbench.

    python examples/open_results.py DIR [IMAGES...]

DIR is the folder that `napari-stem-gan run --out DIR` wrote; without IMAGES the embedded sample session is shown.
"""

from __future__ import annotations

import sys
from pathlib import Path

import napari

PLUGIN = "napari-stem-gan"


def fill(viewer: napari.Viewer, folder: Path, images: list[Path]) -> None:
    """Add images, restored images and points to a viewer, points on top."""
    if not images:
        viewer.open_sample(PLUGIN, "wse2")
    for path in images:
        plain = path.suffix.lower() in (".npy", ".png", ".jpg")
        viewer.open(path, plugin="napari" if plain else PLUGIN)
    places = {layer.name: layer.translate for layer in viewer.layers}
    for path in sorted(folder.glob("restored_*.tif")):
        (restored,) = viewer.open(path, plugin=PLUGIN, visible=False)
        for name, place in places.items():
            if name in path.stem:
                restored.translate = place
    viewer.open(folder / "points.csv", plugin=PLUGIN)
    viewer.reset_view()


def main() -> None:
    """Open napari, and return when its window is closed."""
    folder, images = Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]]
    viewer = napari.Viewer(title=f"napari-stem-gan: {folder.name}")
    fill(viewer, folder, images)
    viewer.window.add_plugin_dock_widget(PLUGIN, "Workbench")
    napari.run()


if __name__ == "__main__":
    main()
