"""The shape of a document: how much it selects, how deep, how often, and what that costs.

Fragments are expanded and equal response keys merged, as in execution, so that nothing hides behind them. Each step is
counted and the first that is one too many ends it: measuring costs less than parsing did. Nothing is known to be valid
here; what makes no sense is passed over, for validation to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    is_composite_type,
)

from server.graphql.limits.cost import Cost, times, total
from server.graphql.limits.sizes import SMALL, Size, introspected, is_list, listed, literal, named, sliced
from server.limits import Limits, exceeded

WRITE = 10
"""What a field of Mutation costs."""

INTROSPECTED = 5
"""What an object of a list of the introspection costs: it is graphql-core's work, not compiled."""

INTROSPECTION_LEVELS = 32
"""How deep an introspection may go where less is allowed otherwise; the usual one has 15 levels."""

_MEASURED_BY_DEPTH = ("fields", "interfaces", "possibleTypes", "inputFields")
"""The lists of the introspection that lead from a type to others, and so on without end."""

Costs = dict[str | None, Cost]
"""What the operations of a document cost, by name."""


class Shapes:
    """Measures documents for one schema. Raises OperationRefused where one goes beyond a limit."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self.schema, self.limits = schema, limits
        self.introspected = introspected(schema)

    def measure(self, document: DocumentNode) -> Costs:
        return _Shape(self, document).measure()


class _Set(NamedTuple):
    """A selection set: the type it selects from, where that is known, and the fragments it stands in."""

    node: SelectionSetNode
    parent: Any
    within: frozenset[str]


class _Field(NamedTuple):
    """A selected field, with the same."""

    node: FieldNode
    parent: Any
    within: frozenset[str]


class _Place(NamedTuple):
    """Where a level stands: how deep, below how many lists of the introspection (None outside of it), how long a list
    right here is by the arguments of the field above, and what an object and what a plain value here costs."""

    depth: int
    lists: int | None = None
    page: tuple[Size, ...] = ()
    weight: int = 1
    leaf: int = 0


class _Shape:
    def __init__(self, shapes: Shapes, document: DocumentNode) -> None:
        self._schema, self._limits, self._introspected = shapes.schema, shapes.limits, shapes.introspected
        self._operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._reached: set[str] = set()
        self._selections = self._aliases = self._directives = 0
        self._defaults: dict[str, int] = {}

    def measure(self) -> Costs:
        self._check("max_fragments", len(self._fragments), "The document has {:,} fragments")
        costs: Costs = {}
        for node in self._operations:
            costs[node.name.value if node.name else None] = self._operation(node)
        for name, fragment in self._fragments.items():
            self._directed(fragment)
            if name not in self._reached:  # it is validated nevertheless
                self._level([self._fragment(fragment, frozenset())], _Place(1))
        return costs

    def _operation(self, node: OperationDefinitionNode) -> Cost:
        variables = node.variable_definitions or ()
        self._check("max_variables", len(variables), "An operation declares {:,} variables")
        self._directed(node, *variables)
        self._defaults = {
            variable.variable.name.value: size
            for variable in variables
            if (size := literal(variable.default_value)) is not None
        }
        root = _Set(node.selection_set, self._schema.get_root_type(node.operation), frozenset())
        at = _Place(1, weight=WRITE, leaf=WRITE) if node.operation is OperationType.MUTATION else _Place(1)
        return total([1, self._level([root], at)])

    def _level(self, sets: Sequence[_Set], at: _Place) -> Cost:
        """What is selected side by side below one value, or below the values of one list."""
        deepest = self._limits.max_depth
        if at.depth > (deepest if at.lists is None else max(deepest, INTROSPECTION_LEVELS)):
            raise exceeded(self._limits, "max_depth", "The document nests its fields too deeply")
        if at.lists is not None and at.lists > self._limits.max_introspection_depth:
            raise exceeded(self._limits, "max_introspection_depth", "The introspection query is nested too deeply")
        groups = self._groups(sets)
        for key, group in groups.items():
            self._check("max_repeats", len(group), f"{key!r:.80} is selected {{:,}} times in the same place")
        return total([self._field(group, at) for group in groups.values()])

    def _groups(self, sets: Sequence[_Set]) -> dict[str, list[_Field]]:
        """The fields of some selection sets by response key."""
        groups: dict[str, list[_Field]] = {}
        spread: set[str] = set()
        stack = list(reversed(sets))
        while stack:
            selections, parent, within = stack.pop()
            for node in selections.selections:
                self._count(node)
                if isinstance(node, FieldNode):
                    key = node.alias.value if node.alias else node.name.value
                    groups.setdefault(key, []).append(_Field(node, parent, within))
                elif isinstance(node, InlineFragmentNode):
                    stack.append(_Set(node.selection_set, self._narrowed(node.type_condition, parent), within))
                else:
                    name = node.name.value
                    fragment = self._fragments.get(name)
                    if fragment is not None and name not in spread and name not in within:
                        spread.add(name)
                        stack.append(self._fragment(fragment, within))
        return groups

    def _fragment(self, fragment: FragmentDefinitionNode, within: frozenset[str]) -> _Set:
        name = fragment.name.value
        self._reached.add(name)
        return _Set(fragment.selection_set, self._narrowed(fragment.type_condition, None), within | {name})

    def _narrowed(self, condition: NamedTypeNode | None, parent: Any) -> Any:
        return parent if condition is None else self._schema.type_map.get(condition.name.value)

    def _field(self, group: Sequence[_Field], at: _Place) -> Cost:
        """What the fields of one response key bring, which are one field in execution."""
        name = group[0].node.name.value
        lists, weight = _into_introspection(name, at.lists), at.weight
        below: list[_Set] = []
        sizes: list[Size] = []
        page: list[Size] = []
        for node, parent, within in group:
            field = self._schema.get_field(parent, name) if is_composite_type(parent) else None
            if field is not None and at.lists is not None:
                sizes.append(self._introspected.get(name, 1) if is_list(field) else 1)
                weight = INTROSPECTED if is_list(field) else 0
            elif field is not None:
                asked = sliced(field, node, self._defaults)
                page += listed(node, self._defaults) if parent is self._schema.mutation_type else []
                (sizes if is_list(field) else page).extend(asked)
                sizes += [] if asked and is_list(field) else _unasked(field, at)
            if node.selection_set is not None:
                below.append(_Set(node.selection_set, field and named(field), within))
        if not below:
            return at.leaf
        return times(sizes or [1], total([weight, self._level(below, _Place(at.depth + 1, lists, tuple(page)))]))

    def _count(self, node: SelectionNode) -> None:
        self._selections += 1
        if self._selections > self._limits.max_selections:
            raise exceeded(
                self._limits, "max_selections", "The document selects too many fields after expanding fragments"
            )
        if isinstance(node, FieldNode) and node.alias is not None:
            self._aliases += 1
            self._check(
                "max_aliases", self._aliases, "The document has at least {:,} aliases after expanding fragments"
            )
        if node.directives:
            self._directed(node)

    def _directed(self, *nodes: Any) -> None:
        self._directives += sum(len(node.directives or ()) for node in nodes)
        self._check("max_directives", self._directives, "The document has at least {:,} directives")

    def _check(self, limit: str, count: int, what: str) -> None:
        if count > getattr(self._limits, limit):
            raise exceeded(self._limits, limit, what.format(count))


def _unasked(field: GraphQLField, at: _Place) -> Sequence[Size]:
    """How often a field comes that has no size of its own: a list is as long as the field above says."""
    return (at.page or (SMALL,)) if is_list(field) else (1,)


def _into_introspection(name: str, lists: int | None) -> int | None:
    if lists is None:
        return 0 if name in ("__schema", "__type") else None
    return lists + (name in _MEASURED_BY_DEPTH)
