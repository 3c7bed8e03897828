import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.images import configs, words

DIFF_ID = f"sha256:{'0' * 64}"
CREATED = "2013-03-20T00:00:00Z"


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", "arm"), ("riscv64", "riscv64")],
)
def test_makes_a_config(monkeypatch: pytest.MonkeyPatch, machine: str, architecture: str) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "6", "1", machine)))
    made = configs.new_config(
        [DIFF_ID], config={"Cmd": ["sh"]}, history=[{"comment": "c"}], author="", created=CREATED
    )
    assert made == {
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
        "history": [{"comment": "c"}],
    }


def test_names_the_author() -> None:
    made = configs.new_config([], config={}, history=[], author="A <a@b>", created=CREATED)
    assert made["author"] == "A <a@b>"


def test_serialises_what_is_not_utf8() -> None:
    config = {"Env": ["A=\udcff", "B=é"]}
    data = configs.serialise(config)
    assert data == b'{"Env":["A=\\udcff","B=\\u00e9"]}'
    assert json.loads(data) == config


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('CMD ["a", "b c"]', {"Cmd": ["a", "b c"]}),
        ("cmd echo  'a' $B", {"Cmd": ["/bin/sh", "-c", "echo  'a' $B"]}),
        ("CMD [ -e /x ] && y", {"Cmd": ["/bin/sh", "-c", "[ -e /x ] && y"]}),
        ("CMD []", {"Cmd": []}),
        ('ENTRYPOINT ["a"]', {"Entrypoint": ["a"]}),
        ("ENTRYPOINT exec a", {"Entrypoint": ["/bin/sh", "-c", "exec a"]}),
        ("ENV a=b", {"Env": ["a=b"]}),
        ('ENV a=b  c="d e" f=g\\ h', {"Env": ["a=b", "c=d e", "f=g h"]}),
        ("ENV a b  c", {"Env": ["a=b  c"]}),
        ("ENV a=", {"Env": ["a="]}),
        ("ENV a=b=c", {"Env": ["a=b=c"]}),
        ('ENV a="b\nc"', {"Env": ["a=b\nc"]}),
        ("ENV a=b \\\n c=d", {"Env": ["a=b", "c=d"]}),
        ("ENV a='$b \\' c=\"\\$b\\n\"", {"Env": ["a=$b \\", "c=$b\\n"]}),
        ('LABEL a=b "c d"="e f"', {"Labels": {"a": "b", "c d": "e f"}}),
        ("EXPOSE 80 53/UDP", {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}}),
        ("EXPOSE 7-8", {"ExposedPorts": {"7/tcp": {}, "8/tcp": {}}}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ('VOLUME ["/a b"]', {"Volumes": {"/a b": {}}}),
        ("USER www:33", {"User": "www:33"}),
        ("WORKDIR /a/../b/", {"WorkingDir": "/b"}),
        ("WORKDIR a", {"WorkingDir": "/a"}),
        ("WORKDIR //a", {"WorkingDir": "/a"}),
        ("STOPSIGNAL SIGQUIT", {"StopSignal": "SIGQUIT"}),
        ("STOPSIGNAL 3", {"StopSignal": "3"}),
        ("STOPSIGNAL SIGRTMIN+3", {"StopSignal": "SIGRTMIN+3"}),
        ("ONBUILD RUN make", {"OnBuild": ["RUN make"]}),
        ("HEALTHCHECK none", {"Healthcheck": {"Test": ["NONE"]}}),
        ("HEALTHCHECK CMD a b", {"Healthcheck": {"Test": ["CMD-SHELL", "a b"]}}),
        (
            'HEALTHCHECK --interval=1m30s --timeout=0.5s --retries=3 CMD ["a"]',
            {
                "Healthcheck": {
                    "Interval": 90 * 10**9,
                    "Timeout": 5 * 10**8,
                    "Retries": 3,
                    "Test": ["CMD", "a"],
                }
            },
        ),
    ],
)
def test_applies_a_change(change: str, expected: configs.Config) -> None:
    assert expected == configs.apply_changes({}, [change])


