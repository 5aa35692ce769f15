"""Lists that are kept as the server says they change, while an agent writes and the network goes and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.console.conftest import Site, tab
from tests.console.proxy import Proxy
from tests.support.graphql_client import in_memory
from tests.support.running import Running

DELETE = "mutation ($i: DeleteSessionInput!) { deleteSession(input: $i) { session { id } errors { message } } }"


@pytest.fixture
def network(site: Site) -> Iterator[Proxy]:
    with Proxy(site.running.port) as proxy:
        yield proxy


@pytest.fixture
def page(browser: Browser, network: Proxy) -> Iterator[Page]:
    yield from tab(browser, network.url)


class Agent(threading.Thread):
    """Writes a session with a message and a trace with two spans, one after the other, until it is told to rest."""

    def __init__(self, site: Site, mark: str) -> None:
        super().__init__()
        self._site, self._mark, self._rest = site, mark, threading.Event()
        self.written = 0

    def run(self) -> None:
        while not self._rest.is_set():
            self.one(self.written)
            self.written += 1

    def one(self, number: int) -> None:
        name = f"{self._mark} {number}"
        session = self._site.session(name, name)
        span = self._site.begin(name, session={"id": session})
        self._site.say(session, "at work")
        self._site.end(span)

    def rest(self) -> None:
        self._rest.set()
        self.join(30)


def reach(agent: Agent, number: int) -> None:
    """Waits until the agent has written so many."""
    until = threading.Event()
    while agent.written < number:
        assert agent.is_alive()
        until.wait(0.02)


def titles(page: Page, rows: Locator) -> list[str]:
    """Of the whole list, which is virtual: read on by scrolling."""
    seen: dict[str, int] = {}
    box = page.locator(".sessions [data-list]")
    height = int(box.evaluate("box => box.scrollHeight"))
    for top in range(0, height, 300):
        box.evaluate("(box, top) => new Promise(done => { box.scrollTo(0, top); requestAnimationFrame(() => requestAnimationFrame(done)); })", top)  # fmt: skip
        for row in rows.all():
            index = int(row.get_attribute("data-index") or 0)
            seen[f"{index:05d} {row.locator('.title').inner_text()}"] = index
    return [name.split(" ", 1)[1] for name in sorted(seen)]


@pytest.mark.both_families
@pytest.mark.parametrize("what", ["sessions", "traces"])
def test_a_list_misses_and_doubles_nothing_when_the_network_was_away(
    what: str, site: Site, page: Page, network: Proxy
) -> None:
    """An agent writes all the while: each row once, the newest first, as it is now; what was deleted meanwhile is gone."""
    mark = f"seen-of-{what}"
    gone = site.session(f"{mark} gone", f"{mark} gone")
    site.end(site.begin(f"{mark} gone", session={"id": gone}))
    page.goto(f"/{what}?text={mark}")
    rows = page.get_by_role("list", name=what.title()).get_by_role("link")
    expect(rows.filter(has_text=f"{mark} gone")).to_be_visible()
    agent = Agent(site, mark)
    agent.start()
    try:
        reach(agent, 4)
        expect(rows.filter(has_text=f"{mark} 3")).to_be_visible()
        network.cut()
        expect(page.get_by_text("reconnecting")).to_be_visible()
        reach(agent, agent.written + 8)
        site.ask(DELETE, i={"session": {"id": gone}})
        network.mend()
        reach(agent, agent.written + 3)
    finally:
        agent.rest()
    expect(rows.filter(has_text=f"{mark} {agent.written - 1}").first).to_be_visible(timeout=20_000)
    expect(page.get_by_role("status").filter(has_text=what)).to_have_text(f"{agent.written} {what}")
    assert titles(page, rows) == [f"{mark} {number}" for number in reversed(range(agent.written))]
    expect(page.get_by_text("reconnecting")).to_have_count(0)
    page.locator(".sessions [data-list]").evaluate("box => box.scrollTo(0, 0)")
    if what == "sessions":
        expect(rows.first).to_contain_text("1 message")
    else:
        expect(rows.locator(".dot.live")).to_have_count(0)


def test_what_comes_while_one_reads_waits(site: Site, page: Page) -> None:
    """Paused, or scrolled down: it is counted, and brought in by a press; a row that is in sight is kept as it is now."""
    for number in range(30):
        site.session(f"wait {number}", f"waiting {number}")
    page.goto("/sessions?text=waiting")
    rows = page.get_by_role("list", name="Sessions").get_by_role("link")
    expect(rows.first).to_contain_text("waiting 29")
    page.keyboard.press("p")
    late = site.session("wait late", "waiting late")
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    expect(rows.filter(has_text="waiting late")).to_have_count(0)
    page.keyboard.press("p")
    expect(rows.first).to_contain_text("waiting late")
    page.locator(".sessions [data-list]").evaluate("box => box.scrollTo(0, 500)")
    site.session("wait later", "waiting later")
    site.say(late, "seen")
    page.get_by_role("button", name="1 new").click()
    expect(rows.nth(0)).to_contain_text("waiting late")
    expect(rows.nth(0)).to_contain_text("1 message")
    expect(rows.nth(1)).to_contain_text("waiting later")


ADD = "mutation ($i: AddMessagesInput!) { addMessages(input: $i) { messages { id } errors { message } } }"
REMEMBER = "mutation ($i: CreateMemoriesInput!) { createMemories(input: $i) { memories { id } errors { message } } }"


def numbers(page: Page) -> list[int]:
    """Of the messages in the page, in their order."""
    texts = page.get_by_role("log").evaluate(
        "box => [...box.querySelectorAll('.markdown')].map(one => one.textContent)"
    )
    return [int(text.split()[1]) for text in texts]


@pytest.mark.both_families
def test_more_messages_than_a_page_keeps_come_at_once(site: Site, page: Page, network: Proxy) -> None:
    """The network goes between: the latest are in sight, no more than 500 are kept, and whoever scrolls up from there
    reads the earlier ones, each once; a reader of these is not moved by others that come."""
    id = site.session("flood", "A flood")

    def flood(start: int, end: int) -> None:
        for at in range(start, end, 200):
            said = [{"role": "user", "text": f"drop {number}"} for number in range(at, min(at + 200, end))]
            site.ask(ADD, i={"session": {"id": id}, "messages": said})

    page.goto(f"/sessions/{id}")
    expect(page.get_by_text("No messages yet")).to_be_visible()
    flood(0, 400)
    log = page.get_by_role("log")
    expect(log).to_contain_text("drop 399")
    network.cut()
    flood(400, 1000)
    network.mend()
    expect(log).to_contain_text("drop 999", timeout=60_000)
    expect(page.get_by_text("drop 999", exact=True)).to_be_in_viewport()
    shown = numbers(page)
    assert shown == [*range(1000 - len(shown), 1000)]
    assert len(shown) <= 500
    log.evaluate("box => box.scrollTo(0, 0)")
    earlier = page.get_by_text(f"drop {shown[0] - 1}", exact=True)
    expect(earlier).to_have_count(1)
    read = numbers(page)
    assert read == [*range(read[0], 1000)]
    flood(1000, 1010)
    page.get_by_role("button", name="10 new").click()
    expect(page.get_by_text("drop 1009", exact=True)).to_be_in_viewport()
    read = numbers(page)
    assert read == [*range(read[0], 1010)]
    flood(1010, 1011)
    expect(page.get_by_text("drop 1010", exact=True)).to_be_in_viewport()


@pytest.mark.both_families
def test_a_trace_goes_on_where_the_network_was_away(site: Site, page: Page, network: Proxy) -> None:
    """An agent at work all the while: each span is there once, and none runs on that has ended."""
    session, trace = site.session("tailed", "Tailed"), "7a" * 16
    root = site.begin("the run", session={"id": session}, traceId=trace, spanId="7a" * 8, kind="AGENT")
    page.goto(f"/traces/{trace}")
    rows = page.get_by_role("treeitem")
    expect(rows).to_have_count(1)

    def work(start: int, end: int) -> None:
        for number in range(start, end):
            at = {"session": {"id": session}, "traceId": trace, "parentSpanId": "7a" * 8, "spanId": f"{number:016x}"}
            site.end(site.begin(f"step {number}.", **at))

    work(1, 4)
    expect(rows).to_have_count(4)
    network.cut()
    expect(page.get_by_text("reconnecting")).to_be_visible()
    work(4, 9)
    network.mend()
    work(9, 12)
    expect(rows).to_have_count(12)
    for number in range(1, 12):
        expect(rows.filter(has_text=f"step {number}.")).to_have_count(1)
    expect(page.get_by_text("1 running")).to_be_visible()
    site.end(root)
    expect(page.locator(".beam.running")).to_have_count(0)


def test_more_memories_than_are_asked_for_come_into_the_graph_at_once(site: Site, page: Page) -> None:
    site.ask('mutation { upsertUser(input: {externalId: "mara", name: "Mara"}) { user { id } errors { message } } }')
    owner = site.ask('{ user(by: {externalId: "mara"}) { id } }')["user"]["id"]
    page.goto(f"/memories?view=graph&owner={owner}")
    expect(page.get_by_text("No memories to show")).to_be_visible()
    plane = page.locator(".plane")
    assert plane.get_attribute("data-settled") is None  # nothing moves
    many = [{"type": "SEMANTIC", "text": f"Mara knows {n}.", "owner": {"id": owner}} for n in range(150)]
    site.ask(REMEMBER, i={"memories": many})
    expect(page.get_by_role("status").filter(has_text="nodes")).to_contain_text("150 nodes")
    expect(plane).to_have_attribute("data-settled", "true", timeout=60_000)


@pytest.mark.parametrize("what", ["sessions", "traces", "memories"])
def test_a_cursor_that_is_kept_no_longer_means_to_read_anew(
    what: str, other: Site, site: Site, page: Page, network: Proxy
) -> None:
    """The server that comes back has another store, as after a restore: the list is that store's, and goes on."""
    page.goto(f"/{what}")
    expect(page.get_by_role("status").filter(has_text=what)).to_be_visible()
    network.cut()
    expect(page.get_by_text("reconnecting")).to_be_visible()
    network.to = other.running.port
    network.mend()
    write = {
        "sessions": lambda name: other.session(f"{what} {name}", name),
        "traces": lambda name: other.end(other.begin(name)),
        "memories": other.remember,
    }[what]
    rows = page.get_by_role("list", name=what.title()).get_by_role("link")
    expect(page.get_by_text("reconnecting")).to_have_count(0, timeout=20_000)
    write("The first there")
    expect(rows).to_have_count(1, timeout=20_000)
    write("The second there")
    expect(rows).to_have_count(2)
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.fixture(scope="module")
def other() -> Iterator[Site]:
    with in_memory() as folder:
        running = Running(folder / "data")
        try:
            running.start()
            yield Site(running)
        finally:
            running.end()
