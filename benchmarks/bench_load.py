"""Many visitors of the whole app over HTTP: latency, refusals and memory, as their browsers see it.

    python benchmarks/bench_load.py [--visitors 200] [--pause 5] [--seconds 60]

Starts the app with the built-in books and an empty data folder. Each visitor has a connection of
their own and clicks as the page does: one question at a time, an item more in the history with
each, anew after 20, a pause of --pause seconds in the mean (half to one and a half of it) between
an answer and the next click; 0: none. After an answer the click and the pick are told, and once
more after the next one where they were not stored. Who is told that too many are asking waits as
the page does, 3 to 6 s, and asks again; the latency of a click is that of the request that was
answered. The first quarter of the time is not counted. Memory is that of the app's process, without
mapped files.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import psutil

from app.books.facts import load_books
from benchmarks.bench_page import percentile, running_app
from benchmarks.measure import machine_line, status_mib

SEED = 2020
LONGEST = 20  # items of a history, after which a visitor begins another
BUSY_S = (3.0, 6.0)  # assets/page/protocol.js
NOTHING = {"category": "", "min_price": None, "max_price": None}


@dataclass
class Seen:
    """What visitors saw: latencies in ms, and how often they were told to come again."""

    counts_from: float
    latencies_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    told: int = 0
    untold: int = 0

    def answer(self, ms: float, response: httpx.Response) -> bool:
        """Note an answer; whether it is one."""
        found = response.json() if response.status_code == 200 else {}
        is_refusal = bool(found.get("busy"))
        if time.monotonic() >= self.counts_from:
            if "columns" in found:
                self.latencies_ms.append(ms)
            elif is_refusal:
                self.refused_ms.append(ms)
            else:
                self.other.append(f"{response.status_code} {response.text[:100]}")
        return not is_refusal


async def tell(client: httpx.AsyncClient, waiting: list[dict[str, Any]], seen: Seen) -> None:
    """Tell what the page tells once a click is answered, in order, until something is not kept."""
    while waiting:
        try:
            answer = await client.post("/gradio_api/component_server/", json=waiting[0])
        except httpx.TransportError:
            return
        found = answer.json() if answer.status_code == 200 else {}
        if found is not None and not (found.get("is_settled") or found.get("is_stored")):
            seen.untold += 1
            return
        seen.told += 1
        waiting.pop(0)


async def visit(
    url: str, number: int, pause: float, end: float, ids: list[str], seen: Seen
) -> None:
    """One visitor until the end."""
    chance = random.Random(SEED + number)
    session = f"{chance.getrandbits(128):032x}"
    history: list[str] = []
    waiting: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        config = (await client.get("/config")).json()
        page = next(part for part in config["components"] if part["type"] == "html")
        await asyncio.sleep(chance.uniform(0, pause))
        for version in range(1, sys.maxsize):
            if len(history) == LONGEST:
                history = []
            history.append(chance.choice([item for item in ids if item not in history]))
            question = {"history": history, "filter": NOTHING, "example": False, "blind": ""}
            question |= {"what_if": None, "version": version, "session": session}
            body = {"data": question, "component_id": page["id"], "fn_name": "answer"}
            body["session_hash"] = session[:11]
            own = {"session": session, "key": f"{chance.getrandbits(128):032x}"}
            click = {"item_id": history[-1], "source": "browse", "rank": None, **own}
            pick = {"item": history[-1], "history": history[:-1], "models": None, **own}
            events = [("record", click)] + [("judge", pick)] * (len(history) > 1)
            waiting += [{**body, "fn_name": name, "data": data} for name, data in events]
            while True:
                if time.monotonic() >= end:
                    return
                asked = time.perf_counter()
                try:
                    answer = await client.post("/gradio_api/component_server/", json=body)
                except httpx.TransportError as error:
                    seen.other.append(f"{error!r}")
                    continue  # a browser, too, asks again where a kept connection has just ended
                if seen.answer((time.perf_counter() - asked) * 1e3, answer):
                    break
                await asyncio.sleep(chance.uniform(*BUSY_S))
            await tell(client, waiting, seen)
            await asyncio.sleep(pause * chance.uniform(0.5, 1.5))


async def measure(url: str, visitors: int, pause: float, seconds: float) -> None:
    """Print the table of one load."""
    (app,) = [
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == "LISTEN" and f":{connection.laddr.port}" in url
    ]
    start = time.monotonic()
    seen = Seen(start + seconds / 4)
    ids = [book.item_id for book in load_books()]
    crowd = asyncio.gather(
        *(visit(url, number, pause, start + seconds, ids, seen) for number in range(visitors))
    )
    memory = []
    while not crowd.done():
        await asyncio.wait([crowd], timeout=seconds / 10)
        memory.append(status_mib("RssAnon", app))
    await crowd
    answered = seen.latencies_ms
    print(f"{visitors} visitors, {f'{pause:g} s' if pause else 'no'} pause, {seconds:g} s")
    print(f"  answers        {len(answered):6}  ({len(answered) / seconds / 0.75:.0f} a second)")
    print(f"  latency        {statistics.median(answered):6.0f} ms median")
    print(f"                 {percentile(answered, 0.95):6.0f} ms p95, {max(answered):.0f} at most")
    print(f"  refusals       {len(seen.refused_ms):6}")
    if seen.refused_ms:
        print(f"                 {statistics.median(seen.refused_ms):6.0f} ms median until told so")
    print(f"  clicks, picks  {seen.told:6}  stored; {seen.untold} times to be told again")
    print(f"  other answers  {len(seen.other):6}  {seen.other[:1] or ''}")
    print("  memory, MiB   ", " ".join(f"{size:.0f}" for size in memory), flush=True)


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--pause", type=float, default=5.0, help="seconds in the mean; default 5")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the load; default 60")
    options = parser.parse_args()
    with running_app() as url:
        print(machine_line(), flush=True)
        asyncio.run(measure(url, options.visitors, options.pause, options.seconds))


if __name__ == "__main__":
    main()
