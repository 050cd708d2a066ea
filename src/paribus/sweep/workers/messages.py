"""Messages between the entrypoint and the process that forks workers, over a socket."""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HEADER = struct.Struct("!I")


@dataclass(frozen=True)
class Begin:
    """The first message to the server: where modules are found, and which are imported before any worker starts."""

    path: Sequence[str]
    preload: Sequence[str]


@dataclass(frozen=True)
class Fork:
    """A request for a worker, sent along with the worker's socket."""

    number: int
    environment: Mapping[str, str] = field(default_factory=dict)
    log: str | None = None


def send(control: socket.socket, message: object, *sockets: socket.socket) -> None:
    """Send a message, with sockets for the other process."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    socket.send_fds(control, [HEADER.pack(len(content))], [each.fileno() for each in sockets])
    control.sendall(content)


def receive(control: socket.socket) -> tuple[object, list[int]]:
    """Return the next message with its file descriptors.

    Raises:
        EOFError: If the other end is closed.
    """
    header, descriptors, _, _ = socket.recv_fds(control, HEADER.size, 4)
    if not header:
        raise EOFError
    while len(header) < HEADER.size:
        header += _some(control, HEADER.size - len(header))
    content = b""
    (length,) = HEADER.unpack(header)
    while len(content) < length:
        content += _some(control, length - len(content))
    return pickle.loads(content), descriptors


def _some(control: socket.socket, most: int) -> bytes:
    found = control.recv(most)
    if not found:
        raise EOFError
    return found
