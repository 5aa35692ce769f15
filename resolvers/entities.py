"""Entities, and what mentions them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from domain.entity import (
    MAX_ALIASES,
    THING,
    DeleteEntitiesInput,
    Entity,
    EntityFilter,
    EntityInput,
    EntityName,
    EntityRef,
    Mention,
    MergedEntity,
    MergeEntitiesInput,
    UpsertEntityInput,
    digest_of,
    kind_of_thing,
    plain,
)
from domain.errors import ErrorCode, invalid, not_found, reject
from domain.node import Id, Node
from domain.page import Slice
from domain.values import EMPTY_OBJECT, Ref, changed, given, merge
from resolvers.context import Context, Unchanged, each, every, lookup, lookup_all, named_by, present, require
from resolvers.idempotency import write
from resolvers.lists import ROOT, Listed
from stores.ports import Records, Transaction
from stores.treated import told, told_json

Path = Sequence[str | int]
Known = tuple[str, str]
"""A name as it is found: its digest and its type."""

ENTITIES = Listed(Records(Entity), EntityFilter)
_OF_TARGET, _OF_ENTITY = Records(Mention, "target"), Records(Mention, "entity")
_SHOWN = 1_000
"""How many entities of one record are shown."""

_MOVED = 1_000
"""How many mentions are moved in one transaction where entities are merged."""


class Naming(NamedTuple):
    """What one record mentions. path: where it was said. found: by a rule. new: the record has just been made."""

    target_id: Id
    entities: Sequence[EntityInput]
    path: Path = ()
    found: bool = False
    new: bool = True


class Noted(NamedTuple):
    """The ids of records and of what they mention; and whether anything was written."""

    pairs: frozenset[tuple[Id, Id]]
    wrote: bool


async def entity(context: Context, by: EntityRef) -> Entity | None:
    """Raises Rejected (INVALID) where not exactly one of id, externalId and name is given."""
    if [by.id, by.external_id, by.name].count(None) != 2:
        raise invalid("Give an id, an externalId or a name.", ["by"])
    if by.name is None:
        return await lookup(context.store, Entity, Ref(id=by.id, external_id=by.external_id))
    type = "" if by.type is None else kind_of_thing(by.type)
    [name] = await context.store.find(EntityName, [(digest_of(by.name), type)])
    return None if name is None else (await context.store.get(Entity, [name.entity_id]))[0]


async def any_entity(context: Context) -> bool:
    """Whether there is one."""
    [page] = await context.store.pages(ENTITIES.of, [ROOT], Slice(1), fields=frozenset({"name"}))
    return bool(page.nodes)


async def of_records(context: Context, records: Sequence[Any]) -> list[list[Entity]]:
    """What each message or memory mentions, in the order in which it was said."""
    mentions = await mentions_of(context, records)
    found = iter(await named_by(context, Entity, [one.entity_id for some in mentions for one in some]))
    return [[one for _ in some if (one := next(found)) is not None] for some in mentions]


async def mentions_of(context: Context, records: Sequence[Any]) -> list[list[Mention]]:
    """That each message or memory mentions entities, in the order in which it was said."""
    pages = await context.store.pages(_OF_TARGET, [one.id for one in records], Slice(_SHOWN))
    return [page.nodes for page in pages]


async def mentioned(context: Context, mentions: Sequence[Mention]) -> list[Entity | None]:
    return await named_by(context, Entity, [one.entity_id for one in mentions])


# -- mentioning ----------------------------------------------------------------------------------------------------


async def mention(tx: Transaction, namings: Sequence[Naming]) -> Noted:
    """Notes what records mention; what is not known is created. Raises Rejected: DUPLICATE for an alias that another
    entity has, LIMIT."""
    namings = [one for one in namings if one.entities]
    if not namings:
        return Noted(frozenset(), False)
    namings = [one._replace(entities=[_told(tx, entity) for entity in one.entities]) for one in namings]
    names = _Names(tx)
    await names.look_up(entity for one in namings for entity in one.entities)
    pairs: dict[tuple[Id, Id], Naming] = {}
    for one in namings:
        for index, input in enumerate(one.entities):
            id = names.take(input, [*one.path, "entities", index], one.found)
            pairs.setdefault((one.target_id, id), one)
    wrote = await names.store()
    old = [pair for pair, one in pairs.items() if not one.new]
    there = dict(zip(old, await tx.find(Mention, old), strict=True)) if old else {}
    fresh = []
    for (target, id), one in pairs.items():
        before = there.get((target, id))
        if before is None:
            made = tx.new_id(Mention)
            fresh.append(Mention(id=made, target_id=target, entity_id=id, found=one.found, created_at=tx.now))
        elif before.found and not one.found:
            fresh.append(replace(before, found=False))
    if fresh:
        await tx.put(fresh)
    return Noted(frozenset(pairs), wrote or bool(fresh))


def _told(tx: Transaction, input: EntityInput) -> EntityInput:
    """What is called as it will be stored."""
    name, aliases = told(tx, input.name), [told(tx, one) for one in input.aliases or ()]
    metadata = told_json(tx, input.metadata)
    same = name == input.name and aliases == list(input.aliases or ()) and metadata is input.metadata
    return input if same else replace(input, name=name, aliases=aliases, metadata=metadata)


class _Names:
    """What names mean, within one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._ids: dict[Known, Id] = {}
        self._external: dict[str, Id] = {}
        self._entities: dict[Id, Entity] = {}
        self._changed: dict[Id, Entity] = {}
        self._new: list[EntityName] = []

    async def look_up(self, inputs: Iterable[EntityInput]) -> None:
        """Reads what is known of the names of some entities; twice at most, whatever their number."""
        inputs = list(inputs)
        keys: dict[Known, None] = {}
        for input in inputs:
            for name in (input.name, *(input.aliases or ())):
                digest = digest_of(name)
                keys.update({(digest, kind_of_thing(input.type)): None, (digest, ""): None})
        found = zip(keys, await self._tx.find(EntityName, list(keys)), strict=True)
        self._ids = {key: name.entity_id for key, name in found if name is not None}
        external = list(dict.fromkeys(one.external_id for one in inputs if one.external_id is not None))
        if external:
            by_external = await self._tx.find(Entity, [(one,) for one in external])
            self._entities = {one.id: one for one in by_external if one is not None}
            self._external = {str(one.external_id): one.id for one in self._entities.values()}
        ids = list({id for one in inputs if (id := self._meant(one)) is not None and id not in self._entities})
        self._entities.update({one.id: one for one in await present(self._tx, Entity, ids)})

    def _called(self, input: EntityInput) -> Id | None:
        """What is called so, of whatever type: the one that first was, else one of the type."""
        digest = digest_of(input.name)
        return self._ids.get((digest, "")) or self._ids.get((digest, kind_of_thing(input.type)))

    def _meant(self, input: EntityInput) -> Id | None:
        if input.external_id is not None and (id := self._external.get(input.external_id)) is not None:
            return id
        return self._ids.get((digest_of(input.name), "" if input.type is None else kind_of_thing(input.type)))

    def take(self, input: EntityInput, path: Path, found: bool = False) -> Id:
        """The id of the entity that is meant. Raises Rejected (DUPLICATE)."""
        id = self._called(input) if found else self._meant(input)
        if id is None:
            return self._made(input, path, found).id
        if not found:
            self._add(self._entities[id], input, path)
        return id

    def _made(self, input: EntityInput, path: Path, found: bool) -> Entity:
        made = _new(self._tx, input, found)
        self.call(made, made.names, path)
        self._keep(made)
        return made

    def _add(self, before: Entity, input: EntityInput, path: Path) -> None:
        """Adds what an input tells of a known entity."""
        if input.external_id is not None and before.external_id not in (None, input.external_id):
            message = "This name is of an entity with another externalId; give another name or type."
            raise reject(ErrorCode.DUPLICATE, message, [*path, "externalId"])
        aliases = _aliases(before.name, [*before.aliases, input.name, *(input.aliases or ())])
        if len(aliases) > MAX_ALIASES:
            raise reject(ErrorCode.LIMIT, f"An entity may have {MAX_ALIASES:,} aliases.", [*path, "aliases"])
        metadata = before.metadata
        if input.metadata is not None:
            metadata = merge(before.metadata, input.metadata, None, [*path, "metadata"])
        external_id = before.external_id or input.external_id
        after = changed(before, aliases=aliases, metadata=metadata, external_id=external_id, found=False)
        if after is not before:
            self.call(after, after.names, path)
            self._keep(replace(after, updated_at=self._tx.now))

    def call(self, entity: Entity, names: Sequence[str], path: Path) -> None:
        """Has names mean an entity; where no type is told, too, unless they mean another one then."""
        for place, name in enumerate(names):
            digest = digest_of(name)
            if self._ids.setdefault((digest, entity.type), entity.id) != entity.id:
                message = f"Another {entity.type} is called so; merge the two by mergeEntities, or give another name."
                raise reject(ErrorCode.DUPLICATE, message, [*path, "aliases" if place else "name"])
            self._ids.setdefault((digest, ""), entity.id)
            for type in (entity.type, ""):
                if self._ids[digest, type] == entity.id:
                    self._new.append(
                        EntityName(id=self._tx.new_id(EntityName), entity_id=entity.id, digest=digest, type=type)
                    )

    def claim(self, entity: Entity) -> None:
        """Has all names of an entity mean it that mean nothing else."""
        free = [one for one in entity.names if self._ids.get((digest_of(one), entity.type)) is None]
        self.call(entity, free, [])

    def _keep(self, entity: Entity) -> None:
        self._entities[entity.id] = self._changed[entity.id] = entity
        if entity.external_id is not None:
            self._external[entity.external_id] = entity.id

    async def store(self) -> bool:
        """Whether there was something to store."""
        if self._changed:
            await self._tx.put(list(self._changed.values()))
        fresh = {(one.digest, one.type): one for one in self._new}
        there = await self._tx.find(EntityName, list(fresh)) if fresh else []
        if new := [one for one, old in zip(fresh.values(), there, strict=True) if old is None]:
            await self._tx.put(new)
        return bool(self._changed or new)


