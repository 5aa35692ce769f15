"""Import of files into a folder and through a server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.exporter import export_file, write_export
from cli.importer import import_files
from cli.server_sink import ServerError, UrlSink
from cli.sink import ARCHIVED, Sink
from cli.store_sink import StoreSink
from domain.actor import User
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import ArchiveMemoriesInput, Memory, MemoryStatus, MemoryType
from domain.message import AddMessageInput, Message
from domain.session import Session
from domain.values import Ref
from formats.conversation import FormatError
from formats.recollect.restore import Loaded
from formats.registry import detect, names, open_file
from resolvers import branches
from resolvers.context import Context
from resolvers.memories import archive
from resolvers.messages import add
from schema.build import build
from schema.loading import Loading
from server.graphql.executor import Executor
from server.http.graphql import GraphQLHTTP
from server.settings import BadSetting, Settings
from stores.errors import CannotOpen
from tests.formats.test_chatgpt import conversation, node, said
from tests.formats.test_openai_messages import ASK, CALL, RESULT
from tests.formats.test_recollect_jsonl import exported, opened
from tests.support.graphql_client import ANYONE, anybody
from tests.support.importing import import_file
from tests.support.running import recollect

TREE = {
    "root": node(None, None, "sys"),
    "sys": node("root", said("system", "")),
    "ask": node("sys", said("user", "Rye or wheat?", create_time=1700000010.5)),
    "rye": node("ask", said("assistant", "Rye.", create_time=1700000020)),
    "wheat": node("ask", said("assistant", "Wheat.", create_time=1700000030)),
}


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    """An empty workspace."""
    async with opened(tmp_path / "data") as context:
        yield context


@pytest.fixture
async def url(context: Context) -> AsyncIterator[UrlSink]:
    """The same workspace behind a server."""
    app: Any = GraphQLHTTP(Executor(build(), role=anybody), lambda _: Loading(context), access=ANYONE)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield UrlSink(client, "/")


@pytest.fixture(params=["folder", "url"])
def sink(request: pytest.FixtureRequest, context: Context, url: UrlSink) -> Sink:
    """Both ways into the workspace."""
    return StoreSink(context) if request.param == "folder" else url


def written(folder: Path, value: Any, name: str = "file.json") -> Path:
    """A file with this JSON."""
    path = folder / name
    path.write_text(json.dumps(value))
    return path


def files(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def graph(context: Context) -> tuple[list[Session], list[Message], list[Memory]]:
    """What is in the workspace."""
    store = context.store
    messages = await store.scan(Message, None, 5_000)
    return await store.scan(Session, None, 100), messages, await store.scan(Memory, None, 5_000)


@pytest.mark.parametrize(
    ("value", "format"),
    [
        ([conversation(TREE)], "chatgpt"),
        (conversation(TREE), "chatgpt"),
        ([ASK], "openai-messages"),
        ([[ASK]], "openai-messages"),
        ([{"task_id": 1, "traj": [ASK]}], "openai-messages"),
        ({"messages": [ASK]}, "openai-messages"),
        ({"messages": []}, "openai-messages"),
    ],
)
def test_the_content_tells_the_format(value: Any, format: str) -> None:
    assert detect(value) == format


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        [5],
        "text",
        None,
        [{"a": 1}],
        {"role": "user", "content": "x"},
        {"messages": [{"info": {"role": "user"}}]},
    ],
)
def test_what_tells_nothing_is_refused(value: Any) -> None:
    with pytest.raises(FormatError, match="unknown format"):
        detect(value)


def test_our_own_format_is_told_by_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"recollect": 1,\n')
    assert open_file(path).format == "recollect-jsonl"


async def test_a_conversation_becomes_a_session_with_its_tree(sink: Sink, context: Context, tmp_path: Path) -> None:
    summary = await import_file(written(tmp_path, [conversation(TREE)]), sink)
    assert summary.format == "chatgpt"
    assert summary.counts == {"sessions": Loaded(1, 0), "messages": Loaded(4, 0)}
    (session,), messages, memories = await graph(context)
    assert (session.external_id, session.title, session.message_count) == ("chatgpt:c1", "Bread", 4)
    assert [message.text for message in messages] == ["", "Rye or wheat?", "Rye.", "Wheat."]
    first, ask, rye, wheat = messages
    assert [message.parent_id for message in messages] == [None, first.id, ask.id, ask.id]
    assert ask.created_at.timestamp() == 1700000010.5
    assert memories == []
    assert rye.sender_id == wheat.sender_id


async def test_the_same_file_again_adds_nothing(sink: Sink, context: Context, tmp_path: Path) -> None:
    path = written(tmp_path, [[ASK, CALL, RESULT], [ASK]])
    await import_file(path, sink, memories=True)
    before = await exported(context)
    summary = await import_file(path, sink, memories=True)
    assert summary.counts == {"sessions": Loaded(0, 2), "messages": Loaded(0, 4), "memories": Loaded(0, 2)}
    assert await exported(context) == before


async def test_a_newer_export_adds_the_new_nodes(sink: Sink, context: Context, tmp_path: Path) -> None:
    await import_file(written(tmp_path, [conversation(TREE)]), sink, memories=True)
    _, old, _ = await graph(context)
    more = {**TREE, "thanks": node("rye", said("user", "Thanks!", create_time=1700000040))}
    summary = await import_file(written(tmp_path, [conversation(more, title="Renamed")]), sink, memories=True)
    assert summary.counts == {"sessions": Loaded(0, 1), "messages": Loaded(1, 4), "memories": Loaded(2, 1)}
    (session,), messages, _ = await graph(context)
    assert (messages[:4], session.title) == (old, "Renamed")
    assert (messages[4].text, messages[4].parent_id, session.message_count) == ("Thanks!", old[2].id, 5)


async def test_a_call_finds_its_result(sink: Sink, context: Context, tmp_path: Path) -> None:
    await import_file(written(tmp_path, [ASK, CALL, RESULT]), sink)
    _, messages, _ = await graph(context)
    (call,) = messages[1].tool_calls
    (response,) = await context.store.responses([call])
    assert (call.call_id, call.tool, json.loads(bytes(call.arguments))) == ("c9", "track", {"n": 1.0})
    assert response is not None and response.result is not None
    assert bytes(response.result) == b'"255.0"'
    assert messages[2].text == "255.0"


async def test_memories_know_their_message_and_what_comes_next(sink: Sink, context: Context, tmp_path: Path) -> None:
    path = written(tmp_path, [conversation(TREE)])
    assert "memories" not in (await import_file(path, sink)).counts
    summary = await import_file(path, sink, memories=True, owner="ada")
    assert summary.counts["memories"] == Loaded(2, 0)
    _, messages, memories = await graph(context)
    kept = [messages[1], messages[3]]  # of two answers, the one on the branch of the latest message
    assert [memory.source_message_id for memory in memories] == [message.id for message in kept]
    assert [memory.created_at for memory in memories] == [message.created_at for message in kept]
    (owner,) = await context.store.scan(User, None, 10)
    assert owner.external_id == "ada"
    assert {(memory.type, memory.owner_id) for memory in memories} == {(MemoryType.EPISODIC, owner.id)}
    links = await context.store.scan(MemoryLink, None, 10)
    ask, wheat = (memory.id for memory in memories)
    assert {(link.kind, link.source_id, link.target_id) for link in links} == {(MemoryLinkKind.PRECEDES, ask, wheat)}
    assert all(vector is not None for vector in await context.store.vectors([ask, wheat]))


async def remembered(context: Context) -> dict[str, MemoryStatus]:
    """The memories by text."""
    return {memory.text: memory.status for memory in (await graph(context))[2]}


async def test_memories_follow_the_branch_that_is_shown(sink: Sink, context: Context, tmp_path: Path) -> None:
    active, archived = MemoryStatus.ACTIVE, MemoryStatus.ARCHIVED
    for shown, rye, wheat in (("rye", active, None), ("wheat", archived, active), ("rye", active, archived)):
        await import_file(written(tmp_path, [conversation(TREE, current_node=shown)]), sink, memories=True)
        expected = {"Rye or wheat?": active, "Rye.": rye, "Wheat.": wheat}
        assert await remembered(context) == {text: status for text, status in expected.items() if status is not None}
        (session,), _, _ = await graph(context)
        assert json.loads(bytes(session.metadata))["current_node"] == shown


async def test_what_was_discarded_by_hand_stays_so(sink: Sink, context: Context, tmp_path: Path) -> None:
    path = written(tmp_path, [conversation(TREE, current_node="rye")])
    await import_file(path, sink, memories=True)
    [memory] = [one for one in (await graph(context))[2] if one.text == "Rye."]
    await archive(context, ArchiveMemoriesInput(memories=[Ref(id=memory.id)]))
    await import_file(path, sink, memories=True)
    assert (await remembered(context))["Rye."] is MemoryStatus.ARCHIVED


async def test_what_tools_say_and_what_is_not_finished_is_no_memory(
    sink: Sink, context: Context, tmp_path: Path
) -> None:
    def text(kind: str) -> dict[str, Any]:
        return {"content_type": kind, "parts": [kind], "text": kind}

    chain = [
        said("user", "A question"),
        said("assistant", "print(1)", recipient="python"),
        said("tool", "1"),
        said("assistant", "thinking", content=text("code")),
        said("assistant", "hidden", metadata={"is_visually_hidden_from_conversation": True}),
        said("assistant", "weighs nothing", weight=0.0),
        said("assistant", "Half an ans", status="in_progress"),
        said("assistant", "I was sto", metadata={"finish_details": {"type": "interrupted"}}),
        said("assistant", "It was too lo", metadata={"finish_details": {"type": "max_tokens"}}),
        said("assistant", "The answer.", status="finished_successfully", metadata={"finish_details": {"type": "stop"}}),
    ]
    names = [f"n{index}" for index in range(len(chain))]
    tree = {name: node(names[i - 1] if i else None, chain[i]) for i, name in enumerate(names)}
    await import_file(written(tmp_path, [conversation(tree)]), sink, memories=True)
    assert list(await remembered(context)) == ["A question", "The answer."]
    await import_file(written(tmp_path, [ASK, CALL, RESULT]), sink, memories=True)
    assert len(await remembered(context)) == 3


async def test_an_older_export_takes_nothing_back(sink: Sink, context: Context, tmp_path: Path) -> None:
    for time, title in ((2.0, "new"), (1.0, "old"), (3.0, "newest")):
        await import_file(written(tmp_path, [conversation(TREE, title=title, update_time=time)]), sink)
        (session,), _, _ = await graph(context)
        assert session.title == ("new" if title == "old" else title)


async def test_a_conversation_may_come_twice_in_a_file(sink: Sink, context: Context, tmp_path: Path) -> None:
    """As in exports that were joined: the newest counts, wherever it stands."""
    exports = [("middle", "rye", 2.0), ("newest", "wheat", 3.0), ("oldest", "rye", 1.0)]
    joined = [conversation(TREE, title=title, current_node=end, update_time=time) for title, end, time in exports]
    summary = await import_file(written(tmp_path, joined), sink, memories=True)
    assert summary.counts["sessions"] == Loaded(1, 2)
    (session,), _, _ = await graph(context)
    assert session.title == "newest"
    kept = await remembered(context)
    assert kept["Wheat."] is MemoryStatus.ACTIVE
    assert kept.get("Rye.") is not MemoryStatus.ACTIVE


async def test_memories_that_make_room_for_others_are_counted(sink: Sink, context: Context, tmp_path: Path) -> None:
    context.capacity = 3
    await import_file(written(tmp_path, [ASK, CALL, RESULT]), sink, memories=True)
    context.capacity = 2
    summary = await import_file(written(tmp_path, [conversation(TREE)]), sink, memories=True)
    assert summary.counts["memories"] == Loaded(2, 0)
    assert summary.counts[ARCHIVED] == Loaded(1, 0)


async def test_what_a_server_does_not_take_is_found_before_anything_is_written(
    context: Context, url: UrlSink, tmp_path: Path
) -> None:
    found = said("tool", content={"content_type": "search", "result": "r" * 300_000})
    calls = {**CALL, "tool_calls": [{**CALL["tool_calls"][0], "function": {"name": "f", "arguments": "a" * 800_000}}]}
    for value, reason in (
        ([conversation({**TREE, "found": node("rye", found)})], "its metadata has more than the 262,144 bytes"),
        ([ASK, calls], "it has more than the 786,432 bytes"),
    ):
        with pytest.raises(FormatError, match=reason):
            await import_file(written(tmp_path, value), url)
    assert await graph(context) == ([], [], [])


async def test_many_long_messages_are_no_matter_for_a_folder(context: Context, url: UrlSink, tmp_path: Path) -> None:
    path = written(tmp_path, [{"role": "user", "content": f"{place}" * (place % 50)} for place in range(2_500)])
    assert (await import_file(path, url)).counts["messages"] == Loaded(2_500, 0)
    assert (await import_file(path, StoreSink(context))).counts["messages"] == Loaded(0, 2_500)
    long = written(tmp_path, [{"role": "user", "content": "ü" * 150_000}, ASK])
    with pytest.raises(FormatError, match=r"message openai:.*150,000 characters, and the server accepts 100,000"):
        await import_file(long, url)
    assert (await import_file(long, StoreSink(context))).counts["messages"] == Loaded(2, 0)


async def test_a_broken_file_leaves_nothing(sink: Sink, context: Context, tmp_path: Path) -> None:
    good = [
        conversation({"a": node(None, said("user", str(place)))}, conversation_id=f"c{place}") for place in range(4)
    ]
    data = written(tmp_path, good).read_bytes()
    for size in range(0, len(data), 50):
        path = tmp_path / "cut.json"
        path.write_bytes(data[:size])
        with pytest.raises(FormatError) as error:
            await import_file(path, sink)
        assert "line" in error.value.position or error.value.message == "the file is empty"
    good[3]["mapping"]["a"]["message"]["author"] = {}
    with pytest.raises(FormatError, match=r'conversation 4 \("Bread"\), node a: author.role is missing'):
        await import_file(written(tmp_path, good), sink)
    assert await graph(context) == ([], [], [])


async def test_a_file_that_cannot_be_read_is_said_to_be(context: Context, tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(FormatError, match=f"cannot be read: {message}"):
            await import_file(path, StoreSink(context))
    with pytest.raises(FormatError, match="unknown format 'csv'"):
        await import_file(tmp_path, StoreSink(context), format="csv")


async def test_a_given_format_is_taken_at_its_word(context: Context, tmp_path: Path) -> None:
    path = written(tmp_path, [])
    assert (await import_file(path, StoreSink(context), format="chatgpt")).counts["sessions"] == Loaded(0, 0)
    with pytest.raises(FormatError, match="line 1: not a record of this format"):
        await import_file(path, StoreSink(context), format="recollect-jsonl")


async def test_an_export_is_imported_to_the_same_graph(context: Context, url: UrlSink, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    source = written(tmp_path, [conversation(TREE)])
    await import_file(source, StoreSink(context), memories=True, progress=lambda *done: told.append(done))
    assert told == [(1, 1)]
    path = tmp_path / "all.jsonl"
    records = await write_export(path, context)
    assert files(tmp_path) == ["all.jsonl", "data", "file.json"]
    async with opened(tmp_path / "copy") as copy:
        summary = await import_file(path, StoreSink(copy))
        assert sum(count.new for count in summary.counts.values()) == records
        assert summary.counts["memories"] == Loaded(2, 0)
        assert await graph(copy) == await graph(context)
        assert await exported(copy) == await exported(context)
    with pytest.raises(FormatError, match="--data"):
        await import_file(path, url)


async def test_an_export_that_fails_leaves_no_file(context: Context, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await write_export(tmp_path / "none" / "x.jsonl", context)
    context.store = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        await write_export(tmp_path / "x.jsonl", context)
    assert files(tmp_path) == ["data"]


async def test_what_a_server_answers_is_said_in_one_line(tmp_path: Path) -> None:
    answers: list[httpx.Response | Exception] = []

    def answer(request: httpx.Request) -> httpx.Response:
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    path = written(tmp_path, [ASK])
    refusal = {"data": {"done": {"errors": [{"code": "LIMIT", "message": "Enough.", "path": ["input"]}]}}}
    absent = httpx.Response(200, json={"data": {"session": None}})
    cases: list[tuple[list[httpx.Response | Exception], str]] = [
        ([httpx.ConnectError("refused")] * 3, "no answer from http://server: refused"),
        ([httpx.Response(502, text="<html>")], "the server answered with status 502 instead of GraphQL"),
        ([httpx.Response(401, json={"errors": [{"message": "Who are you?"}]})], "the server answered: Who are you?"),
        ([absent, httpx.Response(200, json=refusal)], r"the server refused: Enough. \(input\)"),
    ]
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://server") as client:
        for given, message in cases:
            answers[:] = given
            with pytest.raises(ServerError, match=message):
                await import_file(path, UrlSink(client))


def test_a_file_of_any_depth_is_read_or_refused(tmp_path: Path) -> None:
    for depth in range(850, 1000):
        path = tmp_path / "deep.json"
        path.write_text('[{"role": "user", "content": "", "x": %s}]' % ("[" * depth + "]" * depth))
        try:
            open_file(path)
        except FormatError as error:
            assert error.message == "the JSON is nested too deeply"


async def test_the_command_line_imports_files_and_exports_folders(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    first, second = written(tmp_path, [conversation(TREE)], "a.json"), written(tmp_path, [ASK], "b.json")
    data, copy, settings = tmp_path / "data", tmp_path / "copy", Settings()
    await import_files([first, second], data, None, None, True, "me", settings)
    await export_file(tmp_path / "x.jsonl", data, settings)
    await import_files([tmp_path / "x.jsonl"], copy, None, None, False, "me", settings)
    assert capfdbinary.readouterr().out.decode().splitlines() == [
        f"{first} (chatgpt): sessions 1 new, 0 already there; messages 4 new, 0 already there; "
        "memories 2 new, 0 already there",
        f"{second} (openai-messages): sessions 1 new, 0 already there; messages 1 new, 0 already there; "
        "memories 1 new, 0 already there",
        f"{tmp_path / 'x.jsonl'} (recollect-jsonl): users 1 new, 0 already there; sessions 2 new, 0 already there; "
        "participants 4 new, 0 already there; messages 5 new, 0 already there; memories 3 new, 0 already there; "
        "links 1 new, 0 already there",
    ]
    await export_file(Path("-"), copy, settings)
    assert capfdbinary.readouterr().out == (tmp_path / "x.jsonl").read_bytes()


async def test_a_broken_file_stops_those_before_it_too_and_makes_no_folder(tmp_path: Path) -> None:
    good, bad, data = written(tmp_path, [ASK], "a.json"), written(tmp_path, [ASK, 5], "b.json"), tmp_path / "data"
    with pytest.raises(BadSetting) as error:
        await import_files([good, bad], data, None, None, False, "me", Settings())
    assert str(error.value) == f"{bad}: message 2: it must be an object, not a number"
    with pytest.raises(CannotOpen, match="The folder"):
        await export_file(tmp_path / "x.jsonl", data, Settings())
    assert files(tmp_path) == ["a.json", "b.json"]


async def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    path, settings = written(tmp_path, [ASK]), Settings()
    with pytest.raises(BadSetting, match=r"file\.json: no answer from http://127\.0\.0\.1:1"):
        await import_files([path], tmp_path, "http://127.0.0.1:1/graphql", None, False, "me", settings)
    with pytest.raises(BadSetting, match="--url must be a URL"):
        await import_files([path], tmp_path, "http://[::1", None, False, "me", settings)
    with pytest.raises(BadSetting, match=r"cannot be written: No such file"):
        await export_file(tmp_path / "none" / "x.jsonl", tmp_path, settings)


def test_the_formats_have_their_names() -> None:
    assert names() == ("chatgpt", "openai-messages", "otlp", "recollect-jsonl")


def test_responses_without_a_call_are_told(tmp_path: Path) -> None:
    file = tmp_path / "messages.json"
    file.write_text('[{"role": "user", "content": "hi"}, {"role": "tool", "tool_call_id": "c9", "content": "4"}]')
    status, out, _ = recollect("import", str(file), "--data", str(tmp_path / "data"))
    assert status == 0
    assert "1 tool responses that answer no earlier call" in out


GROWN = {
    **TREE,
    "sure": node("wheat", said("user", "Are you sure?", create_time=1700000040)),
    "yes": node("sure", said("assistant", "Yes.", create_time=1700000050)),
}


async def current(context: Context) -> list[str]:
    """The texts on the current branch of the one session there is."""
    (session,), _, _ = await graph(context)
    [end] = await branches.ends(context, [session])
    assert end is not None
    [page] = await branches.messages(context, [session], end.id)
    marked = await branches.on_current(context, page.nodes)
    assert all(marked)
    return [message.text for message in page.nodes if message.text]


async def bring(
    sink: Sink, folder: Path, shown: str | None, time: Any, tree: Any = TREE, memories: bool = False
) -> None:
    told = {"current_node": shown, "update_time": time, "title": f"{shown} {time}"}
    await import_file(written(folder, [conversation(tree, **told)]), sink, memories=memories)


RYE, WHEAT, SURE = (
    ["Rye or wheat?", "Rye."],
    ["Rye or wheat?", "Wheat."],
    ["Rye or wheat?", "Wheat.", "Are you sure?", "Yes."],
)


async def test_the_branch_that_an_export_shows_is_current(sink: Sink, context: Context, tmp_path: Path) -> None:
    await bring(sink, tmp_path, "rye", 1.0)
    assert await current(context) == RYE
    (session,), _, _ = await graph(context)
    await bring(sink, tmp_path, "rye", 1.0)
    assert (await graph(context))[0] == [session]
    await bring(sink, tmp_path, "wheat", 2.0)
    assert await current(context) == WHEAT
    await bring(sink, tmp_path, "yes", 3.0, GROWN)
    assert await current(context) == SURE
    await bring(sink, tmp_path, "rye", 4.0, GROWN)
    assert await current(context) == RYE


@pytest.mark.parametrize("shown", [None, "nothing"])
async def test_where_an_export_does_not_tell_the_latest_message_is(
    sink: Sink, context: Context, tmp_path: Path, shown: str | None
) -> None:
    await bring(sink, tmp_path, shown, 1.0)
    assert await current(context) == WHEAT


@pytest.mark.parametrize(
    ("newer", "older"), [(2.0, 1.0), (2, 1), ("2026-01-02T00:00:00Z", "2026-01-01T23:00:00Z"), ("2026-01-02", 1.5e9)]
)
async def test_an_older_export_moves_nothing(
    sink: Sink, context: Context, tmp_path: Path, newer: Any, older: Any
) -> None:
    await bring(sink, tmp_path, "yes", newer, GROWN, memories=True)
    before = await exported(context)
    await bring(sink, tmp_path, "rye", older, memories=True)
    assert await exported(context) == before
    assert (await current(context), list(await remembered(context))) == (SURE, SURE)


async def test_messages_that_only_an_older_export_has_are_added_beside(
    sink: Sink, context: Context, tmp_path: Path
) -> None:
    await bring(sink, tmp_path, "wheat", 2.0, memories=True)
    gone = {**TREE, "oats": node("ask", said("assistant", "Oats.", create_time=1700000060))}
    await bring(sink, tmp_path, "oats", 1.0, gone, memories=True)
    (session,), messages, _ = await graph(context)
    assert (session.message_count, messages[-1].text) == (5, "Oats.")
    assert (await current(context), list(await remembered(context))) == (WHEAT, WHEAT)


async def test_an_older_export_remembers_what_is_current(sink: Sink, context: Context, tmp_path: Path) -> None:
    await bring(sink, tmp_path, "yes", 2.0, GROWN)
    await bring(sink, tmp_path, "rye", 1.0, memories=True)
    assert list(await remembered(context)) == WHEAT


async def test_who_has_gone_on_since_is_moved_by_a_later_export_only(
    sink: Sink, context: Context, tmp_path: Path
) -> None:
    await bring(sink, tmp_path, "rye", 2.0)
    about = Ref(external_id="chatgpt:c1")
    await add(
        context, AddMessageInput(session=about, role="user", text="Why?", parent=Ref(external_id="chatgpt:c1:rye"))
    )
    for time, shown in ((2.0, [*RYE, "Why?"]), (1.0, [*RYE, "Why?"]), (3.0, WHEAT)):
        await bring(sink, tmp_path, "rye" if time < 3 else "wheat", time)
        assert await current(context) == shown


def test_calls_that_are_answered_again_are_told(tmp_path: Path) -> None:
    file = written(tmp_path, [ASK, CALL, RESULT, RESULT, RESULT])
    status, out, _ = recollect("import", str(file), "--data", str(tmp_path / "data"))
    assert status == 0
    assert "2 tool responses to calls that were answered before" in out
    assert "no earlier call" not in out
