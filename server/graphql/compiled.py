"""The compiled executor: a selection is turned into Python once per document, and run over whole levels.

graphql-core completes a value field by field, some 4 us each. Here the selection below a value becomes one function for
each object type, which reads the attributes and fills an output struct with the response keys. Relations are not
called where they stand: the output struct is left with a hole, and when the whole level has been walked, each relation
is asked once for all its parents and the holes are filled, which opens the next level.

Anything unexpected (null where there must be none, a value of another type, an error of a resolver) gives the value up:
graphql-core completes it again from the start and alone, with its exact errors, paths and nulls. The level loader keeps
that from becoming a call for each item, so a relation is called twice at the most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import copy
from datetime import datetime
from math import isfinite
from typing import Any, NamedTuple

import msgspec
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import collect_subfields
from graphql.execution.values import VariableValues
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.enums import shown
from schema.fields import read_by, read_of, shown_by
from schema.loading import Loading, Relation
from server.graphql.arguments import FieldArguments
from server.graphql.fallbacks import FALLBACKS
from server.graphql.shown import Shown
from server.graphql.timeslice import give_way
from stores.ports import Fields

_EXACT = {
    "String": "type({0}) is str",
    "ID": "type({0}) is str",
    "Boolean": "type({0}) is bool",
    "Int": "type({0}) is int and -2147483648 <= {0} <= 2147483647",
    "Float": "type({0}) is float and isfinite({0})",
    "DateTime": "type({0}) is datetime",
    "JSON": "type({0}) is Raw",
}
"""By scalar, the test that a Python value must pass to be sent as it is."""


MAX_FUNCTIONS = 500
"""How many functions one plan may have. Interfaces nested in interfaces can ask for any number of them."""

MAX_ALIVE = 20_000
"""How many all plans may have together, at some 6 KB each; documents not used for longest make room for new ones."""


class Plain(Exception):
    """This selection is left to graphql-core."""


class Unfit(Exception):
    """This value is left to graphql-core: it is not what its type says."""


class ResolverFailed(Exception):
    """A relation raised; graphql-core asks again, and tells what."""


def _give_up(*_: object) -> Any:
    raise Unfit


_NOT_ITS_TYPE = (Unfit, KeyError, GraphQLError)
"""What a value raises that is of another type: no such member of an enum, no such type of a union, no such scalar."""


class _Asked(NamedTuple):
    """What is asked of a relation. fields: of its records that are shown, where it reads no others."""

    relation: Relation
    arguments: FieldArguments
    nodes: tuple[FieldNode, ...]
    fields: Fields | None


class _Load(NamedTuple):
    """A relation of a plan, and the function that fills the holes it left."""

    asked: _Asked
    fill: Callable[[Any, Any, Any], None]

    def begin(self, loading: Loading, parents: list[Any], values: VariableValues) -> asyncio.Future[list[Any]]:
        relation, arguments, nodes, fields = self.asked
        return loading.load(relation, nodes, parents, arguments.read(values), fields)


_Holes = list[tuple[list[Any], list[Any]]]
"""For each relation of a plan: the parents that were met, and the output structs that wait."""


class Plan:
    """A compiled selection. levels: the relations, those of one level side by side. size: how many functions it has."""

    alive = 0
    """The functions of all plans there are."""

    def __init__(self, root: Callable[[Any, _Holes], Any], levels: list[list[tuple[int, _Load]]], size: int) -> None:
        self._root, self._levels, self._count = root, levels, sum(map(len, levels))
        self.is_flat = not levels
        self.size = size
        Plan.alive += size

    def __del__(self) -> None:
        Plan.alive -= self.size

    @classmethod
    def crowded(cls) -> bool:
        """Whether another plan might find no room."""
        return cls.alive > MAX_ALIVE - MAX_FUNCTIONS

    def complete(self, value: Any) -> Any:
        """The output of a value without relations."""
        return self._root(value, [])

    async def load(self, value: Any, loading: Loading, values: VariableValues) -> Any:
        """The output of a value, level by level."""
        holes: _Holes = [([], []) for _ in range(self._count)]
        output = self._root(value, holes)
        for level in self._levels:
            asked = [(index, load) for index, load in level if holes[index][0]]
            futures = [load.begin(loading, holes[index][0], values) for index, load in asked]
            if len(futures) > 1:
                await asyncio.wait(futures)
            for (index, load), future in zip(asked, futures, strict=True):
                try:
                    results = await future
                except Exception as error:
                    raise ResolverFailed from error
                load.fill(holes[index][1], results, holes)
                await give_way()
        return output


class _Compiler:
    """Writes the functions of one plan."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._source: list[str] = []
        self._names = 0
        self._env: dict[str, Any] = {
            "give_up": _give_up,
            "isfinite": isfinite,
            "datetime": datetime,
            "Raw": msgspec.Raw,
        }
        self._functions: dict[tuple[Any, ...], tuple[str, Shown]] = {}
        self._shown = Shown()
        self._tables: list[dict[type, Any]] = []
        self._levels: list[list[tuple[int, str, _Asked]]] = []
        self._count = 0

    def compile(self, type_: Any, fields: Any) -> Plan:
        """The plan of a value of that type with these fields selected. Raises Plain."""
        self._source.append(f"def root(o, L):\n    return {self._value(type_, fields, 'o', 0)}")
        exec(compile("\n".join(self._source), "<selection>", "exec"), self._env)
        for table in self._tables:
            table.update({record: self._env[name] for record, name in table.items()})
        levels = [[(index, _Load(asked, self._env[fill])) for index, fill, asked in level] for level in self._levels]
        return Plan(self._env["root"], levels, len(self._functions) + 1)

    def _bind(self, stem: str, value: Any = None) -> str:
        self._names += 1
        name = f"{stem}_{self._names}"
        self._env[name] = value
        return name

    def _value(self, type_: Any, fields: Any, v: str, level: int) -> str:
        """An expression that completes the local variable v as that type."""
        if is_non_null_type(type_):
            return f"(give_up() if {v} is None else {self._present(type_.of_type, fields, v, level)})"
        return f"(None if {v} is None else {self._present(type_, fields, v, level)})"

    def _present(self, type_: Any, fields: Any, v: str, level: int) -> str:
        if is_list_type(type_):
            self._names += 1
            item = f"item_{self._names}"
            inner = self._value(type_.of_type, fields, item, level)
            return f"([{inner} for {item} in {v}] if type({v}) is list else give_up())"
        if isinstance(type_, GraphQLEnumType):
            members = {member: type_.coerce_output_value(member) for member in _members(type_)}
            return f"{self._bind('enum', members)}[{v}]"
        if type_.name in _EXACT:
            return f"({v} if {_EXACT[type_.name].format(v)} else give_up())"
        if is_leaf_type(type_):
            return f"{self._bind('leaf', type_.coerce_output_value)}({v})"
        if is_abstract_type(type_):
            return f"{self._bind('by_type', self._table(type_, fields, level))}[type({v})]({v}, L)"
        return f"{self._object(type_, fields, level)}({v}, L)"

    def _table(self, type_: Any, fields: Any, level: int) -> dict[type, Any]:
        """For each record type behind an interface or union the function that completes it."""
        functions = {
            possible.name: self._object(possible, fields, level)
            for possible in self._executor.schema.get_possible_types(type_)
        }
        table = {record: functions[name] for record, name in shown_by().items() if name in functions}
        self._tables.append(table)
        return table

    def _object(self, type_: GraphQLObjectType, fields: Any, level: int) -> str:
        """The name of a function that completes a record as that type, and leaves holes for its relations.

        The same selection on the same level is one function, whichever types it was reached through.
        """
        key = (type_.name, level, *[id(detail.node) for detail in fields])
        if (known := self._functions.get(key)) is not None:
            self._shown.add(known[1])
            return known[0]
        if len(self._functions) == MAX_FUNCTIONS:
            raise Plain
        name, around, self._shown = self._bind(type_.name), self._shown, Shown()
        self._functions[key] = name, self._shown
        x = self._executor
        collected = collect_subfields(x.schema, x.fragments, x.variable_values, x.operation, type_, fields)
        if collected[1]:
            raise Plain  # @defer
        lines: list[str] = []
        values: list[str] = []
        keys = list(collected[0])
        holes: list[tuple[int, str]] = []
        for slot, group in enumerate(collected[0].values()):
            value = self._field(type_, group, lines, level, slot, holes)
            values.append(value)
        slots = [f"f{slot}" for slot in range(len(keys))]
        names = dict(zip(slots, keys, strict=True))
        made = self._bind("out", msgspec.defstruct(type_.name, slots, rename=names, gc=False))
        filled = [f"    L[{index}][0].append(o); L[{index}][1].append(out)" for index, _ in holes]
        self._source.append(
            "\n".join(
                [
                    f"def {name}(o, L):",
                    "    if isinstance(o, Exception): give_up()",  # a field's error, whatever attributes it has
                    *lines,
                    f"    out = {made}({', '.join(values)})",
                    *filled,
                    "    return out",
                ]
            )
        )
        around.add(self._shown)
        self._shown = around
        return name

    def _field(
        self,
        type_: GraphQLObjectType,
        group: Any,
        lines: list[str],
        level: int,
        slot: int,
        holes: list[tuple[int, str]],
    ) -> str:
        """The expression of one selected field; a relation's is None, for the hole."""
        refuse_the_unknown(group)
        name = group[0].node.name.value
        if name == "__typename":
            self._shown.notes(type_.name, frozenset())
            return repr(type_.name)
        field = self._executor.schema.get_field(type_, name)
        how = None if field is None else read_by(field)
        if how is None:
            raise Plain
        self._shown.notes(type_.name, read_of(type_.name, how))
        if isinstance(how, Relation):
            holes.append((self._relation(how, field, group, level, slot), name))
            return "None"
        v = f"v_{slot}"
        lines.append(f"    {v} = o.{how}")
        return self._value(field.type, group, v, level)

    def _relation(self, relation: Relation, field: GraphQLField, group: Any, level: int, slot: int) -> int:
        """Notes a relation of this level and writes the function that fills its holes."""
        index = self._count
        self._count += 1
        fill = self._bind("fill")
        around, self._shown = self._shown, Shown()
        value = self._value(field.type, group, "r", level + 1)
        fields = None if relation.of is None else self._shown.of(relation.of)
        if relation.along:
            around.add(self._shown)
        self._shown = around
        self._source.append(
            f"def {fill}(outs, results, L):\n    for out, r in zip(outs, results, strict=True):\n"
            f"        out.f{slot} = {value}"
        )
        while len(self._levels) <= level:
            self._levels.append([])
        nodes = tuple(detail.node for detail in group)
        self._levels[level].append((index, fill, _Asked(relation, FieldArguments(field, nodes[0]), nodes, fields)))
        return index


