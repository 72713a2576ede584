"""The commands: each reads its images, runs steps of the workflow, writes files and returns what to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from napari_stem_gan import __version__, workflow
from napari_stem_gan.cli.arguments import (
    ImagesToFolder,
    ImagesToModel,
    ImagesToTable,
    LikeImage,
    NoOptions,
    OneImage,
    TableToFolder,
    TwoTables,
)
from napari_stem_gan.cli.images import matched, read
from napari_stem_gan.cli.options import config_from
from napari_stem_gan.cli.progress import Job
from napari_stem_gan.cli.tables import check_images, decided_points
from napari_stem_gan.cli.texts import (
    left_out,
    match_text,
    statistics_lines,
    threshold_lines,
    warning_lines,
    with_warning,
)
from napari_stem_gan.crystal.config import MatchConfig
from napari_stem_gan.detect.config import DetectConfig
from napari_stem_gan.detect.statistics_config import StatisticsConfig
from napari_stem_gan.detect.threshold import threshold_of
from napari_stem_gan.io import prepare_file, prepare_folder, readable_suffixes, write_image
from napari_stem_gan.restore.config import RestoreConfig
from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig
from napari_stem_gan.translate.config import AdaptConfig

Answer = tuple[str, dict[str, Any]]
SAMPLE_MATERIAL = "WSe2"


class Command(NamedTuple):
    """One command: its options (own ones and those of configs) and the function that does it."""

    name: str
    sentence: str
    own: type
    configs: tuple[type, ...]
    run: Callable[[Any, Job], Answer]
    needs_images: bool = False


def info(options: Any, job: Job) -> Answer:
    """Say what is installed and where networks would run."""
    from napari_stem_gan.crystal.materials import MATERIALS
    from napari_stem_gan.models import list_models, user_folder
    from napari_stem_gan.training import best_device, device_note

    device = best_device(options.device)
    weights = [{"name": m.name, "kind": m.kind, "sha256": m.sha256, "path": str(m.path)} for m in list_models()]
    result = {
        "version": __version__,
        "device": str(device),
        "device_note": device_note(device),
        "weights": weights,
        "materials": list(MATERIALS),
        "formats": list(readable_suffixes()),
        "model_folder": str(user_folder()),
    }
    lines = [f"napari-stem-gan {__version__}", f"device     {result['device_note']}"]
    lines += [f"weights    {w['name']} ({w['kind']}, {w['sha256'][:12]})" for w in weights]
    lines += [f"materials  {', '.join(MATERIALS)}", f"formats    {' '.join(readable_suffixes())}"]
    return "\n".join(lines), result


def match(options: Any, job: Job) -> Answer:
    """Find the lattice; of a stack the first frame's values come first and all follow under ``frames``."""
    images = read([options.image], options, job)
    matches = job.finish(workflow.match_images(images, config_from(MatchConfig, options), stop=job.stop))
    fits = job.finish(workflow.fit(images, matches, config_from(OpticsConfig, options), stop=job.stop))
    frames = [
        {"image": image.name, "frame": image.frame, **found.to_dict(), "fit": fit}
        for image, found, fit in zip(images, matches, fits, strict=True)
    ]
    text = "\n".join(match_text(values) for values in frames)
    return text, frames[0] | ({"frames": frames} if len(frames) > 1 else {})


def simulate(options: Any, job: Job) -> Answer:
    """Simulate labelled images like one image and write them with their true defects."""
    folder = prepare_folder(options.out)
    images, matches = matched([options.like], options, job)
    config = config_from(SimulateConfig, options)
    drawn = job.finish(workflow.simulate(images, matches, config, stop=job.stop))
    files = workflow.write_simulated(drawn, folder)
    defects = sum(len(labelled.defects) for labelled in drawn)
    text = f"{len(files)} images, each with its true defects (.truth.csv, {defects} in all), are in {folder}"
    truth = [path.with_suffix(".truth.csv") for path in files]
    return text, {"images": files, "truth": truth, "defects": defects, "fits": list(drawn.fits)}


def adapt(options: Any, job: Job) -> Answer:
    """Fine-tune the CycleGAN and the finder on today's images and write the session's model."""
    prepare_file(options.out)
    decisions = None if options.decisions is None else workflow.read_points(options.decisions)
    images, matches = matched(options.images, options, job)
    lost = 0
    if decisions is not None:
        decisions, lost = decided_points(decisions, options.decisions, images)
    config, like = config_from(AdaptConfig, options), config_from(SimulateConfig, options)
    more = {"decisions": decisions, "device": options.device}
    model = job.finish(workflow.adapt(images, matches, config, simulate=like, stop=job.stop, **more))
    saved = str(model.save(options.out).path)
    early = " (stopped early)" if job.stop.is_set() else ""
    text = "\n".join([*left_out(lost), f"the session's model is in {saved}{early}"])
    return with_warning(text, model.report), {"model": saved, "report": model.report, "left_out": lost}


