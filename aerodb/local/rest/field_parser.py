"""Names, JSON paths and the small words that every query parameter is made of.

Each function reads one thing from a `Reader` (wire contract §3.4; the rules are PostgREST's).
"""

from __future__ import annotations

from aerodb.local.rest.ast import EmbedPath, Field, JsonStep
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.reader import Mismatch, Reader, Rule, T, describe, place


def parse(rule: Rule[T], name: str, text: str) -> T:
    """Apply `rule` to `text`; a mismatch is PGRST100 with PostgREST's words."""
    reader = Reader(text)
    try:
        return rule(reader)
    except Mismatch as mismatch:
        complaint = mismatch.complaint
    message = f'"{name}" {place(text, complaint[0])}'
    raise RestError(400, "PGRST100", message, describe(complaint))


# --- characters ----------------------------------------------------------------------------------


def is_digit(character: str) -> bool:
    """0 to 9."""
    return "0" <= character <= "9"


def _is_name_character(character: str) -> bool:
    return character.isalpha() or character in "0123456789_ $"


def _is_key_character(character: str) -> bool:
    return character not in "(-:.,>)"


def _is_plain_quoted(character: str) -> bool:
    return character not in '\\"'


def _is_blank(character: str) -> bool:
    return character in " \t"


def is_element_character(character: str) -> bool:
    """Anything but the end of a list element."""
    return character not in ",)"


# --- words ---------------------------------------------------------------------------------------


def padded(reader: Reader, rule: Rule[T]) -> T:
    """`rule` with blanks around it."""
    reader.run_of(_is_blank)
    value = rule(reader)
    reader.run_of(_is_blank)
    return value


def open_paren(reader: Reader) -> str:
    """`(`"""
    return reader.character("(")


def close_paren(reader: Reader) -> str:
    """`)`"""
    return reader.character(")")


def comma(reader: Reader) -> str:
    """`,`"""
    return reader.character(",")


def padded_comma(reader: Reader) -> str:
    """`,` with blanks around it."""
    return padded(reader, comma)


def parenthesised(reader: Reader, rule: Rule[T]) -> T:
    """`rule` between parentheses, one level deeper."""
    open_paren(reader)
    value = reader.nested(rule)
    close_paren(reader)
    return value


def delimiter(reader: Reader) -> str:
    """The dot between the parts of a filter, an order term or a path."""
    return reader.label("delimiter (.)", _dot)


def _dot(reader: Reader) -> str:
    return reader.character(".")


def identifier(reader: Reader) -> str:
    """A bare identifier, blanks at its ends removed."""
    return reader.run_of_some(_is_name_character, "letter", "digit").strip()


def quoted(reader: Reader) -> str:
    """A double-quoted text in which a backslash takes the next character as it is."""
    reader.character('"')
    parts = reader.many(_quoted_part)
    reader.character('"')
    return "".join(parts)


def _quoted_part(reader: Reader) -> str:
    return reader.either(_quoted_run, _escaped)


def _quoted_run(reader: Reader) -> str:
    return reader.run_of_some(_is_plain_quoted)


def _escaped(reader: Reader) -> str:
    reader.character("\\")
    return reader.any_of(_is_anything)


def _is_anything(_: str) -> bool:
    return True


def _dash(reader: Reader) -> str:
    def alone(inner: Reader) -> str:
        inner.character("-")
        inner.not_ahead(lambda innermost: innermost.character(">"))
        return "-"

    return reader.attempt(alone)


def _by_dashes(rule: Rule[str]) -> Rule[str]:
    def dashed(reader: Reader) -> str:
        return "-".join(reader.separated(rule, _dash))

    return dashed


_dashed_identifier = _by_dashes(identifier)


def _bare_or_quoted(reader: Reader) -> str:
    return reader.either(quoted, _dashed_identifier)


def field_name(reader: Reader) -> str:
    """The name of a column, relation, alias or hint."""
    return reader.label("field name (* or [a..z0..9_$])", _bare_or_quoted)


# --- JSON paths ----------------------------------------------------------------------------------


def _json_key_part(reader: Reader) -> str:
    return reader.run_of_some(_is_key_character).strip()


_dashed_key = _by_dashes(_json_key_part)


def _json_key_text(reader: Reader) -> str:
    return reader.either(quoted, _dashed_key)


def _json_key(reader: Reader) -> tuple[str, bool]:
    return reader.label("any non reserved character different from: .,>()", _json_key_text), False


def _minus(reader: Reader) -> str:
    return reader.character("-")


def _word_ahead(word: str) -> Rule[None]:
    def seen(reader: Reader) -> None:
        reader.ahead(lambda inner: inner.word(word))

    return lambda reader: reader.attempt(seen)


def _end(reader: Reader) -> None:
    reader.attempt(Reader.end)


_INDEX_ENDS = (*(_word_ahead(word) for word in ("->", "::", ".", ",")), _end)


def _json_index(reader: Reader) -> tuple[str, bool]:
    sign = reader.option(_minus) or ""
    digits = reader.run_of_some(is_digit, "digit")
    reader.either(*_INDEX_ENDS)
    return sign + digits, True


def _json_operand(reader: Reader) -> tuple[str, bool]:
    return reader.either(
        lambda inner: inner.attempt(_json_index), lambda inner: inner.attempt(_json_key)
    )


def _double_arrow(reader: Reader) -> bool:
    return bool(reader.attempt(lambda inner: inner.word("->>")))


def _arrow(reader: Reader) -> bool:
    return not reader.attempt(lambda inner: inner.word("->"))


def _json_step(reader: Reader) -> JsonStep:
    as_text = reader.either(_double_arrow, _arrow)
    operand, is_index = _json_operand(reader)
    return JsonStep(operand, is_index, as_text)


def json_path(reader: Reader) -> tuple[JsonStep, ...]:
    """`->a->>0`, perhaps nothing."""
    return tuple(reader.many(_json_step))


def _bare_field(reader: Reader) -> Field:
    name = field_name(reader)
    return Field(name, json_path(reader))


def field(reader: Reader) -> Field:
    """A column and the JSON path below it, with blanks around."""
    return padded(reader, _bare_field)


# --- keys ----------------------------------------------------------------------------------------


def tree_path(reader: Reader) -> tuple[EmbedPath, Field]:
    """`clients.projects.name->a`: the embeds, then the field."""
    *path, name = reader.separated(field_name, delimiter)
    return tuple(path), Field(name, json_path(reader))


def columns(reader: Reader) -> tuple[str, ...]:
    """The value of `columns` and of `on_conflict`."""
    return tuple(reader.separated(field_name, padded_comma))


def stops_at(*words: str) -> Rule[None]:
    """One of `words`, or the end, comes next (nothing is taken)."""
    ends = (*(_word_ahead(word) for word in words), _end)
    return lambda reader: reader.either(*ends)
