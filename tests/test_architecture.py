"""The house stays as drawn: the table of places is true, imports go one way, and nothing heavy is imported early."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_stem_gan"
LIGHT = ("workflow", "cli", "image", "io", "detect.table", "crystal.config", "restore.config", "translate.config")


def where_is_paths() -> list[str]:
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Where is")[1].split("\n## ")[0]
    return re.findall(r"`([\w./-]+)`[^|]*\|\s*$", table, flags=re.MULTILINE)


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_the_table_of_places_names_places() -> None:
    assert len(where_is_paths()) > 20


@pytest.mark.parametrize("path", where_is_paths())
def test_every_path_in_the_table_of_places_exists(path: str) -> None:
    assert (PACKAGE / path).exists() or (ROOT / path).exists()


def test_the_workflow_imports_neither_qt_nor_napari() -> None:
    assert not modules_after("import napari_stem_gan.workflow") & {"qtpy", "napari", "magicgui", "superqt"}


@pytest.mark.parametrize("module", LIGHT)
def test_torch_is_not_imported_before_a_step_runs(module: str) -> None:
    assert "torch" not in modules_after(f"import napari_stem_gan.{module}")


def test_imports_go_one_way() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_file_is_longer_than_400_lines() -> None:
    long = [path.name for path in PACKAGE.rglob("*.py") if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert long == []
