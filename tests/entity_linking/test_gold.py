"""Gold files: what is read, and what is refused with line, mention, what came and what was allowed."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entity_linking.errors import GoldError
from entity_linking.gold import Gold, read_gold, refers_back

TEXT = "Emoji \N{GRINNING FACE} before Heat, he said."


OUTSIDE = (
    '{"text": "ab", "mentions": [{"start": 0, "end": 1, "surface": "a", "qid": "Q1"}],'
    ' "evaluated": [1, 2]}'
)


def mention(surface="Heat", *, start=None, **more):
    start = TEXT.index(surface) if start is None else start
    return {"start": start, "end": start + len(surface), "surface": surface, "qid": "Q42", **more}


def write(path, *rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def read_one(tmp_path, *mentions, **more):
    return read_gold(
        write(tmp_path / "gold.jsonl", {"text": TEXT, "mentions": [*mentions], **more})
    )


def test_a_text_is_read_with_offsets_in_code_points(tmp_path):
    gold = read_one(tmp_path, mention(title="Heat (film)"), domain="films", evaluated=[3, 28])
    assert gold.field == "text"
    (text,) = gold.texts
    assert (text.domain, text.evaluated) == ("films", (3, 28))
    (found,) = text.mentions
    assert found == (15, 19, "Heat", "Heat (film)", 42, "required")
    assert text.text[found.start : found.stop] == "Heat"


@pytest.mark.parametrize(
    ("row", "standing"),
    [
        (mention(), "required"),
        (mention(optional=True), "optional"),
        (mention(qid=None, nil=True), "nil"),
        (mention(qid=None, nil=True, type="OTHER|DATETIME"), "ignored"),
        (mention(type="QUANTITY"), "ignored"),
        (mention(type="Q11424"), "required"),
        (mention("he"), "ignored"),
        (mention("he", coref=False), "required"),
        (mention(coref=True), "ignored"),
        (mention(coref=True, optional=True), "ignored"),
    ],
)
def test_what_a_mention_asks(tmp_path, row, standing):
    assert read_one(tmp_path, row).texts[0].mentions[0].standing == standing


def test_coreference_is_asked_for_on_request(tmp_path):
    path = write(tmp_path / "gold.jsonl", {"text": TEXT, "mentions": [mention("he")]})
    assert read_gold(path, coreference=True).texts[0].mentions[0].standing == "required"


@pytest.mark.parametrize(
    ("surface", "expected"),
    [
        *(("I", True), ("US", False), ("us", True), ("IT", False), ("It", True)),
        *(("this film", True), ("the Film", False), ("the", False), ("theory", False), ("", False)),
    ],
)
def test_coreference_by_its_looks(surface, expected):
    assert refers_back(surface) is expected


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (mention(start=14), 'mention 2: the text at 14:18 is " Hea", the surface "Heat"'),
        (mention(start=-1), "mention 2: start -1 and end 3; expected 0 <= start < end <= 29"),
        (mention(start=True), "mention 2: start true"),
        (mention() | {"end": 99}, "start 15 and end 99"),
        (mention() | {"end": None}, "start 15 and end null"),
        ({"start": 15, "end": 19, "qid": "Q42"}, "the surface null"),
        (mention(qid="42"), 'mention 2: "qid" is "42", expected one such as "Q42"'),
        (mention(qid=42), '"qid" is 42'),
        (mention(qid=None), 'names no entity; give "qid", "title" or both, or "nil": true'),
        (mention(nil=True), "names an entity and NIL"),
        (mention(nil="yes"), '"nil" is "yes", expected true or false'),
        (mention(title=" "), '"title" is " ", expected a page title'),
        ("Heat", 'mention 2: is "Heat", expected an object'),
    ],
)  # fmt: skip
def test_a_wrong_mention_is_refused_by_line_and_number(tmp_path, row, said):
    path = tmp_path / "gold.jsonl"
    write(path, {"text": "", "mentions": []}, {"text": TEXT, "mentions": [mention(), row]})
    with pytest.raises(GoldError) as refused:
        read_gold(path)
    assert str(refused.value).startswith(f"{path}, line 2, mention 2: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: is not JSON"),
        ("[]", 'expected an object with "text", a string, and "mentions"'),
        ('{"text": 1, "mentions": []}', 'expected an object with "text"'),
        ('{"text": "a"}', '"mentions" is null, expected a list'),
        ('{"text": "a", "mentions": [], "domain": 1}', '"domain" is 1'),
        ('{"text": "a", "mentions": [], "evaluated": [0, 2]}', "expected [start, end] within 0 and 1"),
        (OUTSIDE, "mention 1: 0:1 lies outside the evaluated part 1:2"),
        ("", "holds no line"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_refused(tmp_path, line, said):
    path = tmp_path / "gold.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(GoldError) as refused:
        read_gold(path)
    assert said in str(refused.value)


@pytest.mark.parametrize("header", ["", "title\tgold\tdomain\n", "Title\tQID\n"])
def test_titles_are_read_with_or_without_a_header(tmp_path, header):
    path = tmp_path / "gold.tsv"
    path.write_text(
        f'{header}Matrix, The (1999)\tThe Matrix\tfilms\r\n"Heat"\tq42\n\nUnknown\tNIL\t\n',
        encoding="utf-8-sig",
    )
    gold = read_gold(path)
    assert gold.field == "title"
    assert [(text.text, text.domain) for text in gold.texts] == [
        *(("Matrix, The (1999)", "films"), ('"Heat"', None), ("Unknown", None)),
    ]
    assert [text.mentions[0][3:] for text in gold.texts] == [
        *(("The Matrix", None, "required"), (None, 42, "required"), (None, None, "nil")),
    ]
    assert gold.texts[0].mentions[0][:3] == (0, 18, "Matrix, The (1999)")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Heat", "line 2: 1 cells; expected title <tab> gold title, QID or NIL [<tab> domain]"),
        ("a\tb\tc\td", "line 2: 4 cells"),
        ("Heat\t ", "line 2: the gold title, QID or NIL is empty"),
        (" \tHeat", "line 2: the title is empty"),
    ],
)
def test_a_wrong_title_is_refused_by_line(tmp_path, line, said):
    path = tmp_path / "gold.tsv"
    path.write_text(f"Heat\tHeat\n{line}\n")
    with pytest.raises(GoldError, match=r"gold\.tsv") as refused:
        read_gold(path)
    assert said in str(refused.value)


def test_gz_is_read_and_other_files_are_refused(tmp_path):
    path = tmp_path / "gold.tsv.gz"
    path.write_bytes(gzip.compress(b"Heat\tQ42\n"))
    assert read_gold(path).texts[0].mentions[0].qid == 42
    cut = tmp_path / "cut.tsv.gz"
    cut.write_bytes(path.read_bytes()[:-12])
    for wrong, said in (
        (cut, "cannot be read as a gold file"),
        (tmp_path / "absent.tsv", "No such file"),
        (tmp_path / "gold.csv", "suffix .csv; a gold file is .jsonl"),
        (tmp_path / "gold", "no suffix"),
    ):
        with pytest.raises(GoldError) as refused:
            read_gold(wrong)
        assert said in str(refused.value)
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GoldError, match="cannot be read as a gold file"):
        read_gold(binary)


@given(st.text(max_size=30), st.data())
def test_any_span_of_any_text_is_read_back(tmp_path_factory, text, data):
    """Lone surrogates, line separators and escapes included: JSON carries them all."""
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start + 1, len(text)))
    row = {"start": start, "end": stop, "surface": text[start:stop], "qid": "Q7", "coref": False}
    path = write(tmp_path_factory.getbasetemp() / "any.jsonl", {"text": text, "mentions": [row]})
    gold = read_gold(path)
    assert isinstance(gold, Gold)
    assert gold.texts[0].text == text
    assert gold.texts[0].mentions[0][:3] == (start, stop, text[start:stop])
