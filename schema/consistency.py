"""The directive of operations that says how new what they read must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import strawberry
from strawberry.directive import DirectiveLocation

from domain.consistency import DIRECTIVE, Consistency, ConsistencyLevel
from resolvers.consistency import consistent
from schema import refs
from schema.loading import Loading


def _argument(type: Any, description: str) -> Any:
    return Annotated[refs.optional(type), strawberry.argument(description=description)]


_LEVEL = _argument(ConsistencyLevel, "EVENTUAL unless it is said: what this process has written or heard of.")
_BOUNDED = _argument(int, "In place of a level: what was committed so many milliseconds ago is seen, by any process.")
_AFTER = _argument(str, "The consistencyToken of a mutation: what was written up to then is seen.")


@strawberry.directive(
    locations=[DirectiveLocation.QUERY, DirectiveLocation.MUTATION],
    name=DIRECTIVE,
    description="How new all that an operation reads is at the least, whichever process is asked.",
)
def consistency(
    level: _LEVEL = strawberry.UNSET,  # type: ignore[valid-type]
    bounded: _BOUNDED = strawberry.UNSET,  # type: ignore[valid-type]
    after: _AFTER = strawberry.UNSET,  # type: ignore[valid-type]
) -> None:
    """Is not called: `ready` is."""


async def ready(operation: Loading, given: Mapping[str, Any]) -> None:
    """Makes an operation ready to run that has the directive with these arguments. Raises Rejected (INVALID)."""
    operation.context = await consistent(operation.context, Consistency(**given))
