"""Reranks the candidates of a mention by what is said around it: the encoder compares text and description.

    score(e) ~ P(e|m) exp(COSINE_WEIGHT (cos(v(text), v(e)) - mean))        (`disambiguate.posterior`)

that is, log prior plus a weighted cosine, less the mean over the candidates of the mention: the encoder is asked
who is meant, not whether anyone is. The text is the mention with what stands around it and what else is
known of its item; an entity reads as its title and description. Only the likeliest candidates of mentions
with more than one are compared: all others never meet the encoder, and where nothing is, it is not loaded.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from alias_tables.lookup import AliasIndex, Candidate
from entity_linking.config import LinkConfig, reaches
from entity_linking.disambiguate import Choice, Query, Reason, first_best, posterior
from entity_linking.encoder import Encoder, SentenceEncoder
from entity_linking.text import clean_text

COSINE_WEIGHT: Final = 15.0
"""From `benchmarks/title_linking.py --fit`, where the mean cosine of right candidates is .67 to .82 and that of wrong
ones .54 to .71: from 15 to 30 the share of right choices rises by less than a point on titles that several films
share (.848 without their year) and is level on books (.817). The smallest such weight leaves most to the
prior, which page titles alone, as there, make flatter than links do."""

_AROUND: Final = 200
"""Code points read on either side of a mention."""
_LONGEST: Final = 300
"""Code points of a description, and of what else is known of an item: the encoder reads 256 tokens."""
_DIGITS: Final = 3
"""Cosines are rounded to so many digits: padding beside a longer text moves the seventh."""

Vector = npt.NDArray[np.float32]


class Context:
    """The candidate with the highest score, or NIL where that is below `min_score`."""

    def __init__(
        self, index: AliasIndex, config: LinkConfig, encoder: Encoder | None = None
    ) -> None:
        """Prepare; the encoder is loaded when the first ambiguous mention comes.

        Args:
            index: Where descriptions stand.
            config: The settings.
            encoder: What turns texts into vectors; the one `config.encoder` names if None.

        Raises:
            EncoderError: That encoder is not there.
        """
        self._index = index
        self._config = config
        self._encoder = encoder or SentenceEncoder(config.encoder)
        self._vectors: OrderedDict[int, Vector] = OrderedDict()

    def choose_many(
        self, queries: Sequence[Query], candidates: Sequence[Sequence[Candidate]]
    ) -> list[Choice]:
        """Return the choice for each mention; the ambiguous ones are encoded together."""
        cosines = self.compare(queries, candidates)
        return [
            self._choose([one.prior for one in found], found_cosines)
            for found, found_cosines in zip(candidates, cosines, strict=True)
        ]

    def compare(
        self, queries: Sequence[Query], candidates: Sequence[Sequence[Candidate]]
    ) -> list[list[float]]:
        """Return the cosines of the likeliest candidates of each mention; none where there is only one."""
        compared = [found[: self._config.max_compared] if found[1:] else () for found in candidates]
        entities = self._entity_vectors(one for found in compared for one in found)
        texts = [
            read_around(query) if found else ""
            for query, found in zip(queries, compared, strict=True)
        ]
        unique = [text for text in dict.fromkeys(texts) if text]
        vectors = dict(zip(unique, self._encoder.encode(unique), strict=True)) if unique else {}
        self._forget()
        return [
            [round(float(vectors[text] @ entities[one.entity_id]), _DIGITS) for one in found]
            for text, found in zip(texts, compared, strict=True)
        ]

    def _choose(self, priors: Sequence[float], cosines: Sequence[float]) -> Choice:
        """The choice among candidates of which the first ones were compared."""
        scores = posterior(priors, cosine_factors(cosines, len(priors)))
        row = first_best(scores)
        if not reaches(scores[row], self._config.min_context_score):
            return Choice(None, "nil", scores)
        reason: Reason = "context"
        if row == first_best(priors):
            reason = "only_candidate" if len(priors) == 1 else "highest_prior"
        return Choice(row, reason, scores)

    def _entity_vectors(self, candidates: Iterable[Candidate]) -> dict[int, Vector]:
        """The vectors of entities, those not remembered encoded in one go."""
        wanted = {one.entity_id: one for one in candidates}
        missing = [one for one in wanted.values() if one.entity_id not in self._vectors]
        if missing:
            found = self._encoder.encode([self._read_entity(one) for one in missing])
            for one, vector in zip(missing, found, strict=True):
                self._vectors[one.entity_id] = vector
        for entity_id in wanted:
            self._vectors.move_to_end(entity_id)
        return {entity_id: self._vectors[entity_id] for entity_id in wanted}

    def _read_entity(self, candidate: Candidate) -> str:
        """What is read of an entity: its title, and its description where there is one."""
        description = self._index.description(candidate.entity_id)
        return f"{candidate.title}. {description[:_LONGEST]}" if description else candidate.title

    def _forget(self) -> None:
        """Drop the vectors used longest ago, down to the limit."""
        while len(self._vectors) > self._config.max_vectors:
            self._vectors.popitem(last=False)


def cosine_factors(
    cosines: Sequence[float], n_candidates: int, weight: float = COSINE_WEIGHT
) -> list[float]:
    """Return the factor of each candidate's prior, 1 for those that were not compared."""
    mean = sum(cosines) / max(1, len(cosines))
    factors = [math.exp(weight * (cosine - mean)) for cosine in cosines]
    return factors + [1.0] * (n_candidates - len(factors))


def read_around(query: Query) -> str:
    """Return the text that says what a mention means.

    >>> read_around(Query("Heat", "Heat (1995)", 0, 4, whole_title=True, year=1995, domain="films"))
    'Heat (1995), films'
    """
    if query.whole_title:
        text = query.key if query.year is None else f"{query.key} ({query.year})"
    else:
        first = max(0, query.start - _AROUND)
        text = clean_text(query.text[first : query.stop + _AROUND]).text.strip()
    if query.domain:
        text = f"{text}, {query.domain}"
    return f"{text}. {clean_text(query.context[:_LONGEST]).text}" if query.context else text
