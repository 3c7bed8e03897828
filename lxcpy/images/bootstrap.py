"""A first image, offline: the host's static busybox with a link for each of its applets."""

import io
import tarfile
from typing import BinaryIO

from lxcpy import shell
from lxcpy.errors import LxcpyError

CREATED = "1970-01-01T00:00:00Z"  # the same busybox makes the same image
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CONFIG: dict[str, object] = {"Cmd": ["sh"], "Env": [f"PATH={PATH}"]}
PT_INTERP = 3  # elf(5): the program header that names a dynamic loader

DIRECTORIES = {
    "bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "lib": 0o755, "proc": 0o555,
    "root": 0o700, "run": 0o755, "sbin": 0o755, "sys": 0o555, "tmp": 0o1777, "usr": 0o755,
    "usr/bin": 0o755, "usr/lib": 0o755, "usr/local": 0o755, "usr/local/bin": 0o755,
    "usr/local/sbin": 0o755, "usr/sbin": 0o755, "var": 0o755, "var/log": 0o755, "var/tmp": 0o1777,
}  # fmt: skip
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "www-data:x:33:33:www-data:/var/www:/bin/false\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\n"
    "nogroup:x:65534:\n",
    "etc/shells": "/bin/sh\n",
}


def busybox_tree(out: BinaryIO) -> None:
    """Write the tar of the image; LxcpyError when busybox is missing or not static."""
    path = shell.find("busybox")
    with open(path, "rb") as file:
        program = file.read()
    if not is_static(program):
        raise LxcpyError(
            f"{path} is not static: it needs libraries that the image would not have",
            hint="apt-get install busybox-static",
        )
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, mode in DIRECTORIES.items():
            tar.addfile(_entry(name, tarfile.DIRTYPE, mode=mode))
        _add_file(tar, "bin/busybox", program, mode=0o755)
        for name, text in FILES.items():
            _add_file(tar, name, text.encode(), mode=0o644)
        for applet in sorted(_applets(path)):
            link = _entry(applet, tarfile.SYMTYPE, mode=0o777)
            link.linkname = "/bin/busybox"
            tar.addfile(link)
        run = _entry("var/run", tarfile.SYMTYPE, mode=0o777)
        run.linkname = "../run"
        tar.addfile(run)


def _applets(path: str) -> set[str]:
    said = shell.run([path, "--list-full"]).stdout.decode().split()
    known = set(DIRECTORIES)
    return {name for name in said if name.rpartition("/")[0] in known} - {"bin/busybox"}


def _entry(name: str, kind: bytes, *, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = mode
    return entry


def _add_file(tar: tarfile.TarFile, name: str, data: bytes, *, mode: int) -> None:
    entry = _entry(name, tarfile.REGTYPE, mode=mode)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def is_static(program: bytes) -> bool:
    """Whether an ELF program of 64 or 32 bits asks for no dynamic loader (elf(5))."""
    if program[:4] != b"\x7fELF":
        return False
    order = "little" if program[5] == 1 else "big"
    wide = program[4] == 2

    def number(at: int, size: int) -> int:
        return int.from_bytes(program[at : at + size], order)  # type: ignore[arg-type]  # a str

    table = number(32, 8) if wide else number(28, 4)
    size, count = (number(54, 2), number(56, 2)) if wide else (number(42, 2), number(44, 2))
    return all(number(table + at * size, 4) != PT_INTERP for at in range(count))
