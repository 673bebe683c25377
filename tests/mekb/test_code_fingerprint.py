"""The fingerprint of code: of a module and what it imports, and of nothing else."""

import sys

import pytest

from mekb import fingerprint
from mekb.fingerprint import closure_fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a package of four modules: a imports b at its top and c inside a function; d is nobody's."""
    folder = tmp_path / "closurepkg"
    folder.mkdir()
    for name, text in (
        ("__init__", ""),
        ("a", "from closurepkg.b import thing\n\ndef f():\n    from closurepkg import c\n"),
        ("b", "import json\nthing = 1\n"),
        ("c", ""),
        ("d", ""),
    ):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(fingerprint, "OWN_PACKAGES", frozenset({"closurepkg"}))
    yield folder
    for name in [one for one in sys.modules if one.startswith("closurepkg")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("module", "matters"), [("a", True), ("b", True), ("c", True), ("d", False)]
)
def test_only_what_is_imported_matters(package, module, matters):
    before = closure_fingerprint(["closurepkg.a"])
    (package / f"{module}.py").write_text((package / f"{module}.py").read_text() + "\n# changed\n")
    assert (closure_fingerprint(["closurepkg.a"]) != before) == matters


def test_a_model_does_not_depend_on_another_one():
    assert closure_fingerprint(["training.baselines.popularity"]) != closure_fingerprint(
        ["training.baselines.source_knn"]
    )
    with pytest.raises(ModuleNotFoundError):
        closure_fingerprint(["training_of_nothing.at_all"])
