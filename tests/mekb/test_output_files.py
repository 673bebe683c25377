"""Files and folders written whole: exchanged in one step, closed places found at once, rests of the killed removed."""

import os
import subprocess
import sys
import threading

import pytest

from mekb import output
from mekb.errors import OutputError
from mekb.output import check_folder, folder_written_whole, written_whole


@pytest.fixture
def dead():
    """Return a function: the path a process that is no more would have written a name to."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    def name_of(path, ending):
        aside = output._aside(path, ending)
        return aside.with_name(aside.name.replace(f"-{os.getpid()}-", f"-{process.pid}-"))

    return name_of


def marked(folder, content):
    folder.mkdir()
    (folder / "mark").write_text(content)
    return folder


def test_a_folder_is_there_at_every_moment_while_it_is_replaced(tmp_path):
    folder = marked(tmp_path / "made", "0")
    seen, stop = set(), threading.Event()

    def look():
        while not stop.is_set():
            seen.add((folder / "mark").exists())

    watcher = threading.Thread(target=look)
    watcher.start()
    for number in range(200):
        with folder_written_whole(folder, marks=("mark",), force=True) as aside:
            (aside / "mark").write_text(str(number))
    stop.set()
    watcher.join()
    assert seen == {True}
    assert (folder / "mark").read_text() == "199"
    assert list(tmp_path.iterdir()) == [folder]


def test_where_folders_cannot_be_exchanged_they_are_renamed(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "_exchange", lambda *_: False)
    folder = marked(tmp_path / "made", "old")
    with folder_written_whole(folder, marks=("mark",), force=True) as aside:
        (aside / "mark").write_text("new")
    assert (folder / "mark").read_text() == "new"
    assert list(tmp_path.iterdir()) == [folder]


def test_what_the_killed_left_is_removed_and_what_the_living_write_is_not(tmp_path, dead):
    path, folder = tmp_path / "file.json", tmp_path / "made"
    dead(path, ".json").write_text("{")
    marked(dead(folder, "-new"), "half")
    twice = dead(folder, "-new")
    marked(twice.with_name(f".{twice.name}.x7_q"), "written aside twice")
    living = output._aside(folder, "-new")
    living.mkdir()
    other = dead(tmp_path / "made2", "-new")
    other.mkdir()
    with written_whole(path) as aside:
        aside.write_text("{}")
    with folder_written_whole(folder, marks=("mark",)) as aside:
        (aside / "mark").write_text("whole")
    assert {entry.name for entry in tmp_path.iterdir()} == {
        *("file.json", "made"),
        *(living.name, other.name),
    }


def test_what_was_killed_between_two_renames_is_put_back(tmp_path, dead):
    folder = tmp_path / "made"
    marked(dead(folder, "-old"), "former")
    with pytest.raises(OutputError, match="add --force to replace it"):
        check_folder(folder, marks=("mark",), force=False)
    assert (folder / "mark").read_text() == "former"


def test_a_closed_place_is_found_before_the_work(tmp_path, monkeypatch):
    def closed(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.mkdir", closed)
    with pytest.raises(OutputError, match=r"made: cannot be written: Read-only file system"):
        check_folder(tmp_path / "made", marks=("mark",), force=False)
