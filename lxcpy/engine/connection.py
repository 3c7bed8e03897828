"""The client's end of the monitor's protocol (see lxcpy/monitor.py)."""

import os
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket, socketpair
from collections.abc import Iterator
from contextlib import suppress

from lxcpy import paths, shell
from lxcpy.errors import NotFoundError

CHUNK = 1 << 18
# Imported from its directory, not run as a file: Python keeps the compiled form of an import only.
# The directory is the last on the path, so that no module of it hides one of the standard library.
BOOT = "import sys; sys.path.append(sys.argv[1]); from monitor import main; main()"

Frame = tuple[bytes, bytes]


class Connection:
    """A connection to a monitor: frames out, frames in."""

    def __init__(self, connection: socket, *, launcher: int = 0) -> None:
        self.socket = connection
        self.launcher = launcher  # our child, from which the monitor forks itself
        self.buffer = bytearray()
        self.kept: list[Frame] = []

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()
        self.reap()

    def reap(self) -> None:
        """Take the status of the launcher, which exits as soon as the monitor runs."""
        if self.launcher:
            os.waitpid(self.launcher, 0)
            self.launcher = 0

    def send(self, kind: bytes, data: bytes = b"") -> None:
        """Send one frame; a monitor that is gone is noticed when reading."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(kind + len(data).to_bytes(4, "big") + data)

    def receive(self) -> list[Frame] | None:
        """Wait for data; the frames that are complete now, None at the end of the connection."""
        if self.kept:
            kept, self.kept = self.kept, []
            return kept
        try:
            data = self.socket.recv(CHUNK)
        except ConnectionResetError:
            return None
        if not data:
            return None
        self.buffer += data
        return list(self._frames())

    def _frames(self) -> Iterator[Frame]:
        while len(self.buffer) >= 5:
            end = 5 + int.from_bytes(self.buffer[1:5], "big")
            if len(self.buffer) < end:
                return
            yield bytes(self.buffer[:1]), bytes(self.buffer[5:end])
            del self.buffer[:end]

    def wait_for(self, *kinds: bytes) -> Frame | None:
        """The first frame of one of these kinds; the others are kept in order for `receive`."""
        seen: list[Frame] = []
        while (frames := self.receive()) is not None:
            for at, frame in enumerate(frames):
                if frame[0] in kinds:
                    self.kept = seen + frames[at + 1 :]
                    return frame
                seen.append(frame)
        return None


def launch(key: str) -> Connection:
    """Start a monitor; it waits for its settings, so that it boots while they are prepared."""
    ours, theirs = socketpair()
    directory = os.path.dirname(paths.monitor_program())
    argv = [sys.executable, "-I", "-S", "-c", BOOT, directory, key]
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        pid = shell.spawn(argv, {0: null, 1: null, 2: null, 3: theirs.fileno()}, session=True)
    finally:
        os.close(null)
        theirs.close()
    return Connection(ours, launcher=pid)


def connect(where: paths.Paths, key: str) -> Connection:
    """Connect to the monitor of a running container; NotFoundError when none listens."""
    connection = socket(AF_UNIX, SOCK_STREAM)
    # sun_path holds 108 bytes (unix(7)); a root may be deeper, a descriptor's name never is.
    try:
        directory = os.open(where.run(key), os.O_PATH | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{directory}/attach")
        finally:
            os.close(directory)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        connection.close()
        raise NotFoundError(f"container {key} is not running") from error
    return Connection(connection)
