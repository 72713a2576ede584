"""Does the fit find what was drawn, and do its simulations look like a session's images without any network?

python benchmarks/fitted_degradations.py [FOLDER --material WSe2] [--draws 16] [--side 1024]

Recovery: images of known dose, jitter, row noise, tail, contamination and source size are matched and fitted. For
each number: bias, rms error, and the spread of errors in units of the fit's own standard error (z; 1 is right).

FOLDER: its images (no truth is read) are matched and fitted, and as many simulations are drawn from the fits as there
are images. They are compared with the images as `adaptation.py` does: `set` is all against all (each image
standardised), `pairs` the mean over pairs of one image with one simulation. `generic` are simulations of the same
crystal, pixel size and rotation with a probe and degradations drawn as for pretraining, without looking at the images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_stem_gan.crystal.config import DefectConfig, MatchConfig
from napari_stem_gan.crystal.match import LatticeMatch, match
from napari_stem_gan.crystal.materials import get_material
from napari_stem_gan.crystal.structure import lattice_vectors_px
from napari_stem_gan.degrade.config import DetectorConfig, ScanConfig
from napari_stem_gan.degrade.contamination import ContaminationConfig, contamination_field
from napari_stem_gan.image import LabelledImage
from napari_stem_gan.io import read_images
from napari_stem_gan.metrics import kl_divergence, radial_spectrum_distance
from napari_stem_gan.simulate.config import OpticsConfig, SimulateConfig
from napari_stem_gan.simulate.draws import draw_degradation, draw_optics
from napari_stem_gan.simulate.fit import SessionFit, fit_session
from napari_stem_gan.simulate.pairs import Degradation, Field, degrade, ideal_image
from napari_stem_gan.simulate.session import session_pairs
from napari_stem_gan.translate.similarity import Today

FITTED = (
    "dose_e_per_A2", "gain", "offset", "tail_px", "row_noise", "jitter_x_px", "jitter_y_px", "jitter_correlation",
    "source_size_fwhm_A", "contamination_amount",
)  # fmt: skip
RELATIVE = ("dose_e_per_A2", "gain", "contamination_amount")
Images = Sequence[NDArray[np.float32]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--material", default="WSe2")
    parser.add_argument("--draws", type=int, default=16, help="images of known truth")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--seeds", type=int, default=3, help="sets of simulations")
    return parser.parse_args()


def draw(rng: np.random.Generator, side: int) -> tuple[LabelledImage, dict[str, float]]:
    """One image and what it was drawn with."""
    material = get_material(str(rng.choice(["WSe2", "MoS2", "WS2"])))
    size = float(rng.uniform(0.14, 0.24))
    jittered = rng.random() < 0.8
    truth = {
        "dose_e_per_A2": float(np.exp(rng.uniform(np.log(1e4), np.log(1e5)))),
        "gain": 100.0,
        "offset": 500.0,
        "tail_px": float(rng.uniform(0.3, 1.2)) if rng.random() < 0.7 else 0.0,
        "row_noise": float(rng.uniform(0.005, 0.03)) if rng.random() < 0.5 else 0.0,
        "jitter_x_px": float(rng.uniform(0.1, 0.6)) if jittered else 0.0,
        "jitter_y_px": float(rng.uniform(0.1, 0.6)) if jittered else 0.0,
        "jitter_correlation": float(rng.uniform(0, 0.6)),
        "source_size_fwhm_A": float(rng.uniform(0.5, 1.2)),
        "contamination_amount": float(rng.uniform(0.05, 0.4)),
    }
    place = Field(
        material=material,
        vectors_px=lattice_vectors_px(material, size, float(rng.uniform(0, 60))),
        origin_px=tuple(rng.uniform(0, 20, 2)),
        shape=(side, side),
        pixel_size_A=size,
    )
    optics = OpticsConfig(source_size_fwhm_A=truth["source_size_fwhm_A"])
    ideal = ideal_image(place, optics, DefectConfig(), rng)
    detector = DetectorConfig(
        dose_e_per_A2=truth["dose_e_per_A2"], gain=truth["gain"], offset=truth["offset"],
        tail_px=truth["tail_px"], row_noise=truth["row_noise"],
    )  # fmt: skip
    scan = ScanConfig(**{n: truth[n] for n in ("jitter_x_px", "jitter_y_px", "jitter_correlation")})
    dirt = ContaminationConfig(amount=truth["contamination_amount"])
    field = contamination_field((side, side), size, dirt, rng)
    truth["contamination_amount"] = float(field.std())  # of this image, not of all that could be drawn
    return degrade(ideal, Degradation(scan=scan, detector=detector), rng, background=field), truth


def fitted(fit: SessionFit) -> dict[str, float]:
    """The fitted numbers by the names of `FITTED`."""
    values = {**vars(fit.detector), **vars(fit.scan), **vars(fit.optics)}
    return {name: values.get(name, fit.background.amount) for name in FITTED}


def recovery(count: int, side: int) -> None:
    """Print bias, rms error and z of every fitted number."""
    errors: dict[str, list[float]] = {name: [] for name in FITTED}
    scores: dict[str, list[float]] = {name: [] for name in FITTED}
    seconds, matched = [], 0
    for seed in range(count):
        labelled, truth = draw(np.random.default_rng(seed), side)
        found = match(labelled.image, MatchConfig(material=labelled.parameters["material"]))
        if not found.accepted:
            print(f"draw {seed} was not matched: {found.reason}")
            continue
        matched += 1
        started = time.perf_counter()
        fit = fit_session(labelled.image, found)
        seconds.append(time.perf_counter() - started)
        for name, value in fitted(fit).items():
            if name == "jitter_correlation" and truth["jitter_x_px"] == 0:
                continue
            error = value - truth[name]
            errors[name].append(error / truth[name] if name in RELATIVE else error)
            scores[name].append(error / max(fit.errors[name], 1e-12))
    print(f"{matched} of {count} images of {side}² matched; fitted in {np.median(seconds):.2f} s each (median)\n")
    print(f"{'':32s}{'bias':>12s}{'rms error':>12s}{'z median':>12s}{'z rms':>12s}{'worst z':>12s}")
    for name in FITTED:
        e, z = np.array(errors[name]), np.array(scores[name])
        label = f"{name}, relative" if name in RELATIVE else name
        row = (e.mean(), np.sqrt((e**2).mean()), np.median(z), np.sqrt((z**2).mean()), np.abs(z).max())
        print(f"{label:32s}" + "".join(f"{v:12.4f}" for v in row))


def generic(found: LatticeMatch, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The same crystal, pixel size and rotation under a probe and degradations drawn at random."""
    size = found.pixel_size_A or 0.2
    place = Field(
        material=get_material(found.material), vectors_px=found.lattice_vectors_px,
        origin_px=tuple(rng.uniform(0, side, 2)), shape=(side, side), pixel_size_A=size,
    )  # fmt: skip
    ideal = ideal_image(place, draw_optics(rng), DefectConfig(), rng, stack_factor=float(rng.uniform(0.98, 1.25)))
    return degrade(ideal, draw_degradation(rng, size), rng).image.data


