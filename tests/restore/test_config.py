import pytest

from napari_stem_gan.restore.config import CGRDNTrainingConfig, RestoreConfig


def test_an_unknown_mode_is_refused_with_the_list():
    with pytest.raises(ValueError, match="hr-stem"):
        RestoreConfig(mode="lr-sem")


def test_loss_weights_have_the_names_of_the_losses():
    from napari_stem_gan.restore.losses import LOSSES

    assert set(CGRDNTrainingConfig().loss_weights) == set(LOSSES)


@pytest.mark.parametrize("values", [{"patch_px": 31}, {"fresh_per_step": 9}, {"warm_up": 1.0}, {"l1_weight": -1.0}])
def test_impossible_trainings_are_refused(values):
    with pytest.raises(ValueError, match="must"):
        CGRDNTrainingConfig(**values)
