"""Import through a running server, by its GraphQL API."""

from __future__ import annotations

import asyncio
import uuid
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import httpx
import msgspec

from cli.sink import (
    Progress,
    Recollection,
    Spans,
    follow,
    is_older,
    moves,
    precedes,
    recollection,
    remembered,
    words,
)
from domain.message import MessageInput
from domain.session import UpdateSessionInput
from domain.values import MAX_BATCH, MAX_JSON, MAX_TEXT, Command, Json, Ref, encode_json
from formats.conversation import Conversation, FormatError, one_line
from formats.otlp import json as otlp_json
from formats.recollect.restore import Loaded, Source
from server.graphql.variables import plain

C = TypeVar("C", bound=Command)

MAX_BODY = 768 * 1024
"""How many bytes of input go in one request; a server takes 1 MB, and the rest of the request needs some."""

MAX_EXPORT = 8 * 1024 * 1024
"""How many bytes of spans go in one request; a server takes 16 MB."""

_TRIES = 3
_TOO_OFTEN = 429
_WAITS = 100
"""How often a request waits for its turn, where the server says that there were too many."""
_PAGE = 1_000
_PAGE_OF_MEMORIES = 200

_MESSAGES = """query ($by: Ref!, $first: Int!, $after: String) { session(by: $by) {
  id messages(first: $first, after: $after) { nodes { externalId } pageInfo { hasNextPage endCursor } } } }"""
_MEMORIES = """query ($by: Ref!, $first: Int!, $after: String) { session(by: $by) {
  id memories(first: $first, after: $after, filter: {statuses: [ACTIVE, ARCHIVED, SUPERSEDED]}) {
    nodes { externalId status links(direction: IN, kinds: [PRECEDES], first: 1) { nodes { id } } }
    pageInfo { hasNextPage endCursor } } } }"""
_CREATE = "mutation ($input: CreateSessionInput!) { done: createSession(input: $input) { session { id } %s } }"
_ADD = "mutation ($input: AddMessagesInput!) { done: addMessages(input: $input) { messages { id } %s } }"
_REMEMBER = "mutation ($input: CreateMemoriesInput!) { done: createMemories(input: $input) { archived { id } %s } }"
_LINK = "mutation ($input: LinkMemoriesInput!) { done: linkMemories(input: $input) { links { id } %s } }"
_SESSION = "query ($by: Ref!) { session(by: $by) { title metadata currentBranch { id } } }"
_BRANCH = """query ($by: Ref!, $first: Int!, $after: String) { session(by: $by) {
  messages(first: $first, after: $after) {
    nodes { externalId onCurrentBranch } pageInfo { hasNextPage endCursor } } } }"""
_FOLLOW = "mutation ($input: UpdateSessionInput!) { done: updateSession(input: $input) { session { id } %s } }"
_ARCHIVE = "mutation ($input: ArchiveMemoriesInput!) { done: archiveMemories(input: $input) { memories { id } %s } }"
_RESTORE = "mutation ($input: RestoreMemoriesInput!) { done: restoreMemories(input: $input) { memories { id } %s } }"
_ERRORS = "errors { code message path }"


