"""A base image without a network: the host's static busybox and the files that programs ask for.

Owners, modes and times are fixed, so the same busybox gives the same image everywhere.
"""

import os
import struct
from typing import Any

from lxcpy import shell
from lxcpy.errors import CommandError, LxcpyError
from lxcpy.images.encode import encode
from lxcpy.images.header import BLOCK, DIRECTORY, FILE, SECOND, SYMLINK, Member
from lxcpy.images.streams import Sink, Writable

CREATED = "2013-03-26T00:00:00Z"  # a date that never changes
MTIME_NS = 1364256000 * SECOND  # the same
CONFIG: dict[str, Any] = {
    "Cmd": ["sh"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
}
BUSYBOX = "bin/busybox"
DIRECTORIES = {
    "": 0o755, "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "lib": 0o755,
    "mnt": 0o755, "opt": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755, "sbin": 0o755,
    "srv": 0o755, "sys": 0o555, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/lib": 0o755,
    "usr/local": 0o755, "usr/local/bin": 0o755, "usr/local/sbin": 0o755, "usr/sbin": 0o755,
    "var": 0o755, "var/log": 0o755, "var/spool": 0o755, "var/tmp": 0o1777,
}  # fmt: skip
FILES = {
    "etc/group": "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\ntty:x:5:\nmail:x:8:\n"
    "www-data:x:33:\nutmp:x:43:\nstaff:x:50:\nusers:x:100:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "bin:x:2:2:bin:/bin:/bin/false\nmail:x:8:8:mail:/var/mail:/bin/false\n"
    "www-data:x:33:33:www-data:/var/www:/bin/false\n"
    "nobody:x:65534:65534:nobody:/home:/bin/false\n",
}
LINKS = {"var/run": "../run", "var/lock": "../run"}
PT_INTERP = 3  # elf(5)


def busybox_tree(out: Writable) -> None:
    """Write the tar of a base image made of this host's busybox.

    Raises LxcpyError when there is none, or one that needs shared libraries.
    """
    program = shell.find("busybox")
    data = _read(program)
    places = (path for path in _list(program) if os.path.dirname(path) in DIRECTORIES)
    applets = [path for path in places if path != BUSYBOX]
    sink = Sink(out)
    for path, mode in DIRECTORIES.items():
        sink.write(_header(path + "/" if path else "./", DIRECTORY, mode=mode))
    contents = {path: text.encode() for path, text in FILES.items()}
    for path, content in {**contents, BUSYBOX: data}.items():
        mode = 0o755 if path == BUSYBOX else 0o644
        sink.write(_header(path, FILE, mode=mode, size=len(content)))
        sink.write(content + bytes(-len(content) % BLOCK))
    links = {path: os.path.relpath(BUSYBOX, os.path.dirname(path) or ".") for path in applets}
    for path, target in sorted({**links, **LINKS}.items()):
        sink.write(_header(path, SYMLINK, mode=0o777, link=target))
    sink.write(bytes(2 * BLOCK))
    sink.flush()


def _header(path: str, kind: bytes, *, mode: int, size: int = 0, link: str = "") -> bytes:
    name, target = os.fsencode(path), os.fsencode(link)
    member = Member(name, kind, mode, 0, 0, MTIME_NS, target, (0, 0), size, size, (), {})
    return encode(member, {})


def _read(program: str) -> bytes:
    try:
        with open(program, "rb") as file:
            data = file.read()
        static = is_static(data)
    except OSError as error:
        raise LxcpyError(f"cannot read {program}: {error.strerror}") from error
    except (struct.error, ValueError, IndexError) as error:
        raise LxcpyError(f"{program} is no program: {error}") from error
    if not static:
        raise LxcpyError(
            f"{program} needs shared libraries, which the image would lack",
            hint="apt-get install busybox-static",
        )
    return data


def is_static(data: bytes) -> bool:
    """Whether an ELF program asks for no dynamic loader (elf(5), PT_INTERP).

    ValueError or struct.error when it is no ELF file.
    """
    if data[:4] != b"\x7fELF":
        raise ValueError("it is no ELF file")
    order = "<" if data[5] == 1 else ">"
    if data[4] == 2:  # 64 bits
        (table,) = struct.unpack_from(order + "Q", data, 32)
        size, count = struct.unpack_from(order + "HH", data, 54)
    else:
        (table,) = struct.unpack_from(order + "I", data, 28)
        size, count = struct.unpack_from(order + "HH", data, 42)
    kinds = (struct.unpack_from(order + "I", data, table + size * at)[0] for at in range(count))
    return PT_INTERP not in kinds


def _list(program: str) -> list[str]:
    """Where the programs in busybox want to be, such as bin/sh."""
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with (
            shell.reading([program, "--list-full"], null) as fd,
            open(fd, "rb", closefd=False) as out,
        ):
            paths: list[str] = out.read().decode("utf-8", "replace").split()
    except CommandError as error:
        raise LxcpyError(
            f"cannot list what is in {program}: {error.message}",
            hint="it must be a busybox built with its list of applets",
        ) from error
    finally:
        os.close(null)
    return paths
