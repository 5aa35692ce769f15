"""What holds on every page: who may, hostile texts, other addresses, keys, screens, and what it weighs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from server.http.console import FOLDER
from tests.console.conftest import Site, tab
from tests.console.proxy import Proxy
from tests.support.graphql_client import in_memory
from tests.support.running import Running

KEY = "k" * 32
PAGES = [
    "/sessions",
    "/traces",
    "/memories",
    "/memories?view=graph",
    "/memories?view=forecast",
    "/query",
    "/operate",
    "/operate?tab=figures",
    "/operate?tab=tools",
    "/operate?tab=audit",
    "/operate?tab=keys",
    "/operate?tab=forget",
]


@pytest.fixture(scope="module")
def closed() -> Iterator[Site]:
    """A server that asks for a key and runs trusted documents only."""
    with in_memory() as folder:
        documents = folder / "documents"
        documents.mkdir()
        (documents / "mine.graphql").write_text("{ viewer { name } }")
        running = Running(folder / "data", RECOLLECT_API_KEYS=KEY, RECOLLECT_TRUSTED_DOCUMENTS=str(documents))
        try:
            running.start()
            yield Site(running, KEY)
        finally:
            running.end()


@pytest.fixture
def stranger(browser: Browser, closed: Site) -> Iterator[Page]:
    yield from tab(browser, closed.url)


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("Key or token").fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_a_key_is_asked_for_kept_in_the_tab_and_given_back(stranger: Page) -> None:
    """On a server of trusted documents too: each page asks by the console's own. The page that asks is for everyone."""
    stranger.goto("/sessions")
    sign_in(stranger, "wrong")
    expect(stranger.get_by_role("alert")).to_be_visible()
    for scheme, width in (("light", 360), ("dark", 3840)):
        stranger.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        stranger.set_viewport_size({"width": width, "height": 700})
        assert not serious(stranger), scheme
        assert stranger.evaluate("document.documentElement.scrollWidth") <= width
    stranger.set_viewport_size({"width": 1280, "height": 800})
    sign_in(stranger, KEY)
    expect(stranger.get_by_text("No sessions yet")).to_be_visible()
    stranger.reload()
    for path in ("/traces", "/memories", "/operate"):
        stranger.goto(path)
        expect(stranger.get_by_role("navigation", name="Pages")).to_be_visible()
        expect(stranger.get_by_role("alert")).to_have_count(0)
    assert stranger.evaluate("localStorage.length + document.cookie.length") <= 1  # the colours alone
    stranger.get_by_role("button", name="Sign out").click()
    expect(stranger.get_by_label("Key or token")).to_be_visible()


def test_a_key_is_made_and_revoked(stranger: Page) -> None:
    stranger.goto("/operate?tab=keys")
    sign_in(stranger, KEY)
    stranger.get_by_role("textbox", name="What the key is for").fill("the harbour")
    stranger.get_by_role("combobox", name="Role").select_option("WRITE")
    stranger.get_by_role("button", name="Make a key").click()
    expect(stranger.get_by_text("shown only now")).to_be_visible()
    row = stranger.get_by_role("row", name="the harbour")
    stranger.evaluate("window.confirm = () => true")
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"
EVIL = [
    SCRIPT,
    "[go](javascript:alert(4)) [data](data:text/html,<script>alert(5)</script>) ![img](https://evil.example/pixel.png)",
    "\u202egnp.exe\u202c \u200f\u2066 " + "مرحبا بالعالم",
    "#" * 3000 + "\n" + "> " * 500 + "deep\n" + "*" * 2000 + "`" * 999,
    "long " * 19_000,
    "{{constructor.constructor('alert(6)')()}} ${alert(7)} </textarea></style>\x00",
]


