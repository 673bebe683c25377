"""The sample world: the wiki is genuine and consistent, and the users' known tastes are in their data."""

import bz2
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import mwparserfromhell
import numpy as np
import pytest

from mekb.errors import SourceError
from mekb.sample import sample_items, sample_pages, simulate_users, write_sample_world
from mekb.sample.export import XML_NAMESPACE, export_xml
from mekb.sample.items import read_items
from mekb.sample.pages import WikiPage, check_unique, read_pages
from mekb.sample.simulate import COHORTS

NS = {"w": XML_NAMESPACE}
SHARED = Path(__file__).parents[2].parent / "shared"
NOT_ARTICLES = ("File:", "Category:", "Template:")


@pytest.fixture(scope="module")
def pages():
    return sample_pages()


@pytest.fixture(scope="module")
def items():
    return sample_items()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_sample_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def truth(world):
    return {
        row["user_id"]: row
        for row in map(json.loads, world.truth.read_text(encoding="utf-8").splitlines())
    }


@pytest.fixture(scope="module")
def ratings(world):
    with world.interactions.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def parse(xml):
    return ET.fromstring(xml)  # noqa: S314  written by the code under test


def first_upper(title):
    return title[:1].upper() + title[1:]


@pytest.fixture(scope="module")
def targets(pages):
    """Title -> the title of the page it ends at, redirects followed."""
    redirects = {page.title: page.redirect for page in pages}

    def end(title):
        for _ in range(5):
            if redirects[title] is None:
                return title
            title = redirects[title]
        raise AssertionError(f"a circle of redirects at {title}")

    return {title: end(title) for title in redirects}


@pytest.fixture(scope="module")
def links(pages):
    """(page, target as written, anchor) of every link between articles, by an independent parser."""
    found = []
    for page in pages:
        if page.redirect is not None or page.title.startswith(NOT_ARTICLES):
            continue
        for link in mwparserfromhell.parse(page.text).filter_wikilinks():
            target = str(link.title).split("#")[0].strip()
            if not target.startswith(NOT_ARTICLES):
                anchor = link.text.strip_code() if link.text is not None else target
                found.append((page.title, first_upper(target), anchor))
    return found


# The dump is what MediaWiki would have written.


def test_every_page_is_there_with_its_redirect_size_and_checksum(world, pages):
    root = parse(bz2.decompress(world.dump.read_bytes()))
    assert root.get("version") == "0.11"
    nodes = root.findall("w:page", NS)
    assert [node.findtext("w:title", None, NS) for node in nodes] == [p.title for p in pages]
    assert len({node.findtext("w:id", None, NS) for node in nodes}) == len(pages)
    for node, page in zip(nodes, pages, strict=True):
        text = node.find("w:revision/w:text", NS)
        assert text.text == page.text
        assert int(text.get("bytes")) == len(page.text.encode())
        digest = int(hashlib.sha1(page.text.encode(), usedforsecurity=False).hexdigest(), 16)
        assert int(text.get("sha1"), 36) == digest
        assert len(text.get("sha1")) == 31
        redirect = node.find("w:redirect", NS)
        assert (None if redirect is None else redirect.get("title")) == page.redirect
        assert (redirect is not None) == page.text.startswith("#REDIRECT [[")


def test_namespaces_and_case_rule(world):
    root = parse(bz2.decompress(world.dump.read_bytes()))
    assert root.findtext("w:siteinfo/w:case", None, NS) == "first-letter"
    names = {n.get("key"): n.text for n in root.iterfind(".//w:namespace", NS)}
    assert names["0"] is None
    assert (names["6"], names["14"]) == ("File", "Category")
    for node in root.iterfind("w:page", NS):
        title, number = node.findtext("w:title", None, NS), node.findtext("w:ns", None, NS)
        if number == "0":
            assert title.split(":")[0] not in names.values()
        else:
            assert title.startswith(names[number] + ":")


def test_markup_in_titles_and_texts_survives():
    page = WikiPage('A & B <"x">', "tag <ref>''[[C|\"c\"]]''</ref> & more\n\tlast  ")
    root = parse(export_xml([page]))
    assert root.findtext("w:page/w:title", None, NS) == page.title
    assert root.findtext("w:page/w:revision/w:text", None, NS) == page.text


@pytest.mark.real
def test_same_elements_in_the_same_order_as_a_genuine_dump(world):
    genuine = SHARED / "data" / "wikipedia" / "enwiki-fragments-pages-articles.xml.bz2"
    if not genuine.exists():
        pytest.skip(f"no genuine dump at {genuine}")

    def first_page(path):
        with bz2.open(path) as file:
            for _, node in ET.iterparse(file):  # noqa: S314  a dump we chose
                node.tag = node.tag.split("}")[-1]
                if node.tag == "page" and node.find("redirect") is not None:
                    return [child.tag for child in node.iter()]
        raise AssertionError(f"no redirect in {path}")

    ours = iter(first_page(world.dump))
    assert all(tag in ours for tag in first_page(genuine))  # a subsequence: ours has 0.11's too


