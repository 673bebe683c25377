"""Linking of running text against the published NER + link prior baseline, on ELEVANT's benchmarks.

    python benchmarks/text_linking.py at1_surface_qid.tsv.gz benchmarks/ ner_pipeline/

In: a table of surface, QID and count (the likeliest entity of each surface), a folder of gold texts
(`NAME.jsonl`, as `entity_linking.gold` reads them) and a spaCy pipeline. Out: for each benchmark and detector
span, given-span and end-to-end figures with intervals, by the rule that `mekb link evaluate` prints, beside the
F1 that ELEVANT's own scorer gives its baseline (evaluation-results/baseline, category "entity"); `paper` is
detector `ner` with each mention by itself, which is AT@1 after the NER. Then the same for the half of the documents that
the order of a name's forms and `name_parts` were fitted on and for the other half, and thirty errors by kind.

Texts of the two FAIR benchmarks are annotated in part: what lies between the paragraph of the first gold mention and
that of the last counts, and texts without any are left out.

Exits 1 if detector `both` is below the published F1, by either scorer, on one of `BARS`.
"""

import argparse
import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import mekb
from alias_tables.lookup import NO_ENTITY, AliasIndex
from entity_linking.config import LinkConfig
from entity_linking.evaluate import Evaluation, evaluate
from entity_linking.gold import Gold, GoldMention, GoldText, read_gold
from entity_linking.linker import Linker
from entity_linking.mentions import Mention

PUBLISHED = {
    "wiki-fair": (0.5175, 0.521),
    "news-fair-no-coref": (0.4495, 0.456),
    "oke-2015-train": (0.5426, 0.541),
    "oke-2016-train": (0.5993, 0.597),
    "derczynski": (0.3532, 0.353),
}
"""Micro F1 of ELEVANT's baseline as its own scorer has it (category "entity", mode "ignored"), and of the same
published predictions by our rule. The .59 often quoted for OKE-2015 is of its evaluation part, category "all"."""
BARS = ("wiki-fair", "news-fair-no-coref")
IN_PART = {"wiki-fair", "news-fair-no-coref"}
FIGURES = (
    *("span precision", "span recall", "accuracy given found span"),
    *("end-to-end precision", "end-to-end recall", "NIL precision", "NIL recall"),
)
N_ERRORS = 30
AROUND = 30


def annotated_part(text: GoldText) -> GoldText:
    """Return a text with the part that its mentions show to be annotated: their paragraphs."""
    first = min(mention.start for mention in text.mentions)
    last = max(mention.stop for mention in text.mentions)
    end = text.text.find("\n", last)
    start = text.text.rfind("\n", 0, first) + 1
    return text._replace(evaluated=(start, len(text.text) if end < 0 else end))


def read_benchmark(folder: Path, name: str) -> Gold:
    """Return the gold of a benchmark, of those annotated in part the texts that show where."""
    gold = read_gold(folder / f"{name}.jsonl")
    if name not in IN_PART:
        return gold
    return gold._replace(texts=tuple(annotated_part(text) for text in gold.texts if text.mentions))


def half(gold: Gold, number: int) -> Gold:
    """Return the documents whose hash ends in a bit: 0 what rules were fitted on, 1 the rest."""
    chosen = [
        text for text in gold.texts if hashlib.sha256(text.text.encode()).digest()[0] % 2 == number
    ]
    return gold._replace(texts=tuple(chosen))


def configurations(pipeline: str) -> dict[str, LinkConfig]:
    """Return what is compared, by name."""
    return {
        "paper": LinkConfig(detector="ner", pipeline=pipeline, name_parts=False, min_prior=0.0),
        "ner": LinkConfig(detector="ner", pipeline=pipeline),
        "dictionary": LinkConfig(detector="dictionary"),
        "both": LinkConfig(detector="both", pipeline=pipeline),
    }


def line(name: str, found: Evaluation) -> str:
    """Return the figures of one run."""
    f1 = found.figure("end-to-end F1")
    shares = []
    for figure in map(found.figure, FIGURES):
        value = "-" if figure.value is None else f"{figure.value:.3f}"
        shares.append(f"{value} {figure.part}/{figure.whole}".rjust(15))
    value = "   -  " if f1.value is None else f"{f1.value:.3f} [{f1.low:.3f}, {f1.high:.3f}]"
    return f"  {name:11}{value}{''.join(shares)}"


class Error(NamedTuple):
    """One thing that is wrong."""

    kind: str
    where: str
    what: str


