import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.images.configs import architecture, new_config, parse, serialise

DIFF_ID = "sha256:" + "1" * 64
GOOD: dict[str, Any] = {
    "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
    "config": {"Cmd": ["sh"]},
}


def test_a_new_config_has_the_fields_of_oci() -> None:
    history = [{"created": "2020-01-01T00:00:00Z", "created_by": "x", "comment": ""}]
    got = new_config(
        [DIFF_ID], config={"Cmd": ["sh"]}, history=history, created="2020-01-01T00:00:00Z"
    )
    machine, variant = architecture()
    assert got == {
        "created": "2020-01-01T00:00:00Z",
        "architecture": machine,
        **({"variant": variant} if variant else {}),
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "x"}],
    }


def test_every_layer_has_an_entry_in_the_history() -> None:
    history: list[dict[str, object]] = [
        {"created": "t", "empty_layer": True},
        {"created": "t", "created_by": "x"},
    ]
    got = new_config([DIFF_ID] * 3, config={}, history=history, author="me", created="t")
    layers = [entry for entry in got["history"] if not entry.get("empty_layer")]
    assert (len(layers), len(got["history"]), got["author"]) == (3, 4, "me")


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", ("amd64", "")),
        ("aarch64", ("arm64", "")),
        ("armv7l", ("arm", "v7")),
        ("z9", ("z9", "")),
    ],
)
def test_architectures(machine: str, expected: tuple[str, str]) -> None:
    assert architecture(machine) == expected


def test_the_order_of_keys_does_not_matter() -> None:
    assert serialise({"a": 1, "b": 2}) == serialise({"b": 2, "a": 1})


def test_reads_what_it_wrote() -> None:
    assert parse(serialise(GOOD)) == GOOD


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe", "codec|Expecting value"),
        (b"[]", "no rootfs.diff_ids"),
        (b"{}", "no rootfs.diff_ids"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"rootfs":{"diff_ids":[1]}}', "no rootfs.diff_ids"),
        (b'{"rootfs":{"diff_ids":["../x"]}}', "is no diff id"),
        (json.dumps({**GOOD, "config": []}).encode(), "config is no object"),
        (json.dumps({**GOOD, "config": {"Cmd": "sh"}}).encode(), "config.Cmd has the wrong type"),
        (json.dumps({**GOOD, "config": {"Env": [1]}}).encode(), "config.Env has the wrong type"),
        (json.dumps({**GOOD, "config": {"User": 0}}).encode(), "config.User has the wrong type"),
        (json.dumps({**GOOD, "history": [1]}).encode(), "history is no list"),
        (b" " * (9 << 20), "more than"),
    ],
)
def test_says_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(data)


def test_absent_and_null_fields_are_fine() -> None:
    assert parse(json.dumps({**GOOD, "config": {"Cmd": None}, "history": None}).encode())
    assert parse(json.dumps({**GOOD, "config": None}).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=9,
)


@given(st.dictionaries(st.sampled_from(["rootfs", "config", "history"]), JSON))
def test_any_json_is_a_config_or_a_value_error(value: Any) -> None:
    try:
        parse(json.dumps(value).encode())
    except ValueError:
        return
    assert isinstance(value["rootfs"]["diff_ids"], list)
