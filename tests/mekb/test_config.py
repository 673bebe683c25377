"""Settings: one file, overrides on top, nothing unknown accepted."""

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
