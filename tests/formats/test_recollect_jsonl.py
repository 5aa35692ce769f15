"""Our own format: what is exported comes back the same, once, and whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from domain.actor import Agent, User
from domain.annotation import Annotation
from domain.caller import LOCAL
from domain.correction import MessageVersion
from domain.history import MemoryVersion
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryScope, MemoryStatus, MemoryType
from domain.message import MemoryRef, Message, TextContent, Thread, ToolCall, ToolResponse
from domain.participant import Participant, SenderType
from domain.search import Recall, ScoreParts
from domain.session import ChatSession, PanelSession, Session, SessionKind, SessionStatus
from domain.span import Span, SpanKind, SpanStatusCode, TokenUsage, Trace
from domain.state import SetStateInput, StateEntry
from domain.state_index import StateVector
from domain.state_schema import SetStateSchemaInput
from domain.tool_execution import ToolStatus
from domain.trace import TraceEvent
from domain.values import EMPTY_OBJECT, encode_json
from formats.conversation import FormatError
from formats.recollect import restore
from formats.recollect.jsonl import check, export, load
from formats.recollect.lines import Writer
from formats.recollect.restore import Loaded
from resolvers.context import Context
from resolvers.expiry import sweep
from resolvers.state_schemas import set_schema
from resolvers.states import set_one
from stores.contract.making import context_version, session_link, tool_execution
from stores.open import open_engine
from stores.ports import Opening, Transaction, Vector

DAY = datetime(2024, 5, 1, 12, 0, 0, 123456, UTC)


class Letters:
    """An embedder that counts letters."""

    is_at_hand = False

    def __init__(self, name: str = "letters", dimension: int = 8) -> None:
        self.name, self.dimension = name, dimension

    async def embed(self, texts: Sequence[str]) -> Vector:
        """A unit vector for each text."""
        vectors = np.ones((len(texts), self.dimension), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            np.add.at(row, [ord(letter) % self.dimension for letter in text], 1)
        units: Vector = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return units


@asynccontextmanager
async def opened(folder: Path, embedder: Letters | None = None) -> AsyncIterator[Context]:
    """A workspace in a folder."""
    embedder = embedder or Letters()
    engine = open_engine(Opening(data=str(folder), embedder=embedder.name, dimension=embedder.dimension))
    try:
        yield Context(engine, embedder, LOCAL)
    finally:
        await engine.close()


async def fill(tx: Transaction) -> None:
    """One of everything, and of some things more."""
    ada = User(tx.new_id(User), "ada", "Ada", EMPTY_OBJECT, DAY)
    bot = Agent(tx.new_id(Agent), None, "Bot", "Answers.", encode_json({"t": 0.5}), ["chat"], DAY)
    await tx.put([ada])
    await tx.put([bot])
    talk = ChatSession(
        tx.new_id(Session), "talk", SessionKind.CHAT, "Über Brot 🍞", SessionStatus.ENDED, encode_json({"a": None}),
        ["x"], EMPTY_OBJECT, DAY, DAY, DAY, 3, 2,
    )  # fmt: skip
    panel = PanelSession(
        tx.new_id(Session), None, SessionKind.PANEL, "", SessionStatus.ACTIVE, EMPTY_OBJECT, [], EMPTY_OBJECT,
        DAY, DAY, DAY, 0, 1,
    )  # fmt: skip
    for session in (talk, panel):
        await tx.put([session])
    await tx.put([context_version(talk, context=encode_json({"a": 1}), comment="why")(tx)])
    await tx.put([session_link(talk, panel, metadata=encode_json({"m": 1}))(tx)])
    voice = Participant(tx.new_id(Participant), talk.id, ada.id, SenderType.USER, "user", "Ada", None, DAY, None)
    gone = Participant(tx.new_id(Participant), talk.id, None, SenderType.TOOL, "tool", "oven", "o", DAY, DAY)
    await tx.put([voice, gone])
    thread = Thread(tx.new_id(Thread), talk.id, "side", DAY)
    await tx.put([thread])
    contents: list[list[Any]] = [
        [TextContent("How hot?"), ToolCall("c1", "oven", encode_json({"n": 1.0}))],
        [TextContent("250"), ToolResponse("c1", encode_json("250"), False)],
        [TextContent("")],
    ]
    messages: list[Message] = []
    for place, content in enumerate(contents, 1):
        parent = messages[0].id if messages else None
        sender = gone if place == 2 else voice
        record = Message(
            tx.new_id(Message), f"m{place}", talk.id, place, sender.id, sender.type, content,
            thread.id if place == 3 else None, parent, EMPTY_OBJECT, DAY,
        )  # fmt: skip
        messages.append(record)
    await tx.put(messages)
    await tx.put([msgspec.structs.replace(talk, current_id=messages[1].id)])
    memories = [
        Memory(
            tx.new_id(Memory), f"k{number}", MemoryType.SEMANTIC, MemoryScope.USER, ada.id, status, f"fact {number}",
            ["t"], EMPTY_OBJECT, 0.7, 0.9, 4, DAY, DAY, DAY, None, 2, DAY, None, messages[0].id, None, talk.id,
        )
        for number, status in enumerate([MemoryStatus.ACTIVE, MemoryStatus.ARCHIVED, MemoryStatus.ACTIVE])
    ]  # fmt: skip
    await tx.put(memories)
    made = await Letters().embed([memory.text for memory in memories[:2]])
    await tx.embed({memory.id: vector for memory, vector in zip(memories, made, strict=False)})
    await tx.reference(messages[2].id, [MemoryRef(memories[1].id, 0.25, "why"), MemoryRef(memories[0].id, None, None)])
    kind = MemoryLinkKind.SUPPORTS
    await tx.put([MemoryLink(tx.new_id(MemoryLink), kind, 0.5, memories[0].id, memories[1].id, DAY, EMPTY_OBJECT)])
    await tx.put(
        [
            MemoryVersion(
                tx.new_id(MemoryVersion), memories[0].id, 1, "old", MemoryStatus.ACTIVE, 0.1, [], EMPTY_OBJECT,
                None, None, DAY,
            )
        ]
    )  # fmt: skip
    await trace(tx, talk, messages[0], memories[0])
    for target in (talk, messages[0], memories[0], memories[2]):
        await tx.put(
            [
                Annotation(
                    tx.new_id(Annotation), target.id, "quality", 0.5, "good", "well", bot.id if target is talk else None,
                    encode_json({"a": 1}), "x", DAY, DAY,
                )
            ]
        )  # fmt: skip
    was = [TextContent("How cold?")]
    await tx.put([MessageVersion(tx.new_id(MessageVersion), messages[0].id, 1, was, EMPTY_OBJECT, DAY)])
    ran = {"result": encode_json(250), "status": ToolStatus.OK, "ended_at": DAY, "duration_ms": 0.0}
    run = tool_execution(session_id=talk.id, message_id=messages[0].id, call_id="c1", started_at=DAY, **ran)
    await tx.put([run(tx)])
    await tx.put([StateEntry(tx.new_id(StateEntry), "n", "k", encode_json([1]), ["t"], 3, DAY, None)])


async def trace(tx: Transaction, session: Session, message: Message, memory: Memory) -> None:
    """A span with its trace, a log whose lines have parents in both directions, and a recall."""
    await tx.put([Trace(tx.new_id(Trace), "ab", session.id, DAY, None, SpanStatusCode.UNSET, TokenUsage())])
    span = Span(
        tx.new_id(Span), "ab", "cd", None, session.id, SpanKind.LLM, "chat", SpanStatusCode.OK, None, DAY, DAY,
        EMPTY_OBJECT, message.id, None,
    )  # fmt: skip
    await tx.put([span])

    def event(type: str, session: Session | None, parent: TraceEvent | None, **more: Any) -> TraceEvent:
        return TraceEvent(
            tx.new_id(TraceEvent), None if session is None else session.id, type, "c", DAY, 1.5,
            encode_json({"k": 1}), None, None, more.get("message_id"), None if parent is None else parent.id,
            more.get("span_record_id"), more.get("memory_ids", []), more.get("external_id"),
        )  # fmt: skip

    outside = event("note", None, None)
    first = event("span_start", session, outside, span_record_id=span.id, external_id="e1")
    second = event("recall", session, first, message_id=message.id, memory_ids=[memory.id])
    await tx.append([outside, first, second])
    parts = ScoreParts(0.7, 0.9, similarity=0.5)
    await tx.put([Recall(tx.new_id(Recall), memory.id, session.id, message.id, second.id, 0.4, parts, DAY)])


async def exported(context: Context) -> list[bytes]:
    """The lines of a workspace."""
    return [line async for line in export(context)]


def source(lines: Iterable[bytes]) -> Callable[[], Iterable[bytes]]:
    """The lines as a file is read: cut at line breaks."""
    data = b"".join(lines)
    return lambda: iter(data.splitlines(keepends=True))


@pytest.fixture
async def lines(tmp_path: Path) -> list[bytes]:
    """The export of one of everything."""
    async with opened(tmp_path / "full") as context:
        await context.store.write(fill)
        return await exported(context)


def resealed(lines: Sequence[bytes]) -> list[bytes]:
    """Lines without their end, under a new one that fits."""
    writer = Writer()
    return [writer._line(msgspec.Raw(line.rstrip(b"\n"))) for line in lines] + [writer.end()]


def changed(lines: list[bytes], type: str, nth: int = 0, **fields: Any) -> list[bytes]:
    """The file with other fields in the nth record of a type."""
    decoded = [msgspec.json.decode(line) for line in lines[:-1]]
    chosen = [line for line in decoded if line.get("type") == type][nth]
    chosen["record"].update(fields)
    return resealed([msgspec.json.encode(line) for line in decoded])


async def test_an_empty_workspace_is_a_header_and_an_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as context:
        lines = await exported(context)
        assert msgspec.json.decode(lines[0]) == {"recollect": 1, "embedder": "letters", "dimension": 8}
        assert len(lines) == 2
        assert await load(source(lines), context) == {}


async def test_everything_comes_back_under_its_id_and_once(lines: list[bytes], tmp_path: Path) -> None:
    types = [msgspec.json.decode(line).get("type") for line in lines[1:-1]]
    async with opened(tmp_path / "copy") as context:
        told: list[tuple[int, int]] = []
        counts = await load(source(lines), context, lambda *done: told.append(done))
        assert counts == {type: Loaded(types.count(type), 0) for type in set(types)}
        assert told[-1] == (len(types), len(types))
        assert await exported(context) == lines
        again = await load(source(lines), context)
        assert again == {type: Loaded(0, types.count(type)) for type in set(types)}
        assert await exported(context) == lines


async def test_what_was_read_of_a_span_is_read_anew_for_a_file_of_before_only(
    lines: list[bytes], tmp_path: Path
) -> None:
    """What its attributes do not tell comes back too: what did not arrive, and what events and log records told."""
    told = {"warnings": ["kind is of a wrong type and was left out"], "finish_reasons": ["stop"]}
    given = changed(lines, "span", **told, time_to_first_token_ms=5.0, attributes={"gen_ai.request.model": "m"})
    async with opened(tmp_path / "copy") as context:
        await load(source(given), context)
        assert await exported(context) == given
    older = [msgspec.json.decode(line) for line in given[:-1]]
    for line in older:
        if line.get("type") == "span":
            del line["record"]["warnings"]
    async with opened(tmp_path / "older") as context:
        await load(source(resealed([msgspec.json.encode(line) for line in older])), context)
        [span] = await context.store.scan(Span, None, 10)
        assert (span.model, span.warnings) == ("m", [])


async def test_a_file_with_other_line_ends_is_the_same_file(lines: list[bytes], tmp_path: Path) -> None:
    dos = [line.replace(b"\n", b"\r\n") for line in lines]
    async with opened(tmp_path / "copy") as context:
        assert await check(source([*dos, b"\r\n"]), context) == len(lines) - 2


async def test_vectors_of_another_embedder_are_made_anew(lines: list[bytes], tmp_path: Path) -> None:
    async with opened(tmp_path / "copy", Letters("others", 4)) as context:
        await load(source(lines), context)
        memories = await context.store.scan(Memory, None, 10)
        for vector in await context.store.vectors([memory.id for memory in memories]):
            assert vector is not None
            assert len(vector) == 4


async def test_vectors_of_state_are_made_where_it_comes_to(tmp_path: Path) -> None:
    """A file has none; those of what it brings, and by its index those of what is there, are made by the sweeper."""
    async with opened(tmp_path / "one") as context:
        await set_schema(context, SetStateSchemaInput(namespace="notes", index=["$"]))
        await set_one(context, SetStateInput(namespace="notes/a", key="brought", value=encode_json("a harrow")))
        lines = await exported(context)
    assert not [line for line in lines if b"stv_" in line]
    async with opened(tmp_path / "two") as context:
        await set_one(context, SetStateInput(namespace="notes", key="there", value=encode_json("a tiller")))
        await load(lambda: lines, context)
        await sweep(context)
        vectors = await context.store.scan(StateVector, None, 10)
        assert [(one.namespace, one.embedder) for one in sorted(vectors, key=lambda one: one.namespace)] == [
            ("notes", "letters 8"),
            ("notes/a", "letters 8"),
        ]


async def test_a_load_that_was_killed_is_completed_by_another(lines: list[bytes], tmp_path: Path) -> None:
    async with opened(tmp_path / "copy") as context:
        with pytest.raises(KeyboardInterrupt):
            await load(source(lines), context, _killed)
        assert await exported(context) != lines
        await load(source(lines), context)
        assert await exported(context) == lines


def _killed(done: int, _: int) -> None:
    if done > 9:
        raise KeyboardInterrupt


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_a_session_is_written_in_parts_and_each_part_can_be_the_last(
    size: int, lines: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that had more messages than are left."""
    monkeypatch.setattr(restore, "_BATCH", size)
    lines = changed(lines, "session", message_count=7)
    for stop in range(0, len(lines) - 2, 2):

        def killed(done: int, _: int, stop: int = stop) -> None:
            if done >= stop:
                raise KeyboardInterrupt

        async with opened(tmp_path / f"copy{stop}") as context:
            with pytest.raises(KeyboardInterrupt):
                await load(source(lines), context, killed)
            await load(source(lines), context)
            assert await exported(context) == lines


