"""What people type into a search box, made ready for PostgreSQL's text search."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LONGEST_QUERY = 200
_SHORTEST_PREFIX = 2  # one letter would match a tenth of the catalogue
_LAST_WORD = re.compile(r"[^\W_]+\Z")
_NOTHING_AT_THE_END = " -!?.,;:|&*()'\\/+"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class SearchText:
    """A query in parts: `whole`, or `head` and then a word that begins with `prefix` (None: the last word is finished).

    `whole` and `head` are in the language of `websearch_to_tsquery`.
    """

    whole: str
    head: str
    prefix: str | None


def read_search_text(text: str) -> SearchText:
    """Equal for texts that mean the same, so that it can serve as a cache key.

    The last word also matches as a beginning ("headph"), unless it is excluded ("-red") or within quotes.
    """
    whole = " ".join(_UNPRINTABLE.sub(" ", unicodedata.normalize("NFKC", text)).casefold().split())
    whole = whole.rstrip(_NOTHING_AT_THE_END)
    last = _LAST_WORD.search(whole)
    if last is None or len(last.group()) < _SHORTEST_PREFIX:
        return SearchText(whole, whole, None)
    head = whole[: last.start()]
    in_quotes = head.count('"') % 2 == 1
    excluded = head == "-" or head.endswith(" -")
    if in_quotes or excluded:
        return SearchText(whole, whole, None)
    return SearchText(whole, head.strip(), last.group())
