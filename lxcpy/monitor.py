"""The supervisor of one container: a program of its own, run by name as `python -I -S monitor.py`.

It runs lxc-start in the foreground, copies the payload's streams to the log and to attached
clients, reads the exit from LXC's own log and writes the exit record last. It holds no lock and
imports nothing that a small process can do without: fifty idle ones should cost little.

Descriptor 3 is a stream socket to the client that started it. First comes one frame of settings;
then this client is one like those that connect to the socket `attach`. Frames, both ways: one
byte of kind, four bytes of length (big endian), data.

    to the monitor    S settings   A streams wanted ("o" stdout, "e" stderr)   I stdin
                      Z end of stdin   W rows and columns (two 16-bit numbers, big endian)
    to a client       R running (pid of init)   F did not start (LXC's log)   O stdout   E stderr
                      X exit code, the last frame

Should the monitor be killed, setpriv's parent-death signal takes lxc-start along, and LXC's own
one the payload: no container runs unwatched.
"""

import os
import select
import sys
import time
from _signal import (  # type: ignore[import-not-found]  # typeshed has no stub for it
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGQUIT,
    SIGTERM,
)
from _signal import (
    signal as on_signal,
)
from _socket import AF_UNIX, CMSG_LEN, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket, socketpair
from fcntl import F_SETPIPE_SZ, fcntl, ioctl
from termios import TIOCSWINSZ

# _signal and _socket are the C halves of signal and socket: the Python halves load enum, selectors
# and more, which costs one megabyte and 6 ms (Python 3.11) for names of constants.

CONTROL = 3
CHUNK = 65536
PIPE_SIZE = 262144  # bytes; the default of 64 KiB halves the throughput
QUEUE_LIMIT = 1 << 20  # bytes queued for a client before the payload has to wait for it
FAREWELL_MS = 10_000  # how long the client of `run --rm` may take to remove the container itself


class Log:
    """The container's log in CRI's format: `TIME STREAM P|F DATA`, P for a line not yet ended."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.second = -1
        self.stamp = b""

    def now(self) -> bytes:
        second, nanosecond = divmod(time.time_ns(), 1_000_000_000)
        if second != self.second:
            self.second = second
            self.stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        return b"%s.%09dZ" % (self.stamp, nanosecond)

    def write(self, stream: bytes, data: bytes) -> None:
        start = b"%s %s " % (self.now(), stream)
        whole, newline, rest = data.rpartition(b"\n")
        text = b""
        if newline:
            text = start + b"F " + whole.replace(b"\n", b"\n" + start + b"F ") + b"\n"
        if rest:
            text += start + b"P " + rest + b"\n"
        view = memoryview(text)
        try:
            while view:
                view = view[os.write(self.fd, view) :]
        except OSError:
            pass  # a full disk must not stop the payload; what fits is kept


class Client:
    """One attached client: what it wants, what it has sent in part, what waits for it."""

    def __init__(self, connection: socket) -> None:
        connection.setblocking(False)  # noqa: FBT003
        self.socket = connection
        self.wants = b""
        self.received = bytearray()
        self.queue = bytearray()

    def send(self, kind: bytes, data: bytes) -> None:
        self.queue += kind + len(data).to_bytes(4, "big")
        self.queue += data
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes; ConnectionError when the client is gone."""
        while self.queue:
            try:
                sent = self.socket.send(self.queue)
            except BlockingIOError:
                return
            del self.queue[:sent]

    def receive(self) -> list[tuple[bytes, bytes]] | None:
        """The frames that are complete, None at the end of the connection."""
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self.received += data
        frames = []
        while len(self.received) >= 5:
            end = 5 + int.from_bytes(self.received[1:5], "big")
            if len(self.received) < end:
                break
            frames.append((bytes(self.received[:1]), bytes(self.received[5:end])))
            del self.received[:end]
        return frames