class ServerError(Exception):
    """What the server answered, or that it did not, as one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UrlSink:
    """Writes through a server. A session that takes several requests is completed by the next import."""

    def __init__(self, client: httpx.AsyncClient, path: str = "/graphql", traces: str = "/v1/traces") -> None:
        """client: has the server's address as its base_url, and whatever headers it wants."""
        self._client, self._path, self._traces = client, path, traces

    async def check(self, conversations: Sequence[Conversation]) -> None:
        """Raises FormatError for a message that is longer than a server takes."""
        for conversation in conversations:
            for message in conversation.messages:
                if (excess := _excess(message)) is not None:
                    where = f"message {message.external_id}"
                    raise FormatError(f"{excess}; import into the folder, with --data", where)

    async def load(self, source: Source, progress: Progress | None) -> dict[str, Loaded]:
        """Records keep their ids, which no request can set."""
        raise FormatError("a Recollect export keeps its ids and can only be imported into a folder, with --data")

    async def receive(self, exports: otlp_json.Exports, progress: Progress | None) -> Spans:
        spans = Spans()
        for done, request in enumerate(exports.requests, 1):
            spans = await self._send(request, spans)
            if progress is not None:
                progress(done, len(exports.requests))
        return spans

    async def _send(self, request: otlp_json.Request, before: Spans) -> Spans:
        """Sends spans, in two halves where they are too many bytes for one request."""
        body, spans = otlp_json.encode(request), otlp_json.count(request)
        if len(body) > MAX_EXPORT and spans > 1:
            for half in otlp_json.parts(request, (spans + 1) // 2):
                before = await self._send(half, before)
            return before
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        answer = await self._post(self._traces, zlib.compress(body, wbits=31), headers)
        told = _json(answer, "OTLP")
        partial = told.get("partialSuccess", {})
        if answer.status_code != 200 or int(partial.get("rejectedSpans", 0)):
            raise ServerError(f"the server answered: {told.get('message') or told}")
        new = int(answer.headers.get("recollect-new-spans", spans))
        return before.plus(Loaded(new, spans - new), partial.get("errorMessage", ""))

    async def add(self, conversation: Conversation, owner: str | None) -> dict[str, Loaded]:
        session = Ref(external_id=conversation.key)
        nodes = await self._nodes(_MESSAGES, "messages", session, _PAGE)
        known_as: Json | None = None
        known = {node["externalId"] for node in nodes or ()}
        changes: dict[str, Any] = {}
        kept = None
        if nodes is None:
            await self._write(_CREATE, plain(conversation.session), once=True)
        else:
            there = (await self._ask(_SESSION, {"by": plain(session)}))["session"]
            known_as, end = encode_json(there["metadata"]), there["currentBranch"]
            changes = follow(there["title"], known_as, conversation)
            if is_older(conversation, known_as):
                on_branch = await self._nodes(_BRANCH, "messages", session, _PAGE) or ()
                kept = {node["externalId"] for node in on_branch if node["onCurrentBranch"]}
            changes["current_branch"] = end and Ref(id=end["id"])
        fresh = [message for message in conversation.messages if message.external_id not in known]
        for messages in _batches(fresh):
            await self._write(_ADD, {"session": plain(session), "messages": plain(messages)}, once=True)
        if moves(conversation, known_as, not known <= {message.external_id for message in conversation.messages}):
            changes["current_branch"] = Ref(external_id=conversation.current)
        elif conversation.current is None or not fresh:
            changes.pop("current_branch", None)
        if changes:
            await self._write(_FOLLOW, plain(UpdateSessionInput(session=session, **changes)))
        counts = {
            "sessions": Loaded(nodes is None, nodes is not None),
            "messages": Loaded(len(fresh), len(conversation.messages) - len(fresh)),
        }
        if owner is not None:
            counts |= await self._remember(session, recollection(conversation, owner, known_as, kept))
        return counts

    async def _remember(self, session: Ref, found: Recollection) -> dict[str, Loaded]:
        nodes = await self._nodes(_MEMORIES, "memories", session, _PAGE_OF_MEMORIES) or []
        known = {node["externalId"] for node in nodes}
        linked = {node["externalId"] for node in nodes if node["links"]["nodes"]}
        fresh = [memory for key, memory in found.memories.items() if key not in known]
        status = {node["externalId"]: node["status"] for node in nodes}
        for keys, there, mutation in ((found.discarded, "ACTIVE", _ARCHIVE), (found.returned, "ARCHIVED", _RESTORE)):
            moved = [{"externalId": key} for key in keys if status.get(key) == there]
            for start in range(0, len(moved), MAX_BATCH):
                await self._write(mutation, {"memories": moved[start : start + MAX_BATCH]})
        archived = 0
        for memories in _batches(fresh):
            archived += len((await self._write(_REMEMBER, {"memories": plain(memories)}, once=True))["archived"])
        links = [precedes(earlier, later) for later, earlier in found.before.items() if later not in linked]
        for batch in _batches(links):
            await self._write(_LINK, {"links": plain(batch)}, once=True)
        return remembered(len(fresh), len(found.memories), archived)

    async def _nodes(self, query: str, name: str, session: Ref, first: int) -> list[dict[str, Any]] | None:
        """All of a list of a session; None where there is no such session."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            data = await self._ask(query, {"by": plain(session), "first": first, "after": after})
            if data["session"] is None:
                return None
            page = data["session"][name]
            found += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return found

    async def _write(self, mutation: str, given: dict[str, Any], once: bool = False) -> dict[str, Any]:
        """Runs a mutation and returns its payload.

        once: what would be done twice where it is repeated. The idempotency key is of this one call, so that only its
        own repetitions count as one.
        """
        if once:
            given["idempotencyKey"] = f"import:{uuid.uuid4().hex}"
        done: dict[str, Any] = (await self._ask(mutation % _ERRORS, {"input": given}))["done"]
        if done["errors"]:
            first = done["errors"][0]
            raise ServerError(f"the server refused: {first['message']} ({'.'.join(first['path'])})")
        return done

    async def _ask(self, query: str, variables: dict[str, Any]) -> Any:
        body = msgspec.json.encode({"query": query, "variables": variables})
        return _data(await self._post(self._path, body, {"content-type": "application/json"}))

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Sends a request. What did not get through is tried again, and what came too often later; nothing is done
        twice."""
        failures = waits = 0
        while True:
            try:
                answer = await self._client.post(path, content=body, headers=headers)
            except httpx.TransportError as error:
                failures += 1
                if failures == _TRIES:
                    raise ServerError(f"no answer from {self._client.base_url}: {error}") from None
                await asyncio.sleep(0.2 * failures)
                continue
            waits += 1
            if answer.status_code != _TOO_OFTEN or waits == _WAITS:
                return answer
            await asyncio.sleep(min(float(answer.headers.get("retry-after", "1")), 60))


def _data(response: httpx.Response) -> Any:
    answer = _json(response, "GraphQL")
    if errors := answer.get("errors"):
        raise ServerError(f"the server answered: {errors[0].get('message')}")
    return answer["data"]


def _json(response: httpx.Response, protocol: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        message = f"the server answered with status {response.status_code} instead of {protocol}"
        raise ServerError(message) from None


def _excess(message: MessageInput) -> str | None:
    """What of a message is more than the API takes, if anything is."""
    longest = max((len(part.text) for part in message.content or () if part.text is not None), default=0)
    if longest > MAX_TEXT or len(words(message)) > MAX_TEXT:
        return f"its text has {max(longest, len(words(message))):,} characters, and the server accepts {MAX_TEXT:,}"
    if message.metadata is not None and len(bytes(message.metadata)) > MAX_JSON:
        return f"its metadata has more than the {MAX_JSON:,} bytes the server accepts"
    if _size(message) > MAX_BODY:
        return f"it has more than the {MAX_BODY:,} bytes allowed in one request"
    return None


def _size(command: Command) -> int:
    return len(msgspec.json.encode(plain(command)))


def _batches(commands: Sequence[C]) -> Iterator[list[C]]:
    """Up to 1,000 at a time, and no more than fits into a request."""
    batch: list[C] = []
    room = MAX_BODY
    for command in commands:
        size = _size(command)
        if batch and (size > room or len(batch) == MAX_BATCH):
            yield batch
            batch, room = [], MAX_BODY
        batch.append(command)
        room -= size
    if batch:
        yield batch
