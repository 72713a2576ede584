"""Files: microscope images in, TIFF and JSON out; pixel sizes in nm at this edge, in Å inside."""

from napari_stem_gan.io.csv_rows import Rows, read_header, read_rows
from napari_stem_gan.io.read import read_images, readable_suffixes
from napari_stem_gan.io.signal import unit_in_A
from napari_stem_gan.io.write import (
    OutputError,
    atomic_write,
    config_to_dict,
    prepare_file,
    prepare_folder,
    read_json,
    to_jsonable,
    write_image,
    write_json,
)

__all__ = [
    "OutputError",
    "Rows",
    "atomic_write",
    "config_to_dict",
    "prepare_file",
    "prepare_folder",
    "read_header",
    "read_images",
    "read_json",
    "read_rows",
    "readable_suffixes",
    "to_jsonable",
    "unit_in_A",
    "write_image",
    "write_json",
]
