"""An HTTP proxy in front of a server on loopback that loses, delays and cuts answers, as it is told to.

with FaultProxy(server.url) as proxy:
    proxy.plan(Status(500), Status(503), method="GET")    # the first two GETs fail, the third passes
    ...
    assert [request.method for request in proxy.requests] == ["GET", "GET", "GET"]
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import TypeAlias, cast
from urllib.parse import urlsplit

from support.loopback import Loopback, LoopbackServer

__all__ = ["Cut", "Fault", "FaultProxy", "Lost", "Request", "Shortened", "Stalled", "Status"]

_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"})


@dataclass(frozen=True)
class Status:
    """The request does not reach the server; the client gets this status."""

    code: int
    body: bytes = b"<Error><Code>Injected</Code></Error>"


@dataclass(frozen=True)
class Cut:
    """The client gets so many bytes of the answer's body, then the connection ends."""

    after: int


@dataclass(frozen=True)
class Shortened:
    """The client gets so many bytes of the body, and a Content-Length that says these are all."""

    to: int


@dataclass(frozen=True)
class Lost:
    """The server does what it was asked; the connection ends without an answer."""


@dataclass(frozen=True)
class Stalled:
    """The client gets so many bytes of the body and no more, until the proxy closes or it goes away."""

    after: int = 0


Fault: TypeAlias = Status | Cut | Shortened | Lost | Stalled


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    headers: dict[str, str]
    sent: int
    """Bytes of the request's body."""

    @property
    def range(self) -> str | None:
        """The header of that name."""
        return self.headers.get("range")


@dataclass
class _Plan:
    matches: Callable[[Request], bool]
    faults: list[Fault]
    forever: bool


class FaultProxy(Loopback):
    """Forwards to one server, one request after another on each connection, and records every request."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self.requests: list[Request] = []
        self.on_answer: Callable[[Request], None] = lambda _request: None
        """Called when the server has answered, before any of that is passed on."""
        self._plans: list[_Plan] = []
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.serve_with(_Handler)

    def plan(
        self,
        *faults: Fault,
        method: str | None = None,
        when: Callable[[Request], bool] = lambda _request: True,
        forever: bool = False,
    ) -> None:
        """Apply the faults to the next requests that match, one each; the last one for ever if `forever`."""
        self._plans.append(
            _Plan(lambda request: method in (None, request.method) and when(request), list(faults), forever)
        )

    def reset(self) -> None:
        """Forget plans and requests."""
        with self._lock:
            self._plans.clear()
            self.requests.clear()
            self.on_answer = lambda _request: None

    def asked(self, method: str) -> list[Request]:
        """Return the requests of a method."""
        return [request for request in self.requests if request.method == method]

    def after_first(self, method: str, act: Callable[[], object]) -> None:
        """Do something when the first request of a method is answered, before the answer is passed on."""

        def on_answer(request: Request) -> None:
            if request.method == method and len(self.asked(method)) == 1:
                act()

        self.on_answer = on_answer

    def fault_for(self, request: Request) -> Fault | None:
        """Record a request, and return what is to go wrong with it."""
        with self._lock:
            self.requests.append(request)
            for plan in self._plans:
                if plan.faults and plan.matches(request):
                    return plan.faults[0] if plan.forever and len(plan.faults) == 1 else plan.faults.pop(0)
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        super().__exit__(kind, error, trace)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _proxy(self) -> FaultProxy:
        owner = cast("LoopbackServer", self.server).owner
        return cast("FaultProxy", owner)

    def _forward(self) -> None:
        proxy = self._proxy
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, len(body))
        fault = proxy.fault_for(request)
        if isinstance(fault, Status):
            self._answer(fault.code, [("Content-Type", "application/xml")], fault.body, len(fault.body))
        else:
            self._pass_on(request, body, fault)

    def _pass_on(self, request: Request, body: bytes, fault: Fault | None) -> None:
        connection = HTTPConnection(*self._proxy.upstream, timeout=30)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _BY_HOP:
                    connection.putheader(name, value)
            if body or request.method in {"PUT", "POST"}:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            content = answer.read()
            self._proxy.on_answer(request)
            if isinstance(fault, Lost):
                self.close_connection = True
                return
            self._answer_faulty(request, answer, content, fault)
        finally:
            connection.close()

    def _answer_faulty(
        self, request: Request, answer: HTTPResponse, content: bytes, fault: Fault | None
    ) -> None:
        length = len(content)
        if request.method == "HEAD" or answer.status in {204, 304}:
            length = int(answer.headers.get("content-length", 0))
        if isinstance(fault, Shortened):
            content, length = content[: fault.to], min(length, fault.to)
        elif isinstance(fault, Cut | Stalled):
            content = content[: fault.after]
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _BY_HOP]
        self._answer(answer.status, headers, content, length)
        if isinstance(fault, Stalled):
            self._proxy.closing.wait(60)
        if isinstance(fault, Cut | Stalled):
            self.close_connection = True

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, length: int) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815  http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """The requests are recorded; nothing is printed."""
