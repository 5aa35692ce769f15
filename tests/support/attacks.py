"""Documents that ask for too much, each by what refuses it."""

from __future__ import annotations


def _chain(length: int) -> str:
    """Fragments that each stand in the one before."""
    links = [f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(length)]
    return "{ ...F0 } " + " ".join(links) + f" fragment F{length} on Query {{ __typename }}"


def _spreading(levels: int) -> str:
    """Each fragment spreads the next one in five places: 5 ** levels selections of a few lines."""
    parts = ["{ sessions { nodes { ...F0 } } }"]
    for n in range(levels):
        fields = ("messages", "threads", "spans", "traces", "participants")
        inner = " ".join(f"{field} {{ nodes {{ session {{ ...F{n + 1} }} }} }}" for field in fields)
        parts.append(f"fragment F{n} on Session {{ {inner} }}")
    return " ".join([*parts, f"fragment F{levels} on Session {{ id }}"])


def _wide_and_deep(width: int) -> str:
    """The same field over and over in the same place, at several levels: what validation would compare pairwise."""
    inner = "id " * width
    return "{ " + " ".join(f"sessions {{ nodes {{ {inner} }} }}" for _ in range(width)) + " }"


_TYPES = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
_COSTLY = "{ sessions(first: 200) { nodes { messages(first: 1000) { nodes { memoryRefs { memory { id } } } } } } }"

ATTACKS = {
    "RECOLLECT_MAX_TOKENS": ["{ " + "a " * 20_000 + "}", "# \n" * 20_000 + "{ __typename }"],
    "RECOLLECT_MAX_DOCUMENT_BYTES": [
        '{ nodes(ids: ["' + "a" * 900_000 + '"]) { id } }',
        "#" * 900_000 + "\n{ __typename }",
        "{ __typename }" + " " * 900_000,
    ],
    "RECOLLECT_MAX_DEPTH": [
        "{ sessions { nodes { " + "messages { nodes { session { " * 8 + "id" + " } } }" * 8 + " } } }",
        "{ sessions { nodes { ...F0 } } } "
        + " ".join(
            f"fragment F{n} on Session {{ messages {{ nodes {{ session {{ ...F{n + 1} }} }} }} }}" for n in range(9)
        )
        + " fragment F9 on Session { id }",
    ],
    "RECOLLECT_MAX_SELECTIONS": [_spreading(5)],
    "RECOLLECT_MAX_ALIASES": ["{ " + " ".join(f"a{n}: __typename" for n in range(1_200)) + " }"],
    "RECOLLECT_MAX_REPEATS": ["{ " + "__typename " * 4_000 + "}", _wide_and_deep(55)],
    "RECOLLECT_MAX_DIRECTIVES": [
        "{ __typename " + "@include(if: true) " * 600 + "}",
        "{ __typename " + "@unknown " * 2_000 + "}",
        "query " + "@unknown " * 2_000 + "{ __typename }",
    ],
    "RECOLLECT_MAX_FRAGMENTS": [
        _chain(600),
        "{ __typename } " + " ".join(f"fragment F{n} on Query {{ __typename }}" for n in range(600)),
    ],
    "RECOLLECT_MAX_VARIABLES": ["query (" + " ".join(f"$v{n}: Int" for n in range(900)) + ") { __typename }"],
    "RECOLLECT_MAX_INTROSPECTION_DEPTH": [_TYPES],
    "RECOLLECT_MAX_COST": [
        _COSTLY,
        "{ " + " ".join(f"a{n}: __schema {{ types {{ fields {{ args {{ name }} }} }} }}" for n in range(90)) + " }",
    ],
}
"""By the setting that the refusal names."""

ODD = {
    "GRAPHQL_PARSE_FAILED": ["{ a " * 1_000 + "}" * 1_000, "{ a(b: " + "[" * 2_000 + "]" * 2_000 + ") }", "\x00", "{"],
    "GRAPHQL_VALIDATION_FAILED": [
        " ".join(f"query A{n} {{ nothing{n} }}" for n in range(900)),
        " ".join("query A { __typename }" for _ in range(900)),
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ " + "nothing " * 40 + "}",
        "{ nodes(ids: [" + "{} " * 2_000 + "]) { id } }",
        "{ " + "... on Query { " * 150 + "nothing" + " }" * 150 + " }",
        "query ($v: " + "[" * 150 + "Int" + "]" * 150 + ") { __typename }",
    ],
}
"""Refused for what they are, by the error's code; none may cost much either."""
