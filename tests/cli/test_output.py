"""What people see: tables, progress where there is no terminal and where there is one, and honest empty answers."""
# ruff: noqa: D102  (a test's name is its docstring)

import io
import json
import sys
from types import SimpleNamespace

import pytest

from mekb.cli import output
from mekb.cli.options import Format, words


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class TestProgress:
    """`progress`, by where it goes."""

    def test_plain_lines_come_at_the_start_at_the_end_and_seldom_between(self, monkeypatch):
        clock = iter([100.0, 101.0, 102.0, 106.0, 107.0, 107.5])
        monkeypatch.setattr(output, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        told = io.StringIO()
        monkeypatch.setattr(sys, "stderr", told)
        with output.progress() as show:
            for done in (0, 1000, 2000, 3000, 4000):
                show("read", done, 4000)
            show("count", 7, 0)
        assert told.getvalue().splitlines() == [
            "read: 0 of 4,000",
            "read: 3,000 of 4,000",
            "read: 4,000 of 4,000",
            "count: 7",
        ]

    def test_a_note_that_changes_is_no_new_stage(self, monkeypatch):
        told, bars = io.StringIO(), Terminal()
        steps = [(f"fit: epoch 1 of 3, loss {step / 7:.4f}", step, 40) for step in range(1, 41)]
        for stream in (told, bars):
            monkeypatch.setattr(sys, "stderr", stream)
            with output.progress() as show:
                for step in steps:
                    show(*step)
        assert told.getvalue().splitlines() == [
            "fit: epoch 1 of 3, loss 0.1429: 1 of 40",
            "fit: epoch 1 of 3, loss 5.7143: 40 of 40",
        ]
        assert bars.getvalue().rstrip().count("\n") <= 2  # one bar, not one a step

    def test_a_terminal_gets_bars(self, monkeypatch):
        told = Terminal()
        monkeypatch.setattr(sys, "stderr", told)
        with output.progress() as show:
            show("read", 0, 10)
            show("read", 10, 10)
            show("count", 3, 0)
        assert "read" in told.getvalue()
        assert "10/10" in told.getvalue()

    def test_quiet_is_quiet(self, monkeypatch):
        told = Terminal()
        monkeypatch.setattr(sys, "stderr", told)
        with output.progress(quiet=True) as show:
            show("read", 0, 10)
        assert told.getvalue() == ""


class TestTables:
    """`print_rows` and what goes with it."""

    def test_cells_are_shown_as_people_read_them(self, capsys):
        row = {"text": "[red]not markup[/red]", "none": None, "many": ["a", "b"], "part": 0.123456}
        output.print_rows([row], Format.TABLE, title="Some")
        shown = capsys.readouterr().out
        assert "Some" in shown
        for cell in ("[red]not markup[/red]", "a, b", "0.1235"):
            assert cell in shown
        assert "None" not in shown

    @pytest.mark.parametrize("width", [40, 60, 80, 120, 300])
    def test_every_word_of_a_wide_table_is_whole_at_any_width(self, capsys, monkeypatch, width):
        monkeypatch.setenv("COLUMNS", str(width))
        rows = [
            {
                "model": name,
                **{f"NDCG@{k} full": f"0.{k}234 [.1111, .{k}999]" for k in range(10, 19)},
            }
            for name in ("popularity", "source_knn")
        ]
        output.print_rows(rows, Format.TABLE, title="Held-out users")
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        words_shown = {word for line in lines for word in line.replace("│", " ").split()}
        assert {"popularity", "source_knn"} <= words_shown
        assert {f"0.{k}234" for k in range(10, 19)} <= words_shown
        assert lines[0].strip() == "Held-out users"

    def test_one_long_text_takes_the_room_that_is_left(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "60")
        row = {"rank": 1, "title": "The Grapes of Wrath", "from": "word " * 100}
        output.print_rows([row], Format.TABLE)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) == 60
        assert any("The Grapes of Wrath" in line for line in lines)

    def test_no_rows_are_nothing_and_in_json_an_empty_list(self, capsys):
        output.print_rows([], Format.TABLE, title="Some")
        assert capsys.readouterr().out == "Some: nothing\n"
        output.print_rows([], Format.TABLE)
        assert capsys.readouterr().out == "nothing\n"
        output.print_rows([], Format.JSON)
        assert json.loads(capsys.readouterr().out) == []

    def test_json_keeps_every_letter_and_writes_times_as_iso(self, capsys):
        from datetime import UTC, datetime

        output.print_json({"title": "Amélie 千と千尋", "at": datetime(2026, 1, 2, tzinfo=UTC)})
        shown = capsys.readouterr().out
        assert "Amélie 千と千尋" in shown
        assert json.loads(shown)["at"] == "2026-01-02T00:00:00+00:00"

    def test_a_long_line_stays_one_line(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "20")
        output.print_line("word " * 50)
        output.note("word " * 50)
        captured = capsys.readouterr()
        assert captured.out.count("\n") == captured.err.count("\n") == 1

    @pytest.mark.parametrize(
        ("text", "expected"), [("a, b,,c ", ["a", "b", "c"]), ("", []), (" , ", [])]
    )
    def test_lists_by_commas(self, text, expected):
        assert words(text) == expected


