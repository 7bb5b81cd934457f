"""A server with OpenAI's chat API on a free port: answers by what it is asked and counts the tokens that it claims."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
ARGUMENTS = {
    "delegate_work_to_coworker": {"task": "research it", "context": "none", "coworker": "Researcher"},
    "web_search": {"query": "x"},
    "broken_tool": {"query": "x"},
    "create_reasoning_plan": {"plan": "look it up, then say it", "steps": [], "ready": True},
}
SHAPES = {
    "ExtractedMemories": {"memories": ["The lamp is lit at nine."]},
    "MemoryAnalysis": {"suggested_scope": "/", "categories": ["sea"], "importance": 0.9},
    "QueryAnalysis": {"keywords": ["lamp"], "recall_queries": ["lamp"]},
}
"""Answers that must have a form, by its name. The model gives them when it is `exact`."""


class Model(ThreadingHTTPServer):
    """`input` and `output`: tokens of all answers so far; `fail`: answers are 400 while it is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls = self.input = self.output = 0
        self.fail, self.exact = False, True
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def count(self) -> int:
        """Another answer; its number."""
        with self._lock:
            self.calls += 1
            self.input += 100 + self.calls
            self.output += USAGE["completion_tokens"]  # type: ignore[operator]
            return self.calls


def _message(body: dict[str, Any], number: int, exact: bool) -> tuple[dict[str, Any], str]:
    """Each tool that is offered is called once, then there is an answer; one of a form when that is asked for."""
    form = (body.get("response_format") or {}).get("json_schema", {}).get("name", "")
    if exact and form in SHAPES:
        return {"role": "assistant", "content": json.dumps(SHAPES[form])}, "stop"
    offered = [tool["function"]["name"] for tool in body.get("tools") or []]
    used = any(message.get("role") == "tool" for message in body["messages"])
    wanted = next((name for name in ARGUMENTS if name in offered), None)
    if wanted is None or used:
        return {"role": "assistant", "content": f"answer {number}"}, "stop"
    function = {"name": wanted, "arguments": json.dumps(ARGUMENTS[wanted])}
    call = {"id": f"call_{number}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.fail:
            self._send(400, b'{"error": {"message": "the model is gone", "type": "invalid_request_error"}}')
            return
        number = self.server.count()
        message, reason = _message(body, number, self.server.exact)
        usage = {"prompt_tokens": 100 + number, "total_tokens": 120 + number, **USAGE}
        if body.get("stream"):
            self._stream(message["content"] or "", usage)
            return
        answer = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": usage,
        }
        self._send(200, json.dumps(answer).encode())

    def _stream(self, text: str, usage: dict[str, Any]) -> None:
        head = {"id": "chatcmpl-s", "object": "chat.completion.chunk", "created": 1, "model": "fake-model"}
        chunks = [
            {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]},
            {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**head, "choices": [], "usage": usage},
        ]
        body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
        self._send(200, body, "text/event-stream")

    def _send(self, status: int, body: bytes, type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""
