"""One distribution: four packages of one folder, their data files, and nothing else."""

import email
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("alias_tables", "entity_linking", "mekb", "training")


def test_the_four_packages_come_from_one_folder():
    """`training` is a name others use too: whoever shadows it is found out here."""
    folders = {Path(next(iter(import_module(name).__path__))).parent for name in PACKAGES}
    assert folders == {ROOT}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel as a release does, from the files that git would take along."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def names_of(wheel):
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_a_wheel_holds_every_source_file_of_the_four_packages(wheel):
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names_of(wheel) == ours


def test_a_wheel_holds_nothing_of_tests_benchmarks_and_notebooks(wheel):
    assert {name.split("/")[0] for name in names_of(wheel)} == set(PACKAGES)
    assert not {name for name in names_of(wheel) if name.endswith((".pyc", ".duckdb", ".ipynb"))}


def test_the_sample_worlds_pages_and_items_are_in_it(wheel):
    found = names_of(wheel)
    for kind, ending in (("pages", ".wiki"), ("items", ".jsonl")):
        own = {path.name for path in (ROOT / "mekb" / "sample" / kind).glob(f"*{ending}")}
        assert own
        assert {f"mekb/sample/{kind}/{name}" for name in own} <= found


def test_experiment_files_are_in_it(wheel):
    own = {path.relative_to(ROOT).as_posix() for path in (ROOT / "training").rglob("*.toml")}
    if not own:
        pytest.skip("no experiment file yet")
    assert own <= names_of(wheel)


def test_the_shapes_of_the_graph_are_in_it_and_their_checker_is_an_extra(wheel):
    path = "mekb/rdf/shapes.ttl"
    assert wheel.read(path) == (ROOT / path).read_bytes()
    (found,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(found))
    assert "validate" in (metadata.get_all("Provides-Extra") or [])
    needs = metadata.get_all("Requires-Dist") or []
    assert [line for line in needs if "pyshacl" in line] == ["pyshacl>=0.30; extra == 'validate'"]


def test_the_wheel_says_what_pyproject_says(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(path))
    assert (metadata["Name"], metadata["Version"]) == (project["name"], project["version"])
    assert metadata["License-Expression"] == project["license"]
    plain = [line for line in metadata.get_all("Requires-Dist") or [] if "extra ==" not in line]
    assert len(plain) == len(project["dependencies"])
    (script,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "mekb = mekb.cli.app:main" in wheel.read(script).decode()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_installed_version_is_pyprojects():
    import mekb

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert mekb.__version__ == project["version"]


@pytest.mark.slow
def test_the_wheel_works_without_the_source_tree(wheel, tmp_path):
    """Unpacked elsewhere, it writes its sample world: data files are found where they are packaged."""
    wheel.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import mekb, training, pathlib\n"
        "assert mekb.__file__.startswith(sys.argv[1]), mekb.__file__\n"
        "assert training.__file__.startswith(sys.argv[1]), training.__file__\n"
        "from mekb.sample import write_sample_world\n"
        "world = write_sample_world(pathlib.Path(sys.argv[2]), n_users=20)\n"
        "print(mekb.import_data(sys.argv[2] + '/s.duckdb', items=[world.items],\n"
        "    interactions=[world.interactions]).report.n_users)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site"), str(tmp_path / "world")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "20"
