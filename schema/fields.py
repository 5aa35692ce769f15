"""Bind the fields of the schema to their resolvers.

Strawberry holds the declarations; once the schema is built, `bind` puts the functions of this file in place of its
resolvers, so that arguments are converted and parents gathered in one way only.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, is_abstract_type
from strawberry.types.field import StrawberryField

from domain.caller import Role
from domain.errors import Rejected, UserError
from domain.node import Id, Node
from resolvers.context import Context
from resolvers.lists import ROOT, Listed
from schema.inputs import Arguments, camel, graphql_type
from schema.loading import Loading, Relation
from stores.catalogue.kinds import kind, referring
from stores.ports import Fields, Records

T = TypeVar("T")

_names: dict[type, str] = {}
"""The GraphQL type of each record type; what tells the members of interfaces and unions apart."""


def backed_by(*records: type) -> Callable[[type[T]], type[T]]:
    """The decorated GraphQL type shows these records: plain fields are read off them by name."""

    def bind(cls: type[T]) -> type[T]:
        definition: Any = cls.__dict__["__strawberry_definition__"]
        definition.is_type_of = lambda obj, _info: type(obj) in records
        _names.update(dict.fromkeys(records, definition.name))
        return cls

    return bind


def shown_by() -> dict[type, str]:
    return dict(_names)


def type_name(record: object) -> str:
    return _names[type(record)]


class Bound:
    """A field with a resolver: its arguments, and what answers it."""

    def __init__(self, resolver: Callable[..., Any], arguments: Arguments) -> None:
        self.resolver, self.arguments = resolver, arguments

    def install(self, field: GraphQLField) -> None:
        raise NotImplementedError


def _declared(bound: Bound, graphql: Any, description: str | None, right: Role | None = None) -> Any:
    """The Strawberry field that publishes a bound one: its arguments come from a signature, its type is given.

    right: what it takes to ask for it; of the fields of the roots.
    """

    def stub() -> None: ...

    parameters = [
        inspect.Parameter(
            parameter,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[graphql_type(annotation), strawberry.argument(name=camel(parameter))],
            default=_shown(default),
        )
        for parameter, (annotation, default) in bound.arguments.parameters.items()
    ]
    stub.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return strawberry.field(
        resolver=stub, graphql_type=graphql, description=description, metadata={"bound": bound, "right": right}
    )


def _shown(default: Any) -> Any:
    if default is msgspec.NODEFAULT:
        return inspect.Parameter.empty
    return strawberry.UNSET if default is None else default


def _parameters(resolver: Callable[..., Any], skip: int) -> dict[str, tuple[Any, Any]]:
    hints = get_type_hints(resolver, include_extras=True)
    parameters = list(inspect.signature(resolver).parameters.values())[skip:]
    return {
        p.name: (hints[p.name], msgspec.NODEFAULT if p.default is inspect.Parameter.empty else p.default)
        for p in parameters
    }


class _Relation(Bound):
    def __init__(self, resolver: Callable[..., Any], arguments: Arguments, **known: Any) -> None:
        super().__init__(resolver, arguments)
        self.relation = Relation(resolver, arguments.convert, **known)  # one for all types that inherit the field

    def install(self, field: GraphQLField) -> None:
        relation = self.relation

        async def resolve(parent: Any, info: GraphQLResolveInfo[Any], **given: Any) -> Any:
            loading: Loading = info.context
            [result] = await loading.load(relation, info.field_nodes, [parent], given)
            return result

        field.resolve = resolve


def relation(
    resolver: Callable[..., Awaitable[Sequence[Any]]],
    graphql: Any,
    description: str | None = None,
    *,
    reads: Sequence[str] | None = None,
    of: type[Node] | None = None,
    along: bool = False,
) -> Any:
    """A field whose resolver takes the context and the list of all parents on its level, and returns their results.

    reads, of, along: see Relation. Where it is not said what a resolver reads of its parents they are read whole.
    """
    parameters = _parameters(resolver, 2)
    if of is not None:
        del parameters["fields"]
    known = {"reads": None if reads is None else frozenset(reads), "of": of, "along": along}
    return _declared(_Relation(resolver, Arguments(resolver.__name__, parameters), **known), graphql, description)


def _listing(listed: Listed) -> Arguments:
    parameters: dict[str, tuple[Any, Any]] = {
        "first": (int | None, None),
        "after": (str | None, None),
        "last": (int | None, None),
        "before": (str | None, None),
    }
    if listed.filter is not None:
        parameters["filter"] = (listed.filter | None, None)
    parameters["order_by"] = (listed.order | None, None)
    return Arguments(listed.of.name, parameters)


def connection(listed: Listed, graphql: Any, description: str | None = None) -> Any:
    """A page of a list that hangs on the parent."""

    async def pages(context: Any, parents: Sequence[Any], **arguments: Any) -> Sequence[Any]:
        return await listed.pages(context, [parent.id for parent in parents], **arguments)

    known = {"reads": frozenset({"id"}), "of": listed.record}
    return _declared(_Relation(pages, _listing(listed), **known), graphql, description)


def with_lists(record: type[Node]) -> Callable[[type[T]], type[T]]:
    """The decorated class of fields, of what shows such records, gets the lists of what names them (domain.declaration
    .shown); each is of a connection in the schema's module that is called as the domain's."""

    def extend(cls: type[T]) -> type[T]:
        for of, column in referring(kind(record)):
            if (shown := column.shown) is not None:
                module = f"schema.{of.record.__module__.rpartition('.')[2]}"
                graphql: Any = Annotated[f"{of.record.__name__}Connection", strawberry.lazy(module)]
                listed = Listed(Records(of.record, column.name), of.filter)
                setattr(cls, shown.name, connection(listed, graphql, shown.description))
        return cls

    return extend


class _Root(Bound):
    def install(self, field: GraphQLField) -> None:
        resolver, convert = self.resolver, self.arguments.convert

        async def resolve(_root: Any, info: GraphQLResolveInfo[Any], **given: Any) -> Any:
            return await resolver(info.context.context, **convert(given))

        field.resolve = resolve


def query(resolver: Callable[..., Awaitable[Any]], graphql: Any, description: str | None = None, *, right: Role) -> Any:
    """A field of Query: the resolver takes the context and the arguments."""
    bound = _Root(resolver, Arguments(resolver.__name__, _parameters(resolver, 1)))
    return _declared(bound, graphql, description, right)


def root_connection(listed: Listed, graphql: Any, description: str | None = None, *, right: Role) -> Any:

    async def page(context: Any, **arguments: Any) -> Any:
        return (await listed.pages(context, [Id(ROOT)], **arguments))[0]

    return _declared(_Root(page, _listing(listed)), graphql, description, right)


class _Mutation(Bound):
    """A field of Mutation: what the caller did wrong is data in the payload."""

    def __init__(self, resolver: Callable[..., Any], arguments: Arguments, payload: type) -> None:
        super().__init__(resolver, arguments)
        self._payload = payload
        self._slots = [name for name in payload.__annotations__ if name != "errors"]

    def install(self, field: GraphQLField) -> None:
        resolver, convert = self.resolver, self.arguments.convert

        async def resolve(_root: Any, info: GraphQLResolveInfo[Any], **given: Any) -> Any:
            context: Context = info.context.context
            try:
                arguments = convert(given)
                if not getattr(arguments["input"], "dry_run", False):
                    context = context.acting(info.field_name)
                return self._filled(await resolver(context, **arguments))
            except Rejected as rejected:
                await context.refused(rejected)
                return self._refused(rejected.errors)

        field.resolve = resolve

    def _filled(self, result: Any) -> Any:
        if isinstance(result, msgspec.Struct) and type(result) not in _names:
            values = {name: getattr(result, name) for name in self._slots}
        else:
            values = {self._slots[0]: result}
        return self._payload(**values, errors=[])

    def _refused(self, errors: Sequence[UserError]) -> Any:
        return self._payload(**dict.fromkeys(self._slots), errors=errors)


def mutation(
    resolver: Callable[..., Awaitable[Any]], payload: type, description: str | None = None, *, right: Role
) -> Any:
    """A field of Mutation: the resolver takes the context and `input`, and returns what the payload carries: one
    record, or a struct with the payload's fields."""
    arguments = Arguments(resolver.__name__, _parameters(resolver, 1), strip="input")
    return _declared(_Mutation(resolver, arguments, payload), payload, description or _doc(resolver), right)


