"""HTTP/1.1 as the stand-in speaks it: a thread for each connection, keep-alive, parsed by hand.

The standard library's server costs more for a request than all the rest of the stand-in together, and it cannot break
an answer half way, which is what fault injection is for.
"""
import socket
import struct
import threading
import traceback
from dataclasses import dataclass, field

from http import HTTPStatus

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024
REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass
class Request:
    method: str
    path: str       # as on the wire
    query: str      # as on the wire, without the question mark
    headers: dict   # by lower-case name; repeated ones joined by a comma
    body: bytes


@dataclass
class Reply:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    deliver: object = None  # a function(socket, bytes) that sends in its own way and ends the connection


class BadRequest(Exception):
    """The bytes are not a request this server reads."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Connection:
    """One client's connection, request after request."""

    def __init__(self, sock, handle):
        self.sock = sock
        self.handle = handle
        self.buffer = bytearray()

    def run(self):
        try:
            while self._exchange():
                pass
        except OSError:
            pass  # the client went away
        finally:
            self.sock.close()

    def _exchange(self):
        """One request and its answer; false when the connection is to end."""
        try:
            request = self._read()
        except BadRequest as bad:
            self.sock.sendall(render(Reply(bad.status, {"Connection": "close"}, str(bad).encode())))
            return False
        if request is None:
            return False
        reply = self.handle(request)
        data = render(reply, request.method == "HEAD")
        if reply.deliver:
            reply.deliver(self.sock, data)
            return False
        self.sock.sendall(data)
        return request.headers.get("connection", "").lower() != "close"

    def _read(self):
        head = self._read_head()
        if head is None:
            return None
        method, target, headers = parse_head(head)
        if headers.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._read_body(headers)
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, body)

    def _read_head(self):
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > MAX_HEAD:
                raise BadRequest(431, "header too long")
            if not self._fill():
                return None
        head = bytes(self.buffer[:end])
        del self.buffer[:end + 4]
        return head

    def _read_body(self, headers):
        if "transfer-encoding" in headers:
            raise BadRequest(411, "a Content-Length is required")
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise BadRequest(400, "bad Content-Length")
        length = int(length)
        if length > MAX_BODY:
            raise BadRequest(413, "body too large")
        while len(self.buffer) < length:
            if not self._fill():
                raise ConnectionError("the client hung up inside a body")
        body = bytes(self.buffer[:length])
        del self.buffer[:length]
        return body

    def _fill(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)


def parse_head(head):
    """(method, target, headers) of a request's head."""
    lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
    except ValueError:
        raise BadRequest(400, "bad request line") from None
    if not version.startswith("HTTP/1.") or not target.startswith("/"):
        raise BadRequest(400, "bad request line")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise BadRequest(400, "bad header line")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return method, target, headers


def render(reply, headless=False):
    """An answer as bytes."""
    lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    if reply.status not in (204, 304) and "Content-Length" not in reply.headers:
        lines.append(f"Content-Length: {len(reply.body)}")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if headless else head + reply.body


def reset(sock):
    """End a connection by RST, so that the client sees an error and not an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Server:
    """Listens on 127.0.0.1 and gives each connection a thread."""

    def __init__(self, port, handle):
        self.handle = handle
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]

    def serve(self):
        while True:
            sock, _ = self.listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Connection(sock, self._guarded).run, daemon=True).start()

    def _guarded(self, request):
        """A mistake of the stand-in's own is not to look like a fault of AWS's: it is loud, and status 599."""
        try:
            return self.handle(request)
        except Exception:
            traceback.print_exc()
            return Reply(599, {"Content-Type": "text/plain"}, traceback.format_exc().encode())
