"""Files: microscope images in, TIFF and JSON out; pixel sizes in nm at this edge, in Å inside."""

from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import logging
import os
import re
import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_stem_gan.image import A_PER_NM, ImageError, STEMImage

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
TIFF_SUFFIXES = (".tif", ".tiff")
VENDOR_READERS = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".emd": "emd",
    ".ser": "tia",
    ".emi": "tia",
    ".mrc": "mrc",
    ".mrcz": "mrcz",
    ".hspy": "hspy",
    ".prz": "pantarhei",
    ".nxs": "nexus",
    ".tvips": "tvips",
}
HDF5_SUFFIXES = (".hdf5", ".h5")
A_PER_UNIT = {"pm": 0.01, "a": 1.0, "angstrom": 1.0, "nm": 10.0, "um": 1e4, "mm": 1e7, "cm": 1e8, "m": 1e10}
UNIT_NAMES = {
    "å": "a",
    "ångström": "angstrom",
    "angstroms": "angstrom",
    "picometer": "pm",
    "nanometer": "nm",
    "nanometers": "nm",
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "micrometers": "um",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "metre": "m",
}
NO_UNITS = ("", "px", "pixel", "pixels", "none", "<undefined>", "undefined", "arb. unit", "dimensionless")
LARGEST_RESOLUTION_TAG_A = 1e5  # 10 µm: larger values are print settings (dots per inch)

Size = tuple[float, float]  # pixel size along y and x in Å


class OutputError(OSError):
    """Something could not be written; the message says what to do."""


# ---------------------------------------------------------------- reading


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
    several = len(signals) > 1
    return [image for signal in signals for image in signal.images(path, pixel_size_nm, several)]


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


@dataclasses.dataclass(frozen=True)
class _Signal:
    """What a reader found: pixels, scale and unit."""

    data: NDArray[Any]
    scale: Size | None = None  # along y and x
    unit: str = ""
    title: str = ""
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def images(self, path: Path, pixel_size_nm: float | None, several: bool) -> list[STEMImage]:
        """Split into frames and calibrate."""
        size_A = self._pixel_size_A(path) if pixel_size_nm is None else pixel_size_nm * A_PER_NM
        name = f"{path.stem} {self.title}".strip() if several else path.stem
        frames = _frames(self.data, path.name)
        images = []
        for number, frame in enumerate(frames):
            label = name if len(frames) == 1 else f"{name}, frame {number}"
            try:
                image = STEMImage(
                    data=frame,
                    pixel_size_A=size_A,
                    name=label,
                    frame=number,
                    source=str(path),
                    metadata=self.metadata,
                )
            except ImageError as error:
                raise ImageError(f"{path.name}: {error}") from None
            object.__setattr__(image, "name", name)
            images.append(image)
        return images

    def _pixel_size_A(self, path: Path) -> float | None:
        if self.scale is None:
            return None
        factor = unit_in_A(self.unit)
        if factor is None:
            if self.unit.strip().lower() not in NO_UNITS:
                warnings.warn(
                    f"'{path.name}' gives its pixel size in '{self.unit}', which is no length known here, so it is "
                    "ignored; give the pixel size in nm",
                    stacklevel=4,
                )
            return None
        y, x = (abs(scale) * factor for scale in self.scale)
        if not (np.isfinite(y) and np.isfinite(x) and y > 0 and x > 0):
            return None
        if abs(y - x) > 0.02 * max(x, y):
            raise ImageError(
                f"'{path.name}' has pixels of {y / A_PER_NM:.4g} × {x / A_PER_NM:.4g} nm; resample it to square "
                "pixels or give the pixel size in nm"
            )
        return (y + x) / 2


def unit_in_A(unit: str) -> float | None:
    """Return the length of `unit` in Å, or None if it is no length known here.

    Raises
    ------
    ImageError
        If it is a reciprocal length or an angle: a diffraction pattern.
    """
    plain = unit.strip().lower().replace("\\u00b5", "µ").replace("_", "").replace("µ", "u").replace("μ", "u")
    if re.search(r"^1\s*/|\^?[-⁻][1¹]$|rad$", plain) and plain not in NO_UNITS:
        raise ImageError(
            f"the unit '{unit}' belongs to a diffraction pattern; load a real-space image, or give the pixel size in nm"
        )
    return A_PER_UNIT.get(UNIT_NAMES.get(plain, plain))


def _frames(data: NDArray[Any], name: str) -> list[NDArray[Any]]:
    """Grey frames ``(Y, X)`` of an image, a stack ``(T, Y, X)`` or a grey picture saved in colour."""
    data = np.asarray(data)
    if np.iscomplexobj(data) or data.dtype.kind not in "buif":
        raise ImageError(f"'{name}' must hold real numbers, got {data.dtype}; export the image itself")
    while data.ndim > 3 and 1 in data.shape[:-2]:
        data = data.squeeze(data.shape.index(1))
    if data.ndim == 3 and data.shape[-1] in (3, 4) and data.shape[0] > 4:
        return [_grey(data, name)]
    if data.ndim == 3:
        return list(data)
    if data.ndim != 2:
        raise ImageError(
            f"'{name}' must be an image (Y, X) or a stack (T, Y, X), got {data.ndim} dimensions {data.shape}; "
            "split it first"
        )
    return [data]


