"""Settings are checked when they are made, and never change."""

from __future__ import annotations

import copy
import math
import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest

from aerodb import AeroDBClient
from aerodb._core.options import ClientOptions
from aerodb._core.realtime_options import RealtimeOptions
from aerodb._io.session_file import FileSessionStore


class Observer:
    """Enough to be taken for telemetry."""

    def observe(self, operation: Any) -> Any: ...

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Observer)

    def __hash__(self) -> int:
        return 1


DEFAULTS: dict[str, Any] = {
    "timeout": 30.0,
    "connect_timeout": 10.0,
    "retries": 2,
    "retry_budget": 100,
    "max_connections": 100,
    "keepalive_seconds": 15.0,
    "max_response_bytes": 67_108_864,
    "max_url_bytes": 16_384,
    "allow_insecure": False,
    "verify": True,
    "proxy": None,
    "trust_env": True,
    "http2": False,
    "idempotency_keys": None,
    "session_store": None,
    "adopt_sessions": True,
    "realtime": None,
    "telemetry": None,
}
OTHERS: dict[str, Any] = {
    "timeout": 1.5,
    "connect_timeout": 2,
    "retries": 0,
    "retry_budget": None,
    "max_connections": 1,
    "keepalive_seconds": 0,
    "max_response_bytes": 1,
    "max_url_bytes": 2048,
    "allow_insecure": True,
    "verify": "/ca.pem",
    "proxy": "http://proxy:3128",
    "trust_env": False,
    "http2": True,
    "idempotency_keys": True,
    "session_store": FileSessionStore("/session"),
    "adopt_sessions": False,
    "realtime": RealtimeOptions(heartbeat=5),
    "telemetry": Observer(),
}
NONE_WILL_DO = {"proxy", "retry_budget", "idempotency_keys", "session_store", "realtime",
                "telemetry"}  # fmt: skip


def test_the_defaults() -> None:
    options = ClientOptions()
    assert {name: getattr(options, name) for name in ClientOptions.__slots__} == DEFAULTS
    assert repr(options) == "ClientOptions()"


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_can_be_set_and_replaced(name: str) -> None:
    options = ClientOptions(**{name: OTHERS[name]})
    for other in DEFAULTS:
        expected = OTHERS if other == name else DEFAULTS
        assert getattr(options, other) == expected[other]
    assert ClientOptions().replace(**{name: OTHERS[name]}) == options
    assert options != ClientOptions()
    assert hash(options) == hash(ClientOptions(**{name: OTHERS[name]}))
    assert name in repr(options)
    assert options.replace(**{name: DEFAULTS[name]}) == ClientOptions()


@pytest.mark.parametrize("name", DEFAULTS)
def test_none_can_be_changed(name: str) -> None:
    options = ClientOptions()
    with pytest.raises(AttributeError, match=rf"replace\({name}="):
        setattr(options, name, OTHERS[name])
    with pytest.raises(AttributeError, match="immutable"):
        delattr(options, name)
    assert options == ClientOptions()


def test_what_is_misspelt_raises() -> None:
    with pytest.raises(TypeError, match="time_out"):
        ClientOptions(time_out=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="time_out"):
        ClientOptions().replace(time_out=1)
    with pytest.raises(AttributeError):
        ClientOptions().time_out = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        ClientOptions(5)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("timeout", "connect_timeout") for value in (0, 0.0, -1)),
        *((n, v) for n in ("timeout", "keepalive_seconds") for v in (math.inf, math.nan, 10**400)),
        ("keepalive_seconds", -0.1),
        ("retries", -1),
        ("retries", 21),
        ("retry_budget", -1),
        ("retry_budget", 10**9),
        ("max_connections", 0),
        ("max_response_bytes", 0),
        pytest.param("max_response_bytes", 10**5000, id="huge"),
        ("max_url_bytes", 255),
        ("verify", False),
        ("verify", ""),
        ("verify", "a\0b"),
        ("proxy", ""),
        ("proxy", "proxy:3128"),
        ("proxy", "http://a b"),
        ("proxy", "http://a\n"),
    ],
)
def test_wrong_values(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}"):
        ClientOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "5") for name in DEFAULTS if name not in ("verify", "proxy")),
        *((name, None) for name in DEFAULTS if name not in NONE_WILL_DO),
        *((name, True) for name in ("timeout", "retries", "max_connections", "retry_budget")),
        *((name, 1) for name in ("allow_insecure", "trust_env", "http2", "verify", "proxy")),
        ("idempotency_keys", 1),
        ("retries", 2.0),
        ("proxy", b"http://h"),
        ("verify", b"/ca.pem"),
    ],
)
def test_wrong_types_are_named(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{name} .*{type(value).__name__}"):
        ClientOptions(**{name: value})


def test_verify_takes_paths_and_contexts() -> None:
    context = ssl.create_default_context()
    assert ClientOptions(verify=context).verify is context
    assert ClientOptions(verify=Path("/ca.pem")).verify == "/ca.pem"


def test_the_password_of_a_proxy_stays_in() -> None:
    options = ClientOptions(proxy="http://u:s3cr3t@proxy:3128")
    assert "s3cr3t" not in repr(options)
    assert "proxy:3128" in repr(options)
    with pytest.raises(TypeError, match="proxy") as caught:
        pickle.dumps(options)
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(ValueError) as caught_too:
        ClientOptions(proxy="htp://u:s3cr3t@proxy")
    assert "s3cr3t" not in str(caught_too.value)


def test_options_travel() -> None:
    options = ClientOptions(**OTHERS)
    assert pickle.loads(pickle.dumps(options)) == options
    assert copy.copy(options) is options
    assert copy.deepcopy(options) is options


@pytest.mark.parametrize("given", [{"timeout": 3}, 3, ClientOptions])
def test_a_client_says_what_options_are(given: Any) -> None:
    with pytest.raises(TypeError, match="options must be ClientOptions"):
        AeroDBClient("http://localhost", options=given)


@pytest.mark.parametrize("value", [1, "otel", object(), Observer])
def test_telemetry_must_observe(value: Any) -> None:
    with pytest.raises(TypeError, match="telemetry must have a method observe"):
        ClientOptions(telemetry=value)
