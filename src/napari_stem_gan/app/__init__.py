"""The napari plugin: the only room that imports Qt and napari."""
