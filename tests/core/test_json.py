"""Strict JSON: what is written, what is refused and where, and that both readers agree."""

from __future__ import annotations

import json as stdlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import ip_address
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerodb._core import json
from aerodb._core.values import BadValue, Range


@pytest.fixture(params=["msgspec", "standard library"], autouse=True)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with the speed-up and without it."""
    monkeypatch.setattr(json, "_fast_known", True)
    fast = msgspec.json.Decoder().decode if request.param == "msgspec" else None
    monkeypatch.setattr(json, "_fast", fast)


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@dataclass
class Data:
    a: Any


class Named(NamedTuple):
    a: Any


@attrs.define
class Attrs:
    a: Any


class Struct(msgspec.Struct, rename="upper"):
    a: Any
    b: Any = msgspec.UNSET


class Model(pydantic.BaseModel):
    a: Any = pydantic.Field(serialization_alias="A")


class Number:
    """What numpy's scalars look like, without numpy."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        return self.value


Number.__module__, Number.__qualname__ = "numpy", "generic"

WRITTEN: list[tuple[Any, str]] = [
    (None, "null"),
    (True, "true"),
    (0, "0"),
    (-(2**70), str(-(2**70))),
    (1e300, "1e+300"),
    ('é\n"\\', '"é\\n\\"\\\\"'),
    ({}, "{}"),
    ([], "[]"),
    ((1, [2]), "[1,[2]]"),
    ({"a": {"b": [1, None]}}, '{"a":{"b":[1,null]}}'),
    (Decimal("1.10"), "1.10"),
    (Decimal("0.1234567890123456789012345678901"), "0.1234567890123456789012345678901"),
    (Decimal("1E+3"), "1E+3"),
    (datetime(2024, 1, 1, tzinfo=UTC), '"2024-01-01T00:00:00+00:00"'),
    (date(2024, 1, 1), '"2024-01-01"'),
    (time(1, 2, 3), '"01:02:03"'),
    (timedelta(days=1, seconds=1), '"P1DT1S"'),
    (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
    (ip_address("127.0.0.1"), '"127.0.0.1"'),
    (Colour.RED, '"red"'),
    (Level.LOW, "1"),
    (b"\x01\xff", '"\\\\x01ff"'),
    (Range(1, None), '"[1,)"'),
    ({1}, "[1]"),
    (frozenset({"a"}), '["a"]'),
    (deque([1]), "[1]"),
    (MappingProxyType({"a": 1}), '{"a":1}'),
    (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    (Data(UUID(int=0)), '{"a":"00000000-0000-0000-0000-000000000000"}'),
    (Named(1), '{"a":1}'),
    (Attrs(1), '{"a":1}'),
    (Struct(1), '{"A":1}'),
    (Model(a=date(2024, 1, 1)), '{"A":"2024-01-01"}'),
    (Number(5), "5"),
    (Number([1.5, [2]]), "[1.5,[2]]"),
    (10**5000, "1" + "0" * 5000),
    (-(10**5000), "-1" + "0" * 5000),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=lambda v: type(v).__name__)
def test_written(value: Any, text: str) -> None:
    assert json.dumps(value).decode() == text
    assert json.dumps([value]).decode() == f"[{text}]"
    assert json.dumps({"a": [value]}).decode() == f'{{"a":[{text}]}}'


REFUSED: list[tuple[Any, str, str]] = [
    ({"a": [{"b": float("nan")}]}, "a[0].b", "NaN"),
    ([float("inf")], "value[0]", "Infinity"),
    ({"a": Decimal("NaN")}, "a", "NaN"),
    ({"a": Decimal("sNaN")}, "a", "sNaN"),
    ({"a": Decimal("-Infinity")}, "a", "Infinity"),
    ({"a": "\ud800"}, "a", "U+D800"),
    ({"\udfff": 1}, "value", "U+DFFF"),
    ({"a": {1: 2}}, "a", "the key int 1"),
    ({None: 1}, "value", "the key"),
    ({"rows": [{"price": object()}]}, "rows[0].price", "object"),
    ({"a": SimpleNamespace()}, "a", "SimpleNamespace"),
    ({"a": (i for i in ())}, "a", "generator"),
    ({"a": 1j}, "a", "complex"),
    ({"a": range(0, 4, 2)}, "a", "step"),
    (10**140000, "value", "digits"),
]


@pytest.mark.parametrize(("value", "place", "named"), REFUSED, ids=lambda v: type(v).__name__)
def test_refused_with_the_place(value: Any, place: str, named: str) -> None:
    with pytest.raises(BadValue) as caught:
        json.dumps(value)
    assert caught.value.message.startswith(f"{place}: ")
    assert named in caught.value.message


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_depth_when_writing() -> None:
    assert json.dumps(nested(128)) == b"[" * 128 + b"]" * 128
    for value in (nested(129), {"a": nested(128)}, nested(100_000)):
        with pytest.raises(BadValue, match="deeper than 128"):
            json.dumps(value)
    round_and_round: list[Any] = []
    round_and_round.append(round_and_round)
    with pytest.raises(BadValue, match="deeper than 128"):
        json.dumps(round_and_round)


@pytest.mark.parametrize(
    "inside", [b"", b'"', b'"]"', b'"\\"]"', b'"\\\\","["', b'"}{"', b'"\\\\\\"]]]]"']
)
def test_depth_when_reading(inside: bytes) -> None:
    inside = inside if inside != b'"' else b'"\\""'
    assert json.loads(b"[" * 128 + inside + b"]" * 128)
    for body in (
        b"[" * 129 + inside + b"]" * 129,
        b'{"a":' * 129 + (inside.split(b",")[0] or b"1") + b"}" * 129,
        b"[1," * 100_000 + b"1" + b"]" * 100_000,
    ):
        with pytest.raises(json.BadJSON, match="deeper than 128"):
            json.loads(body)
    wide = b"[" + b",".join([b'{"a":["]]]"]}'] * 1000) + b"]"
    assert len(json.loads(wide)) == 1000


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"[1,", b"nul", b"[1 2]", b"1 2", b"{'a':1}", b"[01]", b"NaN", b"[-Infinity]",
     b'"\xff"', b'"\xed\xa0\x80"', b'"a\tb"', b"\xef\xbb\xbf1", b"[1,]", b'{"a":1,}', b"+1",
     b".5", b"1" * 140_000, b"\x00", b"[" * 500],
)  # fmt: skip
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(json.BadJSON):
        json.loads(body)