def _aliases(name: str, others: Sequence[str]) -> list[str]:
    """The other names of what is called so, each once."""
    found = {digest_of(one): plain(one) for one in reversed(others)}
    found.pop(digest_of(name), None)
    return list(reversed(found.values()))


async def mentioned_by(context: Context, target_ids: Sequence[Id]) -> list[Mention]:
    """That records mention entities."""
    return await every(context, _OF_TARGET, target_ids)


async def say(tx: Transaction, naming: Naming, before: Sequence[Mention]) -> bool:
    """Says anew what a record mentions; what a rule found stays. before: what it mentioned. Whether that is something
    else than it was. Raises Rejected, as `mention` does."""
    there = [one for one in await present(tx, Mention, [one.id for one in before]) if not one.found]
    pairs, wrote = await mention(tx, [naming._replace(new=False)])
    gone = [one.id for one in there if (one.target_id, one.entity_id) not in pairs]
    await tx.delete(Mention, gone)
    return wrote or bool(gone)


async def unsay(tx: Transaction, kind: type[Node], ids: Sequence[Id]) -> None:
    """Texts that rules have found entities in are no more."""
    said = await tx.along(kind, [(Mention, "target")], ids)
    await tx.delete(Mention, [one.id for one in said if one.found])


async def copy_mentions(tx: Transaction, mentions: Sequence[Mention], to: Mapping[Id, Id]) -> None:
    """Has other records mention what some mention. to: the other record of each."""
    wanted = {(to[one.target_id], one.entity_id): one for one in mentions}
    there = await tx.find(Mention, list(wanted)) if wanted else []
    entities = {one.id for one in await present(tx, Entity, list({id for _, id in wanted}))}
    await tx.put(
        [
            replace(one, id=tx.new_id(Mention), target_id=target, created_at=tx.now)
            for ((target, id), one), old in zip(wanted.items(), there, strict=True)
            if old is None and id in entities
        ]
    )


