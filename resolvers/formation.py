"""Form memories from messages, spans and blobs, and say from what they were formed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from domain.blob import Blob
from domain.chunk import BY_HAND, Chunk, Formation
from domain.errors import invalid, not_found
from domain.formation import EXTRACTIVE, GIVEN, Birth, FormMemoryInput, Origin, ReformMemoryInput, told
from domain.history import VersionCause
from domain.memory import ExternalSource, Memory, MemoryInput, MemoryScope, NewMemory
from domain.message import Message, MessageOrder
from domain.node import Id, Node, id_of
from domain.page import MAX_FIRST_LONG, Listing, Page, Slice, page_of, slice_of
from domain.participant import SenderType
from domain.span import Span
from domain.summary import summary
from domain.values import EMPTY_OBJECT, Json, Ref, decode_json, encode_json
from resolvers.context import Context, Reader, embedding, lookup_all, named_by, present, records_of, require
from resolvers.idempotency import write
from resolvers.memories import StoredOne, as_one, create_in, single_sources, update_in, vectors_of
from stores.orders import order_of
from stores.ports import Collection, Records, Transaction, label_of
from stores.words import stem

_OF_MEMORY, _OF_SOURCE = Records(Origin, "memory"), Records(Origin, "source")
_SLICE = Slice(3 * MAX_FIRST_LONG)
"""All origins of a memory: as many as an input may name."""


class MemoryFormation(msgspec.Struct, frozen=True):
    """What a memory was formed from, and how."""

    chunk_id: Id | None
    sources: list[Node]
    strategy: str
    settings: Json
    formed_at: Any

    def of(self, kind: type[Node]) -> list[Any]:
        return [one for one in self.sources if isinstance(one, kind)]

    @property
    def messages(self) -> list[Message]:
        return self.of(Message)

    @property
    def spans(self) -> list[Span]:
        return self.of(Span)

    @property
    def blobs(self) -> list[Blob]:
        return self.of(Blob)


class Moved(Exception):
    """What a memory is formed from was changed meanwhile."""


@embedding
async def form(context: Context, input: FormMemoryInput) -> StoredOne:
    """Forms a memory from messages, spans and blobs; without a text, it gets the sentences that carry them. Raises
    Rejected: INVALID, NOT_FOUND, DUPLICATE."""
    while True:
        sources = await _named(context.store, input)
        text = input.text
        if text is None and not (text := extract(sources, input.max_sentences)):
            raise invalid("Nothing there has a text to make one of; give a text.", ["text"])
        try:
            return await _form(context, input, sources, text)
        except Moved:
            continue


def extract(sources: Sequence[Node], sentences: int) -> str:
    """The sentences that carry some sources."""
    return summary([told(one) for one in sources], sentences, stem=stem)


async def _form(context: Context, input: FormMemoryInput, sources: Sequence[Node], text: str) -> StoredOne:
    settings = {"maxSentences": input.max_sentences} if input.text is None else {}
    made = EXTRACTIVE if input.text is None else GIVEN
    memory = memory_input(input, text, sources)
    embedder = label_of(context.embedder)
    with as_one():
        vectors = await vectors_of(context, [memory])

    async def script(tx: Transaction) -> StoredOne:
        if as_read(await _named(tx, input)) != as_read(sources):
            raise Moved
        birth = await born(tx, sources, Formation(made, encode_json(settings), tx.now))
        owned = memory if memory.owner else replace(memory, owner=await the_owner(tx, birth.session_id, memory.scope))
        with as_one():
            stored = await create_in(tx, [owned], vectors, context.capacity, embedder, [birth])
        return StoredOne(stored.memories[0], stored.archived)

    return await write(context, input, script, StoredOne)


def memory_input(input: NewMemory, text: str, sources: Sequence[Node]) -> MemoryInput:
    """The memory that is created, with the first message as its source."""
    given = {name: getattr(input, name) for name in NewMemory.__struct_fields__}
    first = next((one for one in sources if isinstance(one, Message)), None)
    return MemoryInput(**given, text=text, source_message=None if first is None else Ref(id=first.id))


def as_read(sources: Sequence[Node]) -> list[Any]:
    """What tells whether messages, spans and blobs were changed since."""
    return [(one.id, getattr(one, "version", 0), getattr(one, "is_redacted", False)) for one in sources]


async def _named(reader: Reader, input: FormMemoryInput) -> list[Node]:
    """What an input names, each once: messages in the order in which they were said, spans and blobs as given."""
    refs = [Ref(id=id) for id in input.spans or ()]
    messages = await _all(reader, Message, input.messages or (), "messages")
    spans = await _all(reader, Span, refs, "spans")
    blobs = await _all(reader, Blob, input.blobs or (), "blobs")
    found: list[Node] = [*sorted(messages, key=lambda one: (one.session_id, one.place)), *spans, *blobs]
    if not found:
        raise invalid("Name the messages, spans or blobs that it is formed from.", ["messages"])
    return found


async def _all(reader: Reader, kind: type[Any], refs: Sequence[Ref], path: str) -> list[Any]:
    found = await lookup_all(reader, kind, refs)
    for index, ref in enumerate(refs):
        if ref not in found:
            raise not_found(kind.noun, [path, index])
    return list({found[ref].id: found[ref] for ref in refs}.values())


async def born(tx: Transaction, sources: Sequence[Node], formation: Formation) -> Birth:
    """What is known of a memory that is formed from these; messages of one session are a chunk of it."""
    messages = [one for one in sources if isinstance(one, Message)]
    sessions = {session for one in sources if (session := getattr(one, "session_id", None)) is not None}
    session = Id(sessions.pop()) if len(sessions) == 1 else None
    chunk = None
    if messages and session is not None:
        chunk = Chunk(
            id=tx.new_id(Chunk),
            session_id=session,
            message_ids=[one.id for one in messages],
            reason=BY_HAND,
            strategy=BY_HAND,
            settings=EMPTY_OBJECT,
            created_at=tx.now,
        )
        await tx.put([chunk])
    return Birth([one.id for one in sources], session, id_of(chunk), formation)


async def the_owner(tx: Transaction, session_id: Id | None, scope: MemoryScope) -> Ref | None:
    """The one user, or agent, who takes part in a session; None where there is not exactly one."""
    if session_id is None or scope is MemoryScope.GLOBAL:
        return None
    type = SenderType.USER if scope is MemoryScope.USER else SenderType.AGENT
    actors = {one.actor_id for one in await tx.participants(session_id) if one.type is type and one.actor_id}
    return Ref(id=actors.pop()) if len(actors) == 1 else None


@embedding
async def reform(context: Context, input: ReformMemoryInput) -> StoredOne:
    """Makes the text of a memory anew of what its sources are now; what it was is kept as a version. Raises Rejected:
    NOT_FOUND, INVALID."""
    while True:
        before = await require(context.store, Memory, input.memory, ["memory"])
        [sources] = await sources_of(context, [before])
        left = [one for one in sources if isinstance(one, Node)]
        text = input.text if input.text is not None else _made_anew(before, left)
        if not text.strip():
            raise invalid("A memory needs a text.", ["text"])
        embedder = label_of(context.embedder)
        [vector] = await context.embedder.embed([text])

        async def script(tx: Transaction) -> StoredOne:
            now = await require(tx, Memory, input.memory, ["memory"])
            there = await records_in(tx, [one.id for one in left])  # noqa: B023
            if now.version != before.version or as_read(there) != as_read(left):  # noqa: B023
                raise Moved
            how = now.formation and replace(now.formation, formed_at=tx.now)
            after = replace(now, text=text, stale=False, formation=how)  # noqa: B023
            after = await update_in(tx, now, after, vector, embedder, VersionCause.REFORMED)  # noqa: B023
            return StoredOne(after, [])

        try:
            return await write(context, input, script, StoredOne)
        except Moved:
            continue


def _made_anew(memory: Memory, sources: Sequence[Node]) -> str:
    how = memory.formation
    if how is None or how.strategy != EXTRACTIVE:
        raise invalid("Its text was not made of its sources; give the text.", ["text"])
    if not (text := extract(sources, decode_json(how.settings)["maxSentences"])):
        raise invalid("Nothing is left of what it was formed from; give a text, or delete it.", ["text"])
    return text


async def records_in(tx: Transaction, ids: Sequence[Id]) -> list[Node]:
    """The messages, spans and blobs of ids that are there, in order."""
    found: dict[Id, Node] = {}
    for kind in (Message, Span, Blob):
        of: list[Any] = await present(tx, kind, [id for id in ids if id.startswith(f"{kind.prefix}_")])
        found.update((one.id, one) for one in of)
    return [found[id] for id in ids if id in found]


async def origins_of(context: Context, memories: Sequence[Memory]) -> list[list[Id]]:
    """The ids of what each memory was formed from, in order, of what is gone too."""
    pages = await context.store.pages(_OF_MEMORY, [one.id for one in memories], _SLICE)
    return [[origin.source_id for origin in page.nodes] for page in pages]


async def sources_of(context: Context, memories: Sequence[Memory]) -> list[list[Node | ExternalSource]]:
    """What each memory came from, in order, as far as it is there."""
    formed = await origins_of(context, memories)
    found = await records_of(context, [id for ids in formed for id in ids])
    single = await single_sources(context, memories)
    return [
        [found[id] for id in ids if id in found] if ids else [] if one is None else [one]
        for ids, one in zip(formed, single, strict=True)
    ]


async def formations(context: Context, memories: Sequence[Memory]) -> list[MemoryFormation | None]:
    """How each memory was formed; None of one that was not formed, but created."""
    sources = await sources_of(context, memories)
    return [
        None if memory.formation is None else _shown(memory.formation, memory.chunk_id, found)
        for memory, found in zip(memories, sources, strict=True)
    ]


def _shown(how: Formation, chunk_id: Id | None, sources: Sequence[Any]) -> MemoryFormation:
    nodes = [one for one in sources if isinstance(one, Node)]
    return MemoryFormation(chunk_id, nodes, how.strategy, how.settings, how.formed_at)


async def chunks_of(context: Context, parents: Sequence[Any]) -> list[Chunk | None]:
    return await named_by(context, Chunk, [one.chunk_id for one in parents])


async def formed_from(context: Context, ids: Sequence[Id]) -> list[list[Memory]]:
    """The memories formed from each message, span or blob, the oldest first."""
    pages = await context.store.pages(_OF_SOURCE, ids, _SLICE)
    formed = [[origin.memory_id for origin in page.nodes] for page in pages]
    of_messages = [id for id in ids if id.startswith(f"{Message.prefix}_")]
    single = dict(zip(of_messages, await context.store.formed_from(of_messages), strict=True)) if of_messages else {}
    wanted = list(dict.fromkeys(id for some in formed for id in some))
    known = {one.id: one for one in await present(context.store, Memory, wanted)} if wanted else {}
    found = []
    for id, some in zip(ids, formed, strict=True):
        every = {one.id: one for one in single.get(id, ())} | {one: known[one] for one in some if one in known}
        found.append([every[one] for one in sorted(every)])
    return found


async def formed_by_messages(context: Context, messages: Sequence[Message]) -> list[list[Memory]]:
    return await formed_from(context, [one.id for one in messages])


async def formed_by_spans(context: Context, spans: Sequence[Span]) -> list[list[Memory]]:
    """The memories formed from each span, and from the message that it is about."""
    of = [[span.id, *([span.message_id] if span.message_id else [])] for span in spans]
    ids = [id for some in of for id in some]
    found = dict(zip(ids, await formed_from(context, ids), strict=True))
    return [list({one.id: one for id in some for one in found[id]}.values()) for some in of]


async def used_by_spans(context: Context, spans: Sequence[Span]) -> list[list[Memory]]:
    """The memories that each span's events name, and those that its message drew on."""
    events = await context.store.pages(Collection.SPAN_EVENTS, [span.id for span in spans], Slice(MAX_FIRST_LONG))
    said = [span.message_id for span in spans if span.message_id is not None]
    drawn = dict(zip(said, (await context.store.memory_refs(said)).refs, strict=True)) if said else {}
    used = [
        [
            *(id for event in page.nodes for id in event.memory_ids),
            *(ref.memory_id for ref in drawn.get(span.message_id or Id(""), ())),
        ]
        for span, page in zip(spans, events, strict=True)
    ]
    wanted = list(dict.fromkeys(id for some in used for id in some))
    known = {one.id: one for one in await present(context.store, Memory, wanted)} if wanted else {}
    return [[known[id] for id in dict.fromkeys(some) if id in known] for some in used]


async def chunk_messages(
    context: Context,
    chunks: Sequence[Chunk],
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    order_by: MessageOrder | None = None,
) -> list[Page[Message]]:
    """The messages of each chunk that are there, in order of their places unless another is asked for."""
    slice = slice_of(first, after, last, before, MAX_FIRST_LONG)
    order = order_of(Collection.SESSION_MESSAGES, order_by)
    if len(chunks) > 1 and (name := "after" if after is not None else "before" if before is not None else ""):
        raise invalid("A cursor belongs to one parent's list; select that parent alone.", [name])
    wanted = [id for one in chunks for id in one.message_ids]
    known = {one.id: one for one in await present(context.store, Message, wanted)}
    pages = []
    for chunk in chunks:
        there = [known[id] for id in chunk.message_ids if id in known]
        rows = [((order.mark(one)[0], one.id), one) for one in there]
        listing = Listing(f"chunk.messages:{chunk.id}/{order.name}/{order.descending}")
        pages.append(page_of(rows, slice, order.descending, listing))
    return pages
