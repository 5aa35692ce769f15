"""The JSON Schemas of namespaces of state."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from domain.errors import ErrorCode, Rejected, invalid, not_found, reject
from domain.state import StateEntry
from domain.state_index import above
from domain.state_schema import DeleteStateSchemaInput, SetStateSchemaInput, StateSchema
from domain.values import EMPTY_OBJECT, Json, changed, encode_json
from resolvers import state_index
from resolvers.context import Context, Unchanged, named_by
from resolvers.idempotency import write
from resolvers.json_schema import check_schema, check_value
from resolvers.lists import Listed
from stores.ports import Records, Transaction
from stores.state_index import indexing_of

SCHEMAS = Listed(Records(StateSchema))


async def state_schema(context: Context, namespace: str) -> StateSchema | None:
    return (await context.store.find(StateSchema, [(namespace,)]))[0]


async def values(context: Context, entries: Sequence[StateEntry]) -> list[Json]:
    """The value of each, as its namespace's schema has it now."""
    older = [entry.schema_id for entry in entries]
    schemas = await named_by(context, StateSchema, older) if any(older) else older
    return [
        entry.value if not isinstance(schema, StateSchema) else schema.current(entry.value, entry.schema_version or 1)
        for entry, schema in zip(entries, schemas, strict=True)
    ]


async def set_schema(context: Context, input: SetStateSchemaInput) -> StateSchema:
    """Says what values of a namespace must be; those that are there are not looked at before they are written. Raises
    Rejected: INVALID, LIMIT; CONFLICT where ifVersion is not its version."""
    if input.schema is not UNSET:
        check_schema(input.schema, ["schema"])
    for index, step in enumerate(input.steps or ()):
        if not step.is_whole:
            wanted = "A step has one member, and names another by a JSON Pointer such as /address/city."
            raise invalid(wanted, ["steps", index])

    async def script(tx: Transaction) -> StateSchema:
        [before] = await tx.find(StateSchema, [(input.namespace,)])
        _guard(before, input)
        after = _made(tx, input) if before is None else _changed(tx, before, input)
        named = (before.index if before else []) != after.index
        steps = before is not None and before.migrations != after.migrations
        if named or (steps and (await indexing_of(tx, input.namespace)).members):
            after = replace(after, due_at=tx.now)
        await tx.put([after])
        return after

    after = await write(context, input, script)
    if after.due_at is not None:
        await state_index.covered(context, after.namespace, after)
    return after


def _made(tx: Transaction, input: SetStateSchemaInput) -> StateSchema:
    return StateSchema(
        id=tx.new_id(StateSchema),
        namespace=input.namespace,
        schema=EMPTY_OBJECT if input.schema is UNSET else input.schema,
        version=1,
        migrations=encode_json([]),
        created_at=tx.now,
        updated_at=tx.now,
        index=_members(input),
    )


def _changed(tx: Transaction, before: StateSchema, input: SetStateSchemaInput) -> StateSchema:
    """Raises Unchanged where nothing is."""
    after = before if input.schema is UNSET else changed(before, schema=input.schema)
    if input.index is not UNSET:
        after = changed(after, index=_members(input))
    steps = input.steps or []
    if after is before and not steps:
        raise Unchanged(before)
    return replace(after, version=before.version + 1, migrations=before.and_then(steps), updated_at=tx.now)


def _members(input: SetStateSchemaInput) -> list[str]:
    return list(dict.fromkeys(input.index or ()))


def _guard(before: StateSchema | None, input: SetStateSchemaInput | DeleteStateSchemaInput) -> None:
    current = before.version if before else 0
    if input.if_version is not UNSET and input.if_version != current:
        what = f"The schema is at version {current}." if before else "The namespace has no schema."
        raise reject(ErrorCode.CONFLICT, what, ["ifVersion"])


async def delete_schema(context: Context, input: DeleteStateSchemaInput) -> StateSchema:
    """Takes the schema of a namespace away and returns it. Raises Rejected: NOT_FOUND, CONFLICT."""

    async def script(tx: Transaction) -> StateSchema:
        [before] = await tx.find(StateSchema, [(input.namespace,)])
        if before is None:
            raise not_found("state schema", ["namespace"])
        _guard(before, input)
        await tx.delete(StateSchema, [before.id])
        nearest = await tx.find(StateSchema, [(name,) for name in above(input.namespace)])
        other = next((one for one in nearest if one is not None and one.index), None)
        if before.index and other is not None:  # which holds for its entries now
            await tx.put([replace(other, due_at=tx.now)])
        return before

    gone = await context.write(script)
    if gone.index:
        await state_index.covered(context, gone.namespace)
    return gone


class Checking:
    """What values of one write were found to be, for scripts run again."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str, int], Rejected | None] = {}

    def check(self, schema: StateSchema, value: Json, path: Sequence[str | int]) -> None:
        """Raises Rejected: INVALID, LIMIT."""
        key = id(value), schema.id, schema.version
        if key not in self._known:
            self._known[key] = _problem(schema, value, path)
        if (problem := self._known[key]) is not None:
            raise problem


def _problem(schema: StateSchema, value: Json, path: Sequence[str | int]) -> Rejected | None:
    try:
        check_value(schema.schema, value, path)
    except Rejected as rejected:
        return rejected
    return None
