"""Sample data: the embedded session, offline, side by side."""

from __future__ import annotations

from napari_stem_gan.app.readers import LayerTuples, image_layers

GAP = 0.06


def sample_session() -> LayerTuples:
    """The embedded sample session as calibrated image layers that lie beside each other.

    Returns
    -------
    list of tuple
        napari layer data tuples.
    """
    from napari_stem_gan.workflow import sample_images

    layers: LayerTuples = []
    x_nm = 0.0
    for image in sample_images():
        layers += image_layers([image], translate_nm=(0.0, x_nm))
        x_nm += image.shape[1] * (image.pixel_size_nm or 1.0) * (1 + GAP)
    return layers