def test_hostile_texts_do_nothing(site: Site, page: Page) -> None:
    """In every field that is shown: no dialog, no request, no script, no link that runs one; the page stands."""
    id = site.session(
        "evil", SCRIPT, metadata={f"<b>{n}": "<i>" for n in range(10_000)}, context={"a": {"__proto__": SCRIPT}}
    )
    for text in EVIL:
        site.say(id, text.replace("\x00", ""), senderName=SCRIPT)
    call = {"callId": SCRIPT, "tool": SCRIPT, "arguments": {SCRIPT: EVIL[1]}}
    site.say(id, role="assistant", content=[{"toolCall": call}], externalId="<i>")
    memory = site.remember(
        EVIL[0] + EVIL[1],
        tags=[SCRIPT],
        metadata={"x": SCRIPT},
        externalSource="javascript:alert(8)",
        ttlSeconds=86_400,
    )
    changed = {"text": EVIL[2] + SCRIPT, "metadata": {SCRIPT: EVIL[1]}, "tags": [EVIL[1]]}
    update = "mutation ($i: UpdateMemoryInput!) { updateMemory(input: $i) { errors { message } } }"
    site.ask(update, i={"memory": {"id": memory}, **changed})
    span = site.begin(
        SCRIPT, session={"id": id}, traceId="ee" * 16, spanId="44" * 8, attributes={"gen_ai.prompt": SCRIPT}
    )
    site.end(span, statusCode="ERROR", statusMessage=SCRIPT)
    site.end(site.begin(EVIL[1], traceId="ef" * 16, spanId="55" * 8, attributes={SCRIPT: EVIL[2]}))
    judge = "mutation ($i: AnnotateInput!) { annotate(input: $i) { annotation { id } errors { message path } } }"
    for target in (id, memory, span):
        site.ask(judge, i={"target": target, "name": SCRIPT, "label": EVIL[2], "comment": EVIL[1]})
    for path in (
        f"/sessions/{id}",
        f"/sessions/{id}?tab=context",
        f"/traces/{'ee' * 16}?span={span}",
        f"/traces/{'ee' * 16}/compare",
        f"/traces/{'ee' * 16}/compare/{'ef' * 16}?span={span}",
        f"/memories/{memory}",
        f"/memories?view=graph&start={memory}&node={memory}",
        f"/memories/{memory}?asOf=2099-01-01T00:00:00Z",
        "/memories?view=graph&asOf=<script>alert(10)</script>",
        "/memories?view=forecast&reach=3650&day=%3Cscript%3E",
        "/memories?text=%3Cscript%3Ealert(9)%3C/script%3E",
        "/%3Cscript%3Ealert(1)%3C/script%3E".replace("/%3C", "/sessions/%3C"),
        "/sessions/%E0%A4%A",
        "/query?query=%3Cscript%3Ealert(1)%3C/script%3E&variables=%7B",
    ):
        page.goto(path)
        page.wait_for_load_state("networkidle") if "query" in path else page.wait_for_timeout(400)
        assert page.locator("main script, main iframe, main [onerror], main svg[onload]").count() == 0
        assert page.locator("a[href^='javascript' i], a[href^='data:text' i]").count() == 0
        assert page.locator("img[src*='evil']").count() == 0
    page.goto(f"/sessions/{id}?tab=context")
    expect(page.get_by_role("button", name=" more").first).to_be_visible()


def test_it_works_behind_a_path_of_a_proxy(browser: Browser, site: Site) -> None:
    """Pages, files, questions and the socket, with no setting."""
    id = site.session("proxied", "Behind a proxy")
    with Proxy(site.running.port, "/deep/er") as proxy:
        for page in tab(browser, proxy.url):
            page.goto(f"/deep/er/sessions/{id}")
            expect(page.get_by_role("heading", name="Behind a proxy")).to_be_visible()
            site.say(id, "through the proxy")
            expect(page.get_by_role("log")).to_contain_text("through the proxy")
            page.get_by_role("link", name="Memories", exact=True).click()
            assert page.url == f"{proxy.url}/deep/er/memories"
            page.goto("/deep/er/graphql")
            assert page.url == f"{proxy.url}/deep/er/query"
            page.get_by_role("button", name="Run").click()
            expect(page.get_by_role("region", name="Answer")).to_contain_text("sessions")


