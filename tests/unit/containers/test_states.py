from pathlib import Path

import pytest

from lxcpy import kernel, state
from lxcpy.containers import states
from lxcpy.errors import LxcpyError
from lxcpy.model import State, Status
from lxcpy.paths import Paths, prepare

KEY = "0123456789ab"
BEGAN, ENDED = "2024-05-06T07:08:09.5Z", "2024-05-06T07:09:10.5Z"
START = {"started_at": BEGAN, "boot_id": "this boot", "address": "10.0.0.2/24"}
MONITOR = {"pid": 10, "start": 100, "init": 20, "init_start": 200}
EXIT = {"started_at": BEGAN, "finished_at": ENDED, "exit_code": 3}
RUNNING = State(
    Status.RUNNING,
    pid=20,
    pid_start=200,
    started_at=BEGAN,
    address="10.0.0.2/24",
    monitor=(10, 100),
)
STARTING = State(Status.CREATED, started_at=BEGAN, monitor=(10, 100))
EXITED = State(Status.EXITED, exit_code=3, started_at=BEGAN, finished_at=ENDED)
UNWATCHED = State(
    Status.EXITED,
    exit_code=137,
    error="its monitor was killed",
    started_at=BEGAN,
    finished_at=BEGAN,
)
REBOOTED = State(
    Status.EXITED, exit_code=137, error="the host went down", started_at=BEGAN, finished_at=BEGAN
)
FAILED = State(Status.CREATED, exit_code=127, error="exec: not found")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    where = Paths(f"{tmp_path}/root", f"{tmp_path}/run")
    prepare(where)
    for directory in (where.container(KEY), where.run(KEY)):
        Path(directory).mkdir()
    return where


@pytest.mark.parametrize(
    ("start", "end", "monitor", "alive", "expected"),
    [
        pytest.param(None, None, None, [], State(Status.CREATED), id="never started"),
        pytest.param(START, None, MONITOR, [(10, 100), (20, 200)], RUNNING, id="running"),
        pytest.param(START, EXIT | {"started_at": "before"}, MONITOR, [(10, 100), (20, 200)],
                     RUNNING, id="running again"),
        pytest.param(START, None, MONITOR | {"init": 0, "init_start": 0}, [(10, 100)], STARTING,
                     id="about to run"),
        pytest.param(START, None, MONITOR, [(10, 100)], STARTING, id="payload just died"),
        pytest.param(START, EXIT, None, [], EXITED, id="exited"),
        pytest.param(START, EXIT, MONITOR, [(10, 999), (20, 200)], EXITED, id="monitor's pid anew"),
        pytest.param(START, None, MONITOR, [], UNWATCHED, id="monitor killed"),
        pytest.param(START, EXIT | {"started_at": "before"}, None, [], UNWATCHED, id="old exit"),
        pytest.param(START | {"boot_id": "older"}, None, None, [], REBOOTED, id="reboot"),
        pytest.param(START | {"boot_id": "older"}, EXIT, None, [], EXITED, id="exited, reboot"),
        pytest.param(START | {"error": "exec: not found", "exit_code": 127}, None, None, [], FAILED,
                     id="start failed"),
    ],
)  # fmt: skip
def test_the_state_is_derived(
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    start: state.Record | None,
    end: state.Record | None,
    monitor: state.Record | None,
    alive: list[tuple[int, int]],
    expected: State,
) -> None:
    files = {
        f"{paths.container(KEY)}/start.json": start,
        f"{paths.container(KEY)}/exit.json": end,
        f"{paths.run(KEY)}/monitor.json": monitor,
    }
    for path, record in files.items():
        if record is not None:
            state.write_record(path, record)
    monkeypatch.setattr(kernel, "alive", lambda pid, started: (pid, started) in alive)
    monkeypatch.setattr(kernel, "boot_id", lambda: "this boot")
    assert expected == states.read(paths, KEY)


def test_a_damaged_record_is_named(paths: Paths) -> None:
    path = Path(f"{paths.container(KEY)}/start.json")
    path.write_text("{")
    with pytest.raises(LxcpyError, match=f"{path} is damaged"):
        states.read(paths, KEY)
