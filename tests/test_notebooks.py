"""The notebooks run from top to bottom, end in something to look at, and are stored without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALL = {"N_USERS": 240, "EPOCHS": 1}
"""What the parameters cell is given here: a reader's own settings take minutes."""


def cells_of(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def test_the_three_jobs_have_a_notebook_each():
    assert [path.stem for path in NOTEBOOKS] == [
        "01_a_users_graph",
        "02_fine_tune_embedme",
        "03_zero_shot_users",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert 8 <= len(notebook.cells) <= 15
    assert notebook.cells[0].source.startswith("# ")
    for cell in cells_of(path, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None
    assert path.stat().st_size < 20_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Jupyter's client leaves its sockets open
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_ends_in_something_to_look_at(path, project, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = (
        cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
    )
    changed = {**SMALL, "ENCODER": str(project.encoder)}
    given = [line.split(" = ")[0] for line in parameters.source.splitlines()]
    parameters.source += "".join(
        f"\n{name} = {value!r}" for name, value in changed.items() if name in given
    )
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    shown = {kind for output in notebook.cells[-1].outputs for kind in output.get("data", {})}
    assert shown & {"image/png", "text/html"}
    told = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    )
    assert "Warning" not in told.replace("TqdmWarning: IProgress", "")  # no ipywidgets, no bars
    left = {entry.name for entry in tmp_path.iterdir()} - {"ipython"}
    assert left == set()
