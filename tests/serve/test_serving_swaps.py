"""Another bundle takes the place of the one that is served: no answer is of both, and a broken one changes nothing."""

import logging
import threading

import pytest
from served_bundles import client_of, put_in_place, relabelled, resign

from mekb.errors import BundleError
from mekb.serve import ServeSettings, answers, create_app
from mekb.serve.hosting import Host, Reloader, take_or_say

QUESTION = {"history": ["books:b001", "b003"], "k": 3}


@pytest.fixture
def place(project, tmp_path):
    """A bundle that a test may replace, whose titles begin with 'A '."""
    relabelled(project.bundle, tmp_path / "a", "A ")
    (tmp_path / "a").rename(tmp_path / "bundle")
    return tmp_path / "bundle"


def prefixes(answer):
    """Return the first letters of all titles of an answer."""
    titles = [one["title"] for one in answer["recommendations"]]
    titles += [r["title"] for one in answer["recommendations"] for r in one["reasons"]]
    titles += [
        at["item_title"]
        for one in answer["recommendations"]
        for r in one["reasons"]
        for at in r["evidence"]
    ]
    assert len(titles) > 6
    return {title[:2] for title in titles}


def test_a_new_bundle_is_served_from_then_on(project, place, tmp_path):
    fresh = relabelled(project.bundle, tmp_path / "b", "B ")
    with client_of(place) as opened:
        assert prefixes(opened.post("/recommend", json=QUESTION).json()) == {"A "}
        put_in_place(tmp_path / "b", place)
        assert prefixes(opened.post("/recommend", json=QUESTION).json()) == {"A "}
        assert opened.app.state.host.take() is True
        answer = opened.post("/recommend", json=QUESTION)
        assert prefixes(answer.json()) == {"B "}
        assert answer.json()["bundle"] == fresh
        assert fresh.startswith(answer.headers["x-bundle"])
        assert opened.app.state.host.take() is False


def test_a_request_ends_on_the_bundle_it_began_on(project, place, tmp_path, monkeypatch):
    """It is held before it is answered, the folder replaced and the other served; and then it answers."""
    relabelled(project.bundle, tmp_path / "b", "B ")
    inside, go = threading.Event(), threading.Event()
    recommend = answers.recommend

    def held(served, asked):
        if asked.k == 3:
            inside.set()
            assert go.wait(30)
        return recommend(served, asked)

    monkeypatch.setattr(answers, "recommend", held)
    with client_of(place) as opened:
        host = opened.app.state.host
        former = host._current
        found = []
        asking = threading.Thread(
            target=lambda: found.append(opened.post("/recommend", json=QUESTION))
        )
        asking.start()
        assert inside.wait(30)
        put_in_place(tmp_path / "b", place)
        assert host.take() is True
        other = opened.post("/recommend", json={**QUESTION, "k": 4})
        assert prefixes(other.json()) == {"B "}
        assert former.n_inside == 1
        assert former.batcher._thread.is_alive()
        go.set()
        asking.join()
        assert prefixes(found[0].json()) == {"A "}
        former.batcher._thread.join(10)
        assert not former.batcher._thread.is_alive()


def test_a_bundle_is_told_by_what_it_holds_and_not_by_its_date(place):
    host = Host(place, ServeSettings())
    manifest = place / "manifest.json"
    assert not host.has_changed()
    manifest.write_bytes(manifest.read_bytes())
    assert host.has_changed()
    assert host.take() is False
    assert not host.has_changed()
    host.close()


BREAKS = {
    "a byte": lambda folder: _flip(folder / "items.parquet"),
    "a missing part": lambda folder: (folder / "evidence.arrow").unlink(),
    "a part too many": lambda folder: (folder / "extra").write_text("x"),
    "forged evidence": lambda folder: (
        (folder / "evidence.arrow").write_bytes(b"ARROW1\0\0 no table"),
        resign(folder),
    ),
}
NAMED = ["items.parquet", "evidence.arrow", "extra", "evidence.arrow"]


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "named"), [*zip(BREAKS.values(), NAMED, strict=True)], ids=list(BREAKS)
)
def test_a_broken_bundle_is_refused_by_name_and_the_old_one_goes_on(
    project, place, tmp_path, caplog, spoil, named
):
    relabelled(project.bundle, tmp_path / "b", "B ")
    spoil(tmp_path / "b")
    with pytest.raises(BundleError, match=named):
        create_app(tmp_path / "b")
    with client_of(place) as opened:
        put_in_place(tmp_path / "b", place)
        with caplog.at_level(logging.WARNING, "mekb.serve"):
            take_or_say(opened.app.state.host.take)
        assert named in caplog.text
        assert "goes on" in caplog.text
        assert prefixes(opened.post("/recommend", json=QUESTION).json()) == {"A "}


def test_a_folder_that_is_gone_is_a_refusal_too(place, tmp_path, caplog):
    with client_of(place) as opened:
        place.rename(tmp_path / "gone")
        assert not opened.app.state.host.has_changed()
        with caplog.at_level(logging.WARNING, "mekb.serve"):
            take_or_say(opened.app.state.host.take)
        assert "refused" in caplog.text
        assert prefixes(opened.post("/recommend", json=QUESTION).json()) == {"A "}


def test_whoever_watches_sees_a_new_bundle(project, place, tmp_path):
    relabelled(project.bundle, tmp_path / "b", "B ")
    host = Host(place, ServeSettings())
    taken = threading.Event()
    take = host.take

    def noted():
        is_other = take()
        taken.set()
        return is_other

    host.take = noted
    reloader = Reloader(host, watch_seconds=0.05)
    reloader.start()
    put_in_place(tmp_path / "b", place)
    assert taken.wait(30)
    reloader.close()
    assert host.enter().bundle.items["films"].titles[0].startswith("B ")


def test_whoever_is_asked_looks_even_if_nothing_seems_to_have_changed(place):
    host = Host(place, ServeSettings())
    taken = threading.Event()
    host.take = lambda: taken.set() or False
    reloader = Reloader(host, watch_seconds=None)
    reloader.ask()
    reloader.start()
    assert taken.wait(30)
    reloader.close()
    host.close()


def test_labels_are_data_whatever_they_hold(project, tmp_path):
    hostile = '<script>alert("1")</script>\u2028</title><img src=x onerror=alert(1)> '
    relabelled(project.bundle, tmp_path / "b", hostile)
    with client_of(tmp_path / "b") as opened:
        for path, question in (
            ("/recommend", QUESTION),
            ("/profile", {"history": ["b001"]}),
            ("/explain", {"history": ["b001"], "item": "f001"}),
        ):
            answer = opened.post(path, json=question)
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert hostile[:8] in answer.text
        found = opened.post("/recommend", json=QUESTION).json()["recommendations"][0]
        assert found["title"].startswith(hostile)
        refused = opened.post("/recommend", json={"history": [hostile]})
        assert refused.headers["content-type"] == "application/problem+json"
