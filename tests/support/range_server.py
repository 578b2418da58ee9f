"""A web server on loopback that answers range requests for objects in memory, and counts what it answers.

with RangeServer({"/app.srcpack": data}) as server:
    pack = srcpack.open(server.url + "/app.srcpack")
    assert server.ranges == ["bytes=-393216"]
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import md5
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Literal

from support.loopback import Loopback, LoopbackServer

__all__ = ["Answer", "RangeServer"]


@dataclass(frozen=True)
class Answer:
    """What was asked for and how it was answered."""

    method: str
    path: str
    range: str | None
    if_match: str | None
    status: int
    sent: int
    """Bytes of the answer's body."""
    authorization: str | None


@dataclass
class RangeServer(Loopback):
    """Serves `objects` by path, which may be changed meanwhile.

    Attributes:
        objects: Content by path.
        etag: Whether objects have a strong ETag, a weak one, or none; one of another kind never matches.
        suffixes: How a suffix that is longer than the object is answered: as it has to be, with 416, or
            with the whole object and 200. `never`: all suffix ranges are 416.
        ranges_known: Whether ranges are known at all; else every answer is the whole object.
        longer: Bytes to add to every body.
        changed: Value of Last-Modified, or None.
        before: Called with the range before each answer, in the thread that answers.
        answers: All answers so far.
    """

    objects: dict[str, bytes]
    etag: Literal["strong", "weak", "none"] = "strong"
    suffixes: Literal["right", "416", "whole", "never"] = "right"
    ranges_known: bool = True
    longer: int = 0
    changed: str | None = "Mon, 24 Nov 2025 00:00:00 GMT"
    before: Callable[[str | None], None] = lambda _range: None
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.serve_with(_Handler)

    @property
    def ranges(self) -> list[str | None]:
        """The ranges asked for so far."""
        return [answer.range for answer in self.answers]

    @property
    def sent(self) -> int:
        """Bytes of all bodies sent so far."""
        return sum(answer.sent for answer in self.answers)

    def etag_of(self, content: bytes) -> str | None:
        """Return the ETag that an object of this content has."""
        text = f'"{md5(content, usedforsecurity=False).hexdigest()}"'
        return {"strong": text, "weak": f"W/{text}", "none": None}[self.etag]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True  # a body would wait for its head to be acknowledged
    server: LoopbackServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.before(self.headers.get("Range"))
        content = owner.objects.get(self.path)
        if content is None:
            self._answer(HTTPStatus.NOT_FOUND, b"")
            return
        headers = {"ETag": owner.etag_of(content), "Last-Modified": owner.changed}
        wanted = self.headers.get("If-Match")
        if wanted is not None and (wanted != headers["ETag"] or wanted.startswith("W/")):
            self._answer(HTTPStatus.PRECONDITION_FAILED, b"")
            return
        asked = self.headers.get("Range")
        if asked is None or not owner.ranges_known:
            self._answer(HTTPStatus.OK, content, headers)
            return
        first, last = asked.removeprefix("bytes=").split("-")
        if not first:
            odd = owner.suffixes if int(last) > len(content) or owner.suffixes == "never" else "right"
            if odd == "whole":
                self._answer(HTTPStatus.OK, content, headers)
                return
            if odd != "right":
                self._answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"")
                return
        start = int(first) if first else max(0, len(content) - int(last))
        end = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= end:
            self._answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"")
            return
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        self._answer(HTTPStatus.PARTIAL_CONTENT, content[start:end], headers)

    do_HEAD = do_GET  # noqa: N815  the base class's name

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str | None] | None = None) -> None:
        owner = self.server.owner
        if body:
            body += bytes(owner.longer)
        sends = self.command != "HEAD"
        # Before the answer: who has it finds it counted.
        owner.answers.append(
            Answer(
                self.command,
                self.path,
                self.headers.get("Range"),
                self.headers.get("If-Match"),
                status,
                len(body) if sends else 0,
                self.headers.get("Authorization"),
            )
        )
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if sends:
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """The answers are recorded; nothing is printed."""
