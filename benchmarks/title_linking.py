"""How often each chooser finds the right page for the title of a film or a book.

    python benchmarks/title_linking.py --data DATA            # the half that no weight was chosen on
    python benchmarks/title_linking.py --data DATA --fit      # the other half: the weights, and how they were chosen

Every title is looked up whole (`entity_linking.titles`). Candidate recall is the share of titles whose page is
among the candidates; a chooser cannot do better. A title that is linked to another page, or to none, is wrong.
Titles are halved by their hash. Exits 1 when `typed` finds less than 95 % of candidate recall on film titles with a
year, or is less than 5 points above `at1` on titles that several films share.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from title_linking_data import Case, cases, tables

from alias_tables.lookup import AliasIndex, Candidate
from entity_linking.config import LinkConfig
from entity_linking.context import Context, cosine_factors
from entity_linking.disambiguate import Query, first_best, posterior
from entity_linking.linker import Linker, Mention, TextRow
from entity_linking.titles import parse_title
from entity_linking.typed import Typed, type_fit, year_fit

CHOOSERS = ("at1", "typed", "context")
WITH_YEAR = ("movie", "film, shared title", "film, own title")
LEAST_OF_RECALL = 0.95
LEAST_LEAD = 0.05
BATCH = 2_000
ALL = 1_000
"""Candidates kept with a mention: more than any name has here."""
THRESHOLDS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
COSINE_WEIGHTS = (0.0, 2.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0)
SAMPLE = 400
"""Titles a group on which the encoder is tried: it reads some fifty texts a second and core."""


@dataclass
class Tally:
    """Counts over the titles of a group."""

    titles: int = 0
    recalled: int = 0
    """The right page is a candidate."""
    right: int = 0
    linked: int = 0

    @property
    def accuracy(self) -> float:
        """Of all titles."""
        return self.right / max(1, self.titles)

    @property
    def recall(self) -> float:
        """Candidate recall."""
        return self.recalled / max(1, self.titles)

    @property
    def precision(self) -> float:
        """Of the titles that were linked."""
        return self.right / max(1, self.linked)


def link(index: AliasIndex, chosen: Sequence[Case], config: LinkConfig) -> list[Mention | None]:
    """Return for each title the mention of its whole, NIL ones included; None where nothing is known of it."""
    linker = Linker(
        index, config.model_copy(update={"detector": "dictionary", "keep_candidates": ALL})
    )
    found: list[Mention | None] = []
    for start in range(0, len(chosen), BATCH):
        rows = [
            TextRow(one.title, "title", one.domain, one.context)
            for one in chosen[start : start + BATCH]
        ]
        for mentions in linker.link_rows(rows, keep_nil=True):
            whole = [one for one in mentions if one.detector == "title" and one.candidates]
            found.append(whole[0] if whole else None)
    return found


def tally(
    index: AliasIndex, chosen: Sequence[Case], found: Sequence[Mention | None]
) -> dict[str, Tally]:
    """Return the counts of each group."""
    groups: dict[str, Tally] = defaultdict(Tally)
    for one, mention in zip(chosen, found, strict=True):
        group = groups[one.group]
        group.titles += 1
        if mention is not None:
            names = {index.title(candidate.entity_id) for candidate in mention.candidates}
            group.recalled += one.gold in names
            group.right += mention.title == one.gold
            group.linked += bool(mention.title)
    return groups


def of_table(chosen: Iterable[Case], table: str) -> list[Case]:
    """Return the cases that are linked with one table."""
    return [one for one in chosen if one.table == table]


def report(
    indexes: Mapping[str, AliasIndex], chosen: Sequence[Case], errors: Path | None
) -> dict[str, dict[str, Tally]]:
    """Print a table of all choosers and groups; write the errors if asked."""
    results: dict[str, dict[str, Tally]] = {}
    wrong: list[dict[str, object]] = []
    for chooser in CHOOSERS:
        results[chooser] = {}
        for table, index in indexes.items():
            part = of_table(chosen, table)
            found = link(index, part, LinkConfig(chooser=chooser))
            results[chooser] |= tally(index, part, found)
            for one, mention in zip(part, found, strict=True):
                if mention is None or mention.title != one.gold:
                    wrong.append(_error(chooser, one, mention))
    print(f"{'group':32}{'titles':>8}{'recall':>8}" + "".join(f"{name:>16}" for name in CHOOSERS))
    for group, counts in results["at1"].items():
        cells = [results[name][group] for name in CHOOSERS]
        print(
            f"{group:32}{counts.titles:8,}{counts.recall:8.3f}"
            + "".join(f"{one.accuracy:8.3f} ({one.accuracy / counts.recall:.3f})" for one in cells)
        )
    print("in brackets: of candidate recall")
    if errors is not None:
        errors.write_text("\n".join(json.dumps(row) for row in wrong) + "\n", encoding="utf-8")
    return results


def _error(chooser: str, one: Case, mention: Mention | None) -> dict[str, object]:
    """A row for reading by eye."""
    return {
        "chooser": chooser,
        "group": one.group,
        "title": one.title,
        "gold": one.gold,
        "chosen": None if mention is None else mention.title,
        "reason": None if mention is None else mention.reason,
        "score": None if mention is None else round(mention.score, 4),
        "n_candidates": 0 if mention is None else mention.n_candidates,
    }


def fit_factors(indexes: Mapping[str, AliasIndex], chosen: Sequence[Case]) -> None:
    """Print how much more often the right candidate fits than a wrong one, types and years apart.

    Counted over titles with several candidates, the right one among them, and over candidates of which the
    type (or the year) is known; one is added to each count (Laplace).
    """
    types: Counter[tuple[str, bool]] = Counter()
    years: Counter[tuple[str, bool]] = Counter()
    known: Counter[bool] = Counter()
    for one in chosen:
        index = indexes[one.table]
        chooser, parts = Typed(index, LinkConfig()), parse_title(one.title)
        lists = (index.candidates(reading.key) for reading in parts.readings)
        found = next((candidates for candidates in lists if candidates), [])
        is_right = [candidate.title == one.gold for candidate in found]
        if found and one.table == "items":
            known[any(is_right)] += 1
        if len(found) < 2 or not any(is_right):
            continue
        wanted = chooser.wanted_types(Query("", "", whole_title=True, domain=one.domain))
        for candidate, right in zip(found, is_right, strict=True):
            facts = chooser.facts(candidate)
            if one.table == "items":
                types[type_fit(wanted, facts.types), right] += 1
            if one.group in {"movie", "film, shared title"}:
                years[year_fit(parts.year, facts.years), right] += 1
    for name, counts, fits in (
        ("type", types, ("fits", "other")),
        ("year", years, ("same", "near", "other")),
    ):
        totals = {right: sum(counts[fit, right] + 1 for fit in fits) for right in (True, False)}
        for fit in fits:
            right, other = ((counts[fit, which] + 1) / totals[which] for which in (True, False))
            print(
                f"{name} {fit:8} right {counts[fit, True]:5} wrong {counts[fit, False]:5}"
                f" likelihood ratio {right / other:.4f}"
            )
    print(f"odds that the right page is no candidate: {known[False] / known[True]:.3f}")


def fit_thresholds(indexes: Mapping[str, AliasIndex], chosen: Sequence[Case]) -> None:
    """Print accuracy and precision of each chooser by its NIL threshold, over the item titles."""
    part, index = of_table(chosen, "items"), indexes["items"]
    for chooser, setting in (
        ("at1", "min_prior"),
        ("typed", "min_typed_score"),
        ("context", "min_context_score"),
    ):
        found = link(index, part, LinkConfig.model_validate({"chooser": chooser, setting: 0.0}))
        for threshold in THRESHOLDS:
            kept = [one if one is not None and one.score >= threshold else None for one in found]
            right = sum(
                one is not None and one.title == case.gold
                for one, case in zip(kept, part, strict=True)
            )
            linked = sum(one is not None for one in kept)
            print(
                f"{chooser:8} {setting} {threshold:5} recall {right / len(part):.4f}"
                f" precision {right / linked:.4f} F1 {2 * right / (len(part) + linked):.4f}"
            )


def fit_cosine(indexes: Mapping[str, AliasIndex], chosen: Sequence[Case]) -> None:
    """Print the cosines of right and wrong candidates, and the accuracy of `context` by their weight.

    Over ambiguous titles with the right page among the candidates, `SAMPLE` a group at most.
    """
    groups: dict[str, list[tuple[int, list[float], list[float]]]] = defaultdict(list)
    for table, index in indexes.items():
        chooser = Context(index, LinkConfig())
        ambiguous = _ambiguous(index, of_table(chosen, table))
        cosines = chooser.compare([query for _, query, _ in ambiguous], [c for *_, c in ambiguous])
        for (one, _, found), close in zip(ambiguous, cosines, strict=True):
            right = [candidate.title for candidate in found].index(one.gold)
            groups[one.group].append((right, [candidate.prior for candidate in found], close))
    for group, rows in groups.items():
        right = [close[row] for row, _, close in rows if row < len(close)]
        wrong = [one for row, _, close in rows for i, one in enumerate(close) if i != row]
        print(f"{group}: mean cosine, right {np.mean(right):.3f}, wrong {np.mean(wrong):.3f}")
        for weight in COSINE_WEIGHTS:
            hits = [
                row == first_best(posterior(priors, cosine_factors(close, len(priors), weight)))
                for row, priors, close in rows
            ]
            print(f"{group}: cosine weight {weight:4} right {np.mean(hits):.4f} of {len(hits)}")


def _ambiguous(
    index: AliasIndex, chosen: Sequence[Case]
) -> list[tuple[Case, Query, list[Candidate]]]:
    """Some titles with several candidates, the right page among them."""
    found: list[tuple[Case, Query, list[Candidate]]] = []
    counts: Counter[str] = Counter()
    for one in chosen:
        parts = parse_title(one.title)
        lists = ((reading.key, index.candidates(reading.key)) for reading in parts.readings)
        key, candidates = next((pair for pair in lists if pair[1]), ("", []))
        is_right = [candidate.title == one.gold for candidate in candidates]
        if any(is_right) and len(candidates) > 1 and counts[one.group] < SAMPLE:
            counts[one.group] += 1
            query = Query(
                key,
                one.title,
                whole_title=True,
                year=parts.year,
                domain=one.domain,
                context=one.context,
            )
            found.append((one, query, candidates))
    return found


def main() -> int:
    """Run the benchmark and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", action="store_true", help="show how the weights were chosen")
    parser.add_argument(
        "--errors", type=Path, help="write what went wrong here, a JSON object a line"
    )
    arguments = parser.parse_args()
    indexes = tables(arguments.data)
    chosen = [one for one in cases(arguments.data) if one.is_for_fitting == arguments.fit]
    if arguments.fit:
        fit_factors(indexes, chosen)
        fit_thresholds(indexes, chosen)
        fit_cosine(indexes, chosen)
        return 0
    results = report(indexes, chosen, arguments.errors)
    typed, at1 = results["typed"], results["at1"]
    with_year = [typed[group] for group in WITH_YEAR]
    found = sum(one.right for one in with_year) / sum(one.recalled for one in with_year)
    shared = "film, shared title"
    lead = typed[shared].accuracy - at1[shared].accuracy
    print(f"typed, film titles with a year: {found:.3f} of candidate recall")
    print(f"typed over at1, titles that several films share: {100 * lead:+.1f} points")
    return int(
        min(one.right / one.recalled for one in with_year) < LEAST_OF_RECALL or lead < LEAST_LEAD
    )


if __name__ == "__main__":
    sys.exit(main())
