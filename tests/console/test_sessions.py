"""Sessions and what was said in them, live, and why it was said."""

from __future__ import annotations

import base64
import re

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Site


@pytest.mark.both_families
def test_a_session_is_found_by_what_was_said_and_read(site: Site, page: Page) -> None:
    """Filters stand in the address; a call has its result beside it; markdown is drawn."""
    id = site.session("reading", "About the harbour")
    site.session("other", "About the garden")
    site.say(id, "Is the **crane** out of order?\n\n- the big one\n- `north`")
    call = {"toolCall": {"callId": "c1", "tool": "cranes.get", "arguments": {"name": "north"}}}
    site.say(id, role="assistant", content=[{"text": "I look."}, call])
    site.say(id, role="tool", content=[{"toolResponse": {"callId": "c1", "result": {"state": "resting"}}}])
    page.goto("/")
    rows = page.get_by_role("list", name="Sessions").get_by_role("link")
    expect(rows.filter(has_text="About the garden")).to_be_visible()
    page.get_by_role("searchbox").fill("crane")
    expect(rows).to_have_count(1)
    assert "text=crane" in page.url
    rows.click()
    said = page.get_by_role("log")
    expect(said.locator("strong", has_text="crane")).to_be_visible()
    expect(said.locator("li")).to_have_text(["the big one", "north"])
    expect(said.get_by_text("cranes.get answered")).to_have_count(0)
    said.locator("summary", has_text="cranes.get").click()
    expect(said.locator(".json", has_text="resting")).to_be_visible()
    expect(page.get_by_label("Participants", exact=True)).to_contain_text("assistant")
    page.reload()
    expect(page.get_by_role("heading", name="About the harbour")).to_be_visible()


def test_what_a_model_thought_is_folded(site: Site, page: Page) -> None:
    """It comes with the span of the call, live, and is in the span as it is in the message."""
    id = site.session("musing", "Musing")
    page.goto(f"/sessions/{id}")
    expect(page.get_by_text("No messages yet")).to_be_visible()
    site.answer("musing", "b0" * 16, "Whoever asks stands at the *quay*.", "At pier four.")
    for place in (page.get_by_role("log"), page.get_by_role("complementary", name="Span")):
        expect(place).to_contain_text("At pier four.")
        thought = place.locator(".reasoning")
        expect(thought.locator("em")).to_be_hidden()
        thought.locator("summary").click()
        expect(thought.locator("em", has_text="quay")).to_be_visible()
        if "traces" not in page.url:
            span = site.ask('{ spans(filter: {traceId: "%s"}) { nodes { id } } }' % ("b0" * 16))["spans"]["nodes"][0]
            page.goto(f"/traces/{'b0' * 16}?span={span['id']}")


def test_a_message_has_an_address(site: Site, page: Page) -> None:
    """Also in the middle of a long session: what is before and after it can be read on."""
    id = site.session("long")
    messages = [{"role": "user", "text": f"line {number}."} for number in range(150)]
    made = site.ask(
        "mutation ($i: AddMessagesInput!) { addMessages(input: $i) { messages { id } errors { message } } }",
        i={"session": {"id": id}, "messages": messages},
    )["addMessages"]["messages"]
    page.goto(f"/sessions/{id}?message={made[60]['id']}")
    aimed = page.locator(".message.aimed")
    expect(aimed).to_contain_text("line 60.")
    expect(aimed).to_be_in_viewport()
    expect(page.get_by_text("line 61.", exact=True)).to_have_count(1)
    log = page.get_by_role("log")
    log.evaluate("box => box.scrollTo(0, 0)")
    expect(page.get_by_text("line 0.", exact=True)).to_have_count(1)


@pytest.mark.both_families
def test_what_is_written_comes_in_also_after_the_server_was_away(site: Site, page: Page) -> None:
    """kill -9 in between: each message once, in order, and the page says that it is away."""
    id = site.session("live", "A live one")
    site.say(id, "said before")
    page.goto(f"/sessions/{id}")
    log = page.get_by_role("log")
    expect(log).to_contain_text("said before")
    for number in range(3):
        site.say(id, f"first {number}")
    expect(log).to_contain_text("first 2")
    site.running.kill()
    expect(page.get_by_text("reconnecting")).to_be_visible()
    site.running.start()
    for number in range(3):
        site.say(id, f"second {number}")
    expect(log).to_contain_text("second 2", timeout=20_000)
    expect(page.get_by_text("reconnecting")).to_have_count(0)
    texts = [re.sub(r"\s+", " ", text) for text in log.locator(".markdown").all_inner_texts()]
    assert texts == ["said before", *(f"first {n}" for n in range(3)), *(f"second {n}" for n in range(3))]


