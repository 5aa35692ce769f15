"""Images, sounds and documents that spans and log records tell of in base64 become blobs."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

import pytest

from resolvers import blobs
from tests.server.otlp.test_telling import Door, door, record, span
from tests.support.graphql_client import Graph
from tests.support.media import SAMPLES, noise

__all__ = ["door"]

PNG = SAMPLES["screen.png"][0]
WAV, PDF = noise(2_000), SAMPLES["paper.pdf"][0] + b"% " + b"x" * 400
LLM = {"gen_ai__operation__name": "chat", "gen_ai__conversation__id": "s", "gen_ai__request__model": "m"}
SHOWN = "content { __typename ... on TextContent { text } ... on Media { mediaType url blob { id sha256 sizeBytes } } }"
SPANS = (
    f"{{ spans {{ nodes {{ attributes warnings events {{ nodes {{ data }} }} inputMessages {{ role {SHOWN} }} }} }} }}"
)
TALK = f'{{ session(by: {{externalId: "s"}}) {{ messages {{ nodes {{ senderType {SHOWN} }} }} }} }}'


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def gen_ai(*parts: Any) -> dict[str, Any]:
    return {"gen_ai__input__messages": json.dumps([{"role": "user", "parts": list(parts)}])}


OPENINFERENCE = {
    "openinference__span__kind": "LLM",
    "session__id": "s",
    "llm__input_messages__0__message__role": "user",
    "llm__input_messages__0__message__contents__0__message_content__type": "image",
}
URL = f"data:image/png;base64,{b64(PNG)}"

TOLD: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "gen_ai blob": ({**LLM, **gen_ai({"type": "blob", "mime_type": "image/png", "content": b64(PNG)})}, PNG, "ImageContent"),
    "gen_ai document": ({**LLM, **gen_ai({"type": "blob", "mime_type": "application/pdf", "content": b64(PDF)})}, PDF, "DocumentContent"),
    "openinference": ({**OPENINFERENCE, "llm__input_messages__0__message__contents__0__message_content__image__image__url": URL}, PNG, "ImageContent"),
    "openai image_url": ({**LLM, "gen_ai__input__messages": json.dumps([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]}])}, PNG, "ImageContent"),
    "openai audio": ({**LLM, "gen_ai__input__messages": json.dumps([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": b64(WAV), "format": "wav"}}]}])}, WAV, "AudioContent"),
    "anthropic": ({**LLM, "gen_ai__input__messages": json.dumps([{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)}}]}])}, PNG, "ImageContent"),
    "slashes escaped": ({**LLM, "gen_ai__input__messages": json.dumps([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]}]).replace("/", "\\/")}, PNG, "ImageContent"),
    "structured": ({**LLM, "gen_ai__input__messages": [{"role": "user", "parts": [{"type": "blob", "mime_type": "image/png", "content": b64(PNG)}]}]}, PNG, "ImageContent"),
}  # fmt: skip


async def seen(door: Door, data: bytes, kind: str) -> str:
    """What the span shows; the id of the blob."""
    [one] = (await door.graph.data(SPANS))["spans"]["nodes"]
    assert one["warnings"] == []
    [part] = one["inputMessages"][0]["content"]
    assert (part["__typename"], part["url"]) == (kind, None)
    assert part["blob"]["sha256"] == sha256(data).hexdigest()
    assert part["blob"]["sizeBytes"] == len(data)
    everything = json.dumps(one)
    assert b64(data)[:200] not in everything, "the bytes are nowhere else"
    assert f";sha256,{sha256(data).hexdigest()}" in everything, "what stood there is told"
    return str(part["blob"]["id"])


@pytest.mark.parametrize("how", TOLD)
@pytest.mark.both_families
async def test_what_a_span_holds_is_stored(door: Door, how: str) -> None:
    attributes, data, kind = TOLD[how]
    await door.spans(span(1, **attributes))
    id = await seen(door, data, kind)
    messages = (await door.graph.data(TALK))["session"]["messages"]["nodes"]
    assert [[part["blob"]["id"] for part in one["content"]] for one in messages] == [[id]]
    await door.spans(span(1, **attributes))
    assert (await door.graph.data("{ blobs { nodes { id attachments { totalCount } } } }"))["blobs"]["nodes"] == [
        {"id": id, "attachments": {"totalCount": 2}}
    ], "a message shows it, and a span tells of it"


async def test_what_an_event_and_a_log_record_hold(door: Door) -> None:
    message = {"content": [{"type": "image_url", "image_url": {"url": URL}}]}
    event = {"timeUnixNano": "1767225600000000000", "name": "gen_ai.user.message", "attributes": [{"key": "content", "value": {"stringValue": json.dumps(message["content"])}}]}  # fmt: skip
    await door.spans(span(1, **LLM, body={"events": [event]}))
    await seen(door, PNG, "ImageContent")
    await door.spans(span(2, **LLM))
    await door.logs(record(2, "gen_ai.user.message", message))
    assert b64(PNG)[:200] not in json.dumps(await door.graph.data(SPANS))


async def test_the_same_image_in_each_call_is_said_once(door: Door) -> None:
    asked = {"role": "user", "parts": [{"type": "blob", "mime_type": "image/png", "content": b64(PNG)}]}
    other = {"role": "user", "parts": [{"type": "blob", "mime_type": "image/gif", "content": b64(SAMPLES["moving.gif"][0] + bytes(300))}]}  # fmt: skip
    for number, said in enumerate(([asked], [asked, other]), 1):
        await door.spans(span(number, at=number, **LLM, gen_ai__input__messages=json.dumps(said)))
    messages = (await door.graph.data(TALK))["session"]["messages"]["nodes"]
    assert [one["content"][0]["mediaType"] for one in messages] == ["image/png", "image/gif"]


async def test_what_only_a_span_tells_of_stays(door: Door, graph: Graph) -> None:
    result = json.dumps({"screenshot": URL})
    await door.spans(span(1, name="browse", gen_ai__operation__name="execute_tool", gen_ai__tool__call__result=result))
    graph.clock.forward(days=20_000)
    assert await blobs.sweep(graph.context, 1) == 0
    [blob] = (await graph.data("{ blobs { nodes { sha256 attachments { nodes { target { ... on Span { name } } } } } } }"))["blobs"]["nodes"]  # fmt: skip
    assert blob == {"sha256": sha256(PNG).hexdigest(), "attachments": {"nodes": [{"target": {"name": "browse"}}]}}


@pytest.mark.parametrize(
    "content",
    ["A" * 400, b64(b"<svg xmlns='http://www.w3.org/2000/svg'>" + b" " * 400), b64(PNG[:-80])[:400], "!" * 400],
    ids=["zeros", "drawing", "broken", "none"],
)
async def test_what_cannot_be_stored_stays_where_it_is(door: Door, content: str) -> None:
    await door.spans(span(1, **LLM, **gen_ai({"type": "blob", "mime_type": "image/png", "content": content})))
    [one] = (await door.graph.data(SPANS))["spans"]["nodes"]
    [part] = one["inputMessages"][0]["content"]
    assert (part["blob"], part["url"]) == (None, f"data:image/png;base64,{content}")


async def test_without_a_place_for_blobs_it_stays_in_the_message(door: Door, graph: Graph) -> None:
    graph.context._intake = None
    await door.spans(span(1, **LLM, **gen_ai({"type": "blob", "mime_type": "image/png", "content": b64(PNG)})))
    [one] = (await graph.data(SPANS))["spans"]["nodes"]
    assert one["inputMessages"][0]["content"][0]["url"] == URL
