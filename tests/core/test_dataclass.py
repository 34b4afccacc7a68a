"""`aerodb._dataclass`: its classes behave as those of `dataclasses`, made from the same text."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import sys
import typing
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from aerodb import _dataclass as light
from aerodb.types import AeroDBError, AeroDBResponse, ResponseMeta

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent.parent


def both(plain: type) -> tuple[Any, Any]:
    """The class as the standard library makes it, and as we do; from the same text."""

    def copied() -> type:
        given = dict(vars(plain))
        for name in ("__dict__", "__weakref__"):
            given.pop(name, None)
        return type(plain)(plain.__name__, plain.__bases__, given)

    make: Any = light.dataclass
    own, standard = copied(), copied()
    for name, value in list(vars(standard).items()):
        if isinstance(value, light._Field):  # type: ignore[attr-defined]
            setattr(standard, name, value.standard())
    return dataclasses.dataclass(frozen=True, slots=True)(standard), make(frozen=True, slots=True)(
        own
    )


_field: Any = light.field


class Plain:
    """Doc."""

    name: str
    size: int | None = None
    hidden: str = _field(default="h", repr=False)
    ignored: int = _field(default=0, compare=False)
    items: dict[str, int] = _field(default_factory=dict)

    @property
    def upper(self) -> str:
        return self.name.upper()


class Told:
    a: int = 1

    def __repr__(self) -> str:
        return "told"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self))


STANDARD, OURS = both(Plain)


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        return type(error), str(error).replace("Plain.", "")


@pytest.mark.parametrize(
    "look",
    [
        lambda c: repr(c("a", items={"x": 1})),
        lambda c: c("a") == c("a", ignored=5),
        lambda c: c("a") == c("a", hidden="x"),
        lambda c: c("a") == ("a",),
        lambda c: hash(c("a", items=())) == hash(c("a", items=(), ignored=9)),
        lambda c: hash(c("a", items=())),
        lambda c: hash(c("a")),
        lambda c: c("a").items is c("a").items,
        lambda c: c(),
        lambda c: c("a", nonsense=1),
        lambda c: setattr(c("a"), "name", "b"),
        lambda c: delattr(c("a"), "name"),
        lambda c: c("a").upper,
        lambda c: c.__match_args__,
        lambda c: c.__slots__,
        lambda c: c.__doc__,
        lambda c: c.__qualname__,
        lambda c: hasattr(c("a"), "__dict__"),
        lambda c: str(inspect.signature(c)),
        lambda c: typing.get_type_hints(c),
        lambda c: typing.get_type_hints(c.__init__),
        lambda c: c.__init__.__qualname__,
        lambda c: [repr(f) for f in dataclasses.fields(c)],
        lambda c: [f.name for f in dataclasses.fields(c("a"))],
        lambda c: repr(c.__dataclass_params__),
        lambda c: dataclasses.asdict(c("a", items={"x": 1})),
        lambda c: dataclasses.astuple(c("a", size=2)),
        lambda c: repr(dataclasses.replace(c("a"), size=3)),
        lambda c: dataclasses.replace(c("a"), nonsense=3),
        lambda c: (dataclasses.is_dataclass(c("a")), dataclasses.is_dataclass(c)),
        lambda c: c("a").__getstate__(),
        lambda c: copy.copy(c("a", 1)) == c("a", 1),
        lambda c: copy.deepcopy(c("a", items={"x": 1})) == c("a", items={"x": 1}),
    ],
)  # fmt: skip
def test_it_does_what_the_standard_library_does(look: Callable[[Any], Any]) -> None:
    assert outcome(lambda: look(OURS)) == outcome(lambda: look(STANDARD))


def test_no_attribute_can_be_added() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):  # the standard one: TypeError, a bug
        OURS("a").other = 1


def test_own_methods_stay() -> None:
    standard, ours = both(Told)
    for cls in (standard, ours):
        assert repr(cls()) == "told"
        assert cls(1) == cls(2)
        assert hash(cls(7)) == hash((7,))


def test_a_subclass_is_a_dataclass_with_all_fields() -> None:
    for base in (STANDARD, OURS):
        made: Any = dataclasses.make_dataclass(
            "Sub", [("more", int, 5)], bases=(base,), frozen=True
        )
        value = made("a", more=6)
        assert [f.name for f in dataclasses.fields(value)][-1] == "more"
        assert dataclasses.replace(value, name="b") == made("b", more=6)
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.more = 1


def test_a_generic_class_can_be_made_with_its_argument() -> None:
    class Boxed(Generic[T]):
        item: T

    make: Any = light.dataclass
    box: Any = make(frozen=True, slots=True)(Boxed)
    assert box[int](3) == box(3)
    assert box[int].__args__ == (int,)


def test_a_value_that_holds_itself_has_a_repr() -> None:
    loop: dict[str, Any] = {}
    value = OURS("a", items=loop)
    loop["me"] = value
    assert "..." in repr(value)


def test_no_other_form_is_known() -> None:
    make: Any = light.dataclass
    with pytest.raises(TypeError, match="frozen=True, slots=True"):
        make(frozen=False, slots=True)


def values() -> list[type]:
    found: dict[str, type] = {}
    for path in sorted((ROOT / "aerodb").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[1] not in ("_core", "types") or "from aerodb._dataclass" not in path.read_text():
            continue
        module = import_module(".".join(p for p in parts if p != "__init__"))
        for one in vars(module).values():
            if isinstance(one, type) and "__dataclass_fields__" in vars(one):
                found[one.__qualname__] = one
    return list(found.values())


@pytest.mark.parametrize("cls", values(), ids=lambda cls: cls.__name__)
def test_every_value_of_the_client(cls: Any) -> None:
    fields = dataclasses.fields(cls)
    assert tuple(f.name for f in fields) == cls.__slots__ == cls.__match_args__
    value = cls(**{f.name: f.name for f in fields})
    if cls.__reduce__ is object.__reduce__:  # a health report makes a mapping of one field
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value
    assert dataclasses.replace(value) == light.replace(value) == value
    with pytest.raises(AttributeError):
        setattr(value, fields[0].name, 1)
    if sys.version_info >= (3, 13):
        assert copy.replace(value) == value


def test_matching_the_public_values() -> None:
    match AeroDBResponse([1], None, 3):
        case AeroDBResponse(data, None, count):
            assert (data, count) == ([1], 3)
        case _:  # pragma: no cover
            raise AssertionError
    assert AeroDBResponse(1, meta=ResponseMeta(200)) == AeroDBResponse(1)
    nested = dataclasses.asdict(AeroDBResponse(None, AeroDBError("m", code="c")))
    assert nested["error"]["code"] == "c"
    assert nested["meta"]["headers"] == {}
