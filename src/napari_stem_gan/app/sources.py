"""The layers to work on, and what is said of them above the steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from napari.layers import Image, Layer

from napari_stem_gan.app.layers import Source, read_layer
from napari_stem_gan.app.results import ResultLayers
from napari_stem_gan.image import ImageError

NO_LAYER = "no image is loaded: drop files on the viewer, or File › Open Sample › WSe2 session (2 images) (STEM GAN)"
NOT_SELECTED = "no image layer is selected: select one, or choose 'all image layers'"


def read_sources(
    layers: Iterable[Layer], chosen: Collection[Layer], results: ResultLayers
) -> tuple[tuple[Source, ...], list[str]]:
    """The layers to work on, and why others are left out.

    Parameters
    ----------
    layers
        All layers.
    chosen
        Those that the user wants; a result of ours stands for its image.
    results
        Our layers, which are never worked on.

    Returns
    -------
    tuple
        Sources, top of the layer list last, and one sentence per image layer that cannot be used.
    """
    sources, reasons = [], []
    for layer in layers:
        if not isinstance(layer, Image) or results.is_ours(layer):
            continue
        if not any(one in chosen for one in (layer, *results.of_source(layer))):
            continue
        try:
            sources.append(read_layer(layer))
        except ImageError as error:
            reasons.append(str(error))
    return tuple(sources), reasons


def problem_of(sources: Sequence[Source], reasons: Sequence[str], only_selected: bool) -> str:
    """Why no step can start on these layers, or an empty string."""
    if sources:
        return ""
    return reasons[0] if reasons else NOT_SELECTED if only_selected else NO_LAYER


def notes_of(sources: Sequence[Source], reasons: Sequence[str], *, by_hand: str, overlap: bool) -> list[str]:
    """Remarks on the layers.

    Parameters
    ----------
    sources, reasons
        See `read_sources`.
    by_hand
        What of the instrument is typed in, in words.
    overlap
        Whether layers lie on each other.
    """
    notes = [source.note for source in sources if source.note]
    notes += [f"left out: {text}" for text in reasons] if sources else []  # else they are the problem itself
    notes += [f"by hand in Simulate: {by_hand}; Adapt and Run all learn that, not today's"] if by_hand else []
    notes += ["the images lie on top of each other; 'Side by side' moves them into a row"] if overlap else []
    return notes