class Settings:
    """What the client sends first: NUL-separated KEY=VALUE items, `arg` and `env` many times."""

    def __init__(self, data: bytes) -> None:
        one: dict[str, str] = {}
        self.argv: list[str] = []
        self.environment: dict[str, str] = {}
        self.cleanup: list[str] = []
        for item in data.split(b"\0")[:-1]:
            key, _, value = os.fsdecode(item).partition("=")
            if key == "arg":
                self.argv.append(value)
            elif key == "cleanup":
                self.cleanup.append(value)
            elif key == "env":
                name, _, text = value.partition("=")
                self.environment[name] = text
            else:
                one[key] = value
        self.directory = one["directory"]
        self.run = one["run"]
        self.started_at = one["started_at"]
        self.lease = one["lease"]
        self.tty = one["tty"] == "1"
        self.stdin = one["stdin"] == "1"
        self.durable = one["durable"] == "1"
        self.wants = one["wants"].encode()
        rows, _, columns = one["size"].partition(" ")
        self.size = int(rows).to_bytes(2, "big") + int(columns).to_bytes(2, "big")


class Streams:
    """The payload's standard streams: three pipes, or one terminal of the container's own."""

    def __init__(self, *, tty: bool, stdin: bool) -> None:
        self.outputs: dict[int, bytes] = {}  # descriptor to read -> stream
        self.early: dict[int, bytes] = {}  # the same, not to be read before the payload runs
        self.input = -1
        self.queue = bytearray()  # input that the payload has not taken yet
        self.ended = False  # no more input will come
        self.console: socket | None = None
        self.size = b""
        if tty:
            self.console, theirs = socketpair()
            self.theirs = [theirs.detach()] * 3
            return
        out, its_out = pipe()
        err, its_err = pipe()
        self.early = {out: b"stdout", err: b"stderr"}
        its_in = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if stdin:
            os.close(its_in)
            its_in, self.input = pipe()
            os.set_blocking(self.input, False)
        self.theirs = [its_in, its_out, its_err]

    def close_theirs(self) -> None:
        for fd in set(self.theirs):
            os.close(fd)

    def take_terminal(self) -> int:
        """The master that lxcpy-init sends, -1 if this was something else or it died before."""
        assert self.console
        data, control, _, _ = self.console.recvmsg(1, CMSG_LEN(4))
        if data and not control:
            return -1  # LXC or a hook said something
        master = -1
        for level, kind, data in control:
            if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
                master = int.from_bytes(data[:4], sys.byteorder)
        if master >= 0:
            os.set_blocking(master, False)  # CLOEXEC: _socket sets it on receipt
            self.outputs[master] = b"stdout"
            self.input = master
            self.resize(self.size)
            self.console.send(b"s")
        self.console.close()
        self.console = None
        return master

    def resize(self, size: bytes) -> None:
        """Tell the terminal its rows and columns; the kernel sends SIGWINCH."""
        self.size = size
        if self.input in self.outputs and len(size) == 4:
            rows, columns = size[:2], size[2:]
            native = rows[::-1] + columns[::-1] if sys.byteorder == "little" else size
            ioctl(self.input, TIOCSWINSZ, native + b"\0\0\0\0")

    def feed(self) -> None:
        """Write queued input as far as the payload takes it."""
        while self.queue and self.input >= 0:
            try:
                written = os.write(self.input, self.queue)
            except BlockingIOError:
                return
            except OSError:  # the payload closed it
                self.close_input()
                return
            del self.queue[:written]
        if self.ended and not self.queue:
            self.close_input()

    def close_input(self) -> None:
        self.queue.clear()
        if self.input >= 0 and self.input not in self.outputs:
            os.close(self.input)
            self.input = -1


