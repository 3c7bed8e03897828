from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.images import words
from lxcpy.images.instructions import INSTRUCTIONS, apply_changes, duration_ns

BASE = {"Env": ["PATH=/bin", "A=1"], "Cmd": ["old"], "WorkingDir": "/srv", "Labels": {"l": "1"}}


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        ('CMD ["a", "b c"]', "Cmd", ["a", "b c"]),
        ("cmd a 'b c' $HOME", "Cmd", ["/bin/sh", "-c", "a 'b c' $HOME"]),
        ("CMD []", "Cmd", []),
        ("CMD [a]", "Cmd", ["/bin/sh", "-c", "[a]"]),
        ('ENTRYPOINT ["/x"]', "Entrypoint", ["/x"]),
        ("ENV B=2", "Env", ["PATH=/bin", "A=1", "B=2"]),
        ("ENV A=2 B='x y' C=\"p q\" D=r\\ s", "Env", ["PATH=/bin", "A=2", "B=x y", "C=p q", "D=r s"]),  # noqa: E501
        ("ENV A  two words", "Env", ["PATH=/bin", "A=two words"]),
        ("ENV PATH=/x:$PATH", "Env", ["PATH=/x:/bin", "A=1"]),
        ("ENV A='$PATH'", "Env", ["PATH=/bin", "A=$PATH"]),
        ('ENV A="${PATH}\\$"', "Env", ["PATH=/bin", "A=/bin$"]),
        ("ENV A=${NO:-d}${A:+e}$NO$", "Env", ["PATH=/bin", "A=de$"]),
        ("ENV A=b \\\n  B=c\\\nd", "Env", ["PATH=/bin", "A=b", "B=cd"]),
        ("ENV A=\"b\nc\"", "Env", ["PATH=/bin", "A=b\nc"]),
        ("USER\twww", "User", "www"),
        ("ENV A=", "Env", ["PATH=/bin", "A="]),
        ("LABEL a=b 'c d'=\"e=f\"", "Labels", {"l": "1", "a": "b", "c d": "e=f"}),
        ("EXPOSE 80 53/udp 90-91", "ExposedPorts", {p: {} for p in ("80/tcp", "53/udp", "90/tcp", "91/tcp")}),  # noqa: E501
        ("ONBUILD RUN x", "OnBuild", ["RUN x"]),
        ("STOPSIGNAL SIGQUIT", "StopSignal", "SIGQUIT"),
        ("STOPSIGNAL 9", "StopSignal", "9"),
        ("STOPSIGNAL RTMIN+3", "StopSignal", "RTMIN+3"),
        ("USER  1000:users ", "User", "1000:users"),
        ('VOLUME ["/a b"]', "Volumes", {"/a b": {}}),
        ("VOLUME /a $PATH", "Volumes", {"/a": {}, "/bin": {}}),
        ("WORKDIR /x/../y", "WorkingDir", "/y"),
        ("WORKDIR sub", "WorkingDir", "/srv/sub"),
        ("HEALTHCHECK NONE", "Healthcheck", {"Test": ["NONE"]}),
        (
            "HEALTHCHECK --interval=1m30s --retries=3 --start-period=5s CMD test -e /x",
            "Healthcheck",
            {"Interval": 90 * 10**9, "Retries": 3, "StartPeriod": 5 * 10**9, "Test": ["CMD-SHELL", "test -e /x"]},  # noqa: E501
        ),
        ('HEALTHCHECK CMD ["a"]', "Healthcheck", {"Test": ["CMD", "a"]}),
    ],
)  # fmt: skip
def test_changes_one_field(change: str, key: str, expected: Any) -> None:
    changed = apply_changes(BASE, [change])
    assert changed[key] == expected
    rest = {name: value for name, value in BASE.items() if name not in (key, "Cmd")}
    assert {name: changed[name] for name in rest} == rest


def test_the_original_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    config: dict[str, Any] = {"Env": ["A=1"], "Labels": None}
    apply_changes(config, ["ENV A=2", "LABEL x=y"])
    assert config == {"Env": ["A=1"], "Labels": None}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (['ENTRYPOINT ["x"]'], None),
        (['CMD ["a"]', 'ENTRYPOINT ["x"]'], ["a"]),
        (['ENTRYPOINT ["x"]', 'CMD ["a"]'], ["a"]),
    ],
)
def test_an_entrypoint_drops_the_old_command(changes: list[str], expected: Any) -> None:
    assert apply_changes(BASE, changes).get("Cmd") == expected