async def test_a_later_export_adds_the_messages_that_followed(lines: list[bytes], tmp_path: Path) -> None:
    longer = [line for line in lines[:-1] if b'"type":"memory_refs"' not in line and b'"external_id":"m3"' not in line]
    async with opened(tmp_path / "copy") as context:
        await load(source(changed([*resealed(longer)], "session", message_count=2, current_id=None)), context)
        counts = await load(source(lines), context)
        assert counts["message"] == Loaded(1, 2)
        (session, _) = await context.store.scan(Session, None, 10)
        [_, second, _] = await context.store.scan(Message, None, 10)
        assert (session.message_count, session.current_id) == (3, second.id)


async def test_a_cut_file_is_refused_and_leaves_nothing(lines: list[bytes], tmp_path: Path) -> None:
    data = b"".join(lines)
    async with opened(tmp_path / "copy") as context:
        empty = await exported(context)
        for size in range(0, len(data) - 1, 50):
            with pytest.raises(FormatError) as error:
                await load(source([data[:size]]), context)
            assert error.value.position.startswith("line ")
        assert await exported(context) == empty


@pytest.mark.parametrize(
    ("type", "fields", "message"),
    [
        ("user", {"id": "agt_0"}, "line 2: 'agt_0' is not the id of a User"),
        ("agent", {"capabilities": "x"}, "line 3: not a record of this format: Expected `array`, got `str`"),
        ("participant", {"session_id": "ses_0"}, "line 5: session_id names ses_0, which does not appear before it"),
        ("message", {"place": 9}, "line 8: place 9 does not fit in its session"),
        ("message", {"parent_id": "msg_0"}, "line 8: parent_id names msg_0, which does not appear before it"),
        ("memory", {"owner_id": "usr_0"}, "line 15: owner_id names usr_0, which does not appear before it"),
        ("memory_refs", {"refs": [{"memory_id": "x", "score": None, "note": None}]}, "line 18: refs names x, which"),
        ("link", {"target_id": "mem_0"}, "line 19: target_id names mem_0, which does not appear before it"),
        ("event", {"parent_id": "evt_0"}, "line 23: parent_id names evt_0, which is not in the file"),
        ("recall", {"event_id": "evt_0"}, "line 26: event_id names evt_0, which does not appear before it"),
    ],
)
async def test_what_does_not_fit_is_refused(
    lines: list[bytes], tmp_path: Path, type: str, fields: dict[str, Any], message: str
) -> None:
    async with opened(tmp_path / "copy") as context:
        with pytest.raises(FormatError) as error:
            await load(source(changed(lines, type, **fields)), context)
        assert str(error.value).startswith(message)
        assert len(await exported(context)) == 2