class LxcLog:
    """LXC's log as it comes through a pipe: kept for people, read for what happened.

    The lines are LXC 5.0's (src/lxc/start.c). `Started` follows a successful exec of the payload,
    since LXC waits for it; an exit with 0 is told at DEBUG level only, which is not kept. The pid
    must fit: the name of the command is in these lines too, and it may come with a strange image.
    """

    def __init__(self, fd: int, path: str) -> None:
        self.fd = fd
        self.kept = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.rest = b""
        self.pid = 0  # of the payload, once it is started
        self.exit_code = -1

    def read(self) -> bool:
        """Take what has come; False at its end."""
        data = os.read(self.fd, CHUNK)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.parse(line)
        return bool(data)

    def parse(self, line: bytes) -> None:
        fields = line.split(None, 4)
        level = fields[3] if len(fields) == 5 else b""
        if level in (b"ERROR", b"WARN", b"NOTICE", b"INFO"):
            # A seccomp profile of ours alone makes 430 lines of INFO.
            keep = level != b"INFO" or b" seccomp - " not in line
        else:
            keep = level not in (b"DEBUG", b"TRACE") or b"produced output" in line
        if keep:
            os.write(self.kept, line + b"\n")
        message = line.partition(b" - ")[2].partition(b" - ")[2]
        if message.startswith(b'Started "'):
            self.pid = number(message.rpartition(b'with pid "')[2])
        elif message.startswith(b"Child <%d> ended on " % self.pid):
            code = number(message.rpartition(b"(")[2])
            self.exit_code = 128 + code if b"> ended on signal " in message else code
        elif message == b"Container init process %d exited" % self.pid:
            self.exit_code = max(self.exit_code, 0)

    def text(self) -> bytes:
        return os.pread(self.kept, CHUNK, 0)


