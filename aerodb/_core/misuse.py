"""Errors that name the right call to who wrote one that is common elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from aerodb._core.options import ClientOptions

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["NOT_GIVEN", "refuses_options", "two_texts"]

NOT_GIVEN: Any = ...


def refuses_options(init: Callable[P, R]) -> Callable[P, R]:
    """Say of a constructor's unknown argument that is an option where options go."""

    @wraps(init)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name in ClientOptions.__annotations__ and name not in init.__annotations__:
                raise TypeError(
                    f"{name} is an option: pass options=ClientOptions({name}=...) to the client"
                )
        return init(*args, **kwargs)

    return checked


def two_texts(name: str, email: object, password: object) -> None:
    """Say how an address and a password are given to who gives both in a mapping."""
    if isinstance(email, Mapping):
        raise TypeError(f"{name} takes no mapping: call {name}(email='...', password='...')")
    if password is NOT_GIVEN:
        raise TypeError(f"{name} needs a password: call {name}(email='...', password='...')")