class _Subscription(Bound):
    def install(self, field: GraphQLField) -> None:
        resolver, convert = self.resolver, self.arguments.convert

        def subscribe(_root: Any, info: GraphQLResolveInfo[Any], **given: Any) -> AsyncIterator[Any]:
            events: AsyncIterator[Any] = resolver(info.context.context, **convert(given))
            return events

        field.subscribe = subscribe
        field.resolve = lambda event, *_, **__: event


def subscription(
    resolver: Callable[..., AsyncIterator[Any]], graphql: Any, description: str | None = None, *, right: Role
) -> Any:
    """A field of Subscription: the resolver takes the context and the arguments, and yields events."""
    bound = _Subscription(resolver, Arguments(resolver.__name__, _parameters(resolver, 1)))
    return _declared(bound, graphql, description, right)


def _doc(resolver: Callable[..., Any]) -> str | None:
    text = " ".join((resolver.__doc__ or "").split())
    return text.partition(" Raises Rejected")[0] or None


def right_of(field: GraphQLField) -> Role | None:
    """What it takes to ask for a field of the roots."""
    declared: StrawberryField | None = field.extensions.get("strawberry-definition")
    return None if declared is None else declared.metadata.get("right")


def is_root(field: GraphQLField) -> bool:
    """Whether a field is one of the roots whose resolver asks no more of its operation than context and field_name."""
    declared: StrawberryField | None = field.extensions.get("strawberry-definition")
    return declared is not None and isinstance(declared.metadata.get("bound"), _Root | _Mutation)


