from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_stem_gan.crystal.match import LatticeMatch
from napari_stem_gan.detect.known_answer import KnownAnswer
from napari_stem_gan.detect.table import PointTable
from napari_stem_gan.image import STEMImage
from napari_stem_gan.report import report_text, write_report


@dataclass
class Session:
    images: list[STEMImage]
    matches: list[LatticeMatch]
    table: PointTable
    restored: list[Any] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


def make_session() -> Session:
    data = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    images = [STEMImage(data=data, pixel_size_A=0.2, name=f"odd name/{k}") for k in range(2)]
    good = LatticeMatch(accepted=True, reason="", material="WSe2", pixel_size_A=0.25, nominal_pixel_size_A=0.2)
    bad = LatticeMatch(accepted=False, reason="no peaks", material="", pixel_size_A=None, nominal_pixel_size_A=0.2)
    table = PointTable.build(
        image="odd name/0",
        frame=0,
        positions_px=np.array([[10.0, 20.0], [30.0, 40.0]]),
        pixel_size_nm=0.025,
        defects=["V_Se", "V_Se"],
        sublattices=["Se", "Se"],
        confidence=np.ones(2),
    )
    return Session(images, [good, bad], table, report={"adapt": {"kept": "shipped", "kl": 0.123456}})


def test_the_report_counts_defects_per_area() -> None:
    text = report_text(make_session(), [])
    assert f"| odd name/0 | V_Se | 2 | {2 / (64 * 0.025) ** 2:.4f} |" in text


def test_the_report_says_why_a_match_was_not_accepted() -> None:
    assert "not accepted: no peaks" in report_text(make_session(), [])


def test_the_report_lists_what_the_steps_say() -> None:
    assert "## Adaptation\n\n- kept: shipped\n- kl: 0.1235" in report_text(make_session(), [])


def test_a_part_that_says_nothing_is_left_out() -> None:
    session = make_session()
    session.report["adapt"] |= {"known_answer": {}, "seconds": 3.0}
    assert "- kl: 0.1235\n- seconds: 3" in report_text(session, [])


def test_a_warning_of_the_adaptation_comes_before_every_number() -> None:
    session = make_session()
    session.report["adapt"]["warning"] = "F1 0.31 on held-out pairs: do not rely on its points"
    text = report_text(session, [])
    assert text.index("**Warning: F1 0.31 on held-out pairs: do not rely on its points.**") < text.index("| image |")
    assert "Warning" not in report_text(make_session(), [])


def test_what_was_compared_is_one_line_each() -> None:
    session = make_session()
    session.report["adapt"]["candidates"] = [{"name": "as it is", "score": 1.0, "audit": {"reason": "labels are kept"}}]
    assert "- candidates\n  - as it is; score 1; labels are kept" in report_text(session, [])


def test_the_report_prints_the_known_answer_at_every_threshold() -> None:
    session = make_session()
    answer = KnownAnswer(np.array([0.95, 0.65, 0.3, 0.0]), np.array([0.75]), 200.0, ("a", "b"))
    session.report["known_answer"] = answer.to_dict(0.5)
    text = report_text(session, [])
    assert f"## Known answer\n\nE{answer.sentence(0.5)[1:]}.\n" in text
    assert "4 vacancies planted into a, b, and on 200 nm²" in text
    assert "| 0.70 | 25% (1% to 81%) | 0.5 (0.013 to 2.8) |" in text


def test_the_report_says_why_there_is_no_known_answer() -> None:
    session = make_session()
    session.report["known_answer"] = KnownAnswer(note="no image has a lattice").to_dict(0.5)
    assert "## Known answer\n\nNo known-answer test: no image has a lattice.\n" in report_text(session, [])


def test_a_report_without_the_test_is_silent_about_it() -> None:
    assert "Known answer" not in report_text(make_session(), [])


def test_every_image_gets_a_picture_that_the_report_shows(tmp_path: Path) -> None:
    *pictures, report = write_report(make_session(), tmp_path)
    assert [picture.name for picture in pictures] == ["overlay_01_odd_name_0.png", "overlay_02_odd_name_1.png"]
    assert all(f"]({picture.name})" in report.read_text(encoding="utf-8") for picture in pictures)


def test_nothing_but_report_and_pictures_is_written(tmp_path: Path) -> None:
    assert set(write_report(make_session(), tmp_path)) == set(tmp_path.iterdir())


def test_images_on_which_the_network_worked_alone_are_named_before_every_number() -> None:
    session = make_session()
    session.report["without_lattice"] = ["'b' has no lattice, so the network worked alone there"]
    text = report_text(session, [])
    assert text.index("**'b' has no lattice, so the network worked alone there.**") < text.index("| image |")