async def unmentioned(context: Context, ids: Iterable[Id], but: Container[Id] = ()) -> list[Id]:
    """Those of some entities that nothing mentions. but: mentions that do not count."""
    found = []
    every = list(dict.fromkeys(ids))
    for some in (every[start : start + _MOVED] for start in range(0, len(every), _MOVED)):
        first = await context.store.pages(_OF_ENTITY, some, Slice(1))
        for id, page in zip(some, first, strict=True):
            if any(one.id not in but for one in page.nodes):
                continue
            async for one in each(context, _OF_ENTITY, id):
                if one.id not in but:
                    break
            else:
                found.append(id)
    return found


async def found_alone(context: Context, but: Container[Id] = ()) -> list[Id]:
    """The entities that rules have found and that nothing mentions any more. but: mentions that do not count."""
    found = [one.id async for one in each(context, Records(Entity), ROOT, EntityFilter(found=True))]
    return await unmentioned(context, found, but)


_OF_SOMEBODY = ("person", "agent", "handle", "email", THING)


async def of_somebody(context: Context, names: Iterable[str]) -> list[Id]:
    """The entities that are somebody who has these names: those that rules have found, and those of a type that
    somebody may be of."""
    digests = {digest_of(written) for name in names for written in (name, f"@{name}")}
    keys = [(digest, type) for digest in digests for type in ("", *_OF_SOMEBODY)]
    called = {one.entity_id for one in await context.store.find(EntityName, keys) if one is not None}
    entities = await present(context.store, Entity, list(called))
    return [one.id for one in entities if one.found or one.type in _OF_SOMEBODY]