class TestHonesty:
    """Answers that hold little say so."""

    def test_a_list_cut_short_says_how_much_is_left(self, mekb, project):
        shown = mekb("profiles", "show", project.store, "u00001", "--top", "3").out
        found = json.loads(
            mekb("profiles", "show", project.store, "u00001", "--format", "json").out
        )
        assert f"and {len(found['interests']) - 3} more (--top)" in shown

    def test_a_person_without_interests_is_told_what_follows(self, mekb, own_project):
        from mekb.store import Store

        with Store.open(own_project.store) as store:
            store.replace({"user_entity": store.read("user_entity").slice(0, 0)})
        shown = mekb("profiles", "show", own_project.store, "u00001")
        assert shown.code == 0
        assert "recommendations fall back to popularity" in shown.out

    def test_popularity_is_called_popularity(self, mekb, own_project):
        from mekb.store import Store

        with Store.open(own_project.store) as store:
            store.connection.execute("delete from interactions where user_id = 0")
        words_ = ("recommend", own_project.bundle, "--user", "u00001", "--store", own_project.store)
        shown = mekb(*words_)
        assert shown.code == 0, shown.err
        assert "no interests to go by: this is popularity" in shown.out
        assert json.loads(mekb(*words_, "--format", "json").out)["fallback"] == "popularity"

    def test_an_unchanged_stage_says_that_it_was_skipped(self, mekb, own_project):
        ran = mekb("link", own_project.store, "--quiet")
        assert "nothing changed since run link-" in ran.err
        assert ran.out == ""
        assert "Linked" in mekb("link", own_project.store, "--quiet", "--force").out

    def test_an_import_shows_its_files_and_its_notes(self, mekb, tmp_path):
        (tmp_path / "i.csv").write_text("item_id,domain,title\nb1,books,Dune\n,books,Nameless\n")
        (tmp_path / "r.csv").write_text("user_id,item_id,rating\nu1,b1,5\nu1,b1,4\nu2,b9,x\n")
        ran = mekb(
            *("data", "import", tmp_path / "s.duckdb"),
            *("--items", tmp_path / "i.csv", "--interactions", tmp_path / "r.csv"),
            *("--set", 'source.default_domain="books"'),
        )
        assert ran.code == 0, ran.err
        for part in ("i.csv", "r.csv", "Imported", "books"):
            assert part in ran.out
        assert "rejected" in ran.out


class TestTheRim:
    """What the operating system says, said in one line."""

    @pytest.mark.parametrize("debug", [False, True])
    def test_an_error_of_the_system_is_one_line_unless_debugged(self, mekb, monkeypatch, debug):
        from mekb import api

        def full(_: object) -> None:
            raise OSError(28, "No space left on device", "here.duckdb")

        monkeypatch.setattr(api, "runs", full)
        if debug:
            with pytest.raises(OSError, match="No space"):
                mekb("--debug", "runs", "x.duckdb")
            return
        ran = mekb("runs", "x.duckdb")
        assert (ran.code, ran.err) == (1, "mekb: here.duckdb: No space left on device\n")
