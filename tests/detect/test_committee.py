import numpy as np
import torch

from napari_stem_gan.detect.committee import MEMBERS, NAMES, Descent, descended, ignorant, said

FEATURES, CLASSES = 5, 3


def drawn(count=600):
    """Features whose first two tell the class, without known logits."""
    rng = np.random.default_rng(0)
    target = rng.integers(CLASSES, size=count)
    x = rng.normal(0, 0.3, (count, FEATURES))
    x[:, 0] += target == 1
    x[:, 1] += target == 2
    return torch.as_tensor(x, dtype=torch.float32), torch.zeros(count, CLASSES), torch.as_tensor(target)


def fitted(how, iterations=200):
    generator = torch.Generator().manual_seed(0)
    first = ignorant(FEATURES, CLASSES, generator)
    return first, descended(first, drawn(), iterations, generator, how)


def test_an_ignorant_committee_has_members_that_differ_and_say_next_to_nothing():
    first, _ = fitted(Descent(1e-2, 0.0, 100, together=False), iterations=0)
    views = said(drawn()[0], first)
    assert set(first) == set(NAMES)
    assert views.shape == (MEMBERS, 600, CLASSES)
    assert views.abs().max() < 0.2
    assert views.std(0).min() > 0


def test_every_member_learns_by_itself_where_they_do_not_learn_together():
    _, weights = fitted(Descent(1e-2, 0.0, 100, together=False))
    x, _, target = drawn()
    right = (said(x, weights).argmax(-1) == target).float().mean(1)
    assert right.min() > 0.85


def test_a_strong_pull_holds_a_committee_where_it_began():
    first, free = fitted(Descent(1e-2, 0.0, 100, together=True))
    _, held = fitted(Descent(1e-2, 1e4, 100, together=True))

    def way(weights):
        return sum(float((weights[name] - first[name]).square().sum()) for name in NAMES)

    assert 0 < way(held) < 0.01 * way(free)
