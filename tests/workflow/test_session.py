from dataclasses import replace

import pytest

from napari_stem_gan.workflow import consume
from napari_stem_gan.workflow.session import MOST_FITS, accepted, fit_images, without_lattice


def test_only_matched_images_go_on(images, matches):
    lost = replace(matches[0], accepted=False, reason="too dark")
    assert accepted(images, [lost, matches[1]]) == [(images[1], matches[1])]


def test_a_session_without_any_match_is_refused_with_the_reason(images, matches):
    lost = [replace(m, accepted=False, reason="too dark") for m in matches]
    with pytest.raises(ValueError, match="no image could be matched: too dark"):
        accepted(images, lost)


def test_no_more_than_a_few_images_are_fitted(images, matches):
    seen = []
    fits = consume(fit_images([(images[0], matches[0])] * (MOST_FITS + 2), "simulate", None), seen.append)
    assert len(fits) == MOST_FITS == len(seen)
    assert {p.stage for p in seen} == {"simulate"}


def test_images_on_which_the_network_works_alone_are_named_with_the_reason(matches):
    lost = replace(matches[0], accepted=False, reason="too dark")
    told = without_lattice(["a", "b", "movie", "movie", "movie"], [matches[0], lost, lost, matches[1], lost])
    assert told == [
        "'b' has no lattice, so the network worked alone there, unchecked: too dark",
        "'movie' (frames 0, 2 of 3) has no lattice, so the network worked alone there, unchecked: too dark",
    ]
    assert without_lattice(["a", "b"], matches) == []
