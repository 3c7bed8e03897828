import dataclasses
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.lxc.config import (
    DEFAULT_CAPABILITIES,
    OWNED_KEYS,
    Bind,
    Config,
    check_environment,
    parse_lxc_conf,
    read_config,
    render,
    render_mount_script,
)
from lxcpy.model import Mount
from tests.unit.lxc import cases

PLAIN = cases.make()
text = st.text(st.characters(exclude_categories=()), max_size=40)
line = text.filter(lambda value: not set(value) & set("\n\r\0"))
names = text.filter(lambda name: name != "" and not set(name) & {"=", "\0"})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def values(config: Config, key: str) -> list[str]:
    return [value for name, value in read_config(render(config).text) if name == key]


def keys(config: Config, cache: str) -> list[str]:
    return [key for key, _ in read_config(render(config, cache_dir=cache).text)]


def unescape(field: str) -> str:
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escape, character)
    return field


@given(hostname=text, rootfs=text, workdir=text, profile=text.filter(bool), extra=text)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_hostile_values_make_no_other_keys(
    cache: str, hostname: str, rootfs: str, workdir: str, profile: str, extra: str
) -> None:
    hostile = dataclasses.replace(
        PLAIN,
        hostname=hostname,
        rootfs=rootfs,
        workdir=workdir,
        seccomp_profile=profile,
        extra=(("lxc.x", extra),),
    )
    harmless = dataclasses.replace(PLAIN, seccomp_profile="x", extra=(("lxc.x", "y"),))
    if set("\n\r\0") & set(hostname + rootfs + workdir + profile + extra):
        with pytest.raises(LxcpyError):
            render(hostile, cache_dir=cache)
        return
    read = dict(read_config(render(hostile, cache_dir=cache).text))
    assert keys(harmless, cache) == keys(hostile, cache)
    assert hostname == read["lxc.uts.name"]
    assert f"dir:{rootfs}" == read["lxc.rootfs.path"]
    assert workdir == read["lxc.init.cwd"]
    assert profile == read["lxc.seccomp.profile"]


@given(env=st.lists(st.tuples(names, text.filter(lambda value: "\0" not in value)), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_environment_arrives_whole(cache: str, env: list[tuple[str, str]]) -> None:
    rendered = render(dataclasses.replace(PLAIN, env=tuple(env)), cache_dir=cache)
    lines = [value for key, value in read_config(rendered.text) if key == "lxc.environment"]
    assert rendered.options[::2] == ("-s",) * (len(rendered.options) // 2)
    for option in rendered.options[1::2]:
        item = option.removeprefix('lxc.environment="').removesuffix('"')
        lines.append(item if "=" in item else f"{item}={rendered.environment[item]}")
    arrived = dict(item.split("=", 1) for item in lines)
    assert dict(env) == {key.removeprefix("LXCPY_ENV_"): value for key, value in arrived.items()}
    assert len(dict(env)) == len(lines)
    assert not [value for value in rendered.environment if value == "PATH"]


@given(source=line.filter(bool), target=line.filter(bool), readonly=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_bind_has_six_fields(cache: str, source: str, target: str, readonly: bool) -> None:
    bind = Bind(source, "/" + target, readonly=readonly, directory=False)
    config = dataclasses.replace(PLAIN, binds=(bind,))
    rendered = render(config, cache_dir=cache).text
    entry = [value for key, value in read_config(rendered) if key == "lxc.mount.entry"][2]
    fields = [field for field in entry.replace("\t", " ").split(" ") if field]
    ro = ",ro" if readonly else ""
    assert [source, target.lstrip("/")] == [unescape(field) for field in entry.split(" ")[:2]]
    assert ["none", f"bind{ro},create=file", "0", "0"] == fields[-4:]


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "GCONV_PATH", "BASH_FUNC_x%%"])
def test_loader_names_never_reach_a_hook(name: str) -> None:
    rendered = render(dataclasses.replace(PLAIN, env=((name, "x"), ("A", "b"))))
    assert values(dataclasses.replace(PLAIN, env=((name, "x"),)), "lxc.environment") == [
        f"LXCPY_ENV_{name}=x"
    ]
    assert rendered.carries


def test_ordinary_names_need_no_init() -> None:
    env = (("PATH", "/bin"), ("LANG", "C.UTF-8"), ("LC_ALL", "C"), ("TZ", "UTC"), ("LDX", "1"))
    assert not render(dataclasses.replace(PLAIN, env=env)).carries


def test_path_with_a_line_end_is_not_given_to_lxc_start() -> None:
    rendered = render(dataclasses.replace(PLAIN, env=(("PATH", "/x\n/y"),)))
    assert rendered.options == ("-s", 'lxc.environment="PATH=/x\n/y"')
    assert rendered.environment == {}


@pytest.mark.parametrize("item", ["", "A", "=x", "A=\0", "\0=x"])
def test_environment_item_that_is_none(item: str) -> None:
    with pytest.raises(LxcpyError, match="cannot set environment variable"):
        check_environment([item])


@pytest.mark.parametrize("item", ["A=", "A=b=c", "a b=", "A=\n"])
def test_environment_item(item: str) -> None:
    check_environment([item])


def test_environment_name_with_equals_is_refused() -> None:
    with pytest.raises(LxcpyError, match="cannot set environment variable"):
        render(dataclasses.replace(PLAIN, env=(("", "x"),)))


def test_defaults_are_dockers() -> None:
    assert values(PLAIN, "lxc.cap.keep") == [" ".join(DEFAULT_CAPABILITIES)]
    assert len(DEFAULT_CAPABILITIES) == 14
    assert values(PLAIN, "lxc.cgroup.pids.max") == ["2048"]
    assert values(PLAIN, "lxc.cgroup.devices.deny") == ["a"]
    assert values(PLAIN, "lxc.signal.halt") == ["SIGTERM"]


def test_no_capability_is_none() -> None:
    assert values(dataclasses.replace(PLAIN, caps=()), "lxc.cap.keep") == ["none"]


def test_no_limit_is_no_line() -> None:
    assert values(dataclasses.replace(PLAIN, pids_limit=None), "lxc.cgroup.pids.max") == []


def test_hook_is_one_shell_word() -> None:
    config = dataclasses.replace(PLAIN, mount_script="/a b/it's $x;`y`")
    (hook,) = values(config, "lxc.hook.pre-mount")
    assert shlex.split(hook) == ["/bin/sh", "/a b/it's $x;`y`"]


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("lxc.prlimit.nofile=512", ("lxc.prlimit.nofile", "512")),
        (" lxc.a = b = c ", ("lxc.a", "b = c")),
        ("lxc.cap.keep=", ("lxc.cap.keep", "")),
        ("lxc.hook.post-stop=/x y", ("lxc.hook.post-stop", "/x y")),
        ("lxc.cgroup.hugetlb.2MB.max=1", ("lxc.cgroup.hugetlb.2MB.max", "1")),
    ],
)
def test_lxc_conf(given_text: str, expected: tuple[str, str]) -> None:
    assert expected == parse_lxc_conf(given_text)