class Monitor:
    def __init__(self, control: Client, settings: Settings) -> None:
        self.settings = settings
        self.clients = {control.socket.fileno(): control}
        self.control = control
        self.poll = select.poll()
        self.poll.register(control.socket, select.POLLIN)
        self.log = Log(f"{settings.directory}/log")
        self.paused = False
        self.running = False

    def start(self) -> None:
        """Start lxc-start with the streams, its log coming back through a pipe."""
        self.listener = listen(self.settings.run)
        self.poll.register(self.listener, select.POLLIN)
        self.record(0)
        self.streams = Streams(tty=self.settings.tty, stdin=self.settings.stdin)
        self.streams.resize(self.settings.size)
        log_read, log_write = os.pipe()
        moved = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate(self.streams.theirs)]
        self.lxc = os.posix_spawnp(
            "setpriv",
            ["setpriv", "--pdeathsig", "KILL", *self.settings.argv],
            self.settings.environment,
            file_actions=[*moved, (os.POSIX_SPAWN_DUP2, log_write, 3)],
            setsigdef=[SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGTERM],
            setsigmask=[],
        )
        self.streams.close_theirs()
        os.close(log_write)
        on_signal(SIGTERM, lambda *_: os.kill(self.lxc, SIGTERM))  # LXC passes it to the payload
        self.lxc_log = LxcLog(log_read, f"{self.settings.directory}/lxc.log")
        self.poll.register(log_read, select.POLLIN)
        if self.streams.console:
            self.poll.register(self.streams.console, select.POLLIN)

    def record(self, init: int) -> None:
        """Say in the run root who watches and what runs: pids with their start times."""
        self.recorded = init
        own = os.getpid()
        text = (
            f'{{"version":1,"pid":{own},"start":{start_time(own)}'
            f',"init":{init},"init_start":{start_time(init) if init else 0}}}\n'
        )
        put(f"{self.settings.run}/monitor.json", text, durable=False)

    def watch(self) -> None:
        """Serve every descriptor until LXC's log ends, which is when lxc-start has exited."""
        while True:
            for fd, _ in self.poll.poll():
                if fd == self.lxc_log.fd:
                    if not self.lxc_log.read():
                        return
                    self.report_start()
                elif fd in self.streams.outputs:
                    self.copy_output(fd)
                    if fd == self.streams.input:
                        self.feed()
                elif fd in self.clients:
                    self.serve(self.clients[fd])
                elif fd == self.listener.fileno():
                    self.accept()
                elif self.streams.console and fd == self.streams.console.fileno():
                    self.take_terminal(fd)
                elif fd == self.streams.input:
                    self.feed()
            self.balance()

    def report_start(self) -> None:
        pid = self.lxc_log.pid
        if pid != self.recorded:  # a reboot of the payload is a start within LXC: a second pid
            self.record(pid)
            if not self.running:
                self.tell(self.control, b"R", b"%d" % pid)
                self.read_outputs()
            self.running = True

    def read_outputs(self) -> None:
        """From now on they are the payload's: before, they held LXC's errors, which are in its log.

        LXC 5.0 writes errors to its stderr even with --quiet and a log file.
        """
        for fd in self.streams.early:
            self.poll.register(fd, select.POLLIN)
        self.streams.outputs.update(self.streams.early)
        self.streams.early.clear()

    def take_terminal(self, console: int) -> None:
        master = self.streams.take_terminal()
        if not self.streams.console:
            self.poll.unregister(console)
        if master >= 0:
            self.poll.register(master, select.POLLIN)

    def copy_output(self, fd: int) -> bool:
        """One chunk of a stream to the log and to who wants it; False at its end."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the last process left the terminal
            data = b""
        if not data:
            self.poll.unregister(fd)
            del self.streams.outputs[fd]
            return False
        stream = self.streams.outputs[fd]
        self.log.write(stream, data)
        letter = b"o" if stream == b"stdout" else b"e"
        for client in list(self.clients.values()):
            if letter in client.wants:
                self.tell(client, letter.upper(), data)
        return True

    def tell(self, client: Client, kind: bytes, data: bytes) -> None:
        try:
            client.send(kind, data)
        except OSError:
            self.drop(client)

    def accept(self) -> None:
        fd, _ = self.listener._accept()  # type: ignore[attr-defined]  # not in typeshed
        client = Client(socket(fileno=fd))
        self.clients[fd] = client
        self.poll.register(fd, select.POLLIN)

    def serve(self, client: Client) -> None:
        try:
            client.flush()
        except OSError:
            self.drop(client)
            return
        frames = client.receive()
        for kind, data in frames or []:
            if kind == b"A":
                client.wants = data
            elif kind == b"W":
                self.streams.resize(data)
            elif kind == b"I":
                self.streams.queue += data
            elif kind == b"Z":
                self.streams.ended = True
        if frames is None:
            self.drop(client)
        self.feed()

    def feed(self) -> None:
        before = self.streams.input
        self.streams.feed()
        if before >= 0 and self.streams.input < 0:
            unregister(self.poll, before)

    def drop(self, client: Client) -> None:
        fd = client.socket.fileno()
        if fd >= 0:
            unregister(self.poll, fd)
            del self.clients[fd]
            client.socket.close()

    def balance(self) -> None:
        """Wait for what is queued, and take no more of it than QUEUE_LIMIT from its source."""
        full = any(len(client.queue) > QUEUE_LIMIT for client in self.clients.values())
        for fd in self.streams.outputs:
            wanted = 0 if full else select.POLLIN
            if fd == self.streams.input and self.streams.queue:
                wanted |= select.POLLOUT
            self.poll.modify(fd, wanted)
        flooded = len(self.streams.queue) > QUEUE_LIMIT
        for fd, client in self.clients.items():
            wanted = 0 if flooded else select.POLLIN
            self.poll.modify(fd, wanted | (select.POLLOUT if client.queue else 0))
        if self.streams.input >= 0 and self.streams.input not in self.streams.outputs:
            if self.streams.queue:
                self.poll.register(self.streams.input, select.POLLOUT)
            else:
                unregister(self.poll, self.streams.input)

    def finish(self) -> None:
        """Drain, release, and write the exit record last; then tell the clients."""
        failed = os.waitstatus_to_exitcode(os.waitpid(self.lxc, 0)[1])
        on_signal(SIGTERM, SIG_IGN)
        for fd in list(self.streams.outputs):
            os.set_blocking(fd, False)
            while self.copy_output(fd):
                pass
        if not self.running:
            self.say_goodbye(b"F", self.lxc_log.text())
            return
        code = self.lxc_log.exit_code
        if code < 0:  # lxc-start itself was killed, and took the payload along
            code = 128 - failed if failed < 0 else 128 + 9
        record = (
            f'{{"version":1,"exit_code":{code},"started_at":"{self.settings.started_at}"'
            f',"finished_at":"{self.log.now().decode()}"}}\n'
        )
        put(f"{self.settings.directory}/exit.json", record, durable=self.settings.durable)
        self.say_goodbye(b"X", b"%d" % code)

    def say_goodbye(self, kind: bytes, data: bytes) -> None:
        """Nothing of the run is left when the clients hear of its end."""
        for path in (
            self.settings.lease,
            f"{self.settings.run}/attach",
            f"{self.settings.run}/monitor.json",
        ):
            remove(path)
        try:
            os.rmdir(self.settings.run)
        except OSError:
            pass
        for client in list(self.clients.values()):
            self.tell(client, kind, data)
        while any(client.queue for client in self.clients.values()):
            self.wait_for_clients(-1)
        if self.settings.cleanup:
            self.clean_up()

    def wait_for_clients(self, timeout_ms: int) -> bool:
        """Let clients take their queues or leave; False when none did anything in time."""
        waiting = select.poll()
        for fd, client in self.clients.items():
            waiting.register(fd, select.POLLIN | (select.POLLOUT if client.queue else 0))
        ready = waiting.poll(timeout_ms)
        for fd, _ in ready:
            self.serve(self.clients[fd])
        return bool(ready)

    def clean_up(self) -> None:
        """`--rm`: the client removes the container; where it is gone, a command does."""
        while self.control.socket.fileno() in self.clients and self.wait_for_clients(FAREWELL_MS):
            pass
        if os.path.exists(f"{self.settings.directory}/spec.json"):
            os.execve(self.settings.cleanup[0], self.settings.cleanup, self.settings.environment)


def pipe() -> tuple[int, int]:
    ends = os.pipe()
    try:
        fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE)
    except OSError:
        pass  # above the user's share (pipe(7)): the default does too
    return ends


def number(text: bytes) -> int:
    """The decimal number at the start of a text, 0 if there is none."""
    digits = b""
    for at in range(len(text)):
        if not text[at : at + 1].isdigit():
            break
        digits += text[at : at + 1]
    return int(digits or b"0")


def start_time(pid: int) -> int:
    """Start of a process in clock ticks since boot (proc(5)), 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return 0


