"""Phoenix on SQLite: spans in until GraphQL tells of all, since it answers before it writes; pages of spans."""

from __future__ import annotations

import sys
from pathlib import Path

from work import PROTOBUF, Link, Meter, free_port, given, server, span_requests, until

PAGE = """query($id: ID!, $n: Int!) { node(id: $id) { ... on Project { spans(first: $n) { edges { cursor node { id name
  spanKind statusCode startTime latencyMs input { value } output { value } tokenCountTotal spanId parentId } }
  pageInfo { hasNextPage endCursor } } } } }"""
PROJECTS = "{ projects { edges { node { id recordCount } } } }"


def main() -> None:
    count, folder = given()
    port = free_port()
    (folder / "data").mkdir()
    environment = {
        "PHOENIX_PORT": str(port), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(folder / "data"), "PHOENIX_TELEMETRY_ENABLED": "false",
    }  # fmt: skip
    command = [Path(sys.executable).with_name("phoenix"), "serve"]
    with server(command, f"http://127.0.0.1:{port}/healthz", folder, **environment) as pid:
        link = Link(port)

        def stored() -> tuple[int, str]:
            found = link.ask("/graphql", PROJECTS)["projects"]["edges"]
            return max(((one["node"]["recordCount"], one["node"]["id"]) for one in found), default=(0, ""))

        requests = span_requests(count)
        with Meter("spans", count, [pid]):
            for request in requests:
                link.send("/v1/traces", request, PROTOBUF)
            until(lambda: stored()[0] >= count)
        project = stored()[1]
        for size, times in ((50, 30), (1_000, 5)):
            with Meter(f"page-{size}", times, [pid]):
                for _ in range(times):
                    edges = link.ask("/graphql", PAGE, id=project, n=size)["node"]["spans"]["edges"]
            assert len(edges) == min(size, count)


if __name__ == "__main__":
    main()
