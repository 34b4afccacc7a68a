"""The database client's pure core: queries as values, rendered to calls and read from answers.

`query` is what the twins inherit; `render` and `decode` are its two ends; the other modules are
one step each on the way.
"""

from __future__ import annotations

from aerodb._core.database.columns import Embed, embed
from aerodb._core.database.curl import PreparedRequest
from aerodb._core.database.expressions import Column, Condition, col
from aerodb._core.values import Range

__all__ = ["Column", "Condition", "Embed", "PreparedRequest", "Range", "col", "embed"]
