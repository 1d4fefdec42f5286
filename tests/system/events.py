"""Server-sent events over a socket, read as a browser does: fields, and data that may come in
pieces. Chunked or not, so that it may sit behind a proxy."""

import json
import queue
import re
import socket
import threading
import time


class Event:
    def __init__(self, fields):
        self.name = fields.get("event", "message")
        self.id = fields.get("id")
        self.retry = int(fields["retry"]) if "retry" in fields else None
        self.text = fields.get("data", "")
        self.at = time.monotonic()

    @property
    def data(self):
        return json.loads(self.text)

    def __repr__(self):
        return f"{self.name} {self.id} {self.text}"


class Stream:
    """Reads on a thread of its own; `next` and `wait_for` hand the events out in order."""

    def __init__(self, port, target, token=None, headers=None, version="1.1"):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        lines = [f"GET {target} HTTP/{version}", "Host: veche"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._file = self.socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers = {}
        while line := self._file.readline().strip():
            name, value = line.decode().split(":", 1)
            self.headers[name.lower()] = value.strip()
        self.raw = []  # every line, as a leak may hide where no event is
        self._events = queue.Queue()
        self.socket.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _pieces(self):
        if self.headers.get("transfer-encoding") != "chunked":
            while piece := self._file.read1(65536):
                yield piece
            return
        while size := int(self._file.readline() or b"0", 16):
            yield self._file.read(size)
            self._file.readline()

    def _lines(self):
        rest = b""
        for piece in self._pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines

    def _read(self):
        fields = {}
        try:
            for line in self._lines():
                line = line.decode()
                self.raw.append(line)
                if line.startswith(":"):
                    continue
                if line:
                    name, value = re.fullmatch(r"(\w+): ?(.*)", line).groups()
                    fields[name] = value
                elif fields:
                    self._events.put(Event(fields))
                    fields = {}
        except (OSError, ValueError):
            pass
        self._events.put(None)

    def next(self, timeout=5.0):
        """The next event; None: the connection ended. The line that only says when to come back is
        no event."""
        while True:
            event = self._events.get(timeout=timeout)
            if event is None or event.text:
                return event

    def wait_for(self, name, accept=lambda data: True, timeout=5.0):
        deadline = time.monotonic() + timeout
        while True:
            event = self.next(max(deadline - time.monotonic(), 0.001))
            if event is None:
                raise AssertionError(f"the stream ended before a {name}")
            if event.name == name and accept(event.data):
                return event

    def is_silent(self, seconds):
        try:
            self._events.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
