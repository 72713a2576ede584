"""One training loop for every network; device, seed, precision and out-of-memory recovery."""

from napari_stem_gan.training.device import (
    autocast,
    best_device,
    device_note,
    free_memory,
    halve_batch,
    is_out_of_memory,
    seed_everything,
    threads_for,
)
from napari_stem_gan.training.loop import train
from napari_stem_gan.training.protocol import Stopped, Trainable, TrainingConfig, TrainingError, TrainStep

__all__ = [
    "Stopped",
    "TrainStep",
    "Trainable",
    "TrainingConfig",
    "TrainingError",
    "autocast",
    "best_device",
    "device_note",
    "free_memory",
    "halve_batch",
    "is_out_of_memory",
    "seed_everything",
    "threads_for",
    "train",
]