@pytest.mark.both_families
def test_a_new_session_comes_into_the_list(site: Site, page: Page) -> None:
    page.goto("/sessions?text=arrival")
    expect(page.get_by_text("No session is like that")).to_be_visible()
    id = site.session("arrives", "The arrival")
    row = page.get_by_role("link", name="The arrival")
    expect(row).to_contain_text("0 messages")
    site.say(id, "hello")
    expect(row).to_contain_text("1 message")


@pytest.mark.both_families
def test_what_is_at_work_is_seen(site: Site, page: Page) -> None:
    id = site.session("working")
    page.goto(f"/sessions/{id}")
    expect(page.get_by_text("No messages yet")).to_be_visible()
    span = site.begin("harbour.answer", session={"id": id}, kind="AGENT")
    work = page.get_by_label("At work")
    expect(work).to_contain_text("harbour.answer")
    site.end(span)
    expect(work).to_have_count(0)


@pytest.mark.both_families
def test_why_a_message_says_that(site: Site, page: Page) -> None:
    """From the answer to the memory, the parts of its score, and the message that it was formed from."""
    before = site.session("origin", "Where it came from")
    origin = site.say(before, "Our ferry leaves at seven.")
    memory = site.remember("The ferry leaves at seven.", sourceMessage={"id": origin})
    id = site.session("asking", "Asked later")
    question = site.say(id, "When does the ferry leave?")
    site.ask(
        "mutation ($i: RecallInput!) { recall(input: $i) { search { hits { score } } errors { message } } }",
        i={"query": {"text": "ferry leave"}, "session": {"id": id}, "message": {"id": question}},
    )
    site.say(id, "At seven.", "assistant", memoryRefs=[{"memory": {"id": memory}, "score": 0.9}])
    page.goto(f"/sessions/{id}")
    page.get_by_role("button", name="1 memory").last.click()
    why = page.get_by_role("complementary", name="Why")
    expect(why).to_contain_text("The ferry leaves at seven.")
    for part in ("score", "similarity", "words", "importance"):
        expect(why.locator(".score", has_text=part).first).to_be_visible()
    why.get_by_role("link", name="Our ferry leaves").click()
    expect(page.get_by_role("heading", name="Where it came from")).to_be_visible()
    expect(page.locator(".message.aimed")).to_contain_text("Our ferry")
    page.get_by_role("link", name="The ferry leaves at seven.").click()
    expect(page.get_by_role("region", name="Memory", exact=True)).to_contain_text("When does the ferry leave?")


def test_what_a_session_has_by_its_kind(site: Site, page: Page) -> None:
    """A workflow as a graph: who is led to stands to the right, and where it is now is marked, and the way there."""
    ways = [{"from": "open", "to": "shut", "name": "close"}, {"from": "shut", "to": "open", "name": "reopen"}]
    ways += [{"from": "open", "to": "open", "name": "oil"}, {"from": "shut", "to": "locked"}]
    states = [{"name": "open"}, {"name": "shut"}, {"name": "locked"}, {"name": "lost"}]
    workflow = {"states": states, "transitions": ways, "initial": "open"}
    id = site.session("gate", "The gate", kind="WORKFLOW", workflow=workflow)
    page.goto(f"/sessions/{id}?tab=kind")
    expect(page.locator(".states .now")).to_contain_text("open")
    expect(page.locator(".states .now")).to_contain_text("close → shut")
    drawn = page.get_by_role("img", name="4 states")
    expect(drawn.locator(".now")).to_contain_text("open")
    expect(drawn.locator("path")).to_have_count(4)
    expect(drawn.get_by_text("reopen")).to_be_visible()
    advance = "mutation ($i: AdvanceWorkflowInput!) { advanceWorkflow(input: $i) { errors { message } } }"
    agent = "mutation ($i: UpsertAgentInput!) { upsertAgent(input: $i) { errors { message } } }"
    site.ask(agent, i={"externalId": "porter", "name": "The porter"})
    site.ask(advance, i={"session": {"id": id}, "to": "shut", "agent": {"externalId": "porter"}})
    site.ask(advance, i={"session": {"id": id}, "transition": "reopen"})
    site.ask(advance, i={"session": {"id": id}, "to": "shut"})
    page.reload()
    expect(drawn.locator(".now")).to_contain_text("shut")
    expect(drawn.locator(".been path")).to_have_count(2)
    expect(drawn.locator("g.been", has_text="close").locator("path")).to_be_visible()
    steps = page.get_by_role("list", name="The way it took").get_by_role("listitem")
    expect(steps).to_have_text(
        [re.compile(r"open → shut .*by The porter"), re.compile("shut → open reopen"), re.compile("open → shut")]
    )
    lefts = [
        drawn.locator("g", has_text=name).locator("rect").get_attribute("x") for name in ("open", "shut", "locked")
    ]
    assert lefts == sorted(lefts, key=lambda left: float(left or 0)) and len(set(lefts)) == 3