async def test_the_same_id_or_name_twice_is_refused(lines: list[bytes], tmp_path: Path) -> None:
    doubled = resealed([*lines[:2], *lines[1:-1]])
    renamed = changed(lines, "message", 1, external_id="m1")
    async with opened(tmp_path / "copy") as context:
        for bad, message in ((doubled, "appears twice"), (renamed, "line 9: m1 appears twice")):
            with pytest.raises(FormatError, match=message):
                await load(source(bad), context)


async def test_lines_out_of_order_or_of_no_type_are_refused(lines: list[bytes], tmp_path: Path) -> None:
    async with opened(tmp_path / "copy") as context:
        for bad, message in (
            ([lines[0], *reversed(lines[1:3])], "a line of type user cannot follow one of type agent"),
            ([lines[0], b'{"type":"poem","record":{}}'], "line 2: type is 'poem'; expected one of user"),
            ([b'{"recollect":2,"embedder":"e","dimension":1}'], "line 1: this file has format version 2"),
            ([lines[0], *lines[4:5]], "names"),
        ):
            with pytest.raises(FormatError, match=message):
                await load(source(resealed(bad)), context)
        with pytest.raises(FormatError, match="checksum"):
            await load(source([lines[0], lines[1].replace(b"Ada", b"Eve"), *lines[2:]]), context)
        with pytest.raises(FormatError, match="there is extra data after the last line"):
            await load(source([*lines, *lines]), context)


