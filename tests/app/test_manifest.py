"""The manifest: every name in it leads somewhere. A validator does not check that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_stem_gan

PACKAGE = Path(napari_stem_gan.__file__).parent
MENUS = {"napari/layers/filter", "napari/layers/segment", "napari/layers/measure"}


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(PACKAGE / "napari.yaml")


def test_npe2_finds_the_manifest_valid():
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", str(PACKAGE / "napari.yaml")], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_python_name_resolves(manifest):
    for command in manifest.contributions.commands:
        assert callable(command.python_name.__class__)
        module, _, name = str(command.python_name).partition(":")
        target = getattr(__import__(module, fromlist=[name]), name)
        assert callable(target), command.id


def test_every_reference_is_a_command(manifest):
    parts = manifest.contributions
    ids = [command.id for command in parts.commands]
    menu_items = [item for items in parts.menus.values() for item in items]
    used = [item.command for group in (parts.widgets, parts.readers, parts.writers, parts.sample_data, menu_items)
            for item in group]  # fmt: skip

    assert len(set(ids)) == len(ids)
    assert set(used) == set(ids)


def test_ids_and_menus_follow_the_rules(manifest):
    for command in manifest.contributions.commands:
        assert command.id.startswith("napari-stem-gan.")
        assert "-" not in command.id.rpartition(".")[2]
    assert set(manifest.contributions.menus) == MENUS


def test_there_is_a_workbench_and_one_widget_per_step(manifest):
    names = [widget.display_name for widget in manifest.contributions.widgets]

    assert names == ["Workbench", "Match", "Simulate", "Adapt", "Detect", "Restore"]


def test_the_readers_patterns_are_what_the_reader_takes(manifest, tmp_path):
    from napari_stem_gan.app.readers import LEFT_TO_OTHERS
    from napari_stem_gan.io import readable_suffixes

    patterns = set(manifest.contributions.readers[0].filename_patterns)

    assert patterns == {f"*{suffix}" for suffix in readable_suffixes() if suffix not in LEFT_TO_OTHERS}


def test_the_link_at_the_root_is_the_manifest():
    link = PACKAGE.parents[1] / "napari.yaml"

    assert link.resolve() == (PACKAGE / "napari.yaml").resolve()


def test_reading_the_manifest_and_readers_imports_neither_torch_nor_the_workflow():
    code = (
        "import sys, napari_stem_gan.app.readers, napari_stem_gan.app.writers, napari_stem_gan.app.sample;"
        "assert not {'torch', 'napari_stem_gan.workflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_napari_opens_the_workbench_by_its_name(make_napari_viewer, npe2pm, manifest):
    npe2pm.register(manifest)
    viewer = make_napari_viewer()

    _, widget = viewer.window.add_plugin_dock_widget("napari-stem-gan", "Workbench")

    assert widget.steps == ("match", "simulate", "adapt", "detect", "restore")
    widget.shell.device._timer.stop()
