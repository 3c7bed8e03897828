"""Containers for tests."""

from lxcpy.model import Container


def container(digits: str = "a", **changed: object) -> Container:
    """A container whose id begins with these hex digits."""
    fields: dict[str, object] = dict(
        id=digits.ljust(64, "0"),
        created="2024-05-06T07:08:09.000000000Z",
        image="busybox",
        image_id="f" * 64,
        layers=("sha256:" + "1" * 64, "sha256:" + "2" * 64),
        argv=("sh", "-c", "id"),
        entrypoint=(),
        command=("sh", "-c", "id"),
        env=("PATH=/bin", "A=b=c"),
        labels={"key": "value"},
        workdir="/",
        user="",
        hostname="host",
        tty=False,
        open_stdin=False,
        auto_remove=False,
        init=False,
        network="none",
        stop_signal="SIGTERM",
        lxc_conf=(("lxc.prlimit.nofile", "1024"),),
    )
    return Container(**{**fields, **changed})  # type: ignore[arg-type]  # checked by the tests
