"""Every command: it has help, its example runs as it stands, and its JSON parses."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest
import typer

from mekb.cli.app import app

HEAVY = (
    *("duckdb", "faiss", "matplotlib", "numpy", "pandas", "pyarrow", "rdflib", "scipy"),
    *("sentence_transformers", "spacy", "torch", "transformers"),
)
MAKES = {
    "data import": ["my.duckdb"],
    "train": ["model"],
    "bundle": ["bundle"],
    "data export": ["tables"],
    "compare": ["my.duckdb.compare"],
    "split": ["split"],
}
"""What an example writes, and must not find there."""
FILES = {
    "data keywords": ("hashtags.tsv", "keyword\tweight\n#jazz\t0.5\n"),
    "data relations": ("triples.tsv", "subject\tpredicate\tobject\nQ8341\tP31\tQ188451\n"),
}
"""What an example reads beside the project's own files."""
OWN_TESTS = {"demo", "serve"}
"""Commands whose example is run elsewhere: with fewer users, or until told to end (tests/serve)."""
ON_SPARK = ["--engine", "spark", "--master", "local[1]"]
BEFORE = {
    "link import": [
        ["data", "export", "my.duckdb", "items", "--table", "items"],
        [
            *["link", *ON_SPARK, "--input", "items", "--output", "linked"],
            *["--dictionary", "my.duckdb.aliases"],
        ],
    ],
    "profiles infer": [["data", "relations", "my.duckdb", "triples.tsv"]],
    "profiles import": [
        ["data", "export", "my.duckdb", "tables"],
        ["profiles", "build", *ON_SPARK, "--input", "tables", "--output", "profiles"],
    ],
}
"""What must have been run before an example."""


def commands(group: Any = None, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return every command by its words."""
    group = group or typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in getattr(group, "commands", {}).items():
        below = commands(command, (*path, name)) if hasattr(command, "commands") else {}
        found |= below or {" ".join((*path, name)): command}
    return found


COMMANDS = commands()


def example(name: str) -> list[str]:
    """Return the words of the example in a command's help."""
    found = re.search(r"^\s*Example: mekb (.+)$", COMMANDS[name].help or "", re.MULTILINE)
    assert found, f"'mekb {name}' has no line 'Example: mekb ...' in its help"
    return shlex.split(found[1])


def test_the_commands_are_those_we_know():
    assert sorted(COMMANDS) == sorted(
        [
            *(
                "aliases build",
                "aliases import",
                "aliases lookup",
                "bundle",
                "card",
                "compare",
                "compare-domains",
                "compare-ratings",
                "data describe",
            ),
            *(
                "data add",
                "data audit",
                "data export",
                "data import",
                "data keywords",
                "data relations",
                "demo",
                "doctor",
                "evaluate",
                "explain",
                "link evaluate",
                "link import",
                "link items",
            ),
            *(
                "profiles build",
                "profiles dump",
                "profiles edit",
                "profiles export",
                "profiles forget",
                "profiles import",
                "profiles infer",
                "profiles show",
                "profiles update",
                "profiles validate",
                "recommend",
                "runs",
                "serve",
                "split",
                "train",
            ),
        ]
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_and_each_of_its_options_does(mekb, name):
    shown = mekb(*name.split(), "--help")
    assert shown.code == 0
    command = COMMANDS[name]
    assert (command.help or "").splitlines()[0].rstrip().endswith((".", ":")), command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"mekb {name}: {parameter.name} has no help"
        assert all(word in shown.out for word in parameter.opts if word.startswith("-"))
    assert "Example: mekb" in shown.out


@pytest.mark.slow
@pytest.mark.usefixtures("small_encoder")
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in OWN_TESTS])
def test_the_example_in_the_help_runs_as_it_stands(mekb, own_project, monkeypatch, name):
    words = example(name)
    assert " ".join(words).startswith(name)
    monkeypatch.chdir(own_project.folder)
    for made in MAKES.get(name, []):
        path = own_project.folder / made
        if path.exists():
            path.rename(path.with_name(f"former-{made}"))
    for file, text in FILES.values():
        (own_project.folder / file).write_text(text, encoding="utf-8")
    if name in {"link import", "profiles import"} and shutil.which("java") is None:
        pytest.skip("no Java here, which Spark needs")
    for earlier in BEFORE.get(name, []):
        done = mekb(*earlier)
        assert done.code == 0, done.err
    before = {path.name for path in own_project.folder.iterdir()}
    ran = mekb(*words)
    assert ran.code == 0, ran.err
    expected = {
        *MAKES.get(name, []),
        *(word for word in words if word.endswith((".ttl", ".nq.gz"))),
    }
    assert {path.name for path in own_project.folder.iterdir()} - before == expected


