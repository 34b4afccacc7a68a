"""Python classes for the rows of a database: `aerodb types`.

`names.py` and `column_types.py` find Python's words for what the database has, `source.py` writes
the module. No I/O. Whatever tables are called, the module only ever defines classes (reliability
C10).
"""

from __future__ import annotations

from aerodb._codegen.source import STYLES, Style, module_source
from aerodb._core.tables import Column, Table, read_tables

__all__ = ["STYLES", "Column", "Style", "Table", "module_source", "read_tables"]
