"""Programs: the only place that starts them, and the only importer of sh.

argv is always a list, never a shell string. Tools get a small environment of their own, so that
cron and a rich desktop session behave alike, and messages in English.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from lxcpy.errors import CommandError, LxcpyError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# mount(8) of util-linux 2.39 and later hands options to fsconfig(2), which cuts them at 256 bytes
# (util-linux#2287): a dozen layers would be too many. The variable asks for mount(2).
ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8", "LIBMOUNT_FORCE_MOUNT2": "always"}
PACKAGES = {
    "lxc-start": "lxc", "lxc-attach": "lxc", "ip": "iproute2", "nft": "nftables",
    "mount": "util-linux", "setpriv": "util-linux",
    "busybox": "busybox-static", "xz": "xz-utils", "zstd": "zstd", "gzip": "gzip",
    "bzip2": "bzip2", "cp": "coreutils", "curl": "curl", "lxc-stop": "lxc", "lxc-freeze": "lxc",
    "unshare": "util-linux",
}  # fmt: skip


def _note(how: str, argv: Sequence[str]) -> None:
    """A line for --debug; logging (3 ms) is there only when somebody listens."""
    if "logging" in sys.modules:
        sys.modules["logging"].getLogger(__name__).debug("%s: %s", how, list(argv))


@dataclass(frozen=True)
class Result:
    """What a program said; `stderr` is text for people, so wrong bytes are replaced."""

    stdout: bytes
    stderr: str
    code: int


def find(program: str) -> str:
    """The path of a program, or an error that names the Debian package."""
    if "/" in program:
        return program
    for directory in PATH.split(":"):
        candidate = f"{directory}/{program}"
        if os.access(candidate, os.X_OK):
            return candidate
    package = PACKAGES.get(program)
    raise LxcpyError(
        f"program {program} is not installed",
        hint=f"apt-get install {package}" if package else None,
    )


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    ok: Sequence[int] = (0,),
    cwd: str | None = None,
    environment: dict[str, str] | None = None,
    timeout_s: float | None = None,
) -> Result:
    """Run a program to its end and keep what it said; CommandError for a status not in `ok`.

    Costs the import of sh (some 25 ms): not for the hot path, see `status`.
    """
    import sh

    _note("run", argv)
    try:
        done = sh.Command(find(argv[0]))(
            *argv[1:],
            _env=environment or ENVIRONMENT,
            _in=stdin or b"",
            _tty_out=False,  # the default gives the program a terminal
            _decode_errors="replace",
            _truncate_exc=False,
            _cwd=cwd,
            _timeout=timeout_s,
            _return_cmd=True,
        )
    except sh.ErrorReturnCode as error:  # a signal is a subclass, with a negative exit_code
        result = Result(error.stdout, error.stderr.decode(errors="replace"), error.exit_code)
    except sh.TimeoutException as error:
        raise CommandError(list(argv), -signal.SIGKILL, f"no answer in {timeout_s} s") from error
    else:
        result = Result(done.stdout, done.stderr.decode(errors="replace"), done.exit_code)
    if result.code not in ok:
        raise CommandError(list(argv), result.code, result.stderr)
    return result


def status(argv: Sequence[str]) -> int:
    """The exit status of a program whose words do not matter: one posix_spawn, nothing imported."""
    _note("status", argv)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        pid = spawn(argv, {0: null, 1: null, 2: null})
    finally:
        os.close(null)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def spawn(
    argv: Sequence[str],
    fds: dict[int, int],
    *,
    session: bool = False,
    environment: dict[str, str] | None = None,
) -> int:
    """Start a program with the given descriptors (its number: ours) and return its pid.

    Every signal has its default action in it: Python ignores SIGPIPE, and cron's nohup SIGHUP.
    """
    _note("spawn", argv)
    moved = [(os.POSIX_SPAWN_DUP2, ours, its) for its, ours in fds.items()]
    defaults = [signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
    return os.posix_spawn(
        find(argv[0]), list(argv), environment or ENVIRONMENT,
        file_actions=moved, setsigdef=defaults, setsigmask=[], setsid=session,
    )  # fmt: skip


def replace(argv: Sequence[str], environment: dict[str, str]) -> NoReturn:
    """Become another program (execve): its streams, signals and exit status are then its own."""
    _note("replace", argv)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and so would the program
    path = find(argv[0])
    try:
        os.execve(path, list(argv), environment)
    except OSError as error:
        raise LxcpyError(f"cannot run {path}: {error.strerror}") from error


@contextmanager
def reading(argv: Sequence[str], stdin: int) -> Iterator[int]:
    """A descriptor with what a program makes of the descriptor `stdin`, such as `gzip -dc`.

    On leaving, a program that failed raises CommandError, unless something else was raised.
    """
    out, its_out = os.pipe()
    err = os.memfd_create("stderr")
    try:
        pid = spawn(argv, {0: stdin, 1: its_out, 2: err})
    except BaseException:
        os.close(out)
        os.close(err)
        raise
    finally:
        os.close(its_out)
    try:
        yield out
    finally:
        os.close(out)  # one that still writes gets SIGPIPE
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said = os.pread(err, 65536, 0).decode(errors="replace")
        os.close(err)
    if code not in (0, -signal.SIGPIPE):
        raise CommandError(list(argv), code, said)