def refuse_the_unknown(group: Any) -> None:
    """Directives that we do not know, and fragments with variables of their own, are graphql-core's. Raises Plain."""
    for detail in group:
        if detail.fragment_variable_values is not None:
            raise Plain
        if any(directive.name.value not in ("skip", "include") for directive in detail.node.directives or ()):
            raise Plain


def _members(type_: GraphQLEnumType) -> list[Any]:
    return list(shown(type_.extensions["strawberry-definition"].wrapped_cls))


def flags_of(values: VariableValues) -> frozenset[tuple[str, bool]]:
    """What @skip and @include hear. Operations that share fragments may declare the same variables in another order."""
    return frozenset([item for item in values.coerced.items() if type(item[1]) is bool])


Plans = dict[Any, "Plan | None"]
"""The plans of one document, None where it is left to graphql-core. They live and die with the document."""

MAX_PLANS = 50
"""How many plans one document may have: one for each of its root fields, for each combination of @skip and @include."""


class LeftToGraphQLCore:
    """Ends what fails inside: graphql-core will tell it better, or do it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if isinstance(error, _NOT_ITS_TYPE):
            FALLBACKS.note("value")
        elif isinstance(error, ResolverFailed):
            FALLBACKS.note("resolver")
        else:
            FALLBACKS.unexpected(error)
        return True


class CompilingExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor, with compiled completion where a selection allows it.

    plans: those of the document, set after `build`. Without them it completes as graphql-core does.
    """

    plans: Plans | None = None

    def complete_value(  # type: ignore[no-untyped-def]
        self, return_type, field_details_list, info, path, result, position_context
    ):
        """Completes a value by its plan, or as graphql-core does."""
        if self.plans is None or result is None or isinstance(result, Exception) or is_leaf_type(return_type):
            return super().complete_value(return_type, field_details_list, info, path, result, position_context)

        def slowly() -> Any:
            alone: Any = copy(self)
            alone.plans = None
            return alone.complete_value(return_type, field_details_list, info, path, result, position_context)

        plan = self.plan(return_type, field_details_list)
        if plan is None:
            return slowly()
        if plan.is_flat:
            with LeftToGraphQLCore():
                return plan.complete(result)
            return slowly()

        async def load() -> Any:
            with LeftToGraphQLCore():
                return await plan.load(result, self.context_value, self.variable_values)
            completed = slowly()
            return await completed if self.is_awaitable(completed) else completed

        return load()

    def plan(self, return_type: Any, fields: Any) -> Plan | None:
        plans = self.plans
        assert plans is not None
        # The document keeps its nodes alive, so their ids name them.
        key = (*[id(detail.node) for detail in fields], id(return_type), flags_of(self.variable_values))
        try:
            return plans[key]
        except KeyError:
            plan = None
        if len(plans) < MAX_PLANS and Plan.alive < MAX_ALIVE:
            try:
                plan = _Compiler(self).compile(return_type, fields)
            except (Plain, GraphQLError):  # the latter stands in one place of the response
                FALLBACKS.note("selection")
            except Exception as error:
                FALLBACKS.unexpected(error)
            plans[key] = plan
        return plan