def detect(options: Any, job: Job) -> Answer:
    """Find defects and write them as CSV."""
    prepare_file(options.out)
    images, matches = matched(options.images, options, job)
    config = config_from(DetectConfig, options)
    steps = workflow.detect(images, matches, config, model=options.model, device=options.device, stop=job.stop)
    detections = job.finish(steps)
    configs = [config_from(MatchConfig, options), config]
    table = workflow.write_table(options.out, images, matches, detections, configs=configs, model=options.model)
    tables = [one.points for one in detections]
    searched = sum(found.accepted or len(points) > 0 for found, points in zip(matches, tables, strict=True))
    lines = [f"{len(table)} defects on {searched} of {len(images)} images are in {options.out}"]
    lines += threshold_lines(config.threshold, tables)
    result = {"points": len(table), "images": len(images), "out": str(options.out)}
    result["matched"] = sum(found.accepted for found in matches)
    result["without_lattice"] = alone = workflow.without_lattice([image.name for image in images], matches)
    lines += warning_lines(alone)
    result["threshold"] = threshold = threshold_of(config.threshold, tables)
    if config.known_answer:
        where = {"model": options.model, "device": options.device, "seed": options.seed, "stop": job.stop}
        answer = job.finish(workflow.known_answer(images, matches, config, detections=detections, **where))
        lines.append(answer.sentence(threshold))
        result["known_answer"] = answer.to_dict(threshold)
    return "\n".join(lines), result


def restore(options: Any, job: Job) -> Answer:
    """Restore images and write them as TIFF."""
    folder = prepare_folder(options.out)
    config = config_from(RestoreConfig, options)
    images = read(options.images, options, job)
    restored = job.finish(workflow.restore(images, config, device=options.device, stop=job.stop))
    rows = []
    for image, result in zip(images, restored, strict=True):
        path = folder / f"{image.name}_{image.frame}_restored.tif"
        write_image(path, result.image)
        rows.append({"file": str(path), "invented": len(result.invented_px), "erased": len(result.erased_px)})
    return f"{len(rows)} restored images are in {folder}", {"images": rows}


def statistics(options: Any, job: Job) -> Answer:
    """Count the points of a table on the crystal of its images and write densities, pair correlations and maps."""
    folder = prepare_folder(options.out)
    table = workflow.read_points(options.table)
    images, matches = matched(options.images, options, job)
    check_images(table, options.table, (image.name for image in images))
    table, lost = workflow.on_images(table, images)
    config = config_from(StatisticsConfig, options)
    areas = workflow.crystal_areas(images, matches)
    threshold = threshold_of(options.threshold, [table])
    found = job.finish(workflow.statistics(areas, table, config, threshold=threshold, stop=job.stop))
    files = workflow.write_statistics(found, folder)
    said = [*threshold_lines(options.threshold, [table]), *statistics_lines(found), *left_out(lost)]
    text = "\n".join([*said, f"tables and plots are in {folder}"])
    return text, {"files": files, "left_out": lost, **found.to_dict()}


def evaluate(options: Any, job: Job) -> Answer:
    """Compare a table of points with a table of true defects."""
    from napari_stem_gan.detect.evaluate import evaluate as compare

    found = compare(
        options.points, options.truth, radius_nm=options.radius_nm, radius_px=options.radius_px,
        pixel_size_nm=options.pixel_size_nm, defect=options.defect, kind=options.kind, border_px=options.border_px,
        size_px=options.size_px,
    )  # fmt: skip
    return found.text, found.to_dict()


def run(options: Any, job: Job) -> Answer:
    """Do the whole job and write table, overlay, restored images and report into a folder."""
    folder = prepare_folder(options.out)
    config = workflow.RunConfig(**{name: config_from(kind, options) for name, kind in RUN_CONFIGS.items()})
    if options.images:
        images = read(options.images, options, job)
    else:
        images = workflow.sample_images()
        job.say(f"no images given: working on the embedded sample session ({workflow.describe(images)})")
        material = SAMPLE_MATERIAL if config.match.material == "auto" else config.match.material
        config = replace(config, match=replace(config.match, material=material))
    done = job.finish(workflow.run(images, config, device=options.device, stop=job.stop, folder=folder))
    files = sorted(str(path) for path in folder.iterdir() if path.is_file())
    result = {"points": len(done.table), "out": str(folder), "files": files, "report": done.report}
    result["threshold"] = done.threshold
    lines = [f"{len(done.table)} defects on {len(images)} images; table, pictures and report are in {folder}"]
    lines += threshold_lines(config.detect.threshold, [one.points for one in done.detections])
    lines += warning_lines(done.report["without_lattice"])
    return with_warning("\n".join(lines), done.report.get("adapt", {})), result


RUN_CONFIGS: dict[str, type] = {
    "match": MatchConfig,
    "simulate": SimulateConfig,
    "adapt": AdaptConfig,
    "detect": DetectConfig,
    "restore": RestoreConfig,
    "statistics": StatisticsConfig,
}

COMMANDS = (
    Command("info", "Version, device, weights, materials and formats.", NoOptions, (), info),
    Command(
        "match", "Find the lattice in an image, check its pixel size, measure the instrument.",
        OneImage, (MatchConfig, OpticsConfig), match,
    ),
    Command("simulate", "Simulate labelled images like one image.", LikeImage, (MatchConfig, SimulateConfig), simulate),
    Command(
        "adapt", "Fine-tune on today's images.", ImagesToModel, (MatchConfig, SimulateConfig, AdaptConfig), adapt,
        needs_images=True,
    ),
    Command(
        "detect", "Find defects and write a CSV.", ImagesToTable, (MatchConfig, DetectConfig), detect, needs_images=True
    ),
    Command(
        "statistics", "Density, pair correlation and map of the points of a table.",
        TableToFolder, (MatchConfig, StatisticsConfig), statistics, needs_images=True,
    ),
    Command("restore", "Restore images.", ImagesToFolder, (RestoreConfig,), restore, needs_images=True),
    Command("evaluate", "Compare a table of points with the truth.", TwoTables, (), evaluate),
    Command("run", "All steps, from images to table and report.", ImagesToFolder, tuple(RUN_CONFIGS.values()), run),
)
