"""Fills an empty workspace with the demo's story, as a client of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from domain.actor import UpsertAgentInput, UpsertUserInput
from domain.annotation import AnnotateInput
from domain.correction import EditMessageInput, RedactMessageInput
from domain.errors import ErrorCode
from domain.link import LinkInput, LinkMemoriesInput, MemoryLinkKind
from domain.memory import (
    CreateMemoriesInput,
    DecayMemoriesInput,
    MemoryFilter,
    MemoryInput,
    MemoryScope,
    MemoryType,
    TouchMemoriesInput,
    UpdateMemoryInput,
)
from domain.message import AddMessagesInput, ContentInput, MediaInput, MessageInput
from domain.participant import ParticipantInput, SenderType
from domain.search import MemoryQuery, RecallInput
from domain.session import (
    ContextPatch,
    CreateSessionInput,
    DeleteSessionInput,
    EndSessionInput,
    SessionKind,
    UpdateSessionInput,
)
from domain.session_link import LinkSessionsInput, SessionLinkInput, SessionLinkKind
from domain.state import SetStatesInput, StateInput
from domain.trace import AppendTraceEventsInput
from domain.values import Ref, TimeRange, encode_json
from server.demo import parts
from server.demo.client import Client, Refused
from server.demo.picture import crack
from server.demo.remembered import KEPT, LINKS, REVISED, Kept
from server.demo.screenplay import Line, message, message_name, perform
from server.demo.spans import trace
from server.demo.story import (
    AGENTS,
    CONTEXTS,
    EARLIER,
    EDITED,
    JUDGED,
    LINKED,
    RECALLS,
    REDACTED,
    ROUTES,
    SCENES,
    STATES,
    USERS,
    Scene,
)

DEMO = encode_json({"demo": True})
"""The metadata by which what the demo makes is known."""

_NAMESPACE, _BEGUN, _FILLED = "demo", "begun", "filled"
_DAYS = 10
PHOTO = message_name("teapot/photo")
"""The message with the photo."""

_FADING = 0.08
"""What a memory's decay factor loses in a day without use."""


async def fill(client: Client) -> bool:
    """Writes the story into an empty workspace, and says whether it had something to do.

    Where it was stopped before the end it goes on: the story's times count from when it was begun, and what was written
    has idempotency keys.
    """
    if await is_demo(client):
        return False
    begun = await _state(client, _BEGUN)
    if begun is None:
        if not await _is_empty(client):
            return False
        begun = {"at": datetime.now(UTC).isoformat(), "recalled": 0}
        await _note(client, begun)
    at = datetime.fromisoformat(begun["at"])
    await _introduce(client)
    await _tell(client, at)
    if "aged" not in begun:
        await _age(client, at)
        begun["aged"] = True
        await _note(client, begun)
    await _revise(client)
    await _retrain(client)
    for place, agent, text in RECALLS[begun["recalled"] :]:
        await _recall(client, place, agent, text)
        begun["recalled"] += 1
        await _note(client, begun)
    await _judge(client)
    if client.keeps_trash:
        await _throw_away(client)
    await _keep_states(client)
    return True


async def is_demo(client: Client) -> bool:
    return await _state(client, _FILLED) is not None


async def _state(client: Client, key: str) -> Any:
    query = "query ($of: String!, $key: String!) { state(namespace: $of, key: $key) { value } }"
    found = (await client.ask(query, of=_NAMESPACE, key=key))["state"]
    return None if found is None else found["value"]


async def _note(client: Client, begun: Any) -> None:
    entry = StateInput(namespace=_NAMESPACE, key=_BEGUN, value=encode_json(begun), tags=["demo"])
    await client.write("setStates", SetStatesInput(entries=[entry]))


async def _is_empty(client: Client) -> bool:
    found = await client.ask("{ sessions(first: 1) { nodes { id } } memories(first: 1) { nodes { id } } }")
    return not any(page["nodes"] for page in found.values())


def _session(scene: Scene) -> Ref:
    return _demo(scene.key)


def _demo(key: str) -> Ref:
    return Ref(external_id=f"demo-{key}")


async def _throw_away(client: Client) -> None:
    """A session that somebody deleted by mistake: it is in the trash."""
    key = _demo("mistake")
    if (await client.ask("{ trashedSessions(first: 1) { nodes { id } } }"))["trashedSessions"]["nodes"]:
        return
    made = CreateSessionInput(
        external_id=key.external_id,
        title="Christmas opening hours",
        metadata=DEMO,
        participants=[ParticipantInput(actor=Ref(external_id="nadia"))],
        idempotency_key="demo-mistake",
    )
    said = MessageInput(sender=Ref(external_id="nadia"), text="We close at noon on the 24th.", external_id="demo-noon")
    await client.write("createSession", made)
    again = "demo-mistake/said"
    await client.write("addMessages", AddMessagesInput(session=key, messages=[said], idempotency_key=again))
    await client.write("deleteSession", DeleteSessionInput(session=key))


