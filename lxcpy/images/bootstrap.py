"""The first image, offline: the host's static busybox and the few files that it needs.

Everything that could differ between two runs is fixed, so the same busybox is the same image.
"""

import struct

from lxcpy import shell
from lxcpy.errors import LxcpyError
from lxcpy.images.encode import encode
from lxcpy.images.header import BLOCK, Member, Region
from lxcpy.images.streams import Writable

CREATED = "1970-01-01T00:00:00Z"  # RFC 3339
CONFIG = {
    "Cmd": ["sh"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
}

BUSYBOX = "bin/busybox"
DIRECTORIES = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "lib": 0o755, "mnt": 0o755,
    "opt": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755, "sbin": 0o755, "srv": 0o755,
    "sys": 0o555, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755, "usr/lib": 0o755,
    "usr/local": 0o755, "usr/local/bin": 0o755, "usr/local/sbin": 0o755, "usr/sbin": 0o755,
    "var": 0o755, "var/log": 0o755, "var/tmp": 0o1777,
}  # fmt: skip
LINKS = {"var/run": "../run", "etc/mtab": "../proc/self/mounts"}
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "www-data:x:33:33:www-data:/var/www:/bin/false\n"
    "nobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:::::::\ndaemon:*:::::::\nwww-data:*:::::::\nnobody:*:::::::\n",
    "etc/shells": "/bin/sh\n/bin/ash\n",
    "etc/profile": "export PS1='\\u@\\h:\\w\\$ '\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
SECRET = "etc/shadow"

REGULAR, SYMLINK, DIRECTORY = b"0", b"2", b"5"  # typeflag, pax(1)
END = bytes(2 * BLOCK)

# elf(5): the fields up to e_type are bytes; then for 64 and 32 bits the place, the size and the
# number of the program headers.
ELF_MAGIC = b"\x7fELF"
ELF_LITTLE = 1
ELF_HEADERS = {2: ("Q", 0x20, 0x36), 1: ("I", 0x1C, 0x2A)}  # by EI_CLASS: e_phoff, e_phentsize
PT_INTERP = 3


def busybox_tree(out: Writable) -> None:
    """Write the tar of an image with a shell and some 270 programs.

    Raises LxcpyError when the host has no busybox, or one that needs libraries.
    """
    path = shell.find("busybox")
    try:
        with open(path, "rb") as file:
            program = file.read()
    except OSError as error:
        raise LxcpyError(f"cannot read {path}: {error.strerror}") from error
    _require_static(path, program)
    applets = shell.run([path, "--list-full"]).stdout.decode(errors="replace").split()
    _write_tree(program, applets, out)


def _write_tree(program: bytes, applets: list[str], out: Writable) -> None:
    links = {**dict.fromkeys(filter(_is_place, applets), f"/{BUSYBOX}"), **LINKS}
    files = {name: text.encode() for name, text in FILES.items()} | {BUSYBOX: program}
    for name in sorted({*DIRECTORIES, *links, *files}):
        if name in DIRECTORIES:
            _write(out, f"{name}/", DIRECTORY, DIRECTORIES[name])
        elif name in files:
            mode = 0o755 if name == BUSYBOX else 0o640 if name == SECRET else 0o644
            _write(out, name, REGULAR, mode, data=files[name])
        else:
            _write(out, name, SYMLINK, 0o777, link=links[name])
    out.write(END)


def _is_place(applet: str) -> bool:
    """Whether an applet has its place in a directory of programs; `linuxrc` lies in the root."""
    directory, _, name = applet.rpartition("/")
    return bool(name) and directory in DIRECTORIES and applet not in (*DIRECTORIES, BUSYBOX)


def _write(
    out: Writable, name: str, kind: bytes, mode: int, *, data: bytes = b"", link: str = ""
) -> None:
    size = len(data)
    member = Member(
        name.encode(),
        kind,
        mode,
        0,
        0,
        0,
        link.encode(),
        (0, 0),
        size,
        size,
        (Region(0, size),),
        {},
    )
    out.write(encode(member, {}) + data + bytes(-size % BLOCK))


def _require_static(path: str, program: bytes) -> None:
    """A program with an interpreter (ld.so) needs the host's libraries, which an image lacks."""
    try:
        static = PT_INTERP not in _segment_types(program)
    except (struct.error, ValueError, KeyError) as error:
        raise LxcpyError(f"{path} is no ELF program", hint=_hint()) from error
    if not static:
        raise LxcpyError(f"{path} is linked to the host's libraries", hint=_hint())


def _hint() -> str:
    return f"apt-get install {shell.PACKAGES['busybox']}"


def _segment_types(program: bytes) -> set[int]:
    """The p_type of each segment; KeyError, ValueError or struct.error for what is no ELF file."""
    if program[:4] != ELF_MAGIC or len(program) < 6:
        raise ValueError("no ELF magic")
    word, offset_at, size_at = ELF_HEADERS[program[4]]
    order = "<" if program[5] == ELF_LITTLE else ">"
    (offset,) = struct.unpack_from(f"{order}{word}", program, offset_at)
    size, count = struct.unpack_from(f"{order}HH", program, size_at)
    return {struct.unpack_from(f"{order}I", program, offset + at * size)[0] for at in range(count)}
