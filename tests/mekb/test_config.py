"""Settings: one file, overrides on top, nothing unknown accepted."""

import tracemalloc

import pytest

from mekb.config import Settings, load_settings
from mekb.errors import ConfigError


def test_an_assignment_wins_over_the_file(tmp_path):
    file = tmp_path / "mekb.toml"
    file.write_text("[scoring]\nk_star = 3.0\nuse_idf = false\n")
    settings = load_settings(file, ["scoring.k_star=7"])
    assert settings.scoring.k_star == 7.0
    assert settings.scoring.use_idf is False
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[scoring]\nk_sta = 3\n", "scoring.k_sta"),
        ("[scoring]\nk_star = 'x'\n", "scoring.k_star"),
        ("[scoring]\nk_star = -1\n", "scoring.k_star"),
        ("[nonsense]\n", "nonsense"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_key(tmp_path, text, named):
    file = tmp_path / "mekb.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("assignment", ["scoring", "=3", "scoring.k_star.x=1"])
def test_a_wrong_assignment_is_refused(assignment, tmp_path):
    file = tmp_path / "mekb.toml"
    file.write_text("[scoring]\nk_star = 3.0\n")
    with pytest.raises(ConfigError):
        load_settings(file, [assignment])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


@pytest.mark.parametrize("value", ["9" * 5_000, "[" * 5_000])
def test_numbers_and_lists_without_end_are_no_toml(tmp_path, value):
    (tmp_path / "huge.toml").write_text(f"[scoring]\nk_star = {value}\n")
    with pytest.raises(ConfigError, match=r"huge\.toml: is not TOML"):
        load_settings(tmp_path / "huge.toml")
    assert load_settings(assignments=[f"source.user={value}"]).source.user == value


@pytest.mark.parametrize("part", ["a", '"a b"', "'a.b'"])
def test_a_key_without_end_takes_no_memory(tmp_path, part):
    (tmp_path / "deep.toml").write_text(".".join([part] * 10_000) + " = 1\n")
    tracemalloc.start()
    with pytest.raises(ConfigError, match="a key of more than 50 parts"):
        load_settings(tmp_path / "deep.toml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


def test_of_many_problems_the_first_are_told(tmp_path):
    (tmp_path / "other.toml").write_text("".join(f"[section{n}]\n" for n in range(500)))
    with pytest.raises(ConfigError, match=r"no setting 'section9'.*; and 490 more$"):
        load_settings(tmp_path / "other.toml")
