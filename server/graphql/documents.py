"""Documents: from a request's text, or the hash of one, to a valid document whose cost is known."""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple

import msgspec
from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    IntValueNode,
    NonNullTypeNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    ValidationRule,
    Visitor,
    is_input_object_type,
    is_non_null_type,
    parse,
    specified_rules,
    validate,
    visit,
)

from domain.unicode import REPLACEMENT
from schema.variables import Variables
from server.access.rights import Rights, rights
from server.errors import PARSE_FAILED, VALIDATION_FAILED, refusal
from server.graphql.compiled import Plan, Plans
from server.graphql.limits.shape import Costs, Shapes
from server.graphql.persisted import Persisted, id_of
from server.limits import Limits, exceeded
from stores.bounded import Bounded

_TOO_MANY = ("tokens. Parsing aborted.", "comments. Parsing aborted.")
"""How graphql-core's parser says that it has read as much as it may."""


_NO_UNICODE = "Syntax Error: Invalid Unicode escape sequence"

_LITERAL = re.compile(r'"""(?:\\"""|[^"]|"(?!""))*"""|#[^\n\r]*|("(?:\\.|[^"\\\n\r])*")')
"""A block string, a comment, or a string."""

_HALF = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\u\{0*[dD][89a-fA-F][0-9a-fA-F]{2}\})|\\."
)
"""An escape in a string: a pair, half a pair, or another one."""

MAX_DIGITS = 1_000
_LONG = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")


class OneOfVariablesRule(ValidationRule):
    """A variable that is the member of a one-of input must not be nullable, where that input is required.

    graphql-core's VariablesInAllowedPositionRule sees to those that are not: it asks whether `Ref!` is one (3.3.2).
    """

    def leave_operation_definition(self, node: OperationDefinitionNode, *_: object) -> None:
        given = {one.variable.name.value: one for one in node.variable_definitions or ()}
        for usage in self.context.get_recursive_variable_usages(node):
            defined = given.get(usage.node.name.value)
            if defined is None or isinstance(defined.type, NonNullTypeNode) or not is_non_null_type(usage.parent_type):
                continue
            parent = usage.parent_type.of_type
            if is_input_object_type(parent) and parent.is_one_of:
                name = usage.node.name.value
                message = f"Variable '${name}' must be non-nullable to be used for OneOf Input Object '{parent}'."
                self.report_error(GraphQLError(message, [defined, usage.node]))


RULES: tuple[type[ASTValidationRule], ...] = (*specified_rules, OneOfVariablesRule)


HASH = 16
"""How many digits of a document's hash name it in logs and spans."""


class Request(msgspec.Struct):
    """A GraphQL request as clients send it in JSON (`operationName`, `documentId`): with the text of a document, or
    with the id of a persisted one."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(default=None, name="operationName")
    extensions: dict[str, Any] | None = None
    document_id: str | None = msgspec.field(default=None, name="documentId")

    def __post_init__(self) -> None:
        if self.query is None and id_of(self.document_id, self.extensions) is None:
            raise ValueError("`query` is missing, and there is no id of a persisted document")


class Built(NamedTuple):
    """What is made once of an operation: graphql-core's executor, of which each request runs a copy; what reads its
    variables; and its root field, if that is answered without graphql-core, for each set of flags there was."""

    first: Any
    variables: Variables | None
    roots: dict[Any, Any]


class Parsed(NamedTuple):
    """A valid document, and what lives and dies with it: the plans compiled for its selections, the executors built
    for its operations, and what these cost and take. hash: the start of the SHA-256 of its text."""

    document: DocumentNode
    plans: Plans
    built: dict[int, Built]
    costs: Costs
    rights: Rights
    hash: str = ""


LEAST_TEXT, BYTES_OF_TEXT = 512, 300
"""A parsed document holds 100 to 290 bytes of memory for each byte of its text; the shortest count as if they had so
much of it."""


class DocumentCache:
    """The documents used last, by their text. hits, misses: cache counters."""

    def __init__(self, max_bytes: int = 160 * 1024 * 1024) -> None:
        self._documents: Bounded[str, Parsed] = Bounded(max_bytes)
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def bytes(self) -> int:
        return self._documents.bytes

    def get(self, text: str) -> Parsed | None:
        found = self._documents.get(text)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        return found

    def put(self, text: str, document: Parsed) -> None:
        size = len(text.encode("utf-8", "surrogatepass"))
        self._documents.put(text, document, BYTES_OF_TEXT * max(LEAST_TEXT, size))

    def make_room(self) -> None:
        """Leaves room for the plan of one more document: those not used for longest go, or it would wait for them."""
        while Plan.crowded():
            if (oldest := self._documents.pop_oldest()) is None:
                return
            oldest.plans.clear()  # executors that still run keep hold of both
            oldest.built.clear()


class Documents:
    """Finds, parses, measures and validates the documents of requests. Raises OperationRefused."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        cache: DocumentCache | None = None,
        persisted: Persisted | None = None,
    ) -> None:
        self._schema, self._limits = schema, limits
        self._shapes = Shapes(schema, limits)
        self.cache = DocumentCache() if cache is None else cache
        self._persisted = Persisted() if persisted is None else persisted
        self._opaque = limits.introspection == "off"
        self._rules = (*RULES, NoSchemaIntrospectionCustomRule) if self._opaque else RULES

    def find(self, request: Request) -> Parsed:
        """The document that a request means."""
        text = self._persisted.text(request.query, request.document_id, request.extensions)
        found = self.cache.get(text)
        if found is None:
            self.cache.make_room()
            found = self._read(text)
            self.cache.put(text, found)
        if request.extensions:
            self._persisted.keep(request.extensions, text)
        return found

    def _read(self, text: str) -> Parsed:
        document = self._parsed(text)
        costs = self._shapes.measure(document)
        errors = validate(self._schema, document, self._rules, hide_suggestions=self._opaque)
        if errors:
            raise refusal(errors, VALIDATION_FAILED)
        hash = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:HASH]
        return Parsed(document, {}, {}, costs, rights(self._schema, document), hash)

    def _parsed(self, text: str) -> DocumentNode:
        limits = self._limits
        if len(text) > limits.max_document_bytes or len(text.encode("utf-8", "surrogatepass")) > (
            limits.max_document_bytes
        ):
            raise exceeded(limits, "max_document_bytes", "The document is too long")
        try:
            document = self._parse(text)
            if _LONG.search(text):
                visit(document, _Numbers())
            return document
        except GraphQLError as error:
            if error.message.startswith(_NO_UNICODE) and (whole := with_whole_strings(text)) != text:
                return self._parsed(whole)
            if error.message.endswith(_TOO_MANY):
                raise exceeded(limits, "max_tokens", "The document has too many tokens or comments") from None
            raise refusal([error], PARSE_FAILED) from None

    def _parse(self, text: str) -> DocumentNode:
        return parse(text, max_lexical_tokens=self._limits.max_tokens, max_comments=self._limits.max_tokens)


class _Numbers(Visitor):
    """Refuses integers that are too long for Python, which would say so in its own words."""

    def enter_int_value(self, node: IntValueNode, *_: object) -> None:
        if len(node.value) > MAX_DIGITS:
            raise GraphQLError(f"An integer may have at most {MAX_DIGITS:,} digits, not {len(node.value):,}.", node)


def with_whole_strings(text: str) -> str:
    """A document with U+FFFD for the escaped halves of pairs in its strings; in block strings nothing is escaped."""
    return _LITERAL.sub(
        lambda token: _HALF.sub(lambda half: REPLACEMENT if half[2] else half[0], token[0]) if token[1] else token[0],
        text,
    )