@pytest.mark.parametrize(
    ("earlier", "changes", "expected"),
    [
        ({"Env": ["A=1", "B=2"]}, ["ENV A=3"], {"Env": ["A=3", "B=2"]}),
        ({"Env": ["P=/bin"]}, ["ENV P=/x:$P Q=${P}"], {"Env": ["P=/x:/bin", "Q=/bin"]}),
        ({"Env": ["P=1"]}, ["USER ${N:-n}${P:+p}$N"], {"Env": ["P=1"], "User": "np"}),
        ({"Labels": {"a": "1"}}, ["LABEL a=2"], {"Labels": {"a": "2"}}),
        ({"Labels": None, "Env": None}, ["LABEL a=2"], {"Labels": {"a": "2"}, "Env": None}),
        ({"WorkingDir": "/a"}, ["WORKDIR b", "WORKDIR c"], {"WorkingDir": "/a/b/c"}),
        ({"Cmd": ["old"]}, ['ENTRYPOINT ["a"]'], {"Entrypoint": ["a"]}),
        ({}, ['CMD ["b"]', 'ENTRYPOINT ["a"]'], {"Cmd": ["b"], "Entrypoint": ["a"]}),
        ({"OnBuild": ["RUN a"]}, ["ONBUILD RUN b"], {"OnBuild": ["RUN a", "RUN b"]}),
    ],
)
def test_builds_on_what_there_was(
    earlier: configs.Config, changes: list[str], expected: configs.Config
) -> None:
    before = json.dumps(earlier)
    assert expected == configs.apply_changes(earlier, changes)
    assert before == json.dumps(earlier)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("", "there is no instruction ''"),
        ("FROM x", "there is no instruction 'FROM'"),
        ("CMD  ", "CMD needs an argument"),
        ("CMD a\0b", "CMD cannot hold a NUL byte"),
        ('CMD ["\\u0000"]', "CMD: it cannot hold a NUL byte"),
        ("ENV a", "ENV: 'a' is not NAME=VALUE"),
        ("ENV a=b c", "ENV: 'c' is not NAME=VALUE"),
        ("ENV =b", "ENV: '=b' has no usable name"),
        ('ENV a="b', "ENV: a double quote has no end"),
        ("LABEL a='b", "LABEL: a single quote has no end"),
        ("LABEL a=${b", r"LABEL: a \$\{ has no end"),
        ("LABEL a=${b?c}", "LABEL: .* is not \\$NAME"),
        ("EXPOSE 0", "EXPOSE: '0' is not PORT"),
        ("EXPOSE 65536", "EXPOSE: '65536' is not PORT"),
        ("EXPOSE 8-7", "EXPOSE: '8-7' is not PORT"),
        ("EXPOSE 80/icmp", "EXPOSE: '80/icmp' is not PORT"),
        ("VOLUME []", "VOLUME: a path is empty"),
        ("USER $NOBODY", "USER: the value is empty"),
        ("STOPSIGNAL SIGNONE", "STOPSIGNAL: 'SIGNONE' is no signal"),
        ("STOPSIGNAL 65", "STOPSIGNAL: '65' is no signal"),
        ("ONBUILD FROM x", "ONBUILD: FROM is not allowed in it"),
        ("HEALTHCHECK a", "HEALTHCHECK: it is NONE or"),
        ("HEALTHCHECK --interval=1 CMD a", "HEALTHCHECK: '1' is no duration"),
        ("HEALTHCHECK --often=1s CMD a", "HEALTHCHECK: '--often=1s' is no option"),
    ],
)
def test_names_the_bad_instruction(change: str, message: str) -> None:
    with pytest.raises(LxcpyError, match=message):
        configs.apply_changes({}, [change])


def test_lists_the_known_instructions() -> None:
    with pytest.raises(LxcpyError) as caught:
        configs.apply_changes({}, ["COPY a b"])
    assert caught.value.hint == (
        "these are known: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER"
        " VOLUME WORKDIR"
    )


@given(
    st.sampled_from(sorted(configs.INSTRUCTIONS)),
    st.text("ab=\"'\\ \n${}:-+[],0189/\u00b2\udcff", max_size=20),
)
def test_fails_only_with_a_reason(name: str, rest: str) -> None:
    reason = ""
    changed: configs.Config = {}
    try:
        changed = configs.apply_changes({}, [f"{name} {rest}"])
    except LxcpyError as error:
        reason = error.message
    assert bool(changed) == (not reason)
    assert "\n" not in reason
    assert changed == json.loads(configs.serialise(changed))


@given(st.dictionaries(st.text("ab_", min_size=1), st.text("ab \n\t=é"), min_size=1, max_size=4))
def test_reads_what_is_quoted(env: dict[str, str]) -> None:
    change = "ENV " + " ".join(f"{key}='{value}'" for key, value in env.items())
    assert {"Env": [f"{key}={value}" for key, value in env.items()]} == configs.apply_changes(
        {}, [change]
    )


@given(st.text("ab\"'\\$ ", max_size=20))
def test_escapes_keep_any_text(text: str) -> None:
    quoted = '"' + "".join(f"\\{char}" if char in '"\\$' else char for char in text) + '"'
    assert [quoted] == words.split(quoted)
    assert text == words.evaluate(quoted, {})
