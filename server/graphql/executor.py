"""Runs GraphQL operations: text in, encoded results out, the same way for queries, mutations and events."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from typing import Any, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    get_directive_values,
)
from graphql.execution import get_variable_values
from graphql.execution.values import VariableValues
from strawberry.execution import optimized_is_awaitable

from domain.caller import Role
from domain.consistency import DIRECTIVE
from schema.consistency import ready
from schema.loading import Loading
from schema.variables import NOT_FITTING, Unfit, Variables
from server.access.rights import require
from server.deadlines import TimeLimit
from server.errors import (
    BAD_USER_INPUT,
    TIMEOUT,
    TOO_COSTLY,
    OperationRefused,
    formatted,
    plain,
    refusal,
)
from server.graphql.compiled import MAX_PLANS, CompilingExecutor, flags_of
from server.graphql.documents import Built, DocumentCache, Documents, Request
from server.graphql.encoding import encode_errors, encode_result
from server.graphql.events import Event, Events
from server.graphql.fallbacks import FALLBACKS
from server.graphql.limits.concurrency import Concurrency
from server.graphql.limits.cost import known
from server.graphql.live import Groups, Push
from server.graphql.operation import Operation, chosen
from server.graphql.persisted import Persisted
from server.graphql.resumption import resumed
from server.graphql.root import Answered, Root, root_of
from server.instrumentation import current
from server.limits import DEFAULTS, Limits, exceeded

MAX_ERRORS = 50
"""Of the variables of one request, that are told."""


class Executor:
    """Parses, validates, runs and encodes operations on one schema.

    role: of a context's caller, which must have the rights that an operation takes. executor_class: what completes
    values; graphql-core's executor in the end. persisted: the documents that can be named instead of sent. audience:
    sharing key of a context; subscribers with equal keys share the execution of an event, None disables it. caller:
    whose a context is, for the limits of what one caller runs at once. before: what is waited for before an operation
    or an event of a subscription runs.
    """

    def __init__(  # noqa: PLR0913 - what may be set
        self,
        schema: GraphQLSchema,
        *,
        role: Callable[[object], Role],
        executor_class: type[CompilingExecutor] = CompilingExecutor,
        cache: DocumentCache | None = None,
        limits: Limits = DEFAULTS,
        persisted: Persisted | None = None,
        audience: Callable[[object], Hashable | None] = lambda _context: None,
        caller: Callable[[object], Hashable] = lambda _context: None,
        before: Callable[[Any], Awaitable[None] | None] = lambda _context: None,
    ) -> None:
        if schema.get_directive("defer") or schema.get_directive("stream"):
            raise ValueError("Results are encoded whole: the schema must not have @defer or @stream.")
        self._schema = schema
        self._executor_class = executor_class
        self._limits = limits
        self._documents = Documents(schema, limits, cache, persisted)
        self._caller, self._role, self._before = caller, role, before
        self._running = Concurrency(limits, "max_concurrent", "operations of one caller")
        self._following = Concurrency(limits, "max_subscriptions", "subscriptions of one caller")
        self._time = TimeLimit(limits.max_seconds)
        self._groups = Groups(self._follow, self.resume, audience, limits.max_live_bytes)

    async def execute(self, request: Request, context: object) -> bytes:
        """Run a query or mutation. The encoded result; `errors` alone if it was refused."""
        try:
            return await self.run(self.prepare(request), context)
        except OperationRefused as refused:
            return encode_errors(refused.errors)

    @property
    def documents(self) -> DocumentCache:
        return self._documents.cache

    @property
    def following(self) -> tuple[int, int, int]:
        """How many subscriptions are followed, how many executions they share, and the bytes these keep."""
        return len(self._following), len(self._groups), self._groups.rings.bytes

    async def subscribe(self, request: Request, context: object) -> Events:
        """Start a subscription. Raises OperationRefused if it cannot start."""
        operation = self.prepare(request)
        self._permit(operation, context)
        return await self._follow(operation, context)

    def prepare(self, request: Request) -> Operation:
        parsed = self._documents.find(request)
        node = chosen(parsed.document, request.operation_name)
        name = node.name.value if node.name else None
        cost = known(parsed.costs[name], request.variables or {})
        current.get().asks(node.operation.value, name or "", parsed.hash, cost)
        if cost > self._limits.max_cost:
            raise exceeded(self._limits, "max_cost", f"The operation costs {cost:,}", code=TOO_COSTLY, cost=cost)
        return Operation(parsed, node, request.variables, request.extensions, cost)

    def check(self, text: str) -> None:
        """Raises OperationRefused where a document does not fit the schema and the limits."""
        self._documents.find(Request(text))

    async def run(self, operation: Operation, context: object) -> bytes:
        """Run a prepared query or mutation: the encoded result. Raises OperationRefused before anything has run."""
        if operation.kind is OperationType.SUBSCRIPTION:
            raise OperationRefused([plain("A subscription needs a stream: use a WebSocket or SSE.", BAD_USER_INPUT)])
        self._permit(operation, context)
        caller = self._caller(context)
        self._running.enter(caller)
        try:
            return await self._answer(self._execution(operation, context), context, operation.cost)
        finally:
            self._running.leave(caller)

    async def stream(
        self, operation: Operation, context: object, push: Push | None = None
    ) -> AsyncGenerator[Event, None]:
        """A prepared operation of any kind as a stream: a query or mutation is one event long.

        push: may take an event at once, which is not yielded then. Raises OperationRefused, before the first event or
        when a source fails. Close it to stop early.
        """
        if operation.kind is not OperationType.SUBSCRIPTION:
            yield Event(await self.run(operation, context))
            return
        self._permit(operation, context)
        caller = self._caller(context)
        self._following.enter(caller)
        try:
            async with contextlib.aclosing(self._groups.follow(operation, context, push)) as events:
                async for event in events:
                    yield event
        finally:
            self._following.leave(caller)

    def _permit(self, operation: Operation, context: object) -> None:
        """Raises OperationRefused where the caller has not the right that the operation takes: looked at once, here."""
        name = operation.node.name
        require(self._role(context), operation.parsed.rights[name.value if name else None])

    def resume(self, operation: Operation, cursor: str) -> Operation:
        """The same subscription, to go on after `cursor`; unchanged if its root field takes no `after`."""
        return resumed(self._schema, operation, cursor)

    async def _follow(self, operation: Operation, context: object) -> Events:
        if operation.kind is not OperationType.SUBSCRIPTION:
            raise OperationRefused([plain("Only subscriptions can be streamed here.", BAD_USER_INPUT)])
        built, values = self._built(operation)
        if (waited := self._before(context)) is not None:
            await waited
        running = self._copied(operation, built.first, values, context)
        source = create_source_event_stream(running)
        if optimized_is_awaitable(source):
            source = await cast("Any", source)
        if isinstance(source, ExecutionResult):
            raise OperationRefused(formatted(source.errors or []))
        each = running.build_per_event_executor
        return Events(aiter(cast("Any", source)), lambda value: self._answer(each(value).execute_operation, context))

    def _execution(self, operation: Operation, context: object) -> Callable[[], Any]:
        """What executes an operation that is no subscription."""
        built, values = self._built(operation)
        execute = self._executing(operation, built, values, context)
        if (given := self._consistency(operation, values)) is None:
            return execute

        async def once_ready() -> ExecutionResult:
            await ready(cast(Loading, context), given)
            result = execute()
            return cast(ExecutionResult, await result if optimized_is_awaitable(result) else result)

        return once_ready

    def _consistency(self, operation: Operation, values: VariableValues) -> dict[str, Any] | None:
        """The arguments of @consistency, where an operation has it. Raises OperationRefused."""
        if not operation.node.directives or (directive := self._schema.get_directive(DIRECTIVE)) is None:
            return None
        try:
            return get_directive_values(directive, operation.node, values)
        except GraphQLError as error:
            raise refusal([error], BAD_USER_INPUT) from None

    def _executing(
        self, operation: Operation, built: Built, values: VariableValues, context: object
    ) -> Callable[[], Any]:
        root = self._root(operation, built, values)
        if root is None:
            execute: Callable[[], Any] = self._copied(operation, built.first, values, context).execute_operation
            return execute
        if isinstance(root, dict):
            return lambda: ExecutionResult(root)
        return lambda: self._by_root(root, operation, built.first, values, context)

    def _built(self, operation: Operation) -> tuple[Built, VariableValues]:
        """What is made once of an operation, and its variables coerced. Raises OperationRefused."""
        built, key = operation.parsed.built, id(operation.node)  # alive as long as its document
        try:
            if key not in built:
                built[key] = Built(self._first(operation), _readable(self._schema, operation), {})
            values = self._coerced(operation, built[key].variables)
        except GraphQLError as error:  # Strawberry's one-of check raises where graphql-core collects
            values = [error]
        if isinstance(values, list):
            raise refusal(values, BAD_USER_INPUT)
        return built[key], values

    def _copied(self, operation: Operation, first: Any, values: VariableValues, context: object) -> Any:
        """graphql-core's executor for a request: a copy, as for an event, for building one takes 0.1 ms more."""
        running = first.build_per_event_executor(None)
        running.variable_values, running.context_value = values, context
        running.operation_extensions = operation.extensions
        running.background_futures, running._relevant_sub_fields = set(), {}  # what a copy must not share
        running.plans = operation.parsed.plans
        return running

    def _root(self, operation: Operation, built: Built, values: VariableValues) -> Root | dict[str, str] | None:
        """The root field that is answered without graphql-core."""
        flags = flags_of(values)
        try:
            return cast("Root | dict[str, str] | None", built.roots[flags])
        except KeyError:
            root = None
        if len(built.roots) < MAX_PLANS:
            root = built.roots[flags] = root_of(self._copied(operation, built.first, values, None))
        return root

    async def _by_root(
        self, root: Root, operation: Operation, first: Any, values: VariableValues, context: object
    ) -> ExecutionResult:
        try:
            return ExecutionResult(await root.run(context, values))
        except GraphQLError:
            running = self._copied(operation, first, values, context)
        except Answered as answered:
            running = self._copied(operation, first, values, context)
            running.middleware_manager, running.plans = answered, None
        result = running.execute_operation()
        return cast(ExecutionResult, await result if optimized_is_awaitable(result) else result)

    def _coerced(self, operation: Operation, variables: Variables | None) -> Any:
        """The values of the variables, or what is wrong with them: read straight away, or else by graphql-core."""
        given = operation.variables or {}
        if variables is not None:
            try:
                return variables.read(given)
            except NOT_FITTING:
                FALLBACKS.note("variables")
            except Exception as error:
                FALLBACKS.unexpected(error)
        return get_variable_values(
            self._schema,
            operation.node.variable_definitions or (),
            given,
            max_errors=MAX_ERRORS,
            hide_suggestions=self._limits.introspection == "off",
        )

    def _first(self, operation: Operation) -> Any:
        """The executor that others are copies of; its variables are those of nobody."""
        without = dataclasses.replace(operation.node, variable_definitions=())
        others = [
            node for node in operation.parsed.document.definitions if not isinstance(node, OperationDefinitionNode)
        ]
        built: Any = self._executor_class.build(
            self._schema,
            dataclasses.replace(operation.parsed.document, definitions=(without, *others)),
            is_awaitable=cast("Any", optimized_is_awaitable),
            hide_suggestions=self._limits.introspection == "off",
        )
        if isinstance(built, list):
            raise built[0]
        built.operation = operation.node
        return built

    async def _answer(self, execute: Callable[[], Any], context: object, cost: int | None = None) -> bytes:
        """Execute a request or one event, and encode what comes of it."""
        try:
            if (waited := self._before(context)) is not None:
                await waited
            result = execute()
            if optimized_is_awaitable(result):
                result = await self._time.within(result)
            return encode_result(result.data, formatted(result.errors) if result.errors else None, cost)
        except TimeoutError:
            late = exceeded(self._limits, "max_seconds", "The operation takes too long", code=TIMEOUT)
            return encode_result(None, late.errors, cost)
        except Exception as error:
            return encode_result(None, formatted([error]), cost)


def _readable(schema: GraphQLSchema, operation: Operation) -> Variables | None:
    try:
        return Variables(schema, operation.node.variable_definitions or ())
    except Unfit:
        return None