# Titles, links and ids are consistent.


def test_is_several_hundred_entities_with_an_id_each_once(pages, world):
    qids = [page.qid for page in pages if page.qid is not None]
    assert len(qids) == len(set(qids)) >= 400
    rows = [row.split("\t") for row in world.qids.read_text(encoding="utf-8").splitlines()]
    assert [qid for _, qid in rows] == qids


def test_titles_are_unique_and_in_normal_form(pages):
    titles = [page.title for page in pages]
    assert len(titles) == len(set(titles))
    assert all(title == first_upper(" ".join(title.split())) for title in titles)


def test_redirects_end_at_a_page(pages, targets):
    assert sum(page.redirect is not None for page in pages) >= 100
    assert all(target in targets for target in targets.values())


def test_links_lead_to_pages_but_for_a_few_red_ones(links, targets):
    red = {target for _, target, _ in links if target not in targets}
    assert len(links) >= 1_500
    assert len(red) / len({target for _, target, _ in links}) < 0.15, sorted(red)


def test_names_are_ambiguous_with_a_prior(links, targets):
    means = defaultdict(Counter)
    for _, target, anchor in links:
        means[anchor][targets.get(target, target)] += 1
    ambiguous = {anchor for anchor, counts in means.items() if len(counts) >= 2}
    assert {"Dune", "Solaris", "The Shining", "Armstrong"} <= ambiguous
    assert len(ambiguous) >= 20


def test_wikitext_has_what_wikis_have(pages):
    text = "\n".join(page.text for page in pages)
    for pattern in (
        r"\]\][a-z]",  # a trail
        r"\{\{Infobox \w+",
        r"\[\[File:[^\]]*\[\[",  # a link in a caption
        r"<ref>",
        r"^== .* ==$",
        r"\{\{disambiguation\}\}",
        r"\{\{(?:about|for|redirect)\|",
        r"\[\[Category:",
    ):
        assert re.search(pattern, text, re.MULTILINE), pattern


@pytest.mark.parametrize(
    "text",
    [
        "%%% No id\ntext",
        "%%% Title | P31\ntext",
        "%%% Empty | Q1\n",
        "%%% A -> B\ntext",
        "text before\n%%% A | Q1\ntext",
    ],
)
def test_a_malformed_page_is_refused_by_name(text):
    with pytest.raises(SourceError, match=r"broken\.wiki"):
        list(read_pages(text, "broken.wiki"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("%%% A | Q1\nx\n%%% A | Q2\ny\n", "'A'"),
        ("%%% A | Q1\nx\n%%% B | Q1\ny\n", "Q1"),
        ("%%% A | Q1\nx\n%%% A -> B\n", "'A'"),
    ],
)
def test_a_title_or_id_claimed_twice_is_refused(text, name):
    with pytest.raises(SourceError, match=name):
        check_unique(read_pages(text))


# Items are real works, and their lines name what they are about.


def test_three_domains_of_real_works_with_pages(items, pages):
    assert set(Counter(item.domain for item in items)) == {"books", "films", "music"}
    assert min(Counter(item.domain for item in items).values()) >= 60
    assert len({item.item_id for item in items}) == len(items)
    known = {page.qid for page in pages}
    for item in items:
        assert item.text.strip()
        assert item.entities
        assert len(set(item.entities)) == len(item.entities), item
        assert set(item.entities) <= known, item


def test_lines_name_their_entities_by_names_the_wiki_knows(items, pages, links, targets):
    qid_of = {page.title: page.qid for page in pages}
    names = defaultdict(set)
    for title, target in targets.items():
        names[qid_of[target]] |= {title, re.sub(r" \(.*\)$", "", title)}
    for _, target, anchor in links:
        names[qid_of.get(targets.get(target))].add(anchor)
    missing = []
    for item in items:
        line = f"{item.title} {item.text}".casefold()
        missing += [
            (item.item_id, entity)
            for entity in item.entities[1:]
            if not any(name.casefold() in line for name in names[entity])
        ]
    n_entities = sum(len(item.entities) - 1 for item in items)
    assert len(missing) / n_entities < 0.15, missing  # the rest the work is about, unnamed


