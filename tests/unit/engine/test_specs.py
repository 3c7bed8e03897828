import os
from typing import Any

import pytest

from lxcpy.engine import specs
from lxcpy.errors import LxcpyError, StartError
from lxcpy.model import ContainerSpec, Image
from lxcpy.shell import PATH


def image(**config: object) -> Image:
    """An image whose config has these fields."""
    whole = {"config": config, "rootfs": {"diff_ids": ["sha256:1", "sha256:2"]}}
    return Image("f" * 64, whole, ())


def spec(**fields: Any) -> ContainerSpec:
    return ContainerSpec(image="busybox", **{"command": ("true",), **fields})


@pytest.mark.parametrize(
    ("config", "asked", "argv"),
    [
        ({"Cmd": ["sh"]}, {}, ("sh",)),
        ({"Cmd": ["sh"]}, {"command": ("id", "-u")}, ("id", "-u")),
        ({"Entrypoint": ["e", "x"], "Cmd": ["c"]}, {}, ("e", "x", "c")),
        ({"Entrypoint": ["e"], "Cmd": ["c"]}, {"command": ("d",)}, ("e", "d")),
        ({"Entrypoint": ["e"], "Cmd": ["c"]}, {"entrypoint": ("f",)}, ("f",)),
        (
            {"Entrypoint": ["e"], "Cmd": ["c"]},
            {"entrypoint": ("f",), "command": ("d",)},
            ("f", "d"),
        ),
        ({"Entrypoint": ["e"], "Cmd": ["c"]}, {"entrypoint": (), "command": ("d",)}, ("d",)),
        ({"Entrypoint": None, "Cmd": ["c"]}, {}, ("c",)),
        ({"Entrypoint": ["e"], "Cmd": None}, {}, ("e",)),
    ],
)
def test_entrypoint_and_command(
    config: dict[str, object], asked: dict[str, object], argv: tuple[str, ...]
) -> None:
    made = specs.build(ContainerSpec(image="busybox", **asked), image(**config))  # type: ignore[arg-type]  # a table
    assert argv == made.argv
    assert argv == made.entrypoint + made.command


@pytest.mark.parametrize(
    "asked", [{"command": ()}, {"command": (), "entrypoint": ()}], ids=["none", "dropped"]
)
def test_no_command_is_refused(asked: dict[str, object]) -> None:
    config = image(Cmd=["sh"]) if "entrypoint" in asked else image()
    with pytest.raises(LxcpyError, match="no command specified"):
        specs.build(spec(**asked), config)


def test_an_image_without_config_will_do() -> None:
    bare = Image("f" * 64, {"config": None, "rootfs": {"diff_ids": []}}, ())
    made = specs.build(spec(), bare)
    assert (made.argv, made.workdir, made.user, made.labels) == (("true",), "/", "", {})
    assert (made.stop_signal, made.layers) == ("SIGTERM", ())


def test_the_users_values_win_over_the_images() -> None:
    base = image(
        WorkingDir="/srv", User="web", StopSignal="SIGINT", Labels={"a": "1", "b": "2"}, Cmd=["x"]
    )
    own = specs.build(spec(), base)
    assert (own.workdir, own.user, own.stop_signal) == ("/srv", "web", "SIGINT")
    assert own.labels == {"a": "1", "b": "2"}
    asked = spec(workdir="/w", user="0", stop_signal="USR1", labels={"b": "3", "c": ""})
    made = specs.build(asked, base)
    assert (made.workdir, made.user, made.stop_signal) == ("/w", "0", "USR1")
    assert made.labels == {"a": "1", "b": "3", "c": ""}
    assert made.layers == ("sha256:1", "sha256:2")
    assert made.image_id == base.id


def test_variables_are_defaults_then_the_images_then_the_users() -> None:
    made = specs.build(
        spec(env=("B=user", "C=x=y", "E="), hostname="web"), image(Env=["A=1", "B=image"])
    )
    assert made.env == (f"PATH={PATH}", "HOSTNAME=web", "A=1", "B=user", "C=x=y", "E=")


def test_variables_of_a_terminal() -> None:
    made = specs.build(spec(tty=True, env=("HOSTNAME=own",)), image(Env=["PATH=/image"]))
    assert made.env == ("PATH=/image", "HOSTNAME=own", "TERM=xterm")
    made = specs.build(spec(tty=True, env=("TERM=dumb",)), image())
    assert "TERM=dumb" in made.env


def test_the_host_name_is_the_key_unless_the_network_is_the_hosts() -> None:
    made = specs.build(spec(), image())
    assert made.hostname == made.id[:12]
    assert specs.build(spec(hostname="web"), image()).hostname == "web"
    assert specs.build(spec(network="host"), image()).hostname == os.uname().nodename


def test_ids_are_64_hex_digits_and_differ() -> None:
    first, second = (specs.build(spec(), image()).id for _ in range(2))
    assert len(bytes.fromhex(first)) == 32
    assert first != second


def test_lines_for_lxc_are_parsed() -> None:
    made = specs.build(spec(lxc_conf=("lxc.prlimit.nofile = 1024",)), image())
    assert made.lxc_conf == (("lxc.prlimit.nofile", "1024"),)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"workdir": "srv"}, "the working directory 'srv' is not absolute"),
        ({"network": "none\n"}, "no such network: none"),
        ({"network": "lan"}, "no such network: lan"),
        ({"hostname": "a" * 64}, "invalid host name"),
        ({"hostname": "a b"}, "invalid host name"),
        ({"hostname": "a\nb"}, "invalid host name"),
        ({"env": ("A",)}, "invalid environment variable 'A'"),
        ({"env": ("=x",)}, "invalid environment variable '=x'"),
        ({"env": ("A=\0",)}, "invalid environment variable"),
        ({"lxc_conf": ("x",)}, "--lxc-conf 'x': no '='"),
        ({"command": ("a\nb",)}, "the command name 'a.nb' has a line break"),
        ({"command": ("a", "b\0")}, "a word of the command has a NUL byte"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, object], message: str) -> None:
    with pytest.raises(LxcpyError, match=message.replace("\\", "..")):
        specs.build(spec(**asked), image())


def test_an_empty_command_name_is_not_found() -> None:
    with pytest.raises(StartError) as caught:
        specs.build(spec(command=("",)), image())
    assert caught.value.exit_code == 127
