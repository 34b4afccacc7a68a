"""Tells its caller what it was called with."""

from aerodb.local.functions import Request


def handler(request: Request) -> dict[str, object]:
    return {
        "name": request.name,
        "method": request.method,
        "path": request.path,
        "query": dict(request.query),
        "headers": dict(request.headers),
        "body": request.body.decode("latin-1"),
        "role": request.role,
        "claims": request.claims,
        "request_id": request.request_id,
    }
