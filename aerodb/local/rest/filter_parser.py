"""Filters: `column=[not.]operator.value`, and the trees of `and` and `or`.

Wire contract §3.4. A filter's value reaches to the end of the parameter; inside a tree it ends at
a comma or a closing parenthesis unless it is quoted or an array literal.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from aerodb.local.rest.ast import (
    EmbedPath,
    Field,
    Filter,
    Fts,
    In,
    Is,
    IsDistinct,
    IsValue,
    Logic,
    LogicTree,
    Op,
    Operation,
    Quantifier,
)
from aerodb.local.rest.field_parser import (
    close_paren,
    comma,
    delimiter,
    field,
    field_name,
    identifier,
    is_element_character,
    open_paren,
    padded,
    padded_comma,
    parse,
    quoted,
    tree_path,
)
from aerodb.local.rest.reader import Reader, Rule, T

_CACHED_LENGTH = 256

Operator = Literal["and", "or"]

_PLAIN = frozenset({"eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"})
"""Operators whose value needs no grammar: everything behind the first dot."""


_OPERATORS = _PLAIN.union(
    ("not", "in", "is", "isdistinct", "fts", "plfts", "phfts", "wfts"),
    ("cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"),
)


def parse_filter(key: str, value: str) -> tuple[EmbedPath, Filter]:
    """One `key=value` filter; PGRST100 if the value has no operator or the key no name."""
    path, column = parse_tree_path(key)
    negated, operation = _operation_of(value)
    return path, Filter(column, operation, negated)


def parse_argument_or_filter(key: str, value: str) -> tuple[EmbedPath, Filter | str]:
    """As `parse_filter`; a value that does not begin like an operator is an rpc argument, of which
    the name is returned."""
    path, column = parse_tree_path(key)
    # All operators end in a dot; failing at each of them in turn would be the slow way to see.
    word, dot, _ = value.partition(".")
    if not dot or word.partition("(")[0] not in _OPERATORS:
        return path, column.name
    parsed = parse(_operation_or_nothing, f"failed to parse filter ({value})", value)
    if parsed is None:
        return path, column.name
    negated, operation = parsed
    return path, Filter(column, operation, negated)


def parse_tree_path(key: str) -> tuple[EmbedPath, Field]:
    """The embeds and the field that a key names."""
    return _cached_path(key) if len(key) <= _CACHED_LENGTH else _tree_path(key)


def _tree_path(key: str) -> tuple[EmbedPath, Field]:
    return parse(tree_path, f"failed to parse tree path ({key})", key)


_cached_path = lru_cache(maxsize=2048)(_tree_path)


def _operation_of(value: str) -> tuple[bool, Operation]:
    word, dot, rest = value.partition(".")
    if dot and word in _PLAIN:
        return False, Op(word, rest)
    return parse(_filter_operation, f"failed to parse filter ({value})", value)


def _filter_operation(reader: Reader) -> tuple[bool, Operation]:
    return _expression(reader, _rest)


def _operation_or_nothing(reader: Reader) -> tuple[bool, Operation] | None:
    return reader.option(_filter_operation)


# --- operations ----------------------------------------------------------------------------------


def _expression(reader: Reader, value: Rule[str]) -> tuple[bool, Operation]:
    negated = reader.either(_not, _not_negated)
    operations: Sequence[Rule[Operation]] = (
        _in,
        _is,
        lambda inner: _is_distinct(inner, value),
        lambda inner: inner.attempt(lambda innermost: _fts(innermost, value)),
        lambda inner: inner.attempt(lambda innermost: _simple(innermost, value)),
        lambda inner: inner.attempt(lambda innermost: _quantified(innermost, value)),
    )
    operation = reader.label("operator (eq, gt, ...)", lambda inner: inner.either(*operations))
    return negated, operation


def _not(reader: Reader) -> bool:
    return bool(_dotted(reader, "not"))


def _not_negated(_: Reader) -> bool:
    return False


def _dotted(reader: Reader, word: str) -> str:
    def dotted(inner: Reader) -> str:
        inner.word(word)
        delimiter(inner)
        return word

    return reader.attempt(dotted)


def _in(reader: Reader) -> Operation:
    _dotted(reader, "in")
    padded(reader, open_paren)
    values = reader.separated(_element, comma)
    padded(reader, close_paren)
    return In(tuple(values))


def _is(reader: Reader) -> Operation:
    _dotted(reader, "is")
    name = "isVal: (null, not_null, true, false, unknown)"
    return Is(reader.label(name, lambda inner: inner.either(*_IS_VALUES)))


def _is_value(wanted: IsValue) -> Rule[IsValue]:
    def spelled(reader: Reader) -> IsValue:
        for letter in wanted:
            _letter_of_any_case(reader, letter)
        return wanted

    return lambda reader: reader.attempt(spelled)


def _letter_of_any_case(reader: Reader, letter: str) -> str:
    return reader.either(
        lambda inner: inner.character(letter), lambda inner: inner.character(letter.upper())
    )


_IS_VALUES: tuple[Rule[IsValue], ...] = (
    _is_value("null"),
    _is_value("not_null"),
    _is_value("true"),
    _is_value("false"),
    _is_value("unknown"),
)


def _is_distinct(reader: Reader, value: Rule[str]) -> Operation:
    _dotted(reader, "isdistinct")
    return IsDistinct(value(reader))


def _words(*words: T) -> tuple[Rule[T], ...]:
    def word_rule(word: T) -> Rule[T]:
        def exact(reader: Reader) -> T:
            reader.word(str(word))
            return word

        return lambda reader: reader.attempt(exact)

    return tuple(word_rule(word) for word in words)


_SIMPLE = _words("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj")
_QUANTIFIED = _words("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
FtsName = Literal["fts", "plfts", "phfts", "wfts"]
_FTS_NAMES: tuple[FtsName, ...] = ("fts", "plfts", "phfts", "wfts")
_FTS: tuple[Rule[FtsName], ...] = _words(*_FTS_NAMES)


def _simple(reader: Reader, value: Rule[str]) -> Operation:
    name = reader.label("unknown single value operator", lambda inner: inner.either(*_SIMPLE))
    delimiter(reader)
    return Op(name, value(reader))


def _quantified(reader: Reader, value: Rule[str]) -> Operation:
    name = reader.label("unknown single value operator", lambda inner: inner.either(*_QUANTIFIED))
    quantifier: Quantifier | None = reader.option(lambda inner: inner.attempt(_quantifier))
    delimiter(reader)
    return Op(name, value(reader), quantifier)


def _quantifier(reader: Reader) -> Quantifier:
    open_paren(reader)
    value = reader.either(_any, _all)
    close_paren(reader)
    return value


def _any(reader: Reader) -> Quantifier:
    reader.attempt(lambda inner: inner.word("any"))
    return "any"


def _all(reader: Reader) -> Quantifier:
    reader.word("all")
    return "all"


def _fts(reader: Reader, value: Rule[str]) -> Operation:
    name: FtsName = reader.either(*_FTS)
    language = reader.option(lambda inner: inner.attempt(_language))
    delimiter(reader)
    return Fts(name, language, value(reader))


def _language(reader: Reader) -> str:
    open_paren(reader)
    name = identifier(reader)
    close_paren(reader)
    return name


# --- values --------------------------------------------------------------------------------------


def _rest(reader: Reader) -> str:
    value = reader.text[reader.position :]
    reader.take(len(value))
    return value


def _element(reader: Reader) -> str:
    return reader.either(_quoted_element, _bare_element)


def _quoted_element(reader: Reader) -> str:
    def whole(inner: Reader) -> str:
        value = quoted(inner)
        inner.not_ahead(_element_character)
        return value

    return reader.attempt(whole)


def _element_character(reader: Reader) -> str:
    return reader.any_of(is_element_character)


def _bare_element(reader: Reader) -> str:
    return reader.run_of(is_element_character)


def _array_element(reader: Reader) -> str:
    def braced(inner: Reader) -> str:
        inner.word("{")
        content = inner.run_of(lambda character: character not in "{}")
        inner.word("}")
        return "{" + content + "}"

    return reader.attempt(braced)


def _tree_value(reader: Reader) -> str:
    return reader.either(_quoted_element, _array_element, _bare_element)


# --- logic trees ---------------------------------------------------------------------------------


def parse_logic(key: str, value: str) -> tuple[EmbedPath, LogicTree]:
    """`[embed.][not.]and=(...)` or `or=(...)`."""
    path, operator = parse(_logic_path, f"failed to parse logic path ({key})", key)
    return path, parse(_logic_tree, f"failed to parse logic tree ({value})", operator + value)


def _logic_path(reader: Reader) -> tuple[EmbedPath, str]:
    names = reader.separated(field_name, delimiter)
    operator = names[-1]
    path = tuple(name for name in names[:-1] if name != "not")
    return path, f"not.{operator}" if "not" in names else operator


def _logic_tree(reader: Reader) -> LogicTree:
    return reader.either(lambda inner: inner.attempt(_logic_filter), _logic_branch)


def _logic_filter(reader: Reader) -> LogicTree:
    column = field(reader)
    delimiter(reader)
    negated, operation = _expression(reader, _tree_value)
    return Filter(column, operation, negated)


def _logic_branch(reader: Reader) -> LogicTree:
    negated = reader.label(
        "negation operator (not)", lambda inner: inner.either(_not, _not_negated)
    )
    operator: Operator = reader.label(
        "logic operator (and, or)", lambda inner: inner.either(_and, _or)
    )
    padded(reader, open_paren)
    children = reader.nested(lambda inner: inner.separated(_logic_tree, padded_comma))
    padded(reader, close_paren)
    return Logic(operator, tuple(children), negated)


def _and(reader: Reader) -> Operator:
    reader.attempt(lambda inner: inner.word("and"))
    return "and"


def _or(reader: Reader) -> Operator:
    reader.word("or")
    return "or"
