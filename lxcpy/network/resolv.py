"""The files that tell a container of names: resolv.conf(5) and hosts(5)."""

from lxcpy.errors import LxcpyError

HOST_FILE = "/etc/resolv.conf"
UPLINK_FILE = "/run/systemd/resolve/resolv.conf"  # systemd-resolved's own servers, not its stub
STUB = "127.0.0.53"
# What docker falls back to as well: a container of its own network namespace cannot reach a name
# server on the host's loopback.
FALLBACK = ("8.8.8.8", "8.8.4.4")


def resolv_conf(*, network: str) -> str:
    """The resolv.conf of a container on `network`: the host's, without name servers on loopback.

    On the host's own network it is the host's file as it is.
    """
    text = _read(HOST_FILE)
    if network == "host":
        return text
    if name_servers(text) == [STUB]:
        text = _read(UPLINK_FILE) or text
    return reachable(text)


def reachable(text: str) -> str:
    """A resolv.conf without comments, and with name servers that are no loopback addresses."""
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and line[0] not in "#;" and not _is_loopback(line)]
    if not name_servers("\n".join(kept)):
        kept = [*(f"nameserver {address}" for address in FALLBACK), *kept]
    return "".join(f"{line}\n" for line in kept)


def name_servers(text: str) -> list[str]:
    fields = [line.split() for line in text.splitlines()]
    return [words[1] for words in fields if len(words) > 1 and words[0] == "nameserver"]


def _is_loopback(line: str) -> bool:
    return any(name.startswith("127.") or name == "::1" for name in name_servers(line))


def hosts(hostname: str, address: str) -> str:
    """The hosts file of a container; `address` is empty when it has none of its own."""
    own = address or "127.0.1.1"
    return f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{own}\t{hostname}\n"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise LxcpyError(f"cannot read {path}: {error.strerror}") from error