# -- entities themselves -------------------------------------------------------------------------------------------


async def upsert(context: Context, input: UpsertEntityInput) -> Entity:
    """Creates or changes an entity. Raises Rejected: INVALID, NOT_FOUND; DUPLICATE for a name that another one has."""

    async def script(tx: Transaction) -> Entity:
        before = await lookup(tx, Entity, input.entity)
        after = _upserted(tx, before, input)
        name = told(tx, after.name)
        after = changed(after, name=name, aliases=_aliases(name, [told(tx, one) for one in after.aliases]))
        if after is before:
            raise Unchanged(before)
        if before is not None:
            after = replace(after, updated_at=tx.now)
            if (before.type, before.names) == (after.type, after.names):
                await tx.put([after])
                return after
            await tx.delete(EntityName, [one.id for one in await _called(tx, [before])])
        names = _Names(tx)
        await names.look_up([EntityInput(name=one, type=after.type) for one in after.names])
        names.call(after, after.names, [])
        await tx.put([after])
        await names.store()
        return after

    return await write(context, input, script)


async def _called(tx: Transaction, entities: Sequence[Entity]) -> list[EntityName]:
    """The names that mean these entities."""
    keys = {(digest_of(name), type): None for one in entities for name in one.names for type in (one.type, "")}
    ids = {one.id for one in entities}
    found = await tx.find(EntityName, list(keys)) if keys else []
    return [one for one in found if one is not None and one.entity_id in ids]


def _upserted(tx: Transaction, before: Entity | None, input: UpsertEntityInput) -> Entity:
    if before is None:
        if input.entity.external_id is None:
            raise not_found(Entity.noun, ["entity"])
        if input.name is UNSET:
            raise invalid("There is none with this externalId yet; to create it, give a name.", ["name"])
        before = _new(tx, EntityInput(name=input.name, external_id=input.entity.external_id))
    changes = given(input, name="", type="", metadata=EMPTY_OBJECT)
    name = changes["name"] = plain(str(changes.get("name", before.name)))
    if "type" in changes:
        changes["type"] = kind_of_thing(str(changes["type"]))
    aliases = before.aliases if input.aliases is UNSET else input.aliases or ()
    return changed(before, **changes, aliases=_aliases(name, aliases), found=False)


def _new(tx: Transaction, input: EntityInput, found: bool = False) -> Entity:
    return Entity(
        id=tx.new_id(Entity),
        external_id=input.external_id,
        name=plain(input.name),
        type=kind_of_thing(input.type),
        aliases=_aliases(input.name, input.aliases or ()),
        metadata=input.metadata or EMPTY_OBJECT,
        found=found,
        merged=[],
        created_at=tx.now,
        updated_at=tx.now,
    )


