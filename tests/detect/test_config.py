import pytest

from napari_stem_gan.detect.config import DetectConfig


@pytest.mark.parametrize(
    "values",
    [{"threshold": -0.1}, {"threshold": 1.1}, {"threshold": "faint"}, {"tile_px": 32}, {"tile_px": 10000}],
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(ValueError, match="must lie between"):
        DetectConfig(**values)