def listen(directory: str) -> socket:
    """A socket `attach`; by a relative name, since sun_path holds 108 bytes (unix(7))."""
    listener = socket(AF_UNIX, SOCK_STREAM)
    os.chdir(directory)
    remove("attach")
    os.umask(0o177)
    listener.bind("attach")
    os.umask(0o022)
    os.chdir("/")
    listener.listen(16)
    listener.setblocking(False)  # noqa: FBT003
    return listener


def put(path: str, text: str, *, durable: bool) -> None:
    """Write a file whole or not at all."""
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(fd, text.encode())
    if durable:
        os.fsync(fd)
    os.close(fd)
    os.rename(temporary, path)


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def unregister(poll: "select.poll", fd: int) -> None:
    try:
        poll.unregister(fd)
    except KeyError:
        pass


def receive_settings(control: Client) -> Settings | None:
    """Wait for the first frame; None when the client died before it sent one."""
    waiting = select.poll()
    waiting.register(control.socket, select.POLLIN)
    while True:
        waiting.poll()
        frames = control.receive()
        if frames is None:
            return None
        for kind, data in frames:
            if kind == b"S":
                return Settings(data)


def main() -> None:
    if os.fork():
        os._exit(0)  # a long-lived client shall not collect the zombies of its containers
    os.set_inheritable(CONTROL, False)
    os.chdir("/")
    os.umask(0o022)
    for ignored in (SIGHUP, SIGINT, SIGQUIT, SIGPIPE):
        on_signal(ignored, SIG_IGN)
    on_signal(SIGCHLD, SIG_DFL)
    control = Client(socket(fileno=CONTROL))
    settings = receive_settings(control)
    if settings:
        control.wants = settings.wants
        monitor = Monitor(control, settings)
        monitor.start()
        monitor.watch()
        monitor.finish()


if __name__ == "__main__":
    main()
