"""In the cluster's place, where there would be too many machines: what set-shards asks for."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.deploy.network import HOST


class StandIn:
    """Has ``coreapps``, and takes shards but for the numbers that ``refused`` has answers to."""

    def __init__(self, context: ssl.SSLContext, coreapps: int) -> None:
        self.coreapps = coreapps
        self.shards = 1
        self.login = ""  # the header of the last one
        self.asked: list[int] = []  # every number that it was told
        self.refused: dict[int, tuple[int, str]] = {}
        self._context = context

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"cluster": self})
        self._server = ThreadingHTTPServer((HOST, 443), handler)
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    cluster: StandIn

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        node = {"role": "coreapp", "gateway_status": "disconnected"}
        self._answer(200, {"health": {f"c{n}": node for n in range(self.cluster.coreapps)}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if self.path == "/v1/users/login":
            self.cluster.login = self.headers["Authorization"]
            return self._answer(200, {"users": [{"token": "of-the-function"}]})
        shards = int(body["shards"])
        self.cluster.asked.append(shards)
        if shards in self.cluster.refused:
            status, details = self.cluster.refused[shards]
            return self._answer(status, {"errors": [{"details": details}]})
        self.cluster.shards = shards
        return self._answer(201, {})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