@pytest.mark.parametrize(
    "bad",
    ["", "lxc.a", "=x", "a=b", "lxc.=b", "lxc.a b=c", "lxc.é=1", "lxc.a=b\nc", "lxc.a=\0", "lxc=1"]
    + [f"{key}=x" for key in sorted(OWNED_KEYS)],
)
def test_lxc_conf_that_is_refused(bad: str) -> None:
    with pytest.raises(LxcpyError, match="--lxc-conf") as caught:
        parse_lxc_conf(bad)
    assert "\n" not in caught.value.message


def test_lxc_conf_lines_come_last() -> None:
    config = dataclasses.replace(PLAIN, env=(("A", "b"),), extra=(("lxc.x", "y"),))
    assert read_config(render(config).text)[-1] == ("lxc.x", "y")


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("lxc.a=b", [("lxc.a", "b")]),
        ("  lxc.a\t= b # c \t\n", [("lxc.a", "b # c")]),
        ("# lxc.a = b\nx = y\n\nlxc.a\n", []),
        ("lxc.a = ' b '", [("lxc.a", " b ")]),
        ("lxc.a = \"b'", [("lxc.a", "\"b'")]),
        ('lxc.a = "', [("lxc.a", '"')]),
        ("lxc.a = \"'x'\"", [("lxc.a", "'x'")]),
        ("lxc.a = b=c\rlxc.d = e", [("lxc.a", "b=c"), ("lxc.d", "e")]),
    ],
)
def test_read_config(given_text: str, expected: list[tuple[str, str]]) -> None:
    assert expected == read_config(given_text)


@given(words=st.lists(line, min_size=1, max_size=4), cwd=line.filter(bool))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_mount_script_quotes_every_word(cache: str, words: list[str], cwd: str) -> None:
    mount = Mount(cwd, (("mount", *words, "/target"),))
    lines = render_mount_script("t", mount, "/target", cache_dir=cache).split("\n")
    expected = ["mount", *words, "/target"]
    command = shlex.split(lines[-2].replace('"$target"', "/target"))
    assert ["exec", *expected] == command
    assert ["cd", cwd] == shlex.split(lines[-3])


@pytest.mark.allow_programs
def test_mount_script_passes_shellcheck(tmp_path: Path) -> None:
    try:
        for name in cases.MOUNTS:
            script = tmp_path / f"{name}.sh"
            script.write_text(cases.mount_script(name))
            done = subprocess.run(
                ["shellcheck", "--exclude=SC2016", str(script)],  # a '$' in a path is meant so
                check=False,
                capture_output=True,
                text=True,
            )
            assert done.stdout == ""
            assert done.returncode == 0
    except FileNotFoundError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("shellcheck is not installed")
