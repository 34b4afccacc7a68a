"""`aerodb storage ls|mb|cp|rm`: buckets and objects, from the command line."""

from __future__ import annotations

from typing import Any

import click

import aerodb
from aerodb._display import printable
from aerodb.cli import places as read
from aerodb.cli.copying import How, copy, files_of
from aerodb.cli.options import SETTINGS, Failure, client, data_of, server, show
from aerodb.cli.places import Local, Remote

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_RECURSIVE = click.option("-r", "--recursive", is_flag=True, help="With all that is below.")


@click.group(context_settings=SETTINGS)
def storage() -> None:
    """Make buckets; list, copy and remove objects. A place on the server is aero://BUCKET/PATH."""


@storage.command("ls")
@click.argument("place", type=read.remote, required=False)
@_RECURSIVE
@_JSON
@server
def ls(place: Remote | None, recursive: bool, as_json: bool, **where: Any) -> None:
    """List what is in the folder PLACE or begins so; the buckets without one."""
    with client(where["url"], where["schema"]) as asking:
        if place is None:
            rows: list[dict[str, Any]] = [
                {"name": one.name, "policy": one.policy, "created_at": one.created_at}
                for one in data_of(asking.storage.list_buckets())
            ]
        else:
            folders = [] if recursive else _folders(asking, place)
            rows = [_row(name) for name in folders]
            for file in files_of(asking, place.bucket, place.path, recursive=recursive):
                rows.append(_row(file.path, file.size, file.updated_at))
    show(rows, as_json=as_json)


def _row(name: str, size: int | None = None, updated_at: str | None = None) -> dict[str, Any]:
    return {"name": name, "size": size, "updated_at": updated_at}


def _folders(asking: aerodb.AeroDBClient, place: Remote) -> list[str]:
    """The folders next to the objects, over all pages."""
    bucket = asking.storage.from_(place.bucket)
    found: dict[str, None] = {}
    cursor: str | None = None
    while True:
        page = data_of(bucket.list_v2(prefix=place.path, cursor=cursor, with_delimiter=True))
        found |= dict.fromkeys(page.folders)
        if not page.has_next or page.next_cursor in (None, cursor):
            return list(found)
        cursor = page.next_cursor


@storage.command("mb")
@click.argument("bucket", metavar="BUCKET")
@click.option(
    "--policy", type=click.Choice(["public", "authenticated", "private"]), default="private",
    help="Who may read it: everybody, whoever is signed in, its owner.",
)  # fmt: skip
@click.option("--max-size", default=None, metavar="BYTES", help="Largest object, such as 50MB.")
@_JSON
@server
def mb(bucket: str, policy: Any, max_size: str | None, as_json: bool, **where: Any) -> None:
    """Make the bucket BUCKET, a name or aero://NAME. The publishable key may not."""
    name = read.remote(bucket).bucket if bucket.startswith(read.SCHEME) else bucket
    with client(where["url"], where["schema"]) as asking:
        limit = ... if max_size is None else _bytes(max_size)
        made = data_of(asking.storage.create_bucket(name, policy=policy, file_size_limit=limit))
    if as_json:
        show({"name": made.name, "policy": made.policy}, as_json=True)
    else:
        click.echo(printable(f"{read.SCHEME}{made.name}"))


def _bytes(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


@storage.command("cp")
@click.argument("source", type=read.place)
@click.argument("target", type=read.place)
@_RECURSIVE
@click.option("--no-overwrite", is_flag=True, help="Refuse to replace what is there.")
@click.option("--content-type", default=None, help="MIME type; guessed by the name if unsaid.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@_JSON
@server
def cp(source: Remote | Local, target: Remote | Local, **options: Any) -> None:
    """Copy SOURCE to TARGET; one of them at least is aero://BUCKET/PATH.

    A TARGET that ends in a slash, is a bucket or a folder of this machine is copied into. With
    -r, all that is in the folder SOURCE goes into the folder TARGET.
    """
    how = How(
        recursive=options["recursive"],
        overwrite=not options["no_overwrite"],
        content_type=options["content_type"],
        quiet=options["quiet"] or options["as_json"],
    )
    with client(options["url"], options["schema"]) as asking:
        pairs = copy(asking, source, target, how)
    if options["as_json"]:
        show([{"from": str(one), "to": str(to)} for one, to in pairs], as_json=True)
    elif not options["quiet"]:
        for one, to in pairs:
            click.echo(printable(f"{one} -> {to}"))


@storage.command("rm")
@click.argument("places", type=read.remote, nargs=-1, required=True)
@_RECURSIVE
@click.option("--yes", is_flag=True, help="With -r: do not ask.")
@_JSON
@server
def rm(places: tuple[Remote, ...], recursive: bool, yes: bool, as_json: bool, **where: Any) -> None:
    """Remove the objects PLACES; with -r all that is in these folders."""
    gone: list[str] = []
    with client(where["url"], where["schema"]) as asking:
        for place in places:
            names = _to_be_removed(asking, place, recursive=recursive)
            if recursive and names and not yes:
                click.confirm(f"Remove {len(names)} objects of {place}?", abort=True, err=True)
            removed = data_of(asking.storage.from_(place.bucket).remove(names)) if names else ()
            if not removed:
                raise Failure(f"there is nothing at {place}")
            gone += [str(Remote(place.bucket, file.path)) for file in removed]
    if as_json:
        show(gone, as_json=True)
    else:
        click.echo("\n".join(map(printable, gone)))


def _to_be_removed(asking: aerodb.AeroDBClient, place: Remote, *, recursive: bool) -> list[str]:
    if recursive:
        return [file.path for file in files_of(asking, place.bucket, place.prefix)]
    if place.is_folder:
        raise click.UsageError(f"{place} is a folder: say -r")
    return [place.path]