def test_later_changes_see_earlier_ones() -> None:
    changed = apply_changes({}, ["ENV D=/data", "WORKDIR $D", "VOLUME $D/v"])
    assert (changed["WorkingDir"], changed["Volumes"]) == ("/data", {"/data/v": {}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("", "unknown instruction"),
        ("RUN x", "unknown instruction 'RUN'"),
        ("CMD", "CMD: it needs a value"),
        ("ENV A", "NAME=VALUE is needed"),
        ("ENV A=1 B", "'B' is not NAME=VALUE"),
        ("ENV =1", "'' is not NAME=VALUE"),
        ("ENV A='x", "' is missing"),
        ('ENV A="x', '" is missing'),
        ("ENV A=${x", "} is missing"),
        ("ENV A=${x:?y}", "unknown operator"),
        ("ENV A=${-}", "names no variable"),
        ("EXPOSE http", "'http' is not PORT"),
        ("EXPOSE 0", "'0' is not PORT"),
        ("EXPOSE 80/icmp", "'80/icmp' is not PORT"),
        ("EXPOSE 70000", "'70000' is not PORT"),
        ("EXPOSE 9-8", "'9-8' ends before it starts"),
        ("USER $NOBODY", "the value is empty"),
        ("WORKDIR ${NO}", "the value is empty"),
        ("STOPSIGNAL 65", "there is no signal"),
        ("STOPSIGNAL ²", "there is no signal"),
        ("ONBUILD FROM x", "FROM cannot be a trigger"),
        ("STOPSIGNAL SIGNOTHING", "there is no signal"),
        ("STOPSIGNAL 0", "there is no signal"),
        ("VOLUME []", "needs a path"),
        ("HEALTHCHECK CMD", "NONE, or options and CMD"),
        ("HEALTHCHECK --every=1s CMD x", "--every=1s is no option"),
        ("HEALTHCHECK --timeout=5 CMD x", "'5' is no time"),
        ("HEALTHCHECK --timeout=0s CMD x", "no time above zero"),
    ],
)
def test_errors_name_the_instruction(change: str, message: str) -> None:
    with pytest.raises(LxcpyError) as caught:
        apply_changes(BASE, [change])
    assert message in caught.value.message
    assert change.partition(" ")[0] in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"), [("1s", 10**9), ("1.5h", 5400 * 10**9), ("2m3ms", 120_003_000_000)]
)
def test_durations(text: str, expected: int) -> None:
    assert duration_ns(text) == expected


@pytest.mark.parametrize("change", ["CMD a\0b", 'CMD ["\\u0000"]', 'LABEL "a\0"=b', "USER x\0"])
def test_no_value_holds_a_zero_byte(change: str) -> None:
    with pytest.raises(LxcpyError, match="cannot hold a NUL byte"):
        apply_changes({}, [change])


@given(
    st.sampled_from(sorted(INSTRUCTIONS)),
    st.text("ab=\"'\\ \n${}:-+[],0189/²\udcff\0", max_size=20),
)
def test_fails_only_with_a_reason(name: str, rest: str) -> None:
    reason = ""
    changed: dict[str, Any] = {}
    try:
        changed = apply_changes({}, [f"{name} {rest}"])
    except LxcpyError as error:
        reason = error.message
    assert bool(changed) == (not reason)
    assert "\n" not in reason


@given(
    st.dictionaries(st.text("ab_", min_size=1), st.text('ab \n\t=é"$\\'), min_size=1, max_size=4)
)
def test_reads_what_is_quoted(env: dict[str, str]) -> None:
    change = "ENV " + " ".join(f"{key}='{value}'" for key, value in env.items())
    assert apply_changes({}, [change]) == {"Env": [f"{key}={env[key]}" for key in env]}


@given(st.text("ab\"'\\$ ", max_size=20))
def test_escapes_keep_any_text(text: str) -> None:
    quoted = '"' + "".join(f"\\{char}" if char in '"\\$' else char for char in text) + '"'
    assert words.split(quoted, {}) == [text]
    assert words.expand(quoted, {}) == text