@pytest.mark.slow
@pytest.mark.usefixtures("small_encoder")
def test_the_demo_runs_with_fewer_users_and_leaves_what_its_last_lines_name(
    mekb, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ran = mekb(*example("demo"), "--users", "200")
    assert ran.code == 0, ran.err
    for heading in ("1. What may 'Dune' mean?", "2. The MeKB of", "3. Films for", "4. On users"):
        assert heading in ran.out
    command = re.search(r"look around with: mekb (profiles show .+)", ran.err)
    assert command
    shown = mekb(*shlex.split(command[1]))
    assert shown.code == 0
    assert "Interests of" in shown.out
    assert len(list((tmp_path / "demo").glob("u*.png"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


JSON_COMMANDS = {
    "aliases lookup": ["my.duckdb", "Dune"],
    "compare": ["my.duckdb", "--target", "films", "--models", "popularity", "--trials", "1"],
    "compare-domains": ["my.duckdb", "--models", "ease"],
    "compare-ratings": [
        *["my.duckdb", "--target", "films", "--models", "diagae"],
        *["--model-set", "diagae.epochs=1", "--model-set", "diagae.pretraining_epochs=1"],
    ],
    "data add": ["my.duckdb", "--interactions", "interactions.csv"],
    "data audit": ["my.duckdb"],
    "data describe": ["my.duckdb"],
    "data import": ["my.duckdb", "--items", "items.jsonl", "--interactions", "interactions.csv"],
    "doctor": [],
    "evaluate": ["my.duckdb", "model", "--baselines", "popularity"],
    "explain": ["bundle", "f001", "--interests", "jazz"],
    "link items": ["my.duckdb"],
    "link evaluate": ["my.duckdb", "--gold", "titles.tsv"],
    "profiles edit": ["my.duckdb", "u00001", "--pin", "Mars=0.1"],
    "profiles forget": ["my.duckdb", "u00001", "--yes"],
    "profiles show": ["my.duckdb", "u00001"],
    "profiles validate": ["my.duckdb", "u00001"],
    "recommend": ["bundle", "--interests", "jazz, no such thing"],
    "runs": ["my.duckdb"],
}


VARIANTS = {
    "as it is": (list(JSON_COMMANDS), []),
    "forced": (["data import", "link items"], ["--force"]),
    "one text": (["link items"], ["--text", "The Shining"]),
}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        pytest.param(name, more, id=f"{name}, {variant}")
        for variant, (names, more) in VARIANTS.items()
        for name in names
    ],
)
def test_json_parses_whatever_was_done(mekb, own_project, monkeypatch, name, more):
    monkeypatch.chdir(own_project.folder)
    ran = mekb(*name.split(), *JSON_COMMANDS[name], "--format", "json", *more)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) is not None


def test_every_command_with_a_format_is_held_to_json():
    with_format = {
        name
        for name, command in COMMANDS.items()
        if any("--format" in parameter.opts for parameter in command.params)
    }
    assert with_format - {"data export"} == set(JSON_COMMANDS)  # whose format is that of its files


def test_json_of_an_answer_is_the_answer(mekb, project):
    from mekb import api

    ran = mekb("recommend", project.bundle, "--interests", "jazz", "-k", "3", "--format", "json")
    shown = json.loads(ran.out)
    found = api.recommend(project.bundle, interests=["jazz"], k=3)
    assert [row["item"] for row in shown["recommendations"]] == [
        one.item for one in found.recommendations
    ]
    assert [row["score"] for row in shown["recommendations"]] == pytest.approx(
        [one.score for one in found.recommendations]
    )


def test_results_go_to_stdout_and_notes_to_stderr(mekb, project):
    ran = mekb("recommend", project.bundle, "--interests", "jazz, no such thing", "-k", "2")
    assert "'no such thing' is not in the alias table" in ran.err
    assert "no such thing" not in ran.out
    assert "Recommendations" in ran.out


def test_a_history_may_come_from_stdin(mekb, project, monkeypatch, tmp_path):
    import io

    items = tmp_path / "items.txt"
    items.write_text("books:b001\nb002\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("books:b001\nb002\n"))
    piped = mekb("recommend", project.bundle, "--history", "-", "--format", "json")
    assert piped.code == 0, piped.err
    assert (
        piped.out == mekb("recommend", project.bundle, "--history", items, "--format", "json").out
    )


def test_the_settings_of_a_file_count_unless_the_command_line_says_otherwise(
    mekb, project, tmp_path
):
    file = tmp_path / "mekb.toml"
    file.write_text('[train]\npreset = "no such preset"\n')
    folder = tmp_path / "model"
    words = ("train", project.store, folder, "--target", "films", "--config", file, "--quiet")
    ran = mekb(*words)
    assert ran.code == 2
    assert "no such preset" in ran.err
    ran = mekb(*words, "--preset", "nor this one")
    assert "nor this one" in ran.err
    assert mekb(*words, "--preset", "demo", *project.quick).code == 0
    assert "demo" not in {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("code", ["import mekb", "HELP"])
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    help_code = (
        "import sys; sys.argv = ['mekb', '--help']\n"
        "from mekb.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    check = f"\nimport sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", (help_code if code == "HELP" else code) + check],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_public_name_is_there():
    import mekb

    for name in mekb.__all__:
        assert getattr(mekb, name) is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", mekb.__version__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        mekb.nonsense  # noqa: B018  the access is the test


def test_the_entry_points_are_one_program(project):
    """The module, run as people run it: version on stdout, an error as one line, --debug with traceback."""
    run = [sys.executable, "-m", "mekb"]
    environment = {**os.environ, "COLUMNS": "200"}

    def left(*words):
        return subprocess.run(
            [*run, *words], capture_output=True, text=True, check=False, env=environment
        )

    assert re.fullmatch(r"mekb \d+\.\d+\S*\n", left("--version").stdout)
    right = left("aliases", "lookup", project.store, "Dune", "--format", "json")
    assert json.loads(right.stdout)
    assert right.stderr == ""
    wrong = left("runs", "absent.duckdb")
    assert wrong.returncode == 1
    assert wrong.stderr.count("\n") == 1
    assert "Traceback" in left("--debug", "runs", "absent.duckdb").stderr


def test_a_linked_text_is_a_row_a_mention_with_what_else_it_might_be(mekb, project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    ran = mekb("link", project.store, "--text", "Dune")
    assert ran.code == 0, ran.err
    (row,) = [line for line in ran.out.splitlines() if "0-4" in line]
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[:4] == ["0-4", "Dune", "Q190192", "Dune (novel)"]
    assert "Q60834962 0." in cells[-1]
