"""The JSON Schemas of namespaces of state."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from domain.errors import ErrorCode, Rejected, invalid, not_found, reject
from domain.state import StateEntry
from domain.state_schema import DeleteStateSchemaInput, SetStateSchemaInput, StateSchema
from domain.values import Json, changed, encode_json
from resolvers.context import Context, Unchanged, named_by
from resolvers.idempotency import write
from resolvers.json_schema import check_schema, check_value
from resolvers.lists import Listed
from stores.ports import Records, Transaction

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
    check_schema(input.schema, ["schema"])
    for index, step in enumerate(input.steps or ()):
        if not step.is_whole:
            wanted = "A step has one member, and names another by a JSON Pointer such as /address/city."
            raise invalid(wanted, ["steps", index])

    async def script(tx: Transaction) -> StateSchema:
        [before] = await tx.find(StateSchema, [(input.namespace,)])
        _guard(before, input)
        steps = input.steps or []
        if before is None:
            made = StateSchema(
                id=tx.new_id(StateSchema),
                namespace=input.namespace,
                schema=input.schema,
                version=1,
                migrations=encode_json([]),
                created_at=tx.now,
                updated_at=tx.now,
            )
            await tx.put([made])
            return made
        after = changed(before, schema=input.schema)
        if after is before and not steps:
            raise Unchanged(before)
        migrations = before.and_then(steps)
        after = replace(after, version=before.version + 1, migrations=migrations, updated_at=tx.now)
        await tx.put([after])
        return after

    return await write(context, input, script)


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
        return before

    return await context.write(script)


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
