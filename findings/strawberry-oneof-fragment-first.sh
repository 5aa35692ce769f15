#!/usr/bin/env bash
# strawberry-graphql 0.341.2 (graphql-core 3.3.2): a valid document whose first definition is a fragment that gives a
# variable to a one-of input is not executed: the validation rule of Strawberry's one-of extension looks at "the
# operation it met last" before it has met one, and raises AttributeError. With the operation first, it works.
# What we do instead: the schema marks one-of inputs for graphql-core's own rules (schema/build.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check strawberry-graphql==0.341.2 graphql-core==3.3.2
"$folder/env/bin/python" - <<'PYTHON'
import logging

import strawberry

logging.getLogger("strawberry").setLevel(logging.CRITICAL)  # which would print the traceback

@strawberry.input(one_of=True)
class Key:
    id: strawberry.Maybe[str]
    name: strawberry.Maybe[str]

@strawberry.type
class Query:
    @strawberry.field
    def found(self, by: Key) -> str:
        return "yes"

schema = strawberry.Schema(query=Query)
fragment = "fragment F on Query { found(by: {name: $n}) }"
operation = "query Q($n: String!) { ...F }"

def outcome(document):
    try:
        result = schema.execute_sync(document, variable_values={"n": "a"})
    except Exception as error:
        return f"raised {type(error).__name__}"
    return result.data if result.errors is None else f"errors: {[type(e.original_error or e).__name__ for e in result.errors]}"

seen = {"operation first": outcome(f"{operation} {fragment}"), "fragment first": outcome(f"{fragment} {operation}")}
for order, what in seen.items():
    print(f"{order}: {what}")
assert seen["operation first"] == {"found": "yes"}, seen
assert "AttributeError" in str(seen["fragment first"]), seen
PYTHON
echo "As described."
