"""The whole chain, headless: images in, points and table out.

Every step is a generator: it yields `Progress` and returns its result (`consume` runs one to its end). A set `stop`
event ends a step within one tile or training step by raising `training.Stopped`; `adapt` returns what it has.
The plugin and the command line call only what is named here. Nothing here imports torch before a step runs.
"""

from napari_stem_gan.workflow.adaptation import adapt
from napari_stem_gan.workflow.chain import RunConfig, SessionResult, detect, restore, run, simulate
from napari_stem_gan.workflow.known_trial import known_answer
from napari_stem_gan.workflow.matching import fit, match_images, snap_image
from napari_stem_gan.workflow.model import SessionModel
from napari_stem_gan.workflow.output import provenance, write_table
from napari_stem_gan.workflow.point_statistics import by_polygons, crystal_areas, statistics, write_statistics
from napari_stem_gan.workflow.progress import Progress, Steps, consume
from napari_stem_gan.workflow.sample import describe, sample_images
from napari_stem_gan.workflow.session import without_lattice
from napari_stem_gan.workflow.simulated import SimulatedSession, truth_table, write_simulated
from napari_stem_gan.workflow.tables import on_images, read_points

__all__ = [
    "Progress",
    "RunConfig",
    "SessionModel",
    "SessionResult",
    "SimulatedSession",
    "Steps",
    "adapt",
    "by_polygons",
    "consume",
    "crystal_areas",
    "describe",
    "detect",
    "fit",
    "known_answer",
    "match_images",
    "on_images",
    "provenance",
    "read_points",
    "restore",
    "run",
    "sample_images",
    "simulate",
    "snap_image",
    "statistics",
    "truth_table",
    "without_lattice",
    "write_simulated",
    "write_statistics",
    "write_table",
]