HORN = base64.b64encode(b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + bytes.fromhex(
    "10000000010001004000000040000000010008006461746100000000"
)).decode()  # fmt: skip
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.both_families
def test_what_a_message_holds_besides_text(site: Site, page: Page) -> None:
    """A picture and a sound of this server, a tool that is seen at work until it answers, and what the session used."""
    id = site.session("holds", "What it holds", context={"quay": {"north": "closed"}})
    media = [
        {"image": {"data": PIXEL, "mediaType": "image/png", "filename": "derrick.png", "caption": "The derrick"}},
        {
            "audio": {
                "data": HORN,
                "mediaType": "audio/wav",
                "filename": "horn.wav",
                "transcript": "Two long blasts",
            }
        },
    ]
    site.say(id, content=[{"text": "See and hear:"}, *media])
    usage = {"gen_ai.request.model": "small-1", "gen_ai.usage.input_tokens": 120, "gen_ai.usage.output_tokens": 30}
    site.end(site.begin("chat", session={"id": id}, kind="LLM", traceId="5a" * 16, attributes=usage))
    page.goto(f"/sessions/{id}")
    log = page.get_by_role("log")
    image = log.get_by_role("img", name="The derrick")
    expect(image).to_be_visible()
    assert image.evaluate("async image => (await image.decode(), image.naturalWidth)") == 1
    expect(log.locator("audio")).to_have_attribute("src", re.compile("horn|blob|http"))
    log.get_by_text("Transcript").click()
    expect(log.get_by_text("Two long blasts")).to_be_visible()
    call = {"toolCall": {"callId": "h1", "tool": "tide.get", "arguments": {"at": "noon"}}}
    asks = site.say(id, role="assistant", content=[call])
    tide = log.locator("summary", has_text="tide.get")
    expect(tide).to_contain_text("pending")
    start = "mutation ($i: StartToolExecutionInput!) { startToolExecution(input: $i) { errors { message } } }"
    site.ask(start, i={"session": {"id": id}, "tool": "tide.get", "callId": "h1", "message": {"id": asks}})
    site.say(id, role="tool", content=[{"toolResponse": {"callId": "h1", "result": {"height": [1, {"metres": 2.5}]}}}])
    expect(tide).to_contain_text("ok")
    page.reload()
    expect(page.locator(".head")).to_contain_text("150 tokens")
    expect(page.locator(".head")).to_contain_text("3 messages")
    page.get_by_role("tab", name="Context").click()
    context = page.locator(".json", has_text="quay").first
    context.locator("summary", has_text="quay").click()
    context.get_by_role("button", name="north").click()
    context.get_by_role("button", name="Copy path").click()
    expect(context.get_by_role("button", name="Copy path")).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == ".quay.north"
    context.get_by_role("button", name="Copy value").click()
    expect(context.get_by_role("button", name="Copy value")).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == "closed"


def test_threads_and_branches_are_read_one_by_one(site: Site, page: Page) -> None:
    id = site.session("ways", "Ways of talk")
    first = site.say(id, "Shall we sail?")
    site.say(id, "Yes, at dawn.", "assistant", parent={"id": first})
    site.say(id, "No, it storms.", "assistant", parent={"id": first})
    page.goto(f"/sessions/{id}")
    log = page.get_by_role("log")
    expect(log).to_contain_text("Yes, at dawn.")
    page.get_by_role("combobox", name="Branch").select_option(label="… No, it storms.")
    expect(log).not_to_contain_text("Yes, at dawn.")
    expect(log).to_contain_text("Shall we sail?")
    page.get_by_role("combobox", name="Branch").select_option(label="all branches")
    other = site.session("threads", "Threads of talk")
    site.say(other, "Of the sails.", thread="sails")
    site.say(other, "Of the anchors.", thread="anchors")
    page.goto(f"/sessions/{other}")
    expect(log).to_contain_text("Of the anchors.")
    page.get_by_role("combobox", name="Thread").select_option("sails")
    expect(log).not_to_contain_text("Of the anchors.")
    site.say(other, "Of the anchors again.", thread="anchors")
    site.say(other, "The sails are torn.", thread="sails")
    expect(log).to_contain_text("The sails are torn.")
    expect(log).not_to_contain_text("anchors again")