async def _introduce(client: Client) -> None:
    for key, (name, profile) in USERS.items():
        user = UpsertUserInput(external_id=key, name=name, profile=encode_json(profile))
        if (await client.ask("query ($by: Ref!) { user(by: $by) { id } }", by={"externalId": key}))["user"] is None:
            await client.write("upsertUser", user)
    for key, (name, description, capabilities, config) in AGENTS.items():
        able, config = EARLIER.get(key, (capabilities, config))
        agent = UpsertAgentInput(
            external_id=key,
            name=name,
            description=description,
            config=encode_json(config),
            capabilities=able,
            routes=ROUTES[key],
        )
        if (await client.ask("query ($by: Ref!) { agent(by: $by) { id } }", by={"externalId": key}))["agent"] is None:
            await client.write("upsertAgent", agent)


async def _retrain(client: Client) -> None:
    """Makes agents what they are now; a second time it changes nothing."""
    for key in EARLIER:
        _, _, capabilities, config = AGENTS[key]
        now = UpsertAgentInput(external_id=key, config=encode_json(config), capabilities=capabilities)
        await client.write("upsertAgent", now)


async def _tell(client: Client, at: datetime) -> None:
    """The handbook, then scene by scene what was said, what was remembered of it, and how it came about."""
    handbook = [kept for kept in KEPT if kept.source.startswith("https:")]
    await _remember(client, "handbook", handbook, {}, at)
    for scene in SCENES:
        lines = perform(scene, at)
        await _play(client, scene, lines, at)
        times = {line.name: line.at for line in lines}
        formed = [kept for kept in KEPT if message_name(kept.source) in times]
        await _remember(client, scene.key, formed, times, at)
        events = trace(scene.key, lines)
        if events:
            key = f"demo:{scene.key}:trace"
            await client.write(
                "appendTraceEvents",
                AppendTraceEventsInput(session=_session(scene), events=events, idempotency_key=key),
            )
    tied = [
        SessionLinkInput(source=_demo(source), target=_demo(target), kind=SessionLinkKind[kind])
        for source, kind, target in LINKED
    ]
    await client.write("linkSessions", LinkSessionsInput(links=tied, idempotency_key="demo:session-links"))
    await client.write("linkMemories", LinkMemoriesInput(links=_links(), idempotency_key="demo:links"))


async def _play(client: Client, scene: Scene, lines: Sequence[Line], at: datetime) -> None:
    session = CreateSessionInput(
        kind=SessionKind[scene.kind],
        title=scene.title,
        external_id=_session(scene).external_id,
        context=encode_json(scene.context or {}),
        capabilities=sorted({line.tool for line in lines if line.tool}),
        metadata=DEMO,
        participants=_participants(lines),
        created_at=at - timedelta(days=scene.days),
        idempotency_key=f"demo:{scene.key}",
        **parts.set_up(scene.key),
    )
    await client.write("createSession", session)
    await _move_on(client, scene)
    said = [_at_first(message(scene, line)) for line in lines]
    if client.takes_files:
        said = [_with_photo(one) for one in said]
    await client.write(
        "addMessages",
        AddMessagesInput(session=_session(scene), messages=said, idempotency_key=f"demo:{scene.key}:messages"),
    )
    await _correct(client, scene.key, lines)
    for mutation, input in parts.came_of(scene.key, max(line.at for line in lines)):
        await client.write(mutation, input)
    if scene.ended:
        await client.write("endSession", EndSessionInput(session=_session(scene)))


async def _move_on(client: Client, scene: Scene) -> None:
    """Changes the context of a session that is new."""
    for version, (_, fresh, gone, comment) in enumerate((one for one in CONTEXTS if one[0] == scene.key), 1):
        patch = ContextPatch(set=encode_json(fresh), remove=gone, comment=comment)
        change = UpdateSessionInput(session=_session(scene), context_patch=patch, if_version=version)
        try:
            await client.write("updateSession", change)
        except Refused as refused:  # it has been changed already
            if refused.code != ErrorCode.CONFLICT.name:
                raise


async def _correct(client: Client, key: str, lines: Sequence[Line]) -> None:
    """Edits and redacts messages of a scene; a second time it changes nothing."""
    texts = {line.name: line.text for line in lines}
    for name in (message_name(place) for place in EDITED if place.startswith(f"{key}/")):
        change = EditMessageInput(message=Ref(external_id=name), text=texts[name], idempotency_key=f"{name}/edited")
        await client.write("editMessage", change)
    for name in (message_name(place) for place in REDACTED if place.startswith(f"{key}/")):
        await client.write("redactMessage", RedactMessageInput(message=Ref(external_id=name)))


def _at_first(said: MessageInput) -> MessageInput:
    before = {message_name(place): text for place, text in EDITED.items()}
    return replace(said, text=before.get(said.external_id or "", said.text))


def _with_photo(said: MessageInput) -> MessageInput:
    if said.external_id != PHOTO:
        return said
    photo = MediaInput(data=crack(), filename="crack.png", caption="The crack along the spout")
    return replace(said, content=[ContentInput(image=photo)])


