import time
from pathlib import Path

import pytest

from lxcpy import state
from lxcpy.engine import view
from lxcpy.engine.host import Host
from lxcpy.errors import LxcpyError
from lxcpy.model import State, Status
from lxcpy.paths import Paths, prepare
from tests.unit.containers.samples import container

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.fixture
def host(tmp_path: Path) -> Host:
    paths = Paths(f"{tmp_path}/root", f"{tmp_path}/run")
    prepare(paths)
    return Host(paths)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"),
        (0.99, "Less than a second"),
        (1, "1 second"),
        (2, "2 seconds"),
        (59.9, "59 seconds"),
        (MINUTE, "About a minute"),
        (2 * MINUTE - 1, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (HOUR - 1, "59 minutes"),
        (HOUR, "About an hour"),
        (1.5 * HOUR - 1, "About an hour"),
        (1.5 * HOUR, "2 hours"),
        (2.5 * HOUR, "3 hours"),
        (2 * DAY - HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (14 * DAY - HOUR, "13 days"),
        (14 * DAY, "2 weeks"),
        (60 * DAY - HOUR, "8 weeks"),
        (60 * DAY, "2 months"),
        (730 * DAY - HOUR, "24 months"),
        (730 * DAY, "2 years"),
        (4000 * DAY, "10 years"),
    ],
)
def test_span_in_dockers_words(seconds: float, words: str) -> None:
    assert words == view.span(seconds)


def test_seconds_since(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1714979289.5)  # 2024-05-06T07:08:09.5Z
    assert view.seconds_since("2024-05-06T07:07:09.123456789Z") == 60.5
    assert view.seconds_since("2024-05-06T07:08:09Z") == 0.5
    assert view.seconds_since("2024-05-06T09:00:00Z") == 0.0


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (State(Status.CREATED), "Created"),
        (State(Status.CREATED, exit_code=127, error="not found"), "Created"),
        (State(Status.RUNNING, pid=1, started_at="2024-05-06T05:08:09Z"), "Up 2 hours"),
        (
            State(Status.EXITED, exit_code=137, finished_at="2024-05-03T07:08:09Z"),
            "Exited (137) 3 days ago",
        ),
    ],
)
def test_status_line(monkeypatch: pytest.MonkeyPatch, now: State, words: str) -> None:
    monkeypatch.setattr(time, "time", lambda: 1714979289.0)
    assert words == view.status_line(now)


def test_containers_are_listed_newest_first(host: Host) -> None:
    for digits, created, name in (("1", "2024-01", "old"), ("2", "2024-03", "new")):
        host.containers.add(container(digits, created=created), name, durable=False)
    rows, unreadable = view.containers(host, everything=True)
    assert ([row.name for row in rows], unreadable) == (["new", "old"], [])
    assert view.containers(host) == ([], [])


def test_a_broken_container_is_told_and_hurts_no_other(host: Host) -> None:
    for digits in "123":
        host.containers.add(container(digits), f"name{digits}", durable=False)
    spec = f"{host.paths.container(container('2').key)}/spec.json"
    start = f"{host.paths.container(container('3').key)}/start.json"
    for path in (spec, start):
        Path(path).write_text("{")
    rows, unreadable = view.containers(host, everything=True)
    assert [row.name for row in rows] == ["name1"]
    assert sorted(text.partition(" is damaged")[0] for text in unreadable) == [spec, start]


def test_a_config_is_shown_as_it_was_rendered(host: Host) -> None:
    key = container("1").key
    host.containers.add(container("1"), "web", durable=False)
    with pytest.raises(LxcpyError, match="has no config yet"):
        view.config_text(host, key)
    state.write_file(f"{host.paths.container(key)}/config", b"lxc.arch = \xff\n")
    assert view.config_text(host, key) == "lxc.arch = \udcff\n"


def test_logs_of_a_container_that_never_ran_are_empty(host: Host) -> None:
    assert list(view.logs(host, "0" * 12)) == []
