"""A model's folder: its card, its items, its records; nothing of the machine or of a person in it."""

import getpass
import json
import re
import socket
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from huggingface_hub import ModelCard

from mekb import api
from mekb.model_card import model_card
from mekb.store import Store
from training import checkpoint


@pytest.fixture(scope="module")
def card(project):
    return ModelCard.load(project.model / "README.md")


def test_the_hub_reads_the_card(card):
    facts = card.data.to_dict()
    assert facts["library_name"] == "sentence-transformers"
    assert facts["license"] == "other"
    assert "cold-start" in facts["tags"]
    (group,) = facts["model-index"]
    measured = [metric for result in group["results"] for metric in result["metrics"]]
    assert {"type", "value"} <= set(measured[0])


def test_the_card_says_what_the_run_was(card, project):
    _, metadata = checkpoint.load(project.model)
    text = card.text
    with Store.open(project.store) as store:
        (n_films,) = store.connection.execute(
            "select count(*) from items where domain = 'films'"
        ).fetchall()[0]
    assert f"ranks {n_films} items of films" in text
    for domain, counts in metadata["data"].items():
        assert (
            f"| {domain} | {counts['items']:,} | {counts['users']:,} | {counts['likes']:,} |"
            in text
        )
    assert f"{metadata['test_users']:,} users held out for test" in text
    assert re.search(r"\| NDCG@10 \(\S+\) \| 0\.\d{4} \| 0\.\d{4}-0\.\d{4} \|", text)
    assert "CC BY-SA" in text
    assert "CC0" in text
    for number, loss in enumerate(metadata["report"]["losses"], start=1):
        assert re.search(rf"\| {number}( \(kept\))? \| {loss:.4f} \|", text)


def test_the_card_shows_no_way_that_several_vectors_close(card, project):
    model, metadata = checkpoint.load(project.model)
    assert "SentenceTransformer(" in card.text
    settings = {**model.saved_config(), "interest_vectors": 3}
    text = model_card(settings, metadata, [], "paper")
    assert "A user has 3 vectors" in text
    assert "SentenceTransformer" not in text
    assert "make_bundle" not in text
    assert ModelCard(text).data.to_dict().get("library_name") is None


def test_counts_of_the_card_are_those_of_training_rows(project):
    """Fewer films liked than the store holds: test and validation users' films are not among them."""
    _, metadata = checkpoint.load(project.model)
    with Store.open(project.store) as store:
        rows = store.connection.execute(
            "select domain, count(*) from interactions join items using (item_id)"
            " where positive group by domain"
        ).fetchall()
    liked = dict(rows)
    assert metadata["data"]["books"]["likes"] == liked["books"]
    assert 0 < metadata["data"]["films"]["likes"] < liked["films"]


def test_items_stand_in_the_order_of_the_vectors(project):
    model, _ = checkpoint.load(project.model)
    items = pq.read_table(project.model / "items.parquet")
    assert items["item_id"].to_pylist() == model.item_ids.tolist()
    with Store.open(project.store) as store:
        rows = store.connection.execute(
            "select item_id, external_id, title from items where domain = 'films' order by item_id"
        ).fetchall()
    assert list(map(tuple, (row.values() for row in items.to_pylist()))) == rows


def test_records_are_one_json_object_an_epoch(project):
    _, metadata = checkpoint.load(project.model)
    lines = (project.model / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    fitted = [record for record in records if record.get("stage") != "warm start"]
    assert [record["loss"] for record in fitted] == metadata["report"]["losses"]
    assert any(record.get("stage") == "warm start" for record in records)


def test_nothing_of_the_machine_or_of_a_person_is_in_a_folder(project):
    with Store.open(project.store) as store:
        users = store.read("users")["external_id"].to_pylist()
    hidden = [str(project.folder), str(Path.home()), socket.gethostname(), str(project.encoder)]
    hidden = [text for text in hidden if len(text) > 3]
    for path in project.model.rglob("*"):
        if not path.is_file() or path.name == "tokenizer.json":
            continue
        content = path.read_bytes()
        found = [text for text in hidden if text.encode() in content]
        assert not found, (path, found)
        words = set(re.findall(rb"[\w-]+", content)) if path.suffix != ".safetensors" else set()
        assert not words & {user.encode() for user in users}, path
    assert getpass.getuser() not in (project.model / "manifest.json").read_text().split('"')


def test_a_card_is_written_anew_with_test_users(own_project):
    (own_project.model / "README.md").write_text("mine")
    text = api.write_card(own_project.store, own_project.model)
    assert (own_project.model / "README.md").read_text(encoding="utf-8") == text
    assert "test users, never seen in training" in text
    assert "validation users, who chose the epoch" in text
    checkpoint.load(own_project.model)
    found = api.evaluate(own_project.store, [own_project.model], baselines=[])
    value = next(v for name, v in found.rows[0].items() if name.startswith("NDCG@10"))
    assert f"| {value:.4f} |" in text
