"""What a container does now: derived from its records and the kernel, never remembered."""

from lxcpy import kernel, state
from lxcpy.model import State, Status
from lxcpy.paths import Paths

UNWATCHED = 137  # the exit code of a payload that died with its monitor: it got SIGKILL


def read(paths: Paths, key: str) -> State:
    """The state of a container.

    `start.json` tells that it was started, `exit.json` how that same start ended (`started_at` is
    equal in both), and the monitor's record in the run root counts while that very process lives.
    A start without monitor and without exit record ended with the monitor's death or a reboot.
    """
    directory = paths.container(key)
    start = state.read_record(f"{directory}/start.json")
    if start is None:
        return State(Status.CREATED)
    monitor = state.read_record(f"{paths.run(key)}/monitor.json")
    address = start.get("address", "")
    if monitor and kernel.alive(monitor["pid"], monitor["start"]):
        running = monitor["init"] and kernel.alive(monitor["init"], monitor["init_start"])
        return State(
            Status.RUNNING if running else Status.CREATED,
            pid=monitor["init"] if running else 0,
            pid_start=monitor["init_start"] if running else 0,
            started_at=start["started_at"],
            address=address if running else "",
            monitor=(monitor["pid"], monitor["start"]),
        )
    return _ended(directory, start)


def _ended(directory: str, start: state.Record) -> State:
    started_at = start["started_at"]
    if start.get("error"):
        return State(
            Status.CREATED, exit_code=start["exit_code"], error=start["error"], started_at=""
        )
    end = state.read_record(f"{directory}/exit.json")
    if end and end["started_at"] == started_at:
        return State(
            Status.EXITED,
            exit_code=end["exit_code"],
            started_at=started_at,
            finished_at=end["finished_at"],
        )
    rebooted = start["boot_id"] != kernel.boot_id()
    return State(
        Status.EXITED,
        exit_code=UNWATCHED,
        error="the host went down" if rebooted else "its monitor was killed",
        started_at=started_at,
        finished_at=started_at,
    )