def _grey(data: NDArray[Any], name: str) -> NDArray[Any]:
    """One channel of a colour picture whose channels are equal."""
    red = data[..., 0]
    if not all(np.array_equal(red, data[..., i]) for i in (1, 2)):
        raise ImageError(f"'{name}' is a colour image; convert it to grey first")
    return red


def _reader(path: Path) -> Callable[[Path], Iterator[_Signal]]:
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return _read_tiff
    if suffix == ".npy":
        return _read_npy
    if suffix in PICTURE_SUFFIXES:
        return _read_picture
    return _read_hdf5 if suffix in HDF5_SUFFIXES else _read_vendor


def _read_npy(path: Path) -> Iterator[_Signal]:
    yield _Signal(np.load(path, allow_pickle=False))


def _read_picture(path: Path) -> Iterator[_Signal]:
    from PIL import Image

    with Image.open(path) as picture:
        yield _Signal(np.asarray(picture.convert("RGB") if picture.mode == "P" else picture))


def _read_tiff(path: Path) -> Iterator[_Signal]:
    with tifffile.TiffFile(path) as file:
        scale, unit = _tiff_scale(file)
        data = file.series[0].asarray()
        yield _Signal(data, scale, unit)


def _tiff_scale(file: tifffile.TiffFile) -> tuple[Size | None, str]:
    """Pixel size and unit from what the writing program left in the file."""
    page: Any = file.pages[0]
    for source in (_imagej_scale, _ome_scale, _json_scale, _instrument_scale, _resolution_scale):
        found = source(file, page)
        if found is not None and all(np.isfinite(size) and size > 0 for size in found[0]):
            return found
    return None, ""


def _resolution(page: Any) -> Size | None:
    """Pixel size along y and x in the tag's own unit."""
    sizes = []
    for tag in ("YResolution", "XResolution"):
        value = page.tags.valueof(tag)
        if not value or not value[0]:
            return None
        sizes.append(value[1] / value[0])
    return sizes[0], sizes[1]


def _imagej_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    metadata = file.imagej_metadata
    size = _resolution(page)
    unit = str((metadata or {}).get("unit", ""))
    if size is None or unit.lower() in (*NO_UNITS, "inch"):
        return None
    return size, unit


def _ome_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", file.ome_metadata or "")
    values = dict(re.findall(r'(PhysicalSize[XY](?:Unit)?)="([^"]*)"', pixels.group() if pixels else ""))
    if "PhysicalSizeX" not in values:
        return None
    x = float(values["PhysicalSizeX"])
    y = float(values.get("PhysicalSizeY", x))
    return (y, x), values.get("PhysicalSizeXUnit", "µm")  # the default of OME


def _json_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    """Metadata that tifffile wrote as JSON."""
    try:
        values = json.loads(page.description)
        x = float(values["PhysicalSizeX"])
        y = float(values.get("PhysicalSizeY", x))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return (y, x), str(values.get("PhysicalSizeXUnit", values.get("unit", "")))


def _instrument_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    """Thermo Fisher (FEI), Zeiss and Gatan tags."""
    fei = file.fei_metadata or {}
    scan = fei.get("Scan") or fei.get("EScan") or {}
    if "PixelWidth" in scan:
        return (float(scan.get("PixelHeight", scan["PixelWidth"])), float(scan["PixelWidth"])), "m"
    zeiss = (file.sem_metadata or {}).get("ap_image_pixel_size") or (file.sem_metadata or {}).get("ap_pixel_size")
    if zeiss is not None and len(zeiss) >= 3:
        return (float(zeiss[1]), float(zeiss[1])), str(zeiss[2])
    unit, x, y = (page.tags.valueof(code) for code in (65003, 65009, 65010))
    if isinstance(unit, str) and isinstance(x, float) and isinstance(y, float):
        return (y, x), unit.strip("\0 ")
    return None


def _resolution_scale(file: tifffile.TiffFile, page: Any) -> tuple[Size, str] | None:
    size = _resolution(page)
    unit = {2: ("cm", 2.54), 3: ("cm", 1.0)}.get(int(page.tags.valueof("ResolutionUnit") or 0))
    if size is None or unit is None:
        return None
    y, x = (side * unit[1] for side in size)
    return ((y, x), "cm") if x * A_PER_UNIT["cm"] < LARGEST_RESOLUTION_TAG_A else None


def _read_vendor(path: Path) -> Iterator[_Signal]:
    """Microscope formats through RosettaSciIO, an optional package."""
    try:
        module = importlib.import_module(f"rsciio.{VENDOR_READERS[path.suffix.lower()]}")
    except ImportError:
        raise ImageError(
            f"'{path.name}' needs RosettaSciIO; install it with: pip install 'napari-stem-gan[em]', or export as TIFF"
        ) from None
    for signal in module.file_reader(str(path), lazy=False):
        axes = [axis for axis in signal["axes"] if "size" in axis]
        shown = [axis for axis in axes if not axis.get("navigate", False)]
        if len(shown) != 2 or len(axes) != np.ndim(signal["data"]):
            continue
        units = [_text(axis.get("units")) for axis in shown]
        scale = (float(shown[0].get("scale", 1)), float(shown[1].get("scale", 1)))
        general = dict(signal.get("metadata", {}).get("General", {}))
        yield _Signal(signal["data"], scale, units[1], str(general.get("title", "")), general)