class MergedEntities(msgspec.Struct, frozen=True):
    """The entity that stays, and those that became a part of it, as they were."""

    entity: Entity
    merged: list[Entity]


async def merge_entities(context: Context, input: MergeEntitiesInput) -> MergedEntities:
    """Makes one entity of several: their names become its aliases, what mentions them mentions it, and it keeps what
    they were. Raises Rejected: NOT_FOUND, INVALID, LIMIT."""

    async def script(tx: Transaction) -> MergedEntities:
        into, others = await _merging(tx, input)
        after = _one_of(into, others, tx)
        if input.dry_run:
            return MergedEntities(after, others)
        await tx.put([after])
        await tx.put([replace(one, entity_id=into.id) for one in await _called(tx, others)])
        names = _Names(tx)
        await names.look_up([EntityInput(name=one, type=into.type) for one in after.names])
        names.claim(after)
        await names.store()
        return MergedEntities(after, others)

    done = await context.write(script)
    if not input.dry_run:
        for one in done.merged:
            await _move(context, one.id, done.entity.id)
    return done


async def _merging(tx: Transaction, input: MergeEntitiesInput) -> tuple[Entity, list[Entity]]:
    into = await require(tx, Entity, input.into, ["into"])
    found = await lookup_all(tx, Entity, input.entities)
    for index, ref in enumerate(input.entities):
        if (one := found.get(ref)) is None:
            raise not_found(Entity.noun, ["entities", index])
        if one.id == into.id:
            raise invalid("An entity cannot be merged into itself.", ["entities", index])
    if not found:
        raise invalid("Name the entities to merge.", ["entities"])
    return into, list({one.id: one for one in found.values()}.values())


def _one_of(into: Entity, others: Sequence[Entity], tx: Transaction) -> Entity:
    aliases = _aliases(into.name, [*into.aliases, *(name for one in others for name in one.names)])
    if len(aliases) > MAX_ALIASES:
        raise reject(ErrorCode.LIMIT, f"An entity may have {MAX_ALIASES:,} aliases.", ["entities"])
    known = {one.id for one in into.merged}
    was = [
        MergedEntity(one.id, one.name, one.type, one.aliases, one.metadata, one.external_id, tx.now)
        for one in others
        if one.id not in known
    ]
    parts = [part for one in others for part in one.merged if part.id not in known]
    return replace(into, aliases=aliases, merged=[*into.merged, *parts, *was], updated_at=tx.now)


async def _move(context: Context, id: Id, into: Id) -> None:
    """Has what mentions one entity mention another, some at a time, and deletes the one."""
    left = True
    while left:
        [page] = await context.store.pages(_OF_ENTITY, [id], Slice(_MOVED))

        async def script(tx: Transaction, ids: Sequence[Id] = tuple(one.id for one in page.nodes)) -> None:
            mentions = await present(tx, Mention, ids)
            there = await tx.find(Mention, [(one.target_id, into) for one in mentions])
            await tx.delete(Mention, [one.id for one, old in zip(mentions, there, strict=True) if old is not None])
            await tx.put(
                [replace(one, entity_id=into) for one, old in zip(mentions, there, strict=True) if old is None]
            )

        await context.store.write(script)
        left = page.has_next_page

    async def end(tx: Transaction) -> None:
        await tx.delete(Entity, [one.id for one in await present(tx, Entity, [id])])

    await context.store.write(end)


async def delete(context: Context, input: DeleteEntitiesInput) -> list[Entity]:
    """Deletes entities, all or none, and returns them as they were; what mentions them stays. Raises Rejected:
    NOT_FOUND."""

    async def script(tx: Transaction) -> list[Entity]:
        found = await lookup_all(tx, Entity, input.entities)
        for index, ref in enumerate(input.entities):
            if ref not in found:
                raise not_found(Entity.noun, ["entities", index])
        gone = {one.id: one for one in found.values()}
        if not input.dry_run:
            await tx.delete(Entity, list(gone))
        return list(gone.values())

    return await context.write(script)
