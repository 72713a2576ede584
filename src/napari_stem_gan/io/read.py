"""Read images from files: one entrance for every format, one clear sentence for every failure."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_stem_gan.image import ImageError, STEMImage
from napari_stem_gan.io.signal import Signal
from napari_stem_gan.io.tiff import read_tiff
from napari_stem_gan.io.vendor import VENDOR_READERS, read_hdf5, read_vendor

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
TIFF_SUFFIXES = (".tif", ".tiff")
HDF5_SUFFIXES = (".hdf5", ".h5")


def readable_suffixes() -> tuple[str, ...]:
    """File endings that `read_images` knows, with the dot, in lower case."""
    return (*TIFF_SUFFIXES, ".npy", *PICTURE_SUFFIXES, *VENDOR_READERS, *HDF5_SUFFIXES)


def read_images(path: str | Path, *, pixel_size_nm: float | None = None) -> list[STEMImage]:
    """Read every image of a file, one per frame of a stack.

    Parameters
    ----------
    path
        TIFF, NumPy, picture or microscope file (the last need the extra ``em``).
    pixel_size_nm
        Pixel size in nm; overrules the file.

    Returns
    -------
    list of STEMImage
        Named after the file; `pixel_size_A` is None where the file does not tell it.

    Raises
    ------
    ImageError
        If the file is missing, damaged, no image, coloured, or in units that are no lengths.
    """
    path = Path(path)
    _check_file(path)
    try:
        with _quiet_readers():
            signals = list(_reader(path)(path))
    except (ImageError, MemoryError) as error:
        if isinstance(error, MemoryError):
            raise ImageError(f"'{path.name}' is too large for the memory; crop or bin it first") from error
        raise
    except Exception as error:
        raise ImageError(
            f"'{path.name}' cannot be read as a {path.suffix} file ({_short(error)}); it may be truncated or of "
            "another kind, so export it again"
        ) from error
    if not signals:
        raise ImageError(f"'{path.name}' holds no image (Y, X); choose a file with an image")
    names = _names(path.stem, [signal.title for signal in signals])
    pairs = zip(signals, names, strict=True)
    return [image for signal, name in pairs for image in signal.images(path, name, pixel_size_nm)]


def _names(stem: str, titles: list[str]) -> list[str]:
    """The file's stem; with several signals followed by their titles, or their numbers where titles are not unique."""
    if len(titles) == 1:
        return [stem]
    unique = all(titles) and len(set(titles)) == len(titles)
    return [f"{stem} {title if unique else number}" for number, title in enumerate(titles)]


def _check_file(path: Path) -> None:
    if not path.exists():
        raise ImageError(f"file '{path}' was not found; check its name and folder")
    if path.is_dir():
        raise ImageError(f"'{path}' is a folder; choose image files in it")
    if path.suffix.lower() not in readable_suffixes():
        raise ImageError(
            f"'{path.name}' is not an image file known here ({', '.join(readable_suffixes())}); export it as TIFF"
        )
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"'{path.name}' is an empty file; copy it again")
        path.open("rb").close()
    except OSError as error:
        raise ImageError(f"'{path.name}' cannot be opened ({error.strerror}); check its permissions") from error


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()).strip("'\"<>. ")
    return (text[:90] + "…" if len(text) > 90 else text) or type(error).__name__


@contextmanager
def _quiet_readers() -> Iterator[None]:
    """Silence the readers' own messages; ours says it in one sentence."""
    loggers = [logging.getLogger(name) for name in ("tifffile", "rsciio")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _reader(path: Path) -> Callable[[Path], Iterator[Signal]]:
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return read_tiff
    if suffix == ".npy":
        return _read_npy
    if suffix in PICTURE_SUFFIXES:
        return _read_picture
    return read_hdf5 if suffix in HDF5_SUFFIXES else read_vendor


def _read_npy(path: Path) -> Iterator[Signal]:
    yield Signal(np.load(path, allow_pickle=False))


def _read_picture(path: Path) -> Iterator[Signal]:
    from PIL import Image

    with Image.open(path) as picture:
        plain = {"P": "RGB", "LA": "L", "PA": "RGB", "1": "L", "CMYK": "RGB", "YCbCr": "RGB"}.get(picture.mode)
        yield Signal(np.asarray(picture.convert(plain) if plain else picture))
