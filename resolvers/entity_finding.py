"""Has rules find the entities that memories and messages mention, when they are written, or later on request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from domain.actor import Actor, Agent, User
from domain.correction import REDACTED
from domain.entity import Entity, EntityInput, EntityName, FindEntitiesInput, FoundEntities, digest_of
from domain.entity_rules import KNOWN, PEOPLE, Named, Person, Text
from domain.errors import invalid
from domain.memory import Memory
from domain.message import Message
from domain.node import Id, Node, kind_of
from domain.participant import Participant, SenderType
from resolvers.context import Context, present
from resolvers.entities import Naming, mention
from stores.ports import Transaction

_TYPES = {SenderType.USER: "person", SenderType.AGENT: "agent"}
"""What those who take part are, who have names of their own."""


class Finding:
    """Finds entities by some rules (domain.entity_rules.ALL). masks: what stands in texts for what was masked."""

    def __init__(self, rules: Iterable[str], masks: Iterable[str] = ()) -> None:
        self._rules, self._masks = frozenset(rules), (*masks, REDACTED)

    async def __call__(self, tx: Transaction, written: Sequence[Node]) -> None:
        """Notes what memories and messages mention whose texts have been written in this transaction."""
        await self.look_through(tx, [one for one in written if isinstance(one, Memory | Message) and _is_new(one, tx)])

    async def look_through(self, tx: Transaction, there: Sequence[Node]) -> None:
        """Notes what memories and messages mention, once each."""
        said = [one for one in there if isinstance(one, Memory | Message) and one.text]
        texts = {one.id: Text(one.text, self._masks) for one in said}
        for text in texts.values():
            text.forms()
        if PEOPLE in self._rules:
            people = await _people(tx, said)
            for one in said:
                texts[one.id].people([person for id in _whose(one) for person in people.get(id, ())])
        if KNOWN in self._rules:
            phrases = {id: text.phrases() for id, text in texts.items()}
            known = await _known(tx, {one: None for some in phrases.values() for one in some})
            for text in texts.values():
                text.known(known)
        await mention(tx, await self._namings(tx, texts))

    async def _namings(self, tx: Transaction, texts: dict[Id, Text]) -> list[Naming]:
        named = {id: some for id, text in texts.items() if (some := text.named(self._rules))}
        left = {one.id for kind in (Memory, Message) for one in await _present(tx, kind, named)}
        return [
            Naming(id, [_input(one) for one in some], found=True, new=False) for id, some in named.items() if id in left
        ]


async def find(context: Context, input: FindEntitiesInput) -> FoundEntities:
    """Has rules look through the next texts of the workspace. Raises Rejected (INVALID) where that is switched off, and
    for a cursor of something else."""
    looking, after = context.find, None if input.after is None else Id(input.after)
    if after is not None and kind_of(after) not in _KINDS:
        raise invalid("Give the endCursor of the call before.", ["after"])
    some, is_last = await _next(context, after, input.first)

    async def script(tx: Transaction) -> None:
        now = [one for kind in _KINDS for one in await _present(tx, kind, [one.id for one in some])]
        await looking.look_through(tx, now)

    if some:
        await context.store.write(script)
    return FoundEntities(len(some), None if is_last else some[-1].id)


_KINDS: tuple[type[Message], type[Memory]] = (Message, Memory)
"""Those that have texts, in the order in which these are looked through."""

_CHARACTERS = 100_000
"""Of texts that are looked through at once: some 30 ms."""


async def _next(context: Context, after: Id | None, first: int) -> tuple[list[Message | Memory], bool]:
    """The next texts after an id, and whether there are no more."""
    found: list[Message | Memory] = []
    for kind in _KINDS:
        if len(found) <= first and (after is None or kind_of(after) is kind):
            found += await context.store.scan(kind, after, first - len(found) + 1)
            after = None
    size = 0
    for index, one in enumerate(found[:first]):
        size += len(one.text or "")
        if size > _CHARACTERS:
            return found[: index + 1], index + 1 == len(found)
    return found[:first], len(found) <= first


def _is_new(one: Memory | Message, tx: Transaction) -> bool:
    """Whether its text may be: what only was used, faded or grew stale has another time."""
    return isinstance(one, Message) or one.updated_at == tx.now


async def _present(tx: Transaction, kind: type[Any], ids: Iterable[Id]) -> list[Any]:
    """Those of a kind that are there; some have been deleted again in the meantime."""
    some = [id for id in ids if kind_of(id) is kind]
    return await present(tx, kind, some) if some else []


def _input(one: Named) -> EntityInput:
    return EntityInput(name=one.name, type=one.type or None)


def _whose(one: Memory | Message) -> list[Id]:
    """The ids of the session and of the owner."""
    owner = one.owner_id if isinstance(one, Memory) else None
    return [id for id in (one.session_id, owner) if id is not None]


async def _people(tx: Transaction, said: Iterable[Memory | Message]) -> dict[Id, list[Person]]:
    """Who may be mentioned, by the id of a session or of the owner of a memory."""
    ids = list(dict.fromkeys(id for one in said for id in _whose(one)))
    parts: dict[Id, list[Participant]] = {}
    for id in ids:
        if not id.startswith((f"{User.prefix}_", f"{Agent.prefix}_")):
            parts[id] = [one for one in await tx.participants(id) if one.type in _TYPES]
    actors = {one.actor_id for some in parts.values() for one in some} | {*ids} - parts.keys()
    there: dict[Id | None, Actor] = {}
    for kind in (User, Agent):
        there |= {one.id: one for one in await _present(tx, kind, (id for id in actors if id is not None))}
    found = {id: [_taking_part(one, there.get(one.actor_id)) for one in some] for id, some in parts.items()}
    return found | {id: [_acting(there[id])] for id in ids if id in there}


def _taking_part(one: Participant, actor: Actor | None) -> Person:
    names = [one.name] if actor is None else [actor.name, one.name]
    return Person(names, _TYPES[one.type], one.external_id if actor is None else actor.external_id)


def _acting(actor: Actor) -> Person:
    return Person([actor.name], "person" if isinstance(actor, User) else "agent", actor.external_id)


async def _known(tx: Transaction, phrases: Iterable[str]) -> set[str]:
    """Those of some phrases that are names of entities, as they are written there."""
    digests = {phrase: digest_of(phrase) for phrase in phrases}
    wanted = list(dict.fromkeys(digests.values()))
    names = await tx.find(EntityName, [(digest, "") for digest in wanted]) if wanted else []
    meant = {digest: name.entity_id for digest, name in zip(wanted, names, strict=True) if name is not None}
    entities = {one.id: one for one in await present(tx, Entity, list({*meant.values()}))} if meant else {}
    called = {id: set(one.names) for id, one in entities.items()}
    return {phrase for phrase, digest in digests.items() if digest in meant and phrase in called.get(meant[digest], ())}
