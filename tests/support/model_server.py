"""A model server that speaks OpenAI's protocols and always says the same, for libraries that need one.

The first question is answered with a call of `get_weather`, its result with `It is sunny in Oslo.`, and any other
question with `Tomorrow brings rain.`; the model `broken` answers 400. Each call takes 100 tokens, 40 of them from a cache,
and 20, 7 of them of thoughts.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

QUESTION, RESULT, ANSWER, OTHER = (
    "What is the weather in Oslo?",
    "sunny in Oslo",
    "It is sunny in Oslo.",
    "Tomorrow brings rain.",
)
_MODEL = "small-1"
_COUNT = itertools.count(1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "broken":
            self._answer(400, {"error": {"message": "no such model", "type": "invalid_request_error"}})
        elif self.path.endswith("/responses"):
            self._answer(200, _response(asked))
        elif asked.get("stream"):
            self._stream(_chunks(asked))
        else:
            self._answer(200, _completion(asked))

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, chunks: Iterator[Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True


def _says(messages: list[Any]) -> tuple[str | None, str | None]:
    """What is said, or else the id of the call that is made."""
    last = messages[-1]
    if last.get("role") == "tool" or last.get("type") == "function_call_output":
        return ANSWER, None
    return (None, f"call_{next(_COUNT):06}") if QUESTION in json.dumps(last) else (OTHER, None)


def _completion(asked: Any) -> Any:
    text, call = _says(asked["messages"])
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if call is not None:
        function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
        message["tool_calls"] = [{"id": call, "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": "stop" if text else "tool_calls"}
    return {**_head("chat.completion"), "choices": [choice], "usage": _USAGE}


def _chunks(asked: Any) -> Iterator[Any]:
    done = _completion(asked)
    [choice] = done["choices"]
    head = {**done, "object": "chat.completion.chunk", "usage": None}
    text, calls = choice["message"]["content"], choice["message"].get("tool_calls", [])
    deltas: list[Any] = [{"role": "assistant", "content": part} for part in (text or "").split(" ") if part]
    deltas = [{**delta, "content": delta["content"] + " "} for delta in deltas[:-1]] + deltas[-1:]
    deltas += [{"role": "assistant", "tool_calls": [{"index": n, **call}]} for n, call in enumerate(calls)]
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield {**head, "choices": [], "usage": _USAGE}


def _response(asked: Any) -> Any:
    given = asked["input"]
    text, call = _says([{"role": "user", "content": given}] if isinstance(given, str) else given)
    item: dict[str, Any] = {"id": f"fc_{next(_COUNT)}", "type": "function_call", "status": "completed"}
    item |= {"call_id": call, "name": "get_weather", "arguments": '{"city": "Oslo"}'}
    if text is not None:
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {
            "id": f"msg_{next(_COUNT)}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 7},
        "total_tokens": 120,
    }
    more = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": "completed"}
    more["instructions"] = asked.get("instructions")
    return {**_head("response"), "created_at": 1, "output": [item], "usage": usage, **more}


def _head(kind: str) -> dict[str, Any]:
    return {"id": f"{kind[:4]}_{next(_COUNT)}", "object": kind, "created": 1_767_225_600, "model": _MODEL}


_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 7},
}


@contextlib.contextmanager
def model_server() -> Iterator[str]:
    """The address of one, `http://127.0.0.1:port/v1`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