def test_decisions_and_experiments_of_a_session(site: Site, page: Page) -> None:
    panel = site.session("panel", "The panel", kind="PANEL")
    decide = "mutation ($i: AddDecisionInput!) { addDecision(input: $i) { errors { message } } }"
    site.ask(decide, i={"session": {"id": panel}, "topic": "The pier", "text": "We mend the pier.", "consensus": 0.75})
    page.goto(f"/sessions/{panel}?tab=kind")
    expect(page.get_by_text("We mend the pier.")).to_be_visible()
    expect(page.locator(".score", has_text="consensus")).to_contain_text("0.75")
    ground = site.session("ground", "The playground", kind="PLAYGROUND")
    experiment = (
        "mutation ($i: AddExperimentInput!) { addExperiment(input: $i) { experiment { id } errors { message } } }"
    )
    made = site.ask(experiment, i={"session": {"id": ground}, "name": "warmer", "parameters": {"heat": 0.9}})
    result = "mutation ($i: AddResultInput!) { addResult(input: $i) { errors { message } } }"
    of = {"experiment": {"id": made["addExperiment"]["experiment"]["id"]}}
    site.ask(result, i={**of, "metrics": {"accuracy": 0.875}})
    page.goto(f"/sessions/{ground}?tab=kind")
    expect(page.get_by_role("columnheader", name="accuracy")).to_be_visible()
    expect(page.get_by_role("row", name="warmer")).to_contain_text("0.875")


def test_sessions_are_filtered_and_ordered(site: Site, page: Page) -> None:
    """By kind, status, participant, annotation, time and cost, one after the other, and all of it from the address."""
    site.ask('mutation { upsertUser(input: {externalId: "ada", name: "Ada"}) { user { id } errors { message } } }')
    with_ada = {"participants": [{"actor": {"externalId": "ada"}}]}
    wanted = site.session("sift a", "sift wanted", kind="PANEL", **with_ada)
    site.session("sift b", "sift other")
    end = "mutation ($i: UpdateSessionInput!) { updateSession(input: $i) { errors { message } } }"
    site.ask(end, i={"session": {"id": wanted}, "status": "ENDED"})
    judge = "mutation ($i: AnnotateInput!) { annotate(input: $i) { errors { message path } } }"
    site.ask(judge, i={"target": wanted, "name": "sifted", "value": 1})
    page.goto("/sessions?text=sift")
    rows = page.get_by_role("list", name="Sessions").get_by_role("link")
    expect(rows).to_have_count(2)
    page.get_by_role("combobox", name="time").select_option("day")
    for filter, value in (("kind", "PANEL"), ("status", "ENDED"), ("participant", "Ada")):
        page.get_by_role("combobox", name=filter).select_option(value)
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("sift wanted")
        page.get_by_role("combobox", name=filter).select_option("")
        expect(rows).to_have_count(2)
    page.get_by_role("textbox", name="Annotation").fill("sifted")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    page.reload()
    expect(rows).to_have_count(1)
    page.get_by_role("textbox", name="Annotation").fill("")
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="order").select_option("TITLE")
    expect(rows.first).to_contain_text("sift other")
    for name, cost in (("sift a", 0.02), ("sift b", 0.5)):  # as it comes, while the list is looked at
        of = {"session": {"externalId": name}, "kind": "LLM", "traceId": f"{name[-1]}c" * 16}
        site.end(site.begin("ask", **of), attributes={"gen_ai.usage.cost": cost, "gen_ai.usage.input_tokens": 7})
    expect(rows.filter(has_text="sift other")).to_contain_text("$0.50")
    page.get_by_role("combobox", name="order").select_option("dearest")
    expect(rows.first).to_contain_text("sift other")
    expect(rows).to_have_count(2)
    page.get_by_role("combobox", name="cost").select_option("$0.10 and more")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("sift other")
