"""Approximate string matching, for the "Perhaps you meant" hints.

PostgREST ranks candidates with a fuzzy set (Haskell's `fuzzyset`, after the Python and JavaScript
libraries of that name), and its hints are visible on the wire, so the ranking is the same here:

1. Strings are compared in lower case; an equal one is the only answer, with score 1.
2. Each string is a vector of n-gram counts: letters, digits, spaces and commas only, between two
   hyphens. Candidates that share a 3-gram are ranked by cosine similarity; the best fifty stay.
3. Those are scored again by `1 - levenshtein / longer length`, and low scores are dropped.
4. If nothing is left, the same is tried with 2-grams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import sqrt

GRAM_SIZES = (3, 2)
SHORTLIST = 50
DEFAULT_MINIMUM = 0.33


class FuzzySet:
    """An immutable set of strings that can be searched for the nearest ones."""

    __slots__ = ("_entries", "_index", "_longest", "_norms", "_originals")

    def __init__(self, candidates: Iterable[str]) -> None:
        self._originals: dict[str, str] = {}
        for candidate in reversed(list(candidates)):
            self._originals.setdefault(candidate.lower(), candidate)
        self._entries = list(self._originals)
        self._longest = max(map(len, self._entries), default=0)
        self._index: dict[int, dict[str, list[tuple[int, int]]]] = {}
        self._norms: dict[int, list[float]] = {}
        for size in GRAM_SIZES:
            self._add_grams(size)

    def _add_grams(self, size: int) -> None:
        index: dict[str, list[tuple[int, int]]] = {}
        norms: list[float] = []
        for position, entry in enumerate(self._entries):
            vector = gram_vector(entry, size)
            norms.append(_norm(vector))
            for gram, count in vector.items():
                index.setdefault(gram, []).append((position, count))
        self._index[size] = index
        self._norms[size] = norms

    def search(self, text: str, minimum: float = DEFAULT_MINIMUM) -> list[tuple[float, str]]:
        """Return (score, candidate) pairs of at least `minimum`, the best first."""
        key = text.lower()
        if key in self._originals:
            return [(1.0, self._originals[key])]
        if self._longest < minimum * len(key):
            return []  # no score reaches more than the ratio of the lengths: do not even look
        for size in GRAM_SIZES:
            found = [pair for pair in self._ranked(key, size) if pair[0] >= minimum]
            if found:
                return [(score, self._originals[entry]) for score, entry in found]
        return []

    def best(self, text: str, minimum: float = DEFAULT_MINIMUM) -> str | None:
        """Return the candidate nearest to `text`, None if none reaches `minimum`."""
        found = self.search(text, minimum)
        return found[0][1] if found else None

    def _ranked(self, key: str, size: int) -> list[tuple[float, str]]:
        products: Counter[int] = Counter()
        for gram, count in (vector := gram_vector(key, size)).items():
            for position, other in self._index[size].get(gram, ()):
                products[position] += count * other
        if not products:
            return []
        own, norms = _norm(vector), self._norms[size]
        cosines = [
            (dot / (own * norms[i]), self._entries[i]) for i, dot in _in_trie_order(products)
        ]
        shortlist = sorted(cosines, key=_by_score)[:SHORTLIST]
        return sorted(((similarity(key, entry), entry) for _, entry in shortlist), key=_by_score)


def gram_vector(text: str, size: int) -> Counter[str]:
    """Count the `size`-grams of `text` between hyphens, punctuation left out."""
    word = "".join(c for c in text.lower() if c.isalnum() or c.isspace() or c == ",")
    padded = f"-{word}-"
    return Counter(padded[i : i + size] for i in range(len(padded) - size + 1))


def similarity(left: str, right: str) -> float:
    """Return 1 for equal strings, 0 for strings without anything in common (Levenshtein)."""
    longer = max(len(left), len(right))
    return 1.0 if longer == 0 else 1.0 - levenshtein(left, right) / longer


def levenshtein(left: str, right: str) -> int:
    """Return how many single-character edits lead from `left` to `right`."""
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, start=1):
        current = [row]
        for column, b in enumerate(right, start=1):
            current.append(
                min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (a != b))
            )
        previous = current
    return previous[-1]


def _norm(vector: Counter[str]) -> float:
    return sqrt(sum(count * count for count in vector.values()))


def _by_score(pair: tuple[float, str]) -> float:
    return -pair[0]


def _in_trie_order(products: Counter[int]) -> list[tuple[int, int]]:
    """Order equal scores as a hash trie with 32 branches a level does: low bits come first."""
    return sorted(products.items(), key=lambda item: (item[0] & 31, item[0] >> 5 & 31, item[0]))
