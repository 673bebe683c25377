"""`mekb profiles`: what a weight is made of, a dump of everybody, a check, and a profile taken elsewhere."""

import json

import pytest

from mekb import api


def test_show_takes_each_weight_apart(mekb, project):
    graph = api.user_graph(project.store, project.newcomer)
    shown = mekb("profiles", "show", project.store, project.newcomer, "--top", "3")
    assert shown.code == 0
    total = sum(one.tf * one.idf for one in graph.interests)
    assert f"weight = tf * idf / {total:.4f}" in shown.out
    for one in graph.interests[:3]:
        assert one.weight == pytest.approx(one.tf * one.idf / total)
        for number in (one.tf, one.idf, one.weight):
            assert f"{number:.4f}" in shown.out
    assert f"and {len(graph.interests) - 3} more (--top)" in shown.out


def test_show_names_the_mentions_with_their_places(mekb, project):
    graph = api.user_graph(project.store, project.newcomer)
    words = ("profiles", "show", project.store, project.newcomer, "--top", "1", "--mentions")
    strongest = graph.interests[0]
    at = max(strongest.evidence, key=lambda one: one.score)
    shown = mekb(*words, "1")
    for part in (at.surface, f"{at.field} {at.start}-{at.stop}", f"{at.domain}:{at.item}"):
        assert part in shown.out
    if len(strongest.evidence) > 1:
        assert f"and {len(strongest.evidence) - 1} more (--mentions)" in shown.out
    assert "What they are from" not in mekb(*words, "0").out


def test_json_of_show_holds_everything_and_is_what_export_writes(mekb, project, tmp_path):
    shown = json.loads(mekb("profiles", "show", project.store, "u00001", "--format", "json").out)
    api.export_profile(project.store, "u00001", tmp_path / "u.json")
    assert shown == json.loads((tmp_path / "u.json").read_text(encoding="utf-8"))
    first = shown["interests"][0]
    assert {"qid", "n_items", "tf", "idf", "weight", "evidence"} <= set(first)
    assert {"surface", "start", "stop", "score", "item", "title"} <= set(first["evidence"][0])


@pytest.fixture
def ruined(project, tmp_path):
    """A file with a weight that is none."""
    path = tmp_path / "u.nt"
    api.export_profile(project.store, "u00001", path)
    lines = path.read_text(encoding="utf-8").splitlines()
    place = next(n for n, line in enumerate(lines) if "weight_value" in line)
    lines[place] = (
        lines[place].split('"')[0] + '"1.2"^^<http://www.w3.org/2001/XMLSchema#decimal> .'
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_validate_says_what_conforms(mekb, project):
    ran = mekb("profiles", "validate", project.store, "--sample", "1", "--quiet")
    assert (ran.code, ran.out) == (0, "")
    assert "1 of 1 interest graphs conform" in ran.err


def test_validate_leaves_with_1_and_names_what_does_not(mekb, ruined):
    ran = mekb("profiles", "validate", "--file", ruined, "--format", "json")
    assert ran.code == 1
    assert "0 of 1 interest graphs conform" in ran.err
    found = json.loads(ran.out)
    assert found["conforms"] is False
    (violation,) = found["violations"]
    assert violation["user"].endswith("/user/u00001")
    assert violation["focus"].endswith("#weight")
    assert violation["path"].endswith("weight_value")
    assert violation["value"] == "1.2"
    assert "1.0" in violation["message"]
    table = mekb("profiles", "validate", "--file", ruined)
    assert (table.code, "What does not conform" in table.out) == (1, True)


def test_a_dump_and_a_profile_taken_from_it(mekb, project, tmp_path):
    path = tmp_path / "all.nq.gz"
    ran = mekb("profiles", "dump", project.store, path, "--quiet")
    assert ran.code == 0
    assert "the graphs of 300 users" in ran.err
    assert mekb("profiles", "dump", project.store, path).code == 1
    words = ("recommend", project.bundle, "--profile", path, "--format", "json")
    answer = mekb(*words, "--user", project.newcomer)
    assert answer.code == 0, answer.err
    graph = api.user_graph(project.store, project.newcomer)
    found = api.recommend(project.bundle, profile=graph)
    assert [one["item"] for one in json.loads(answer.out)["recommendations"]] == [
        one.item for one in found.recommendations
    ]
    assert "holds several users" in mekb(*words).err


def test_a_profile_that_is_none_is_one_line(mekb, project, tmp_path):
    path = tmp_path / "u.ttl"
    path.write_text("this is no Turtle")
    ran = mekb("recommend", project.bundle, "--profile", path)
    assert ran.code == 1
    assert ran.err.startswith(f"mekb: {path}: at line 1")
    assert ran.err.count("\n") == 1
