"""Answers in the way that its path says."""

from typing import Any

from aerodb.local.functions import Request, Response


class Foreign:
    """Something like a response, of nobody's making."""

    status_code = 202
    headers = {"X-Foreign": "yes"}
    body = b"foreign"


async def handler(request: Request) -> Any:
    answers: dict[str, Any] = {
        "nothing": None,
        "object": {"ä": [1, 2.5, None, True]},
        "list": [1, 2],
        "number": 7,
        "text": "höher",
        "bytes": b"\0\xff",
        "teapot": Response({"error": "no tea", "code": "teapot", "extra": [1]}, 418),
        "unauthorized": Response("not you", 401),
        "unavailable": Response({"error": "later"}, 503, {"Retry-After": "0"}),
        "moved": Response(None, 302, {"Location": "https://elsewhere.example/"}),
        "headers": Response("x", 201, {"X-Own": "1", "X-Aerodb-Error": "forged",
                                       "X-Relay-Error": "true", "Content-Length": "99"}),
        "foreign": Foreign(),
        "large": b"x" * 3_000_000,
        "bad status": Response("x", 99),
        "bad header": Response("x", 200, {"X-Own": "a\r\nX-Forged: b"}),
    }  # fmt: skip
    return answers[request.path]