def serious(page: Page) -> list[tuple[str, str]]:
    """What axe calls so, or critical: the rule, and the first element."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]


FLOW = {"states": [{"name": "one"}, {"name": "two"}], "transitions": [{"from": "one", "to": "two"}], "initial": "one"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(browser: Browser, site: Site, scheme: str) -> None:
    """Nothing that axe calls serious or critical."""
    id = site.session(f"seen {scheme}", "Seen")
    memory = site.remember("What is seen.", entities=[{"name": "The eye", "type": "organ"}])
    entity = site.ask("query ($m: ID!) { memory(by: {id: $m}) { entities { id } } }", m=memory)["memory"]["entities"][0]
    site.say(
        id, "A *message*.\n\n| a | b |\n|---|---|\n| 1 | 2 |", memoryRefs=[{"memory": {"id": memory}, "score": 0.5}]
    )
    trace = site.trace("seen", 12, "seen")
    spans = site.ask("query ($t: String!) { spans(first: 1, filter: {traceId: $t}) { nodes { id } } }", t=trace)
    first = spans["spans"]["nodes"][0]["id"]
    detail = [
        f"/sessions/{id}?why=x",
        f"/sessions/{id}?tab=context",
        f"/traces/{trace}?span={first}",
        f"/traces/{trace}/compare",
        f"/traces/{trace}/compare/{site.trace('seen again', 9, 'seen')}?span={first}",
        f"/memories/{memory}",
        f"/memories?view=graph&start={entity['id']}&node={entity['id']}",
        "/memories?text=seen",
        f"/sessions/{id}?tab=memories",
        f"/sessions/{id}?tab=traces",
        f"/sessions/{site.session(f'panel seen {scheme}', 'A panel', kind='PANEL')}?tab=kind",
        f"/sessions/{site.session(f'flow seen {scheme}', 'A flow', kind='WORKFLOW', workflow=FLOW)}?tab=kind",
    ]
    for page in tab(browser, site.url, color_scheme=scheme):
        for path in (
            [*PAGES, *detail] if scheme == "light" else ["/memories?view=graph", "/memories?view=forecast", *detail[:5]]
        ):  # colours alone
            page.goto(path)
            page.get_by_role("navigation", name="Pages").wait_for()
            page.wait_for_timeout(350)
            assert not serious(page), path
            if path in ("/sessions", "/traces"):
                page.get_by_text("Columns", exact=True).click()
                page.get_by_text("Shown of each").wait_for()
                assert not serious(page), f"the columns of {path}"
        page.goto(f"/memories/{memory}")
        page.get_by_role("button", name="annotate").wait_for()
        for key in ("a", "Control+k"):
            page.keyboard.press(key)
            page.get_by_role("dialog").wait_for()
            assert not serious(page), key
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_keyboard_goes_everywhere(site: Site, page: Page) -> None:
    id = site.session("keyed", "Reached by keys")
    page.goto("/sessions?text=reached")
    expect(page.get_by_role("link", name="Reached by keys")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Reached by keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Reached by keys")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Go to anything")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    expect(page.get_by_role("region", name="Memories")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").wait_for()
    page.keyboard.type("Reached")
    expect(page.get_by_role("option", name="Reached by keys")).to_be_visible()
    page.keyboard.press("Enter")
    assert id in page.url
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").wait_for()
    page.keyboard.type(id)
    expect(page.get_by_role("option", name=id)).to_be_visible()


@pytest.mark.parametrize("width", [360, 3840])
def test_it_fits_the_screen(browser: Browser, site: Site, width: int) -> None:
    id = site.session(
        f"wide {width}", "A title that is much longer than any narrow screen of a telephone could hold in a line"
    )
    said = site.say(id, "x" * 500 + "\n\n```\n" + "y" * 400 + "\n```")
    traces = [site.trace(name, 5, "wide") for name in ("wide", "wider")]
    memory = site.remember("z" * 300, tags=["t" * 60], entities=[{"name": "e" * 90, "type": "kind of thing"}])
    span = site.begin("s" * 200, traceId=f"{width:032x}", attributes={"gen_ai.prompt": "p" * 400})
    site.end(span, statusCode="ERROR", statusMessage="m" * 300)
    names = [f"state {number} of a long flow" for number in range(6)]
    ways = [{"from": one, "to": other} for one, other in pairwise(names)]
    flow = {"states": [{"name": name} for name in names], "transitions": ways, "initial": names[0]}
    steps = site.session(f"flow {width}", "Steps", kind="WORKFLOW", workflow=flow, context={"c" * 90: "v" * 300})
    detail = {
        f"/sessions/{steps}?tab=kind": page_has("img", "6 states"),
        f"/sessions/{steps}?tab=context": page_has("button", "Copy context"),
        f"/sessions/{id}?why={said}": page_has("complementary", "Why"),
        f"/traces/{width:032x}?span={span}": page_has("complementary", "Span"),
        f"/traces/{traces[0]}/compare": page_has("searchbox", ""),
        f"/memories/{memory}": page_has("heading", "z" * 300),
        f"/memories?view=graph&start={memory}&node={memory}": page_has("complementary", "Selected"),
        "/memories?text=zzz": page_has("searchbox", ""),
    }
    for page in tab(browser, site.url):
        page.set_viewport_size({"width": width, "height": 700})
        for path in [*PAGES, f"/sessions/{id}", "/traces/" + "/compare/".join(traces)]:
            page.goto(path)
            page.get_by_role("navigation", name="Pages").wait_for()
            page.wait_for_timeout(250)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        tabs = page.get_by_role("navigation", name="Pages").get_by_role("link")
        for tab_of in (tabs.first, tabs.last):
            expect(tab_of).to_be_in_viewport(ratio=1)
        for path, there in detail.items():
            page.goto(path)
            expect(there(page).first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def page_has(role: Any, name: str) -> Callable[[Page], Locator]:
    return lambda page: page.get_by_role(role, name=name)


def test_the_columns_of_a_list_are_chosen_and_kept(site: Site, page: Page) -> None:
    session = site.session("columned", "With columns")
    site.remember("A column of figures.", tags=["ledger"])
    site.end(site.begin("add up", session={"id": session}, traceId="c0" * 16, spanId="c0" * 8))
    for path, row, text, column in (
        ("/sessions?text=With+columns", "With columns", "0 messages", "messages"),
        ("/memories", "A column of figures", "ledger", "tags"),
        ("/traces?text=add+up", "add up", "With columns", "session"),
    ):
        page.goto(path)
        line = page.get_by_role("link", name=row)
        expect(line).to_be_visible()
        was = text in line.inner_text()
        page.get_by_text("Columns", exact=True).click()
        page.get_by_role("checkbox", name=column, exact=True).set_checked(not was)
        page.reload()
        expect(line).to_be_visible()
        assert (text in line.inner_text()) is not was


def test_times_are_of_the_readers_zone_and_texts_of_any_direction(browser: Browser, site: Site) -> None:
    id = site.session("of a zone", "مرحبا بالعالم", createdAt="2020-06-01T23:30:00Z")
    site.say(id, "שלום, מה שלומך?")
    for page in tab(browser, site.url, timezone_id="Asia/Tokyo", locale="en-GB"):
        page.goto(f"/sessions/{id}")
        expect(page.locator(".head time").first).to_have_text("2 Jun 2020")
        assert page.get_by_text("שלום").evaluate("one => getComputedStyle(one).direction") == "rtl"
        title = page.get_by_role("heading", level=1).locator("bdi")
        assert title.evaluate("one => getComputedStyle(one).unicodeBidi") == "isolate"


def test_ids_are_copied_and_colours_chosen_and_kept(site: Site, page: Page) -> None:
    id = site.session("copied")
    page.goto(f"/sessions/{id}")
    page.get_by_role("button", name="Copy session id").click()
    expect(page.get_by_role("button", name="Copy session id")).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == id
    html, body = page.locator("html"), page.locator("body")
    page.get_by_role("button", name="auto").click()
    expect(html).to_have_attribute("data-theme", "light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="light").click()
    expect(body).not_to_have_css("background-color", light)
    page.reload()
    expect(page.get_by_role("button", name="dark")).to_be_visible()
    expect(body).not_to_have_css("background-color", light)


def test_what_is_not_there_says_what_to_do(page: Page) -> None:
    for path, text in {
        "/sessions/ses_01a229dc7b0970008af064558226e89a": "There is no such session",
        "/memories/mem_01a229dc7b0970008af064558226e89a": "There is no such memory",
        f"/traces/{'0' * 31}1": "There is no such trace",
        "/sessions/not-an-id": "There is no such session",
    }.items():
        page.goto(path)
        expect(page.locator("main")).to_contain_text(text)


def test_it_is_small(page: Page) -> None:
    """Compressed: what the first page needs, and all there is."""
    page.goto("/")
    page.get_by_role("list", name="Sessions").or_(page.get_by_text("No sessions yet")).wait_for()
    entries = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
    files = page.evaluate(f"{entries}.filter(one => !one.name.includes('/graphql')).map(one => one.encodedBodySize)")
    assert len(files) > 3
    assert sum(files) <= 60_000
    assert sum(file.stat().st_size for file in FOLDER.rglob("*.gz")) <= 350_000


def test_the_lock_names_no_registry() -> None:
    lock = (Path(__file__).parents[2] / "web" / "package-lock.json").read_text()
    assert '"resolved": "http' not in lock