def _participants(lines: Sequence[Line]) -> list[ParticipantInput]:
    """Everyone who speaks, in the order of their first words."""
    found: dict[str, ParticipantInput] = {}
    for line in lines:
        if line.role in ("user", "agent"):
            found[line.who] = ParticipantInput(type=SenderType[line.role.upper()], actor=Ref(external_id=line.who))
        else:
            name = line.tool or "workflow"
            found[name] = ParticipantInput(type=SenderType[line.role.upper()], name=name)
    return list(found.values())


async def _remember(
    client: Client, name: str, kept: Sequence[Kept], times: Mapping[str, datetime], at: datetime
) -> None:
    if kept:
        inputs = [_memory(one, times, at) for one in kept]
        await client.write(
            "createMemories", CreateMemoriesInput(memories=inputs, idempotency_key=f"demo:{name}:memories")
        )


def _memory(kept: Kept, times: Mapping[str, datetime], now: datetime) -> MemoryInput:
    def ago(days: float | None) -> datetime | None:
        return None if days is None else now - timedelta(days=days)

    source = message_name(kept.source)
    said = source in times
    return MemoryInput(
        type=MemoryType[kept.type],
        scope=MemoryScope.GLOBAL if not kept.owner else MemoryScope.USER if kept.owner in USERS else MemoryScope.AGENT,
        owner=Ref(external_id=kept.owner) if kept.owner else None,
        text=REVISED.get(kept.name, kept.text),
        importance=kept.importance,
        tags=kept.tags.split(),
        metadata=DEMO,
        source_message=Ref(external_id=source) if said else None,
        external_source=None if said else kept.source,
        ttl_seconds=kept.ttl,
        valid_from=ago(kept.since),
        valid_until=ago(kept.until),
        created_at=times[source] + timedelta(seconds=1) if said else now - timedelta(days=10),
        external_id=kept.name,
    )


async def _age(client: Client, at: datetime) -> None:
    """Lets memories fade by the days since they were formed, then freshens them by their use."""
    for days in range(1, _DAYS + 1):
        formed = TimeRange(from_=at - timedelta(days=days + 1), until=at - timedelta(days=days))
        filter = MemoryFilter(metadata=DEMO, created_at=formed)
        await client.write("decayMemories", DecayMemoriesInput(filter=filter, rate=_FADING * days))
    for touches in range(max(kept.touches for kept in KEPT)):
        used = [Ref(external_id=kept.name) for kept in KEPT if kept.touches > touches]
        await client.write("touchMemories", TouchMemoriesInput(memories=used))


def _links() -> list[LinkInput]:
    found = []
    for row in LINKS.strip().splitlines():
        source, rest = row.split(" ", 1)
        for group in rest.split("; "):
            kind, targets = group.split(" ", 1)
            for target, weight in (one.split() for one in targets.split(", ")):
                found.append(
                    LinkInput(
                        source=Ref(external_id=source),
                        target=Ref(external_id=target),
                        kind=MemoryLinkKind[kind],
                        weight=float(weight),
                    )
                )
    return found


async def _revise(client: Client) -> None:
    """Gives memories that were put differently at first the text they have now."""
    now = {kept.name: kept.text for kept in KEPT}
    for name in REVISED:
        change = UpdateMemoryInput(memory=Ref(external_id=name), text=now[name], if_version=1)
        try:
            await client.write("updateMemory", change)
        except Refused as refused:  # it was changed, or deleted, already
            if refused.code not in (ErrorCode.CONFLICT.name, ErrorCode.NOT_FOUND.name):
                raise


async def _recall(client: Client, place: str, agent: str, text: str) -> None:
    """Lets an agent recall for a message."""
    own = MemoryFilter(owner=Ref(external_id=agent))
    others = MemoryFilter(scopes=[MemoryScope.GLOBAL, MemoryScope.USER])
    message = Ref(external_id=message_name(place))
    filter = MemoryFilter(or_=[own, others])
    await client.write("recall", RecallInput(query=MemoryQuery(text=text), filter=filter, first=8, message=message))


async def _judge(client: Client) -> None:
    """Scores, labels and comments; the same again is none."""
    for kind, key, name, value, label, comment, by in JUDGED:
        query = f"query ($by: Ref!) {{ found: {kind}(by: $by) {{ id }} }}"
        if (found := (await client.ask(query, by={"externalId": key}))["found"]) is not None:
            judgement = AnnotateInput(
                target=found["id"],
                name=name,
                value=value,
                label=label,
                comment=comment,
                by=Ref(external_id=by),
                metadata=DEMO,
            )
            await client.write("annotate", judgement)


async def _keep_states(client: Client) -> None:
    entries = [
        StateInput(namespace=namespace, key=key, value=encode_json(value), tags=["demo"])
        for namespace, values in STATES.items()
        for key, value in values.items()
    ]
    done = StateInput(namespace=_NAMESPACE, key=_FILLED, value=encode_json({"sessions": len(SCENES)}), tags=["demo"])
    await client.write("setStates", SetStatesInput(entries=[*entries, done]))
