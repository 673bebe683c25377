"""Bad input at each door: one line that says what came and what to do, and nothing left half-written."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every path below a folder with its size and time of change."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() or path.is_dir()
    }


@dataclass(frozen=True)
class Refused:
    """A call that must fail."""

    about: str
    words: str
    """The command, by spaces."""
    says: tuple[str, ...]
    """Parts of the one line: what came, what to do."""
    prepare: Callable[[Path], object] = lambda _: None
    code: int = 1


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    """Return a preparation that writes one file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


IMPORT = "data import new.duckdb --items items.jsonl --interactions interactions.csv"
TRAIN = "train my.duckdb new --target films --quiet"

CASES = [
    Refused(
        "items file missing",
        "data import new.duckdb --items absent.jsonl --interactions interactions.csv",
        ("absent.jsonl", "no such file"),
    ),
    Refused(
        "interactions is a folder",
        "data import new.duckdb --items items.jsonl --interactions model",
        ("model", "is a folder"),
    ),
    Refused(
        "wrong column",
        "data import new.duckdb --items items.jsonl --interactions wrong.csv",
        ("wrong.csv", "no column 'user_id'", "did you mean 'userId'"),
        write("wrong.csv", "userId,item_id,rating\nu1,b001,5\n"),
    ),
    Refused("column mapped to nothing", f"{IMPORT} --column rating=stars", ("'stars'", "rating")),
    Refused("column named by a number", f"{IMPORT} --column rating=5", ("no column '5'",)),
    Refused(
        "unknown role",
        f"{IMPORT} --column colour=x",
        ("source.colour", "there are", "title"),
        code=2,
    ),
    Refused(
        "empty table",
        "data import new.duckdb --items items.jsonl --interactions empty.csv",
        ("empty.csv", "a header and no rows"),
        write("empty.csv", "user_id,item_id,rating\n"),
    ),
    Refused(
        "file of no bytes",
        "data import new.duckdb --items items.jsonl --interactions void.csv",
        ("void.csv",),
        write("void.csv", ""),
    ),
    Refused(
        "damaged gzip",
        "data import new.duckdb --items items.jsonl --interactions cut.csv.gz",
        ("cut.csv.gz", "damaged or cut short"),
        write("cut.csv.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03abc"),
    ),
    Refused("store in no folder", IMPORT.replace("new.", "a/b/new."), ("a/b", "does not exist")),
    Refused("store is a folder", IMPORT.replace("new.duckdb", "model"), ("model", "is a folder")),
    Refused(
        "store not there", "data describe absent.duckdb", ("absent.duckdb", "mekb data import")
    ),
    Refused(
        "store is a text file",
        "runs store.txt",
        ("store.txt", "cannot be opened as a store"),
        write("store.txt", "this is no database\n" * 400),
    ),
    Refused(
        "a text file whose name has a lock in it",
        "runs block.txt",
        ("block.txt", "cannot be opened as a store"),
        write("block.txt", "this is no database\n" * 400),
    ),
    Refused(
        "aliases from nothing", "aliases build new.duckdb", ("give a dump, or a file of aliases",)
    ),
    Refused(
        "dump missing",
        "aliases build new.duckdb --dump absent.xml.bz2",
        ("absent.xml.bz2", "no such file"),
    ),
    Refused(
        "dump is no dump",
        "aliases build new.duckdb --quiet --dump items.jsonl",
        ("items.jsonl", "a MediaWiki export is expected"),
    ),
    Refused(
        "alias list without its columns",
        "aliases import new.duckdb other.csv",
        ("other.csv", "columns a, b", "title and qid"),
        write("other.csv", "a,b\n1,2\n"),
    ),
    Refused(
        "spaCy pipeline not installed",
        "link my.duckdb --quiet --set link.detector=ner --set link.pipeline=xx_no_such_web_sm",
        ("xx_no_such_web_sm", "python -m spacy download"),
    ),
    Refused(
        "NER without a pipeline",
        "link my.duckdb --quiet --set link.detector=ner",
        ("pipeline",),
    ),
    Refused(
        "unknown setting",
        "link my.duckdb --set link.min_priors=0.1",
        ("no setting 'link.min_priors'", "min_prior,"),
        code=2,
    ),
    Refused(
        "unknown section",
        "profiles build my.duckdb --set score.k_star=1",
        ("no setting 'score'", "scoring"),
        code=2,
    ),
    Refused(
        "a setting out of range",
        "profiles build my.duckdb --set scoring.k_star=0",
        ("scoring.k_star", "greater than 0", "given: 0"),
        code=2,
    ),
    Refused(
        "a --set without a value",
        "profiles build my.duckdb --set scoring.k_star",
        ("scoring.k_star", "SECTION.KEY=VALUE"),
        code=2,
    ),
    Refused(
        "broken TOML",
        "profiles build my.duckdb --config broken.toml",
        ("broken.toml", "is not TOML", "line 1"),
        write("broken.toml", "[scoring\nk_star = 1\n"),
        code=2,
    ),
    Refused(
        "settings file missing",
        "profiles build my.duckdb --config absent.toml",
        ("absent.toml", "No such file"),
        code=2,
    ),
    Refused(
        "unknown user", "profiles show my.duckdb u9", ("no user 'u9'", "ids look like 'u00001'")
    ),
    Refused("unknown user to export", "profiles export my.duckdb u9 u9.ttl", ("no user 'u9'",)),
    Refused(
        "export exists",
        "profiles export my.duckdb u00001 mine.ttl",
        ("mine.ttl", "exists", "--force"),
        write("mine.ttl", "mine"),
    ),
    Refused(
        "export in an unknown format",
        "profiles export my.duckdb u00001 u.docx",
        ("docx", "jsonld"),
    ),
    Refused(
        "export to no folder",
        "profiles export my.duckdb u00001 a/b/u.ttl",
        ("a/b/u.ttl", "No such"),
    ),
    Refused(
        "export to a folder",
        "profiles export my.duckdb u00001 u.ttl",
        ("u.ttl", "is a folder"),
        lambda folder: (folder / "u.ttl").mkdir(),
    ),
    Refused("unknown target", "train my.duckdb new --target games", ("no domain 'games'", "films")),
    Refused("unknown source", f"{TRAIN} --sources books,games", ("no domain 'games'", "films")),
    Refused(
        "target among the sources",
        f"{TRAIN} --sources books,films",
        ("'films' is the target", "cannot be a source"),
    ),
    Refused("unknown preset", f"{TRAIN} --preset huge", ("no preset 'huge'", "demo"), code=2),
    Refused(
        "unknown setting of the model",
        f"{TRAIN} --set train.model.epoch=3",
        ("epoch: Extra inputs are not permitted",),
        code=2,
    ),
    Refused(
        "unknown encoder",
        f"{TRAIN} --set train.model.encoder=no/such-encoder",
        ("no/such-encoder", "neither a folder nor in the Hugging Face cache"),
    ),
    Refused(
        "unknown device", f"{TRAIN} --set train.device=tpu", ("'tpu'", "use 'cpu', 'cuda'"), code=2
    ),
    Refused(
        "unknown precision", f"{TRAIN} --set train.precision=8-bit", ("'8-bit'", "32-true"), code=2
    ),
    Refused("fold out of range", f"{TRAIN} --set split.fold=5", ("fold 5 of 5",), code=2),
    Refused("too many folds", f"{TRAIN} --set split.n_folds=5000", ("too few for 5000 folds",)),
    Refused("model exists", "train my.duckdb model --target films", ("model", "exists", "--force")),
    Refused(
        "a file stands where the model goes",
        "train my.duckdb items.jsonl --target films --force",
        ("items.jsonl", "not ours to replace"),
    ),
    Refused(
        "a foreign folder stands where the model goes",
        "train my.duckdb theirs --target films --force",
        ("theirs", "not ours to replace"),
        lambda folder: shutil.copytree(folder / "bundle" / "aliases", folder / "theirs"),
    ),
    Refused(
        "a web application stands where the model goes",
        "train my.duckdb site --target films --force",
        ("site", "not ours to replace"),
        lambda folder: ((folder / "site").mkdir(), write("site/manifest.json", "{}")(folder)),
    ),
    Refused(
        "a bundle stands where the model goes",
        "train my.duckdb bundle --target films --force",
        ("bundle", "not ours to replace"),
    ),
    Refused(
        "a model stands where the bundle goes",
        "bundle my.duckdb model model --force",
        ("model", "not ours to replace"),
    ),
    Refused("bundle exists", "bundle my.duckdb model bundle", ("bundle", "exists", "--force")),
    Refused("model not there", "bundle my.duckdb absent new", ("absent", "no model folder")),
    Refused(
        "bundle given for a model", "evaluate my.duckdb bundle", ("bundle", "must have exactly")
    ),
    Refused(
        "model to evaluate not there", "evaluate my.duckdb absent", ("absent", "no model folder")
    ),
    Refused(
        "unknown baseline",
        "evaluate my.duckdb model --baselines popularity,magic",
        ("no baseline 'magic'", "source_knn"),
    ),
    Refused(
        "the model itself as a baseline",
        "evaluate my.duckdb model --baselines embedme",
        ("no baseline 'embedme'", "popularity"),
    ),
    Refused("bundle not there", "recommend absent --interests jazz", ("absent", "mekb bundle")),
    Refused("model given for a bundle", "recommend model --interests jazz", ("model: no bundle",)),
    Refused("nobody to recommend to", "recommend bundle", ("give one of",)),
    Refused("no interests", "recommend bundle --interests ,", ("give one of",)),
    Refused(
        "unknown interests",
        "recommend bundle --interests xyzzy,Q99999999",
        ("'xyzzy' is not in the alias table", "'Q99999999'"),
    ),
    Refused(
        "two ways at once",
        "recommend bundle --interests jazz --user u00001 --store my.duckdb",
        ("give one of",),
    ),
    Refused("a user without a store", "recommend bundle --user u00001", ("without a store",)),
    Refused(
        "a user the store does not know",
        "recommend bundle --user u9 --store my.duckdb",
        ("no user 'u9'",),
    ),
    Refused("history missing", "recommend bundle --history absent.txt", ("absent.txt", "No such")),
    Refused(
        "history empty",
        "recommend bundle --history empty.txt",
        ("empty.txt", "DOMAIN:ITEM"),
        write("empty.txt", "\n  \n"),
    ),
    Refused(
        "history is no text",
        "recommend bundle --history my.duckdb",
        ("my.duckdb", "cannot be read as a list"),
    ),
    Refused(
        "history with an unknown item",
        "recommend bundle --history liked.txt",
        ("no item 'b9999'", "'books'"),
        write("liked.txt", "b001\nbooks:b9999\n"),
    ),
    Refused(
        "history with an item of another domain",
        "recommend bundle --history liked.txt",
        ("no item 'b001' in 'films'",),
        write("liked.txt", "films:b001\n"),
    ),
    Refused(
        "demo where a file stands", "demo items.jsonl --quiet", ("items.jsonl", "Not a directory")
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_a_refusal_is_one_line_and_leaves_nothing(mekb, own_project, monkeypatch, case):
    folder = own_project.folder
    case.prepare(folder)
    monkeypatch.chdir(folder)
    before = listing(folder)
    ran = mekb(*case.words.split())
    assert ran.code == case.code, ran.err
    assert ran.out == ""
    assert re.fullmatch(r"mekb: [^\n]+\n", ran.err), ran.err
    for part in case.says:
        assert part in ran.err
    assert listing(folder) == before


WRONG_USAGE = {
    "no items asked for": ("recommend bundle --interests jazz -k 0", "-k"),
    "no argument": ("profiles show my.duckdb", "user"),
    "no such command": ("profile my.duckdb", "profile"),
    "no such option": ("runs my.duckdb --formats json", "--formats"),
    "no such format": ("runs my.duckdb --format yaml", "yaml"),
    "too few users for a demo": ("demo new --users 10", "--users"),
}


@pytest.mark.parametrize(("words", "named"), WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_is_told_by_the_parser(mekb, own_project, monkeypatch, words, named):
    monkeypatch.chdir(own_project.folder)
    before = listing(own_project.folder)
    ran = mekb(*words.split())
    assert ran.code == 2
    assert named in ran.err
    assert "Traceback" not in ran.err
    assert listing(own_project.folder) == before


def test_an_ambiguous_item_of_a_history_is_not_guessed(project):
    """One id in two domains: named with both, and taken where the domain is given."""
    from mekb.api import open_bundle
    from mekb.errors import UnknownError
    from mekb.given import history_of

    opened = open_bundle(project.bundle)
    names = opened.items["books"].names
    names[0] = opened.items["films"].names[3]
    with pytest.raises(UnknownError, match=r"is in books, films: name its domain as DOMAIN:ITEM"):
        history_of(opened, [(None, names[0])])
    assert history_of(opened, [("films", names[0])])["films"].indices.tolist() == [3]


ENCODER_FILES = (
    *("config.json", "model.safetensors", "sentence_bert_config.json"),
    *("tokenizer.json", "tokenizer_config.json"),
)
HEAD_FILES = ("config.json", "model.safetensors")


def bundle_files() -> list[str]:
    return [
        *("manifest.json", "items.parquet", "item_entities.parquet", "entities.parquet"),
        "evidence.arrow",
        *("index.faiss", "model/config.json", "model/model.safetensors", "model/manifest.json"),
        *("model/modules.json", "model/config_sentence_transformers.json"),
        *(f"model/encoder/{name}" for name in ENCODER_FILES),
        "model/pooling/config.json",
        *(f"model/{head}/{name}" for head in ("hidden", "output") for name in HEAD_FILES),
    ]


def test_the_bundle_holds_the_files_we_damage(project):
    found = {
        path.relative_to(project.bundle).as_posix()
        for path in project.bundle.rglob("*")
        if path.is_file()
    }
    assert {name for name in found if not name.startswith("aliases/")} == set(bundle_files())


def test_one_altered_byte_in_any_file_of_a_bundle_is_named(mekb, own_project):
    """Every file in turn: its middle byte changed, then put back."""
    for path in sorted(own_project.bundle.rglob("*")):
        if not path.is_file():
            continue
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        whole = path.read_bytes()
        path.write_bytes(content)
        ran = mekb("recommend", own_project.bundle, "--interests", "jazz")
        path.write_bytes(whole)
        name = path.relative_to(own_project.bundle).as_posix()
        assert ran.code == 1, name
        assert re.fullmatch(r"mekb: [^\n]+\n", ran.err), ran.err
        assert f"{name} " in ran.err or f"its {name} cannot be read" in ran.err
    assert mekb("recommend", own_project.bundle, "--interests", "jazz").code == 0


def test_any_altered_word_of_a_manifest_is_found(mekb, own_project):
    """Not only what breaks JSON: another count, another target, another hash."""
    path = own_project.bundle / "manifest.json"
    whole = path.read_text(encoding="utf-8")
    manifest = json.loads(whole)
    changes = {
        "n_users": manifest["n_users"] + 1,
        "index": {"kind": "HNSW32"},
        "neighbours": {},
        "target": "books",
        "sources": ["music", "books"],
        "scoring": {**manifest["scoring"], "k_star": 6.0},
        "files": {**manifest["files"], "extra": "0" * 64},
        "origin": {},
        "format_version": manifest["format_version"] + 1,
        "digest": "0" * 64,
    }
    assert set(changes) == set(manifest)
    for key, value in changes.items():
        path.write_text(json.dumps({**manifest, key: value}), encoding="utf-8")
        ran = mekb("recommend", own_project.bundle, "--interests", "jazz")
        assert ran.code == 1, key
        assert "manifest.json" in ran.err
    for text in ("[]", "null", "{}", '"format_version"'):
        path.write_text(text, encoding="utf-8")
        assert "no bundle" in mekb("recommend", own_project.bundle, "--interests", "jazz").err


@pytest.mark.parametrize("name", ["entities.parquet", "model/encoder/tokenizer.json"])
def test_a_missing_file_of_a_bundle_is_named(mekb, own_project, name):
    (own_project.bundle / name).unlink()
    ran = mekb("recommend", own_project.bundle, "--interests", "jazz")
    assert (ran.code, ran.err) == (1, f"mekb: {own_project.bundle}: {name} is missing\n")


def test_a_file_added_to_a_bundle_is_named(mekb, own_project):
    (own_project.bundle / "notes.txt").write_text("mine")
    ran = mekb("recommend", own_project.bundle, "--interests", "jazz")
    assert "notes.txt does not belong to it" in ran.err


def test_force_replaces_what_is_ours(mekb, own_project, monkeypatch):
    monkeypatch.chdir(own_project.folder)
    words = ("train", "my.duckdb", "model", "--target", "films", "--sources", "books", "--quiet")
    before = listing(own_project.folder)
    assert mekb(*words, *own_project.quick, "--force").code == 0
    assert mekb("bundle", "my.duckdb", "model", "bundle", "--force").code == 0
    assert mekb("profiles", "export", "my.duckdb", "u00001", "u.ttl").code == 0
    assert mekb("profiles", "export", "my.duckdb", "u00001", "u.ttl", "--force").code == 0
    after = listing(own_project.folder)
    new = {path for path in set(after) - {*before} if not path.startswith("model.logs/")}
    assert new == {"u.ttl"}  # and curves, which are kept of every training
    assert set(before) <= set(after)
    assert after["bundle/manifest.json"] != before["bundle/manifest.json"]
    manifest = json.loads((own_project.bundle / "manifest.json").read_text())
    assert manifest["sources"] == ["books"]


def test_the_folder_one_stands_in_is_not_taken_away(mekb, project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = mekb("bundle", project.store, project.model, ".")
    assert (ran.code, ran.err) == (1, "mekb: .: is the folder you are in; name one below it\n")


def test_a_link_to_a_bundle_stays_a_link(mekb, own_project):
    link = own_project.folder / "current"
    link.symlink_to(own_project.bundle, target_is_directory=True)
    assert mekb("bundle", own_project.store, own_project.model, link, "--force").code == 0
    assert link.is_symlink()
    assert mekb("recommend", link, "--interests", "jazz").code == 0
    assert not [path for path in own_project.folder.iterdir() if path.name.startswith(".")]


def test_a_store_in_use_by_another_process_is_named_with_it(mekb, own_project):
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(own_project.store)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        ran = mekb("runs", own_project.store)
        holder.communicate("\n")
    assert ran.code == 1
    assert ran.err == (
        f"mekb: {own_project.store}: in use by process {holder.pid};"
        " wait for it to end, then try again\n"
    )
    assert mekb("runs", own_project.store).code == 0


@pytest.mark.parametrize("command", ["evaluate {store} {model}", "bundle {store} {model} {new}"])
def test_a_store_changed_after_training_is_refused_by_name(mekb, own_project, command):
    from mekb.store import Store

    with Store.open(own_project.store) as store:
        store.replace({"interactions": store.read("interactions").slice(1)})
    new = own_project.folder / "new"
    words = command.format(store=own_project.store, model=own_project.model, new=new)
    ran = mekb(*words.split())
    assert ran.code == 1
    assert "trained on other data" in ran.err
    assert "(changed: interactions)" in ran.err
    assert not new.exists()


STAGES_TOO_EARLY = {
    "link": ("link {store}", "mekb data import"),
    "profiles build": ("profiles build {store}", "mekb data import"),
    "profiles show": ("profiles show {store} u1", "mekb profiles build"),
    "train": ("train {store} {new} --target films", "mekb data import"),
    "describe": ("data describe {store}", "mekb data import"),
    "lookup": ("aliases lookup {store} Dune", "mekb aliases build"),
    "link a text": ("link {store} --text Dune", "mekb aliases build"),
}


@pytest.mark.parametrize(("words", "advice"), STAGES_TOO_EARLY.values(), ids=STAGES_TOO_EARLY)
def test_a_stage_before_its_time_says_what_to_run_first(mekb, tmp_path, words, advice):
    from mekb.store import Store

    path = tmp_path / "empty.duckdb"
    with Store.open(path, create=True):
        pass
    ran = mekb(*words.format(store=path, new=tmp_path / "new").split())
    assert ran.code == 1
    assert advice in ran.err
    assert [file.name for file in tmp_path.iterdir()] == ["empty.duckdb"]


def test_a_failed_import_leaves_the_store_as_it_was(mekb, own_project, tmp_path):
    from mekb.store import Store

    bad = tmp_path / "bad.csv"
    bad.write_text("user_id,item_id,rating\n,,\n")
    with Store.open(own_project.store) as store:
        before = {name: store.fingerprint(name) for name in ("items", "users", "interactions")}
        n_runs = store.count("runs")
    items = own_project.folder / "items.jsonl"
    ran = mekb("data", "import", own_project.store, "--items", items, "--interactions", bad)
    assert ran.code == 1
    with Store.open(own_project.store) as store:
        assert {name: store.fingerprint(name) for name in before} == before
        assert store.count("runs") == n_runs


def test_a_file_that_cannot_be_read_is_named(mekb, tmp_path):
    path = Path("/proc/self/mem")
    if not path.is_file():
        pytest.skip("no file here that opens and cannot be read")
    store = tmp_path / "new.duckdb"
    ran = mekb("data", "import", store, "--items", path, "--interactions", path)
    assert (ran.code, ran.err) == (1, "mekb: /proc/self/mem: cannot be read: Input/output error\n")
    assert not store.exists()


def test_debug_shows_where_an_error_came_from(monkeypatch):
    from mekb.cli.app import main
    from mekb.errors import StoreError

    monkeypatch.setattr(sys, "argv", ["mekb", "--debug", "runs", "absent.duckdb"])
    with pytest.raises(StoreError):
        main()


def test_an_interrupt_ends_with_130(mekb, monkeypatch, project):
    from mekb import api

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "runs", interrupted)
    ran = mekb("runs", project.store)
    assert ran.code == 130
