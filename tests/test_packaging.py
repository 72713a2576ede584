"""The wheel holds all that a run needs, and the package asks only for what it may."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import napari_stem_gan
from napari_stem_gan.models import list_models

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS_ONLY = {"napari", "pyqt6", "pyside6", "rosettasciio", "abtem", "bm3d"}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in requirements}


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


@pytest.mark.parametrize("name", ["napari.yaml", "py.typed", "simulate/lobato2014.json"])
def test_the_wheel_contains(wheel_files: set[str], name: str) -> None:
    assert f"napari_stem_gan/{name}" in wheel_files


@pytest.mark.parametrize("folder", ["weights", "sample"])
def test_the_wheel_contains_every_file_of(wheel_files: set[str], folder: str) -> None:
    here = [path.name for path in (ROOT / "src/napari_stem_gan" / folder).iterdir() if path.suffix != ".py"]
    assert here
    assert {f"napari_stem_gan/{folder}/{name}" for name in here if name != "__pycache__"} <= wheel_files


def test_the_wheel_has_neither_tests_nor_benchmarks(wheel_files: set[str]) -> None:
    assert {name.split("/")[0] for name in wheel_files} <= {
        "napari_stem_gan",
        f"napari_stem_gan-{PROJECT['version']}.dist-info",
    }


def test_three_networks_are_shipped_in_at_most_40_mib() -> None:
    shipped = {model.name: model.path.stat().st_size for model in list_models() if "weights" in model.path.parts}
    assert {"finder-tmd", "cyclegan-compact", "cgrdn-compact-hr-stem"} <= set(shipped)
    assert sum(shipped.values()) <= 40 * 2**20


def test_every_shipped_network_has_a_card_with_its_hash() -> None:
    cards = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    shipped = [model for model in list_models() if "weights" in model.path.parts]
    assert [model.name for model in shipped if model.sha256 not in cards] == []


def test_the_base_asks_for_no_qt_binding_no_napari_and_nothing_under_the_gpl() -> None:
    assert not names(PROJECT["dependencies"]) & EXTRAS_ONLY


def test_torch_has_no_upper_bound_and_no_pin() -> None:
    (torch,) = [requirement for requirement in PROJECT["dependencies"] if requirement.startswith("torch")]
    assert not set("=<!~") & set(torch.replace(">=", ""))


def test_every_import_is_declared() -> None:
    declared = names(PROJECT["dependencies"]) | EXTRAS_ONLY
    distributions = packages_distributions()
    undeclared = set()
    for path in (ROOT / "src/napari_stem_gan").rglob("*.py"):
        for top in imported_tops(path) - sys.stdlib_module_names - {"napari_stem_gan"}:
            if not {name.lower() for name in distributions.get(top, [top])} & declared:
                undeclared.add(f"{top} in {path.name}")
    assert undeclared == set()


def imported_tops(path: Path) -> set[str]:
    tops = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            tops.add(node.module.split(".")[0])
    return tops


def test_the_version_is_that_of_the_project() -> None:
    assert napari_stem_gan.__version__ == PROJECT["version"]


def test_constraints_pin_every_version_for_any_machine() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert any(pin.startswith("torch==") for pin in pins)
