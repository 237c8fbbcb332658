"""HTTP beside gRPC: metrics, health and status. It only reads, is bounded, and has nothing that a check waits for."""

from __future__ import annotations

import html
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from sidecar.address import Address
from sidecar.core.errors import DeskgateError
from sidecar.observe.logs import log
from sidecar.observe.metrics import Metrics
from sidecar.observe.status import Status

AT_ONCE: Final = 16
"""Connections served at a time; more are closed at once."""
IDLE_SECONDS: Final = 5.0
"""How long a peer may send or take nothing."""
WHOLE_SECONDS: Final = 15.0
"""How long a connection may last, however it trickles."""
POLL_SECONDS: Final = 0.1
"""How often old connections and a wish to stop are looked at."""
TEXT: Final = "text/plain; charset=utf-8"

_log = log("http")


class CannotListen(DeskgateError):
    """The address cannot be listened on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What the pages are made from. Each is called from several threads and returns quickly."""

    live: Callable[[], bool]
    """False when only a restart can help."""
    unready: Callable[[], Sequence[str]]
    """Why calls are not answered now; empty: they are."""
    status: Callable[[], Status]


@dataclass(frozen=True, slots=True)
class _Page:
    status: HTTPStatus
    content_type: str
    body: bytes


class HttpFront:
    """Serves /metrics, /livez, /readyz and /statusz."""

    def __init__(self, *, address: Address, metrics: Metrics, probes: Probes) -> None:
        """Listens at once, on `address`, port 0 for any; serves from `start` on. Raises CannotListen."""
        pages = _pages(metrics, probes)
        try:
            self._server: Final = _Server(address, pages)
        except OSError as e:
            raise CannotListen(f"http_address: {address} cannot be listened on: {e.strerror or e}") from e
        self._thread: Final = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="http", daemon=True
        )

    @property
    def address(self) -> Address:
        """Where it listens, with the port it got."""
        host, port = self._server.server_address[:2]
        return Address(str(host), int(port))

    def start(self) -> None:
        """Begins to serve, on threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no more connections; cuts off those that are left. May be called without `start`, and twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.cut_off(older_than=0)


PageOf = Callable[[Mapping[str, list[str]], str], _Page]
"""From the query and the Accept header."""


def _pages(metrics: Metrics, probes: Probes) -> Mapping[str, PageOf]:
    def exposition(_query: Mapping[str, list[str]], accept: str) -> _Page:
        body, content_type = metrics.exposition(accept)
        return _Page(HTTPStatus.OK, content_type, body)

    def live(_query: Mapping[str, list[str]], _accept: str) -> _Page:
        return _health(probes.live(), "live", "not live")

    def ready(_query: Mapping[str, list[str]], _accept: str) -> _Page:
        why = probes.unready()
        return _health(not why, "ready", "not ready: " + "; ".join(why))

    def status(query: Mapping[str, list[str]], accept: str) -> _Page:
        values = asdict(probes.status())
        if query.get("format") == ["json"] or "application/json" in accept:
            return _Page(HTTPStatus.OK, "application/json", json.dumps(values, ensure_ascii=False, indent=2).encode())
        return _Page(HTTPStatus.OK, "text/html; charset=utf-8", _html(values).encode())

    return {"/metrics": exposition, "/livez": live, "/readyz": ready, "/statusz": status}


def _health(good: bool, yes: str, no: str) -> _Page:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return _Page(status, TEXT, f"{yes if good else no}\n".encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: Address, pages: Mapping[str, PageOf]) -> None:
        self.pages: Final = pages
        self._open: Final[dict[socket.socket, float]] = {}
        self._lock: Final = threading.Lock()
        if ":" in address.host:
            self.address_family = socket.AF_INET6
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """Without HTTPServer's question to the resolver, which may take long and whose answer nothing needs."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            room = len(self._open) < AT_ONCE
            if room:
                self._open[request] = time.monotonic()
        if room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called by serve_forever every POLL_SECONDS."""
        self.cut_off(older_than=WHOLE_SECONDS)

    def cut_off(self, *, older_than: float) -> None:
        """Ends connections that have lasted longer, so that slow peers cannot take every place."""
        limit = time.monotonic() - older_than
        with self._lock:
            late = [request for request, since in self._open.items() if since <= limit]
        for request in late:
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                _log.debug("connection already closed")

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("connection ended early", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = IDLE_SECONDS
    server_version = "deskgate"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        url = urlsplit(self.path)
        page_of = self.server.pages.get(url.path)
        if page_of is None:
            page = _Page(HTTPStatus.NOT_FOUND, TEXT, f"there are {', '.join(self.server.pages)}\n".encode())
        else:
            page = self._made(page_of, parse_qs(url.query))
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if with_body:
            self.wfile.write(page.body)

    def _made(self, page_of: PageOf, query: Mapping[str, list[str]]) -> _Page:
        try:
            return page_of(query, self.headers.get("Accept", ""))
        except Exception:
            _log.exception("page failed", path=self.path)
            return _Page(HTTPStatus.INTERNAL_SERVER_ERROR, TEXT, b"this page failed; the log says why\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        _log.debug("request", line=format % args)


STYLE: Final = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse}"
    "td{padding:.2em 1em .2em 0;vertical-align:top;white-space:pre-wrap}td:first-child{color:#666}"
)


def _html(values: Mapping[str, Any]) -> str:
    """A page of one table a section; whatever the values hold is escaped."""
    plain = {key: value for key, value in values.items() if value is not None and not isinstance(value, Mapping)}
    sections = {"deskgate": plain, **{key: value for key, value in values.items() if isinstance(value, Mapping)}}
    body = "".join(f"<h2>{html.escape(name)}</h2>{_table(rows)}" for name, rows in sections.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>deskgate</title>'
        f"<style>{STYLE}</style>{body}"
        '<p><a href="/statusz?format=json">as JSON</a> · <a href="/metrics">metrics</a> · '
        '<a href="/readyz">ready?</a> · <a href="/livez">live?</a></p></html>\n'
    )


def _table(rows: Mapping[str, Any]) -> str:
    cells = ((name.replace("_", " "), _shown(value)) for name, value in rows.items())
    return "<table>" + "".join(f"<tr><td>{html.escape(n)}<td>{html.escape(v)}" for n, v in cells) + "</table>"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value)) or "-"
    return str(value) if value != "" else "-"
