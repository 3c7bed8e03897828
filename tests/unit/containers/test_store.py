import os
from pathlib import Path

import pytest

from lxcpy.containers import names, store
from lxcpy.containers.store import ContainerStore, check_name
from lxcpy.errors import InUseError, LxcpyError, NotFoundError
from lxcpy.paths import Paths, prepare
from tests.unit.containers.samples import container


@pytest.fixture
def containers(tmp_path: Path) -> ContainerStore:
    paths = Paths(f"{tmp_path}/root", f"{tmp_path}/run")
    prepare(paths)
    return ContainerStore(paths)


def add(containers: ContainerStore, digits: str, name: str | None = None) -> str:
    """Add a container and return its key."""
    made = container(digits)
    containers.add(made, name, durable=False)
    return made.key


@pytest.mark.parametrize("name", ["ab", "Web-1", "0.a_b", "a" * 128])
def test_a_good_name_passes(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-a", "_a", ".a", "a/b", "a b", "é1", "a\n", "../x", "a" * 129, "a\0"]
)
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(LxcpyError, match="invalid container name"):
        check_name(name)


def test_suggested_names_are_good_and_end_with_numbers() -> None:
    suggestions = names.suggest()
    found = [next(suggestions) for _ in range(9)]
    for name in found:
        check_name(name)
    assert [name[-1].isdigit() for name in found] == [False] * 8 + [True]


@pytest.mark.parametrize("durable", [True, False])
def test_a_container_comes_back_as_it_was_added(containers: ContainerStore, durable: bool) -> None:
    made = container("abc", env=("A=\udcff", "B=ü"))
    assert containers.add(made, "web", durable=durable) == "web"
    assert containers.load(made.key) == made
    assert containers.names() == {made.key: "web"}
    assert containers.name(made.key) == "web"
    parts = sorted(os.listdir(containers.paths.container(made.key)))
    assert parts == ["init", "rootfs", "spec.json", "upper", "work"]
    assert os.listdir(containers.paths.scratch) == []


def test_a_container_without_a_name_is_given_one(containers: ContainerStore) -> None:
    name = containers.add(container("1"), None, durable=False)
    check_name(name)
    assert containers.get(name) == container("1").key


@pytest.mark.parametrize("text", ["web", "abc", "abc000000000", "abc".ljust(64, "0")])
def test_a_container_is_found_by_name_id_and_prefix(containers: ContainerStore, text: str) -> None:
    key = add(containers, "abc", "web")
    add(containers, "abd", "other")
    assert key == containers.find(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "/", "../names/web", "we", "abz", "ABC", "abc".ljust(64, "1"), "web\0", "é",
     "abc".ljust(65, "0")],
)  # fmt: skip
def test_what_is_no_name_nor_prefix_is_not_found(containers: ContainerStore, text: str) -> None:
    add(containers, "abc", "web")
    assert containers.find(text) is None
    with pytest.raises(NotFoundError, match="No such container: "):
        containers.get(text)


def test_a_prefix_of_two_is_ambiguous(containers: ContainerStore) -> None:
    add(containers, "abc1")
    add(containers, "abc2")
    with pytest.raises(LxcpyError, match="prefix abc is ambiguous: 2 containers"):
        containers.find("abc")
    assert containers.find("abc2") == "abc200000000"


def test_a_name_wins_over_a_prefix(containers: ContainerStore) -> None:
    add(containers, "cafe", "web")
    expected = add(containers, "1", "cafe")
    assert expected == containers.find("cafe")


def test_a_taken_name_is_refused_and_nothing_is_left(containers: ContainerStore) -> None:
    owner = add(containers, "1", "web")
    with pytest.raises(InUseError, match=f"name web is already in use by container {owner}"):
        add(containers, "2", "web")
    assert containers.all_keys() == [owner]
    assert os.listdir(containers.paths.scratch) == []


def test_a_name_without_its_container_is_taken_again(containers: ContainerStore) -> None:
    os.symlink("0" * 12, f"{containers.paths.names}/web")  # a crash between name and directory
    assert containers.find("web") is None
    key = add(containers, "1", "web")
    assert containers.get("web") == key


def test_a_container_that_cannot_be_made_leaves_nothing(
    containers: ContainerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: str, _target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "symlink", full)
    with pytest.raises(LxcpyError, match="cannot create a container: No space left on device"):
        add(containers, "1", "web")
    assert containers.all_keys() == []
    assert os.listdir(containers.paths.scratch) == []


def test_what_is_half_made_or_half_removed_is_invisible(containers: ContainerStore) -> None:
    key = add(containers, "1", "web")
    os.mkdir(f"{containers.paths.containers}/.{'2' * 12}")
    os.makedirs(f"{containers.paths.scratch}/{'3' * 12}/upper")
    assert containers.all_keys() == [key]
    assert containers.find("2") is None
    assert containers.find("3") is None
    loaded, errors = containers.load_all()
    assert ([item.key for item in loaded], errors) == ([key], [])


def test_remove_takes_directory_name_and_lock(containers: ContainerStore) -> None:
    key = add(containers, "1", "web")
    with containers.lock(key):
        containers.remove(key)
    assert containers.find("web") is None
    assert [os.listdir(path) for path in (containers.paths.containers, containers.paths.names)] == [
        [],
        [],
    ]
    assert f"container-{key}" not in os.listdir(containers.paths.locks)


def test_remove_finishes_what_a_crash_left(containers: ContainerStore) -> None:
    key, other = add(containers, "1", "web"), add(containers, "2", "other")
    os.makedirs(f"{containers.paths.containers}/.{'3' * 12}/upper/deep")
    containers.remove(key)
    assert os.listdir(containers.paths.containers) == [other]
    assert containers.names() == {other: "other"}


def test_remove_leaves_a_name_that_is_another_ones_by_now(containers: ContainerStore) -> None:
    key, other = add(containers, "1", "web"), add(containers, "2", "other")
    os.unlink(f"{containers.paths.names}/web")
    os.symlink(other, f"{containers.paths.names}/web")
    containers.remove(key)
    assert containers.find("web") == other


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"version":1}', b'{"version":1,"id":"x","lxc_conf":[["a"]]}',
     b'{"version":1,"lxc_conf":5}'],
)  # fmt: skip
def test_a_broken_spec_is_named_and_hurts_no_other(containers: ContainerStore, data: bytes) -> None:
    key, broken = add(containers, "1", "web"), add(containers, "2", "broken")
    path = f"{containers.paths.container(broken)}/spec.json"
    Path(path).write_bytes(data)
    with pytest.raises(LxcpyError, match=f"{path} is damaged"):
        containers.load(broken)
    loaded, errors = containers.load_all()
    assert [item.key for item in loaded] == [key]
    assert [error.message.startswith(path) for error in errors] == [True]
    assert containers.get("web") == key
    containers.remove(broken)
    assert containers.all_keys() == [key]


def test_fields_of_a_later_version_are_passed_over(containers: ContainerStore) -> None:
    record = {**store.to_record(container("1")), "version": 1, "novelty": True}
    record["env"] = list(record["env"])  # as JSON has it
    assert store.from_record("spec.json", record) == container("1")


def test_loading_what_is_gone_is_not_found(containers: ContainerStore) -> None:
    with pytest.raises(NotFoundError, match="No such container: 000000000000"):
        containers.load("0" * 12)
