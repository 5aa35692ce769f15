"""MLflow's tracking server on SQLite: spans in until its REST API tells of all traces."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from work import PROTOBUF, Link, Meter, free_port, given, server, span_requests, until

EXPERIMENT = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}


def main() -> None:
    count, folder = given()
    port = free_port()
    command = [
        Path(sys.executable).with_name("mlflow"), "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with server(
        command, f"http://127.0.0.1:{port}/health", folder, MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true"
    ) as pid:
        link = Link(port)

        def traces() -> int:
            total, token = 0, None
            while True:
                asked = {"locations": [EXPERIMENT], "max_results": 500, **({"page_token": token} if token else {})}
                found = json.loads(link.send("/api/3.0/mlflow/traces/search", json.dumps(asked).encode()))
                total, token = total + len(found.get("traces", [])), found.get("next_page_token")
                if not token:
                    return total

        requests = span_requests(count)
        with Meter("spans", count, [pid]):
            for request in requests:
                link.send("/v1/traces", request, PROTOBUF, **{"x-mlflow-experiment-id": "0"})
            until(lambda: traces() >= count // 10)


if __name__ == "__main__":
    main()