@pytest.mark.parametrize("digits", [4299, 4300, 4301, 8001, 131_072])
@pytest.mark.parametrize("sign", ["", "-"])
def test_long_integers(digits: int, sign: str) -> None:
    text = sign + "1" + "23" * (digits // 2)
    text = text[: digits + len(sign)]
    value = json.loads(f'{{"a":[{text}]}}'.encode())["a"][0]
    assert json.dumps(value).decode() == text
    assert value % 10 == (int(text[-1]) if not sign else (10 - int(text[-1])) % 10)


def test_every_digit_of_a_fraction() -> None:
    text = "1.00000000000000000001"
    assert json.loads_exact(f'[{{"a":{text}}}, 5]'.encode()) == [{"a": Decimal(text)}, 5]
    for body in (b"[1.5", b"NaN", b"\xff", b"[" * 100_000, b"[1e9999999999999999999]",
                 b"[-0.1E-9999999999999999999]"):  # fmt: skip
        with pytest.raises(json.BadJSON):
            json.loads_exact(body)


def test_the_last_of_equal_names_wins() -> None:
    assert json.loads(b'{"a":1,"a":2}') == {"a": 2}
    assert json.loads(b'"\\ud83d\\ude00"') == "\U0001f600"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]))
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab\"\\é{}[]"), inner),
)  # fmt: skip


@settings(deadline=None)
@given(value=VALUES)
def test_there_and_back(value: Any) -> None:
    assert json.loads(json.dumps(value)) == value
    assert stdlib.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e999", float("inf")),
        ("-1e999", float("-inf")),
        ("9" * 400 + ".5", float("inf")),
        ("1e-999", 0.0),
        ('"\\ud800"', "\ud800"),
        ('"\\ude00\\ud83d"', "\ude00\ud83d"),
        ('{"\\udfff":1}', {"\udfff": 1}),
        ('{"a":{"b":1},"a":{"c":2}}', {"a": {"c": 2}}),
        ('"\\u0000"', "\0"),
        ("-0.0", -0.0),
        ("18446744073709551616", 2**64),
    ],
)
def test_what_is_json_and_not_quite_python(text: str, value: Any) -> None:
    """As Python's own json has it, by every way of reading; it does not cost the values beside."""
    for fast in (None, msgspec.json.Decoder().decode):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json, "_fast_known", True)
            patch.setattr(json, "_fast", fast)
            assert repr(json.loads(f"[{text}, 1]".encode())) == repr([value, 1])
            assert repr(json.loads_text(f"[{text}, 1]")) == repr([value, 1])
    assert repr(json.loads_members(f"{text}, 1".encode())[0]) == repr([value, 1])
    assert repr(stdlib.loads(f"[{text}, 1]")) == repr([value, 1])


def both(body: bytes) -> Iterator[Any]:
    for fast in (None, msgspec.json.Decoder().decode):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json, "_fast_known", True)
            patch.setattr(json, "_fast", fast)
            try:
                yield repr(json.loads(body))
            except json.BadJSON as error:
                yield f"BadJSON: {error}"


@settings(max_examples=400, deadline=None)
@given(body=st.binary() | st.text('[]{}",:0123456789.eE+-\\u dDnulltruefalse\t\n').map(str.encode))
def test_both_readers_agree(body: bytes) -> None:
    first, second = both(body)
    assert first == second


def test_both_readers_agree_on_odd_numbers() -> None:
    for text in ("1e400", "-0", "-0.0", "18446744073709551616", "1" * 4200, "0.1" + "1" * 60,
                 '"\\ud800"', "5e-324", "1E5", "123456789012345678901234567890.5"):  # fmt: skip
        first, second = both(text.encode())
        assert first == second
