import numpy as np
import torch

from napari_stem_gan.detect.column_noise import noise_line
from napari_stem_gan.detect.column_shape import ORDERS, ColumnShape, hermite


def test_hermite_functions_are_orthonormal_with_their_weight():
    t = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    g = hermite(t, 7)
    product = (g[:, None] * g[None] * torch.exp(t**2 / 2)).sum(-1) * (t[1] - t[0]) / np.sqrt(2 * np.pi)
    torch.testing.assert_close(product, torch.eye(7, dtype=torch.float64), atol=1e-6, rtol=0)


def some_shape():
    """A column with every order."""
    change = 0.1 * torch.randn(len(ORDERS), generator=torch.Generator().manual_seed(0))
    return ColumnShape.gaussian(2.0, 2).with_change(change, torch.tensor([0.0, 0.05]))


def test_slopes_are_the_derivatives_by_the_place_of_the_column():
    shape, kind, step = some_shape(), torch.tensor([0, 1]), 0.01
    place = torch.tensor([[0.1, -0.3], [0.4, 0.2]])
    _, along_y, along_x = shape.patches(place, kind)
    for slope, move in ((along_y, [step, 0.0]), (along_x, [0.0, step])):
        up, down = (shape.patches(place + sign * torch.tensor(move), kind)[0] for sign in (1, -1))
        torch.testing.assert_close(slope, (up - down) / (2 * step), atol=2e-3, rtol=0)


def test_the_peak_is_the_height_in_the_middle():
    shape = some_shape()
    middle = shape.patches(torch.zeros(2, 2), torch.tensor([0, 1]))[0, :, shape.reach_px, shape.reach_px]
    torch.testing.assert_close(shape.peak(), middle)


def test_the_line_of_the_noise_is_found_below_outliers():
    rng = np.random.default_rng(0)
    level = rng.uniform(1, 10, 200_000)
    residual = rng.normal(size=level.shape) * np.sqrt(0.5 + 0.2 * level)
    residual[::100] += 30
    line = noise_line(torch.tensor(level), torch.tensor(residual))
    np.testing.assert_allclose([line.floor, line.slope], [0.5, 0.2], rtol=0.1)