def row(name: str, images: Images, real: Images, today: Today) -> list[float]:
    """Print and return KL and radial distance of the set, and the mean of both over pairs."""
    similarity = today.similarity(images)
    pairs = [(a, b) for a in images for b in real if a is not b]
    values = [
        similarity.kl, similarity.radial,
        float(np.mean([kl_divergence(a, b) for a, b in pairs])),
        float(np.mean([radial_spectrum_distance(a, b) for a, b in pairs])),
        similarity.texture,
    ]  # fmt: skip
    print(f"{name:26s}" + "".join(f"{value:12.4f}" for value in values), flush=True)
    return values


def session(folder: Path, material: str, side: int, seeds: int) -> None:
    """Print how like the folder's images the fitted simulations are, beside generic ones."""
    images = [image for path in sorted(folder.glob("*.tif")) for image in read_images(path)]
    matches = [match(image, MatchConfig(material=material)) for image in images]
    good = [(i, m) for i, m in zip(images, matches, strict=True) if m.accepted]
    fits = [fit_session(i, m) for i, m in good]
    print(f"\n{folder.name}: {len(good)} of {len(images)} images matched")
    for (image, _), fit in zip(good, fits, strict=True):
        values = fitted(fit)
        print(f"  {image.name:10s} " + ", ".join(f"{n} {values[n]:.4g} ± {fit.errors[n]:.1g}" for n in FITTED))
        dirt = {n.removeprefix("contamination_"): round(v, 3) for n, v in fit.background.to_dict().items()}
        print("    ", dirt, {n: round(v, 3) for n, v in fit.column_ratios.items()})
    real = [image.data for image, _ in good]
    today = Today(real)
    print(f"\n{'':26s}" + "".join(f"{t:>12s}" for t in ("KL set", "radial set", "KL pairs", "rad. pairs", "texture")))
    row("session itself", real, real, today)
    matched, drawn = [], []
    for seed in range(seeds):
        config = SimulateConfig(count=len(good), size_px=side, seed=1000 + seed, optics=OpticsConfig())
        simulated = [item.image.data for item in session_pairs([m for _, m in good], fits, config)]
        matched.append(row(f"matched, seed {seed}", simulated, real, today))
        rng = np.random.default_rng(seed)
        others = [generic(m, side, rng) for _, m in good]
        drawn.append(row(f"generic, seed {seed}", others, real, today))
    first, second = np.mean(matched, 0), np.mean(drawn, 0)
    print(f"{'matched, mean':26s}" + "".join(f"{v:12.4f}" for v in first))
    print(f"{'generic, mean':26s}" + "".join(f"{v:12.4f}" for v in second))
    print(f"{'matched / generic':26s}" + "".join(f"{a / b:12.4f}" for a, b in zip(first, second, strict=True)))


def main() -> None:
    options = arguments()
    if options.draws:
        recovery(options.draws, options.side)
    if options.folder is not None:
        session(options.folder, options.material, options.side, options.seeds)


if __name__ == "__main__":
    main()