def test_the_truth_is_not_written_for_the_demo(world, items):
    rows = [json.loads(row) for row in world.items.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(items)
    fields = {"item_id", "domain", "title", "text", "brand", "categories"}
    assert all(set(row) == fields for row in rows)


@pytest.mark.parametrize("line", ["{", "[]", '{"item_id": "f1"}', '{"no": 1}'])
def test_a_malformed_item_is_refused_by_line(line):
    with pytest.raises(SourceError, match=r"films\.jsonl:1"):
        read_items(line, "films.jsonl")


# The simulated users do what the module says.


def test_domains_and_zero_shot_users_have_their_shares(truth, ratings):
    active = defaultdict(set)
    for row in ratings:
        active[row["user_id"]].add(row["domain"])
    assert set(active) == set(truth)
    assert len(truth) == 3000
    for user, row in truth.items():
        assert active[user] == set(row["domains"])
        assert row["zero_shot"] == ("films" not in active[user])
    shares = Counter(tuple(row["domains"]) for row in truth.values())
    for share, domains in COHORTS:
        assert shares[domains] / 3000 == pytest.approx(share, abs=0.001)
    both = sum({"books", "films"} <= domains for domains in active.values())
    assert both / 3000 == pytest.approx(0.5, abs=0.001)


def test_interests_are_a_distribution_over_known_entities(truth, pages):
    known = {page.qid for page in pages}
    for row in truth.values():
        assert 2 <= len(row["interests"]) <= 4
        assert sum(row["interests"].values()) == pytest.approx(1, abs=1e-5)
        assert min(row["interests"].values()) > 0
        assert set(row["interests"]) <= known


def test_ratings_are_plausible(ratings, items):
    domain_of = {item.item_id: item.domain for item in items}
    pairs = {(row["user_id"], row["item_id"]) for row in ratings}
    assert len(pairs) == len(ratings)
    assert all(domain_of[row["item_id"]] == row["domain"] for row in ratings)
    liked = Counter((r["user_id"], r["domain"]) for r in ratings if int(r["rating"]) >= 4)
    assert set(liked) == {(row["user_id"], row["domain"]) for row in ratings}
    assert (min(liked.values()), max(liked.values())) == (5, 12)
    stars = Counter(int(row["rating"]) for row in ratings)
    assert set(stars) == {1, 2, 3, 4, 5}
    assert 0.1 < sum(stars[n] for n in (1, 2, 3)) / len(ratings) < 0.25


def test_times_rise_within_six_years(ratings):
    by_user = defaultdict(list)
    for row in ratings:
        by_user[row["user_id"]].append(int(row["timestamp"]))
    for times in by_user.values():
        assert times == sorted(times)
    assert min(map(min, by_user.values())) >= 1_514_764_800
    assert max(map(max, by_user.values())) < 1_704_067_200


def test_known_interests_find_a_held_out_film_and_popularity_does_not(truth, ratings, items):
    """Leave one liked film out per user with films; rank it among all films not yet taken."""
    films = [item for item in items if item.domain == "films"]
    column = {film.item_id: n for n, film in enumerate(films)}
    liked = defaultdict(list)
    for row in ratings:
        if row["domain"] == "films" and int(row["rating"]) >= 4:
            liked[row["user_id"]].append(column[row["item_id"]])
    held_out = {user: taken.pop() for user, taken in liked.items()}
    popularity = np.bincount([n for taken in liked.values() for n in taken], minlength=len(films))
    ranks = {"truth": [], "popularity": []}
    for user, wanted in held_out.items():
        interests = truth[user]["interests"]
        taste = [sum(interests.get(e, 0) for e in film.entities) for film in films]
        for name, score in (
            ("truth", np.array(taste) + 1e-6 * popularity),
            ("popularity", popularity.astype(float)),
        ):
            score[liked[user]] = -np.inf
            ranks[name].append(int((score > score[wanted]).sum()) + 1)
    hits = {name: float(np.mean(np.array(r) <= 10)) for name, r in ranks.items()}
    ndcg = {
        name: float(np.mean([1 / np.log2(1 + n) if n <= 10 else 0 for n in r]))
        for name, r in ranks.items()
    }
    assert hits["truth"] > hits["popularity"] + 0.25, (hits, ndcg)
    assert ndcg["truth"] > ndcg["popularity"] + 0.15, (hits, ndcg)
    assert hits["truth"] < 0.95, "users should be noisy"
    assert hits["popularity"] > 1.3 * 10 / len(films), "some films should be popular"


# A seed fixes every byte.


def test_same_seed_same_bytes_whatever_the_hash_seed(tmp_path):
    program = (
        "import sys, pathlib\nfrom mekb.sample import write_sample_world\n"
        "write_sample_world(pathlib.Path(sys.argv[1]), n_users=50, seed=7)"
    )
    for hash_seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / hash_seed)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
        )
    first, second = (sorted((tmp_path / name).iterdir()) for name in ("1", "2"))
    assert [path.name for path in first] == [path.name for path in second]
    assert len(first) == 5
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_another_seed_draws_other_users_of_the_same_wiki(tmp_path):
    one = write_sample_world(tmp_path / "1", n_users=30, seed=1)
    other = write_sample_world(tmp_path / "2", n_users=30, seed=2)
    assert one.dump.read_bytes() == other.dump.read_bytes()
    assert one.items.read_bytes() == other.items.read_bytes()
    assert one.interactions.read_bytes() != other.interactions.read_bytes()


def test_items_of_one_domain_alone_cannot_make_a_world(items):
    with pytest.raises(SourceError, match="share"):
        simulate_users([i for i in items if i.domain == "films"], n_users=3, seed=0)