@pytest.mark.parametrize(
    ("vector", "message"),
    [("AAAA", "the vector has 3 bytes instead of 16"), ("*", "not base64"), ("AH4A" * 5 + "AA==", "not finite")],
)
async def test_a_vector_that_is_none_is_refused(lines: list[bytes], tmp_path: Path, vector: str, message: str) -> None:
    decoded = [msgspec.json.decode(line) for line in lines[:-1]]
    next(line for line in decoded if "vector" in line)["vector"] = vector
    async with opened(tmp_path / "copy") as context:
        with pytest.raises(FormatError, match=message):
            await check(source(resealed([msgspec.json.encode(line) for line in decoded])), context)


async def test_a_name_that_is_taken_by_another_id_is_refused(lines: list[bytes], tmp_path: Path) -> None:
    async def script(tx: Transaction) -> None:
        await tx.put([User(tx.new_id(User), "ada", "Another", EMPTY_OBJECT, DAY)])

    async with opened(tmp_path / "copy") as context:
        await context.store.write(script)
        with pytest.raises(FormatError, match="line 2: user ada already exists under another id"):
            await load(source(lines), context)
        assert len(await exported(context)) == 3


async def test_a_session_that_went_on_otherwise_is_refused(lines: list[bytes], tmp_path: Path) -> None:
    other = changed(lines, "message", 2, id="msg_" + "0" * 32, external_id=None)
    trimmed = [line for line in other[:-1] if b'"type":"memory_refs"' not in line]
    async with opened(tmp_path / "copy") as context:
        await load(source(lines), context)
        with pytest.raises(FormatError, match="has a different message"):
            await load(source(resealed(trimmed)), context)
