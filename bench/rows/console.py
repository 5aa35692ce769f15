"""The console in Chromium: how soon it is there, how even its frames are, and what a tab keeps."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from bench import queries
from bench.lab import Lab, parts
from bench.process import RECOLLECT, BenchError, Process, start
from bench.row import Measure, Row, at_most

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

SPANS = 30_000
TRACE = "7e" * 16
NODES, EDGES = 1_000, 5_000
TAIL = 36_000  # what ten events a second come to in an hour
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_WITHIN_S = 120.0

# When a selector is first there, in ms since navigation began, and how long each frame took until then.
_WATCH = """(() => {
  const frames = window.benchFrames = [];
  let last = performance.now();
  const draw = (now) => {
    frames.push(now - last);
    last = now;
    if (window.benchThere === undefined && document.querySelector(%r)) window.benchThere = performance.now();
    requestAnimationFrame(draw);
  };
  requestAnimationFrame(draw);
})()"""
# Until that is true; the page's policy forbids the driver's own waiting, which evaluates texts.
_UNTIL = "(text) => new Promise((done) => { const look = () => (%s ? done() : requestAnimationFrame(look)); look(); })"

_SCROLL = """async (pixels) => {
  const box = document.querySelector('.trace .rows'), deltas = [];
  box.scrollTop = 0;
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  let last = await frame();
  for (let top = 0; deltas.length < 400; top = (top + pixels) % (box.scrollHeight - box.clientHeight)) {
    box.scrollTop = top;
    const now = await frame();
    deltas.push(now - last);
    last = now;
  }
  return Math.max(...deltas);
}"""


@contextlib.asynccontextmanager
async def _tab(url: str, there: str) -> AsyncIterator[Page]:
    """A new tab at an address, once what `there` selects is in it. Raises BenchError without a browser."""
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    try:
        from playwright.async_api import Error, async_playwright
    except ImportError:
        program = None
    if program is None:
        raise BenchError("it takes Chromium, and `pip install -e '.[browser]'`")
    async with async_playwright() as driver:
        flags = ["--no-sandbox", "--enable-precise-memory-info"]
        browser = await driver.chromium.launch(executable_path=program, args=flags)
        try:
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            await page.add_init_script(_WATCH % there)
            await page.goto(url)
            await _until(page, "window.benchThere !== undefined")
            yield page
        except Error as error:
            raise BenchError(error.message.partition("\n")[0]) from None
        finally:
            await browser.close()


async def _until(page: Page, holds: str, text: str = "") -> None:
    """Raises BenchError where that is not so for long."""
    try:
        await asyncio.wait_for(page.evaluate(_UNTIL % holds, text), _WITHIN_S)
    except TimeoutError:
        raise BenchError(f"the console did not come to {holds}") from None


async def _there(page: Page) -> float:
    return float(await page.evaluate("window.benchThere"))


async def _heap(tools: CDPSession) -> float:
    """The megabytes that a tab's scripts keep."""
    await tools.send("HeapProfiler.collectGarbage")
    metrics = (await tools.send("Performance.getMetrics"))["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize")) / 1e6


async def _first(lab: Lab) -> float:
    """Seconds from the address to the demo's sessions, of a browser that has not been there."""
    server = await start([*RECOLLECT, "serve", "--demo", "--port", "0", "--data", str(lab.folder / "demo")],
                         lab.folder / "demo.log")  # fmt: skip
    try:
        async with _tab(f"http://127.0.0.1:{server.port}/", ".sessions a[data-index]") as page:
            return await _there(page) / 1000
    finally:
        await server.stop()


def _span(number: int) -> dict[str, Any]:
    """Three deep: ten below each tenth."""
    start = 1_790_000_000_000_000_000 + number * 1_000_000
    above = 0 if number % 10 == 0 else number - number % 10
    attributes = {"openinference.span.kind": ("LLM", "TOOL", "CHAIN")[number % 3], "session.id": "bench-console"}
    return {
        "traceId": TRACE,
        "spanId": f"{number + 1:016x}",
        **({"parentSpanId": f"{above + 1:016x}"} if number else {}),
        "name": f"step {number}",
        "kind": 1,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + (50_000_000 if number else 60_000_000_000)),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
        "status": {"code": 2 if number % 100 == 7 else 1},
    }


async def _traced(lab: Lab, server: Process) -> None:
    """Sends the long trace."""
    import httpx

    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
        for at in range(0, SPANS, 5000):
            spans = [_span(number) for number in range(at, at + 5000)]
            body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
            (await client.post(f"http://127.0.0.1:{server.port}/v1/traces", json=body)).raise_for_status()


async def _linked(lab: Lab, server: Process) -> None:
    """Writes the graph: a ring, and links across it."""
    connection = await server.connect()
    chance = random.Random(lab.seed)
    owner = {"externalId": "bench-graph"}
    await connection.data(queries.UPSERT_USER, {"input": {**owner, "name": "Graph"}})
    names = [f"bench-node-{number}" for number in range(NODES)]
    memories: Iterator[Any] = (
        {"externalId": name, "type": "SEMANTIC", "text": f"Fact {name}.", "owner": owner} for name in names
    )
    for part in parts(memories):
        await connection.data(queries.CREATE_MEMORIES, {"input": {"memories": part}})
    pairs = {(at, (at + 1) % NODES) for at in range(NODES)}
    while len(pairs) < EDGES:
        at = chance.randrange(NODES)
        pairs.add((at, (at + 1 + int(chance.expovariate(1 / 60))) % NODES))
    ends = (({"externalId": names[one]}, {"externalId": names[other]}) for one, other in sorted(pairs) if one != other)
    links: Iterator[Any] = ({"source": source, "target": target, "weight": 0.5} for source, target in ends)
    for part in parts(links):
        await connection.data(queries.LINK_MEMORIES, {"input": {"links": part}})
    connection.close()


