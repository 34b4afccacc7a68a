"""Frozen, slotted dataclasses that are made without loading `dataclasses`.

That module loads `inspect`, and with it a disassembler, a parser and a tokenizer, and compiles
half a dozen functions a class: a third of what importing the client would cost (performance §3
(f)). Here one function a class is compiled, its `__init__`. To type checkers it is the standard
decorator, and what comes out behaves like its classes: `fields`, `asdict`, `replace`, `pickle`,
`copy`, `match` and subclassing work. `__dataclass_fields__` is made when first asked for.

One form is known: `@dataclass(frozen=True, slots=True)` on a class whose bases have no fields.
"""

from __future__ import annotations

import sys
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass", "field", "replace"]


class _Unset:
    """Stands for what a caller did not pass; shown in signatures as `dataclasses` shows it."""

    def __repr__(self) -> str:
        return "<factory>"


_UNSET = _Unset()
_put = object.__setattr__


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from dataclasses import dataclass, field, replace
else:

    def dataclass(*, frozen, slots):
        """Turn annotated names into the fields of a class that cannot be changed."""
        if not (frozen and slots):
            raise TypeError("only dataclass(frozen=True, slots=True) is known here")
        return _made

    def field(*, default=_UNSET, default_factory=None, repr=True, compare=True):
        """What is to be said of a field beyond its type; the names are those of `dataclasses`."""
        return _Field(default, default_factory, repr, compare)

    def replace(value, /, **changes):
        """A copy of `value` with some fields changed."""
        return value.__replace__(**changes)


class _Field:
    """One field, while its class is made and until `dataclasses` is asked for."""

    __slots__ = ("compare", "default", "factory", "repr")

    def __init__(self, default: Any, factory: Any, repr: bool, compare: bool) -> None:
        self.default = default
        self.factory = factory
        self.repr = repr
        self.compare = compare

    def standard(self) -> Any:
        """The same as a `dataclasses.Field`."""
        import dataclasses

        has: dict[str, Any] = {"repr": self.repr, "compare": self.compare}
        if self.factory is not None:
            has["default_factory"] = self.factory
        elif self.default is not _UNSET:
            has["default"] = self.default
        return dataclasses.field(**has)


def _made(plain: type) -> type:
    """The class with slots for its fields, and the methods that it does not have itself."""
    given = dict(vars(plain))
    types: dict[str, str] = plain.__annotations__
    fields: dict[str, _Field] = {}
    for name in types:
        default = given.pop(name, _UNSET)
        known = isinstance(default, _Field)
        fields[name] = default if known else _Field(default, None, True, True)
    for name in ("__dict__", "__weakref__"):
        given.pop(name, None)
    if given.get("__hash__", _UNSET) is None:  # Python's doing where a class has an `__eq__`
        del given["__hash__"]
    own = _methods(fields) | given
    own |= {"__slots__": tuple(fields), "__match_args__": tuple(fields)}
    made = type(plain)(plain.__name__, plain.__bases__, own)
    made.__init__ = _init(made, fields, types)  # type: ignore[misc]
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        setattr(made, name, _Later(made, name, fields, types))
    return made


class _Later:
    """An attribute of a class that `dataclasses` makes when somebody asks for it."""

    __slots__ = ("_fields", "_name", "_owner", "_types")

    def __init__(
        self, owner: type, name: str, fields: Mapping[str, _Field], types: Mapping[str, str]
    ) -> None:
        self._owner = owner
        self._name = name
        self._fields = fields
        self._types = types

    def __get__(self, instance: object, owner: type) -> Any:
        import dataclasses

        members = [(name, self._types[name], one.standard()) for name, one in self._fields.items()]
        title = self._owner.__name__
        model = dataclasses.make_dataclass(title, members, frozen=True, slots=True)
        found = getattr(model, self._name)
        setattr(self._owner, self._name, found)
        return found


def _refuse_to_set(self: object, name: str, value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _init(cls: type, fields: Mapping[str, _Field], types: Mapping[str, str]) -> Any:
    """`__init__` with the fields as its parameters; the one function that is compiled."""
    values: dict[str, Any] = {"_unset": _UNSET}
    parameters, body = ["self"], []
    for name, one in fields.items():
        said = name
        if one.factory is not None:
            values[f"_make_{name}"] = one.factory
            parameters.append(f"{name}=_unset")
            said = f"_make_{name}() if {name} is _unset else {name}"
        elif one.default is not _UNSET:
            values[f"_default_{name}"] = one.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        values[f"_set_{name}"] = vars(cls)[name].__set__  # half of what object.__setattr__ costs
        body.append(f"  _set_{name}(self, {said})\n")
    code = (
        f"def around({', '.join(values)}):\n"
        f" def __init__({', '.join(parameters)}):\n{''.join(body)} return __init__"
    )
    scope: dict[str, Any] = {}
    exec(code, vars(sys.modules[cls.__module__]), scope)  # noqa: S102  # of our own names
    init = scope["around"](**values)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {**types, "return": None}
    return init


def _reader(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that reads these attributes of a value."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


def _methods(fields: Mapping[str, _Field]) -> dict[str, Callable[..., Any]]:
    """What such a class can do, whatever its fields are; `dataclasses` says how."""
    names = tuple(fields)
    compared = _reader([name for name, one in fields.items() if one.compare])
    everything = _reader(names)
    shown = tuple(name for name, one in fields.items() if one.repr)

    @recursive_repr()
    def __repr__(self: Any) -> str:
        texts = ", ".join([f"{name}={getattr(self, name)!r}" for name in shown])
        return f"{type(self).__qualname__}({texts})"

    def __eq__(self: Any, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return compared(self) == compared(other)

    def __hash__(self: Any) -> int:
        return hash(compared(self))

    def __getstate__(self: Any) -> list[Any]:
        return list(everything(self))

    def __setstate__(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            _put(self, name, value)

    def __replace__(self: Any, /, **changes: Any) -> Any:
        return type(self)(**dict(zip(names, everything(self), strict=True)) | changes)

    made = (__repr__, __eq__, __hash__, __getstate__, __setstate__, __replace__)
    return {one.__name__: one for one in made} | {
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
    }
