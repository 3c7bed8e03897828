"""`make bench`: medians of one interleaved run, beside raw LXC and, where installed, podman.

Compare only within one run, and quote ratios: another machine, or another hour, is another number.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "12"))
LXCPY = str(Path(sys.executable).parent / "lxcpy")
BRIDGE = "lxcpybench0"
Scenario = dict[str, Callable[[int], None]]  # who does it -> how; the number of the round


def quiet(*argv: str, stdin: bytes = b"") -> None:
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr.decode()}")


class Bench:
    def __init__(self, place: str) -> None:
        self.place = place
        os.environ |= {
            "LXCPY_ROOT": f"{place}/root",
            "LXCPY_RUNROOT": f"{place}/run",
            "LXCPY_BRIDGE": BRIDGE,
            "LXCPY_SUBNET": "10.252.0.0/24",
        }
        self.podman = None
        if shutil.which("podman"):
            self.podman = [
                "podman", "--root", f"{place}/p", "--runroot", f"{place}/r",
                "--cgroup-manager", "cgroupfs", "--events-backend", "file",
                "--runtime", "runc",  # crun 1.8 refuses hosts with both cgroup generations
            ]  # fmt: skip

    def prepare(self) -> None:
        """A busybox image, and a big one: 280 MB on top of it."""
        quiet(LXCPY, "bootstrap", "busybox")
        quiet(LXCPY, "run", "--name", "fat", "busybox", "sh", "-c",
              "for i in $(seq 280); do dd if=/dev/urandom of=/f$i bs=1M count=1 2>/dev/null; done",
              )  # fmt: skip
        quiet(LXCPY, "commit", "fat", "big")
        quiet(LXCPY, "run", "-d", "--name", "up", "--network", "none", "big", "sleep", "100000")
        quiet(LXCPY, "exec", "up", "sh", "-c", "echo 1 > /one")
        if self.podman:
            self._prepare_podman()
        raw = f"{self.place}/raw"
        os.makedirs(f"{raw}/c")
        shutil.copytree(self._busybox_layer(), f"{raw}/rootfs", symlinks=True)
        Path(f"{raw}/c/config").write_text(
            f"lxc.uts.name = c\nlxc.rootfs.path = dir:{raw}/rootfs\nlxc.net.0.type = empty\n"
            "lxc.mount.auto = proc:mixed sys:ro\nlxc.pty.max = 1024\nlxc.console.path = none\n"
        )

    def _busybox_layer(self) -> str:
        layers = Path(self.place, "root", "layers")
        return next(str(p / "fs") for p in layers.iterdir() if (p / "fs/bin/busybox").exists())

    def _prepare_podman(self) -> None:
        assert self.podman
        tar = subprocess.run(
            ["tar", "-C", self._busybox_layer(), "-c", "."], capture_output=True, check=True
        ).stdout
        try:
            quiet(*self.podman, "import", "-q", "-", "busybox", stdin=tar)
            quiet(*self.podman, "run", "--rm", "--network", "none", *_limits(), "busybox", "true")
        except SystemExit as error:
            print(f"podman does not run here and is left out: {error}")
            self.podman = None
            return
        quiet(*self.podman, "run", "--network", "none", *_limits(), "--name", "fat", "busybox",
              "sh", "-c",
              "for i in $(seq 280); do dd if=/dev/urandom of=/f$i bs=1M count=1 2>/dev/null; done",
              )  # fmt: skip
        quiet(*self.podman, "commit", "-q", "fat", "big")
        quiet(*self.podman, "run", "-d", "--name", "up", "--network", "none", *_limits(), "big",
              "sleep", "100000")  # fmt: skip
        quiet(*self.podman, "exec", "up", "sh", "-c", "echo 1 > /one")

    def scenarios(self) -> dict[str, Scenario]:
        none = ("--rm", "--network", "none")
        raw = ("lxc-start", "-F", "-P", f"{self.place}/raw", "-n", "c", "--", "/bin/true")
        found: dict[str, Scenario] = {
            "start-up (ps --help)": {"lxcpy": lambda _: quiet(LXCPY, "ps", "--help")},
            "run --rm, no network": {
                "raw": lambda _: quiet(*raw),
                "lxcpy": lambda _: quiet(LXCPY, "run", *none, "busybox", "true"),
            },
            "run --rm, bridge": {
                "lxcpy": lambda _: quiet(LXCPY, "run", "--rm", "busybox", "true"),
            },
            "exec true": {"lxcpy": lambda _: quiet(LXCPY, "exec", "up", "true")},
            "commit 1 file on 280 MB": {
                "lxcpy": lambda n: quiet(LXCPY, "commit", "up", f"one:{n}"),
            },
            "diff": {"lxcpy": lambda _: quiet(LXCPY, "diff", "up")},
            "ps": {"lxcpy": lambda _: quiet(LXCPY, "ps")},
        }
        if podman := self.podman:
            run = (*podman, "run", *_limits(), "--rm")
            others: dict[str, Callable[[int], None]] = {
                "run --rm, no network": lambda _: quiet(
                    *run, "--network", "none", "busybox", "true"
                ),
                "exec true": lambda _: quiet(*podman, "exec", "up", "true"),
                "commit 1 file on 280 MB": lambda n: quiet(
                    *podman, "commit", "-q", "up", f"one:{n}"
                ),
                "diff": lambda _: quiet(*podman, "diff", "up"),
                "ps": lambda _: quiet(*podman, "ps"),
            }
            for name, act in others.items():
                found[name]["podman"] = act
        return found

    def close(self) -> None:
        keys = subprocess.run([LXCPY, "ps", "-aq"], capture_output=True, text=True, check=True)
        quiet(LXCPY, "rm", "-f", *keys.stdout.split())
        subprocess.run(["ip", "link", "delete", BRIDGE], check=False)
        subprocess.run(["nft", "delete", "table", "ip", f"lxcpy_{BRIDGE}"], check=False)
        if self.podman:
            quiet(*self.podman, "rm", "-a", "-f", "-t", "0")
            quiet(*self.podman, "rmi", "-a", "-f")
            subprocess.run(["umount", f"{self.place}/p/overlay"], check=False)  # podman leaves it


def _limits() -> tuple[str, ...]:
    """podman's own defaults ask for more than a machine without CAP_SYS_RESOURCE gives."""
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return ("--ulimit", f"nofile={files}:{files}", "--ulimit", "nproc=32768:32768")


