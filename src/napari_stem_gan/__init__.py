"""Interactive analysis of atomic-resolution electron microscopy in napari."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("napari-stem-gan")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0.0.0+unknown"