def read_by(field: GraphQLField) -> str | Relation | None:
    """How a field is read off records: an attribute's name, a relation, or None for a resolver of its own."""
    declared: StrawberryField | None = field.extensions.get("strawberry-definition")
    if declared is None:
        return None
    bound = declared.metadata.get("bound")
    if isinstance(bound, _Relation):
        return bound.relation
    return declared.python_name if bound is None and declared.is_basic_field else None


def read_of(type_name: str, how: str | Relation) -> Fields | None:
    """The fields of a record that a field of a type is made of, as `read_by` has it; None where that is not known."""
    if isinstance(how, Relation):
        return how.reads
    found: Fields = frozenset()
    for record in (record for record, name in _names.items() if name == type_name):
        if isinstance(made := getattr(record, how, None), property):
            if (parts := getattr(made.fget, "made_of", None)) is None:
                return None
            found |= parts
        else:
            found |= {how}
    return found


def bind(schema: GraphQLSchema) -> None:
    """Puts our functions in place of Strawberry's: for bound fields, plain attributes, and the types of records."""
    for graphql in schema.type_map.values():
        if is_abstract_type(graphql):
            graphql.resolve_type = lambda record, _info, _type: type_name(record)
        if isinstance(graphql, GraphQLObjectType) and not graphql.name.startswith("__"):
            graphql.is_type_of = None
            for field in graphql.fields.values():
                _bind_field(field)


def _bind_field(field: GraphQLField) -> None:
    declared: StrawberryField | None = field.extensions.get("strawberry-definition")
    if declared is None:
        return
    if (bound := declared.metadata.get("bound")) is not None:
        bound.install(field)
    elif declared.is_basic_field:
        name = declared.python_name
        field.resolve = lambda record, _info, _name=name: getattr(record, _name)
