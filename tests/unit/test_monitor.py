import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy import monitor
from lxcpy.monitor import Client, LxcLog, Settings, number

HEAD = b"lxc-start 0123456789ab 20240506070809.123 "
START = HEAD + b"NOTICE   start - ../src/lxc/start.c:post_start:2205 - "
ENDED = HEAD + b"INFO     error - ../src/lxc/error.c:lxc_error_set_and_log:28 - "
STARTED = START + b'Started "/bin/sh" with pid "1234"'


def frame(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "big") + data


@pytest.fixture
def pair() -> Iterator[tuple[Client, socket.socket]]:
    """A client as the monitor has it, and the far end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    with ours, theirs:
        yield Client(ours), theirs


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"12", 12), (b'12")', 12), (b"", 0), (b"x1", 0), (b"-1", 0), (b"007x", 7)],
)
def test_number(text: bytes, expected: int) -> None:
    assert expected == number(text)


def test_the_start_of_a_process_is_as_the_engine_reads_it() -> None:
    from lxcpy import kernel

    assert kernel.start_time(os.getpid()) == monitor.start_time(os.getpid())


def test_frames_are_sent_with_kind_and_length(pair: tuple[Client, socket.socket]) -> None:
    client, theirs = pair
    client.send(b"O", b"x" * 300)
    client.send(b"X", b"")
    expected = b"O\x00\x00\x01\x2c" + b"x" * 300 + b"X\x00\x00\x00\x00"
    assert expected == theirs.recv(1000)


def test_frames_are_received_whole(pair: tuple[Client, socket.socket]) -> None:
    client, theirs = pair
    assert client.receive() == []
    theirs.sendall(frame(b"A", b"oe") + frame(b"Z", b"") + b"I\0\0")
    assert client.receive() == [(b"A", b"oe"), (b"Z", b"")]
    theirs.sendall(b"\0\x02h")
    assert client.receive() == []
    theirs.sendall(b"i")
    assert client.receive() == [(b"I", b"hi")]
    theirs.close()
    assert client.receive() is None


@given(st.lists(st.tuples(st.sampled_from([b"I", b"A"]), st.binary(max_size=40))), st.data())
def test_frames_may_be_cut_anywhere(frames: list[tuple[bytes, bytes]], draw: st.DataObject) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client, found = Client(ours), []
        rest = b"".join(frame(*item) for item in frames)
        while rest:
            cut = draw.draw(st.integers(1, len(rest)))
            theirs.sendall(rest[:cut])
            rest = rest[cut:]
            found += client.receive() or []
    assert frames == found


def test_what_a_client_does_not_take_waits(pair: tuple[Client, socket.socket]) -> None:
    client, theirs = pair
    data = bytes(range(256)) * 8192
    client.send(b"O", data)
    assert client.queue
    received = bytearray()
    while len(received) < len(data) + 5:
        received += theirs.recv(1 << 20)
        client.flush()
    assert not client.queue
    assert bytes(received) == frame(b"O", data)


def test_a_client_that_is_gone_is_told(pair: tuple[Client, socket.socket]) -> None:
    client, theirs = pair
    theirs.close()
    with pytest.raises(ConnectionError):
        client.send(b"O", b"x")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LxcLog]:
    found = LxcLog(-1, f"{tmp_path}/lxc.log")
    yield found
    os.close(found.kept)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (ENDED + b"Child <1234> ended on error (3)", 3),
        (ENDED + b"Child <1234> ended on signal (9)", 137),
        (START + b"Container init process 1234 exited", 0),
    ],
)
def test_the_end_of_the_payload_is_read(log: LxcLog, line: bytes, code: int) -> None:
    log.parse(STARTED)
    assert (log.pid, log.exit_code) == (1234, -1)
    log.parse(line)
    assert code == log.exit_code


def test_the_last_line_of_an_end_does_not_undo_its_code(log: LxcLog) -> None:
    log.parse(STARTED)
    log.parse(ENDED + b"Child <1234> ended on error (3)")
    log.parse(START + b"Container init process 1234 exited")
    assert log.exit_code == 3


@pytest.mark.parametrize(
    "line",
    [
        ENDED + b"Child <999> ended on error (3)",
        ENDED + b"Child <12345> ended on error (3)",
        START + b"Container init process 999 exited",
        START + b"Container init process 1234 exited, it says",
        START + b'Said "Child <1234> ended on error (3)"',
        b"Child <1234> ended on error (3)",
        b"x - Child <1234> ended on error (3)",
        b"",
        b" - ",
        b" - " * 50,
        b"\xff\0",
    ],
)
def test_a_line_that_does_not_fit_is_no_end(log: LxcLog, line: bytes) -> None:
    log.parse(STARTED)
    log.parse(line)
    assert (log.pid, log.exit_code) == (1234, -1)


@pytest.mark.parametrize(
    "command",
    [
        b'x" with pid "7',
        b" - Child <1234> ended on error (3)",
        b'Started "x" with pid "7"',
        b"\xff",
    ],
)
def test_a_command_name_forges_no_pid(log: LxcLog, command: bytes) -> None:
    log.parse(START + b'Started "%s" with pid "1234"' % command)
    assert (log.pid, log.exit_code) == (1234, -1)


def test_a_reboot_of_the_payload_is_a_second_start(log: LxcLog) -> None:
    log.parse(STARTED)
    log.parse(START + b'Started "/sbin/init" with pid "2000"')
    log.parse(ENDED + b"Child <1234> ended on signal (1)")
    assert (log.pid, log.exit_code) == (2000, -1)


def test_lines_come_in_pieces(tmp_path: Path) -> None:
    out, into = os.pipe()
    log = LxcLog(out, f"{tmp_path}/lxc.log")
    os.write(into, STARTED[:50])
    assert log.read()
    assert log.pid == 0
    os.write(into, STARTED[50:] + b"\n")
    os.close(into)
    assert log.read()
    assert log.pid == 1234
    assert not log.read()
    os.close(out)
    os.close(log.kept)


def test_what_people_need_is_kept(log: LxcLog) -> None:
    error = HEAD + b"ERROR    conf - ../src/lxc/conf.c:run_buffer:321 - Script exited with status 1"
    said = HEAD + b"DEBUG    conf - ../src/lxc/conf.c:run_buffer:311 - Script x produced output: no"
    for line in (
        error,
        HEAD + b"DEBUG    start - ../src/lxc/start.c:f:1 - noise",
        HEAD + b"TRACE    start - ../src/lxc/start.c:f:1 - noise",
        HEAD + b"INFO     seccomp - ../src/lxc/seccomp.c:f:1 - noise",
        said,
    ):
        log.parse(line)
    assert log.text() == error + b"\n" + said + b"\n"


def test_settings_are_items() -> None:
    settings = Settings(
        b"arg=lxc-start\0arg=-n\0arg=a=b\0env=PATH=/bin\0env=A=b=c\0cleanup=/bin/x\0cleanup=rm\0"
        b"directory=/d\xff\0run=/r\0started_at=now\0lease=\0tty=1\0stdin=0\0durable=1\0wants=oe\0"
        b"size=24 80\0"
    )
    assert settings.argv == ["lxc-start", "-n", "a=b"]
    assert settings.environment == {"PATH": "/bin", "A": "b=c"}
    assert settings.cleanup == ["/bin/x", "rm"]
    assert (settings.directory, settings.run, settings.lease) == ("/d\udcff", "/r", "")
    assert (settings.tty, settings.stdin, settings.durable) == (True, False, True)
    assert (settings.wants, settings.size) == (b"oe", b"\0\x18\0\x50")


def test_put_replaces_a_file_whole(tmp_path: Path) -> None:
    for text in ("old", "new"):
        monitor.put(f"{tmp_path}/file", text, durable=True)
    assert (tmp_path / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]