def measure(scenarios: dict[str, Scenario]) -> dict[str, dict[str, float]]:
    """Medians in milliseconds; the contestants of one scenario take turns."""
    medians: dict[str, dict[str, float]] = {}
    for name, contestants in scenarios.items():
        times: dict[str, list[float]] = {who: [] for who in contestants}
        for number in range(ROUNDS + 1):
            for who, act in contestants.items():
                start = time.perf_counter()
                act(number)
                times[who].append(1000 * (time.perf_counter() - start))
        medians[name] = {who: statistics.median(each[1:]) for who, each in times.items()}
        print(f"  {name}: {medians[name]['lxcpy']:.1f} ms", flush=True)
    return medians


def main() -> None:
    place = tempfile.mkdtemp(prefix="lb", dir="/dev/shm")
    bench = Bench(place)
    try:
        bench.prepare()
        medians = measure(bench.scenarios())
    finally:
        bench.close()
        shutil.rmtree(place, ignore_errors=True)
    print(f"\n{'scenario':28}{'lxcpy ms':>10}{'raw ms':>10}{'podman ms':>11}{'x podman':>10}")
    for name, row in medians.items():
        ratio = f"{row['lxcpy'] / row['podman']:.2f}" if "podman" in row else "-"
        raw, podman = (f"{row[who]:.1f}" if who in row else "-" for who in ("raw", "podman"))
        print(f"{name:28}{row['lxcpy']:>10.1f}{raw:>10}{podman:>11}{ratio:>10}")


if __name__ == "__main__":
    main()