def errors(index: AliasIndex, gold: Gold, config: LinkConfig) -> Iterator[Error]:
    """Yield what is missed, linked wrong, or linked where gold has nothing or something else."""
    linker = Linker(index, config)
    found = linker.link_texts([text.text for text in gold.texts], keep_nil=True)
    for text, mentions in zip(gold.texts, found, strict=True):
        first, last = text.evaluated or (0, len(text.text))
        inside = [one for one in mentions if first <= one.start and one.stop <= last]
        for gold_mention in text.mentions:
            if gold_mention.standing == "required":
                kind = kind_of_miss(index, gold_mention, inside)
                if kind:
                    yield Error(kind, shown(text.text, gold_mention), f"Q{gold_mention.qid}")
        for mention in inside:
            kind = kind_of_false_link(text, mention)
            if kind and mention.entity_id != NO_ENTITY:
                yield Error(kind, shown(text.text, mention), mention.title)


def kind_of_miss(index: AliasIndex, gold: GoldMention, mentions: Sequence[Mention]) -> str | None:
    """Return why a gold mention has no right link, None if it has one."""
    over = [one for one in mentions if one.start < gold.stop and gold.start < one.stop]
    at = [one for one in over if (one.start, one.stop) == (gold.start, gold.stop)]
    known = index.candidates(gold.surface)
    if any(one.entity_id == gold.qid for one in at):
        return None
    if at and at[0].entity_id != NO_ENTITY:
        is_demonym = (
            "demonym or metonym" if gold.surface.endswith(("an", "ish", "ese")) else "sense"
        )
        return f"wrong entity: another {is_demonym}"
    if not known:
        case = "no name (small letter)" if gold.surface[:1].islower() else "name"
        return f"missed: {case} the table does not know"
    if over:
        return "missed: other span"
    return "missed: not detected though the table knows it"


def kind_of_false_link(text: GoldText, mention: Mention) -> str | None:
    """Return what stands at a link without gold of its span, None if there is."""
    over = [one for one in text.mentions if one.start < mention.stop and mention.start < one.stop]
    at = [one for one in over if (one.start, one.stop) == (mention.start, mention.stop)]
    if any(one.standing != "nil" for one in at):
        return None
    if at:
        return "false link: gold NIL"
    return "false link: boundary" if over else "false link: no gold"


def shown(text: str, span: GoldMention | Mention) -> str:
    """Return a span in what stands around it, on one line."""
    before, after = text[max(0, span.start - AROUND) : span.start], text[span.stop :][:AROUND]
    return " ".join(f"{before}[[{span.surface}]]{after}".split())


def print_errors(found: list[Error]) -> None:
    """Print how many there are of each kind, and some of each, chosen by hash."""
    counts = Counter(error.kind for error in found)
    per_kind = -(-N_ERRORS // len(counts))
    print(f"\nerrors of detector both: {len(found):,}")
    for kind, n in counts.most_common():
        print(f"  {n:4} {kind}")
        own = sorted(
            {error for error in found if error.kind == kind},
            key=lambda error: hashlib.sha256(error.where.encode()).digest(),
        )
        for error in own[:per_kind]:
            print(f"         {error.where}  ({error.what})")


def table_index(table: Path) -> AliasIndex:
    """Return the index of a table of aliases, built as `mekb aliases import` builds it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "aliases.duckdb"
        mekb.build_aliases(path, extra=[table])
        with mekb.Store.open(path) as store:
            return AliasIndex.from_tables(store.read("entities"), store.read("aliases"))


def main() -> int:
    """Print the tables and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", type=Path, help="surface, QID and count, by tabs")
    parser.add_argument("benchmarks", type=Path, help="the folder of NAME.jsonl")
    parser.add_argument("pipeline", help="name or folder of a spaCy pipeline")
    given = parser.parse_args()
    index = table_index(given.table)
    print(f"{len(index):,} surfaces, {index.n_entities:,} entities")
    print(f"  {'':11}{'end-to-end F1':21}{''.join(name[-14:].rjust(15) for name in FIGURES)}")
    below, found_errors = [], []
    for name, published in PUBLISHED.items():
        gold = read_benchmark(given.benchmarks, name)
        print(
            f"{name}: {len(gold.texts)} texts; published {published[0]:.3f}, by our rule {published[1]:.3f}"
        )
        for label, config in configurations(given.pipeline).items():
            found = evaluate(index, gold, config)
            print(line(label, found))
            if label == "both":
                f1 = found.figure("end-to-end F1").value or 0.0
                below += [name] if f1 < max(published) else []
                for number, side in enumerate(("fitted half", "other half")):
                    print(line(side, evaluate(index, half(gold, number), config)))
                found_errors += list(errors(index, gold, config))
    print("\n" + "\n".join(found.rule))
    print_errors(found_errors)
    print(f"\nbelow the published F1: {', '.join(below) or 'none'}")
    return int(not set(BARS).isdisjoint(below))


if __name__ == "__main__":
    sys.exit(main())
