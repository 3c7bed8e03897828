import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.network import resolv

FALLBACK = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def use(monkeypatch: pytest.MonkeyPatch, host: str, uplink: str = "") -> None:
    texts = {resolv.HOST_FILE: host, resolv.UPLINK_FILE: uplink}
    monkeypatch.setattr(resolv, "_read", texts.__getitem__)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("nameserver 10.0.0.1\n", "nameserver 10.0.0.1\n"),
        ("# c\n; d\n\n  nameserver 10.0.0.1  \nsearch x y\noptions ndots:2",
         "nameserver 10.0.0.1\nsearch x y\noptions ndots:2\n"),
        ("nameserver 127.0.0.1\nnameserver 9.9.9.9\nnameserver ::1\n", "nameserver 9.9.9.9\n"),
        ("nameserver fd00::1\n", "nameserver fd00::1\n"),
        ("nameserver 127.0.0.1\nsearch x\n", f"{FALLBACK}search x\n"),
        ("", FALLBACK),
        ("nameserver\n", f"{FALLBACK}nameserver\n"),
    ],
)  # fmt: skip
def test_bridged(monkeypatch: pytest.MonkeyPatch, host: str, expected: str) -> None:
    use(monkeypatch, host)
    assert expected == resolv.resolv_conf(network="bridge")


def test_stub_of_systemd_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "nameserver 127.0.0.53\noptions edns0\n", "nameserver 10.5.5.5\nsearch x\n")
    assert resolv.resolv_conf(network="bridge") == "nameserver 10.5.5.5\nsearch x\n"


def test_stub_without_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "nameserver 127.0.0.53\noptions edns0\n")
    assert resolv.resolv_conf(network="bridge") == f"{FALLBACK}options edns0\n"


def test_network_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "# mine\nnameserver 127.0.0.53\n")
    assert resolv.resolv_conf(network="host") == "# mine\nnameserver 127.0.0.53\n"


@given(st.text())
def test_there_is_always_a_name_server(text: str) -> None:
    assert resolv.name_servers(resolv.reachable(text)) != []


def test_hosts() -> None:
    head = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    assert resolv.hosts("web", "10.77.0.2") == f"{head}10.77.0.2\tweb\n"
    assert resolv.hosts("web", "") == f"{head}127.0.1.1\tweb\n"
