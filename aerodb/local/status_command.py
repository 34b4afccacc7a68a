"""`aerodb status`: whether an instance runs on a data folder, where, and how it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from aerodb.local.extra import needed
from aerodb.local.running import Running, find_running

_SECONDS = 10.0
_EXPOSURE = {
    "without_row_security": "without row-level security, open to everybody",
    "without_policies": "without a policy, empty to everybody but the secret key",
}
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", type=_FOLDER, default=".aerodb", envvar="AERODB_DATA", help="Data folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(data: Path, as_json: bool) -> None:
    """Tell whether an AeroDB runs on a data folder. Ends with 1 if none does, or it is not well."""
    found = find_running(data)
    report = {"running": found is not None, "data": str(data.absolute())}
    if found is not None:
        report |= {"url": found.url, "pid": found.pid, **_health(found), **_exposure(data)}
    if as_json:
        click.echo(json.dumps(report))
    elif found is None:
        click.echo(f"no AeroDB runs on {data.absolute()}")
    else:
        click.echo(f"{found.url}  process {found.pid}  data {data.absolute()}")
        click.echo(f"{report['status']}  version {report.get('version') or 'unknown'}")
        for name, state in sorted(_services(report).items()):
            click.echo(f"  {name:<12}{state}")
        _tell_exposure(report)
    if report.get("status") != "ok":
        sys.exit(1)


def _services(report: dict[str, Any]) -> dict[str, str]:
    services: dict[str, str] = report.get("services") or {}
    return services


def _exposure(data: Path) -> dict[str, list[str]]:
    """Tables that are probably not meant to be as they are, whoever has made them."""
    with needed():
        from aerodb.local.db_work import exposure
    found = exposure(data)
    if found is None:
        return {}
    return {"without_row_security": found[0], "without_policies": found[1]}


def _tell_exposure(report: dict[str, Any]) -> None:
    from aerodb.local.commands import listed

    for name, what in _EXPOSURE.items():
        if report.get(name):
            click.echo(f"{what}: {listed(report[name])}")


def _health(found: Running) -> dict[str, Any]:
    """What the instance says of itself; asked directly, past any proxy."""
    import http.client  # not for the help: it loads TLS

    parts = urlsplit(found.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/health")
        said = json.loads(connection.getresponse().read())
        return {name: said.get(name) for name in ("status", "version", "services")}
    except (OSError, ValueError, AttributeError, http.client.HTTPException) as problem:
        return {"status": "does not answer", "version": None, "problem": str(problem)}
    finally:
        connection.close()