def _text(unit: object) -> str:
    return "" if unit is None else str(unit)


def _read_hdf5(path: Path) -> Iterator[_Signal]:
    """The largest image in a plain HDF5 file; HyperSpy's own layout through RosettaSciIO."""
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise ImageError(f"'{path.name}' needs h5py; install it with: pip install 'napari-stem-gan[em]'") from None
    with h5py.File(path, "r") as file:
        if "Experiments" in file:
            raise ImageError(f"'{path.name}' is a HyperSpy file; rename it to '{path.stem}.hspy'")
        found: list[Any] = []
        file.visititems(lambda _, item: found.append(item) if _is_image(item) else None)
        if found:
            yield _Signal(max(found, key=lambda item: item.size)[()])


def _is_image(item: Any) -> bool:
    shape = getattr(item, "shape", ())
    return len(shape) in (2, 3) and min(shape[-2:]) >= 8 and item.dtype.kind in "uif"


# ---------------------------------------------------------------- writing


def write_image(path: str | Path, image: STEMImage) -> None:
    """Write `image` as float32 TIFF with its pixel size in nm (ImageJ unit and resolution tags).

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    size_nm = image.pixel_size_nm
    calibration: dict[str, Any] = {"metadata": {"axes": "YX"}}
    if size_nm is not None:
        calibration = {"resolution": (1 / size_nm, 1 / size_nm), "metadata": {"axes": "YX", "unit": "nm"}}
    atomic_write(path, lambda temporary: tifffile.imwrite(temporary, image.data, imagej=True, **calibration))


def atomic_write(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place; never half a file.

    Parameters
    ----------
    path
        Target; an existing file is replaced only by a complete one.
    write
        Called with the temporary path (same folder, same suffix).

    Raises
    ------
    OutputError
        If the folder is missing or read-only, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem[:40]}-{secrets.token_hex(4)}{path.suffix}")
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "no such folder")
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _output_error(path: Path, error: OSError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    code = error.errno
    if code in (errno.ENOSPC, errno.EDQUOT):
        text = f"the disk is full, so '{path}' was not written; free some space and save again"
    elif code in (errno.ENOENT, errno.ENOTDIR):
        text = f"folder '{path.parent}' does not exist; create it or choose another"
    elif code == errno.EISDIR:
        text = f"'{path}' is a folder; give the name of a file"
    elif code in (errno.EACCES, errno.EPERM, errno.EROFS):
        text = f"'{path}' cannot be written because the folder or file is read-only; choose another folder"
    else:
        text = f"'{path}' was not written ({error.strerror or error}); choose another folder"
    return OutputError(code, text)


def prepare_folder(path: str | Path) -> Path:
    """Create the folder `path` where it is missing and check that files can be written in it.

    Raises
    ------
    OutputError
        If it cannot be created or written to.
    """
    folder = Path(path)
    probe = folder / f".write-test-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        if folder.exists() and not folder.is_dir():
            raise OutputError(errno.ENOTDIR, f"'{folder}' is a file; choose a folder") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _output_error(probe, error) from error
        raise OutputError(
            error.errno, f"folder '{folder}' cannot be created or written to; choose another folder"
        ) from error
    return folder


def write_json(path: str | Path, obj: object) -> None:
    """Write `obj` as indented JSON, whole or not at all; arrays, paths and dataclasses become plain values."""
    text = json.dumps(to_jsonable(obj), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write(path, lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    ValueError
        If the file is missing or no JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"file '{path}' cannot be read ({error.strerror}); check its name and folder") from error
    except ValueError as error:
        raise ValueError(f"'{path.name}' is not a JSON file ({_short(error)}); save it again") from error


def config_to_dict(config: object) -> dict[str, Any]:
    """Return the fields of a config dataclass (nested ones too) as plain JSON values."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"config must be a dataclass object, got {type(config).__name__}")
    result: dict[str, Any] = to_jsonable(config)
    return result


def to_jsonable(obj: object) -> Any:
    """Return `obj` made of dicts, lists, strings, finite numbers, booleans and None only."""
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {f.name: to_jsonable(getattr(obj, f.name)) for f in dataclasses.fields(obj)}
    if isinstance(obj, Mapping):
        return {str(key): to_jsonable(value) for key, value in obj.items()}
    if isinstance(obj, np.ndarray | np.generic):
        return to_jsonable(obj.tolist())
    if isinstance(obj, list | tuple | set | frozenset):
        return [to_jsonable(value) for value in obj]
    if isinstance(obj, float):
        return obj if np.isfinite(obj) else None
    return obj if isinstance(obj, str | int | bool) or obj is None else str(obj)