async def _opened(lab: Lab) -> dict[str, float]:
    """Seconds to open the long trace, and of frames the longest: meanwhile, and as it is scrolled at four speeds."""
    server = await lab.server()
    await lab.once("traced", partial(_traced, lab, server))
    async with _tab(f"http://127.0.0.1:{server.port}/traces/{TRACE}", ".trace[aria-busy=false]") as page:
        opened = await _there(page) / 1000
        opening = await page.evaluate("Math.max(...window.benchFrames)")
        scrolled = [await page.evaluate(_SCROLL, pixels) for pixels in (60, 400, 5000, 40000)]
    return {"open": opened, "opening": float(opening), "scroll": float(max(scrolled))}


async def _settled(lab: Lab) -> dict[str, float]:
    """Seconds until the large graph has come to rest, and the longest frame after its first."""
    server = await lab.server()
    await lab.once("linked", partial(_linked, lab, server))
    connection = await server.connect()
    found = await connection.data('{ memory(by: {externalId: "bench-node-0"}) { id } }')
    connection.close()
    address = f"http://127.0.0.1:{server.port}/memories?view=graph&start={found['memory']['id']}&depth=6&limit=1000"
    async with _tab(address, ".plane[data-settled=false]") as page:
        begun = await page.evaluate("(window.benchFrames.length = 0, performance.now())")
        await _until(page, "document.querySelector('.plane[data-settled=true]')")
        frames, ended = await page.evaluate("[window.benchFrames, performance.now()]")
    return {"settle": (ended - begun) / 1000, "frame": float(max(frames))}


async def _tailed(lab: Lab) -> dict[str, float]:
    """The megabytes of a tab when it opens a session, and when half and all of an hour's messages have come in live,
    as fast as they can be sent; and by how much the second half let it grow."""
    server = await lab.server()
    connection = await server.connect()
    by = {"externalId": f"bench-tail-{secrets.token_hex(4)}"}  # where a page could not be opened, it is tried again
    await connection.data(queries.CREATE_SESSION, {"input": {**by, "title": "Tail"}})
    found = await connection.data("query ($by: Ref!) { session(by: $by) { id } }", {"by": by})
    async with _tab(f"http://127.0.0.1:{server.port}/sessions/{found['session']['id']}", ".conversation") as page:
        tools = await page.context.new_cdp_session(page)
        await tools.send("Performance.enable")
        heaps = [await _heap(tools)]
        for half in range(2):
            for at in range(half * TAIL // 2, (half + 1) * TAIL // 2, 200):
                said = [
                    {"role": "user", "text": f"event {number}, and what it tells"} for number in range(at, at + 200)
                ]
                await connection.data(queries.ADD_MESSAGES, {"input": {"session": by, "messages": said}})
            last = f"event {(half + 1) * TAIL // 2 - 1},"
            await _until(page, "[...document.querySelectorAll('.message')].at(-1)?.textContent.includes(text)", last)
            await asyncio.sleep(1)
            heaps.append(await _heap(tools))
    connection.close()
    begin, middle, end = heaps
    return {"begin": begin, "middle": middle, "end": end, "growth": end - middle}


def _row(name: str, title: str, unit: str, measure: Measure, most: float | None = None) -> Row:
    return Row(
        name=f"console-{name}",
        title=f"Console: {title}",
        unit=unit,
        measure=measure,
        wanted=None if most is None else at_most(most),
        lower=True,
        rounds=1 if name.startswith("tail-") else 3,
        opt_in=True,
    )


def _side(measure: Callable[[Lab], Coroutine[Any, Any, dict[str, float]]], side: str) -> Measure:
    """One figure of a measurement that has several; each round of its rows measures anew."""
    turns = 0

    async def one(lab: Lab) -> float:
        nonlocal turns
        turns += 1
        return (await lab.once((measure, turns), partial(measure, lab)))[side]

    return one


ROWS = [
    _row("first-page", "address to the demo's sessions", "s", _first, 1),
    _row("trace-open", "a trace of 30,000 spans opens", "s", _side(_opened, "open"), 1.5),
    _row("trace-opening", "longest frame meanwhile", "ms", _side(_opened, "opening")),
    _row("trace-scroll", "longest frame as it is scrolled", "ms", _side(_opened, "scroll"), 50),
    _row("graph-settle", "1,000 nodes and 5,000 edges settle", "s", _side(_settled, "settle")),
    _row("graph-frame", "longest frame meanwhile", "ms", _side(_settled, "frame"), 33.4),
    _row("tail-begin", "a tab that opens a session", "MB", _side(_tailed, "begin")),
    _row("tail-middle", "after 18,000 live messages", "MB", _side(_tailed, "middle")),
    _row("tail-end", "after 36,000", "MB", _side(_tailed, "end")),
    _row("tail-memory", "its growth in the second half of them", "MB", _side(_tailed, "growth"), 5),
]
