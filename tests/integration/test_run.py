"""run, exec, ps, logs, kill, wait, rm, diff, commit: as a user types them."""

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import REPOSITORY, Lxcpy

QUICK = ("run", "--rm", "--network", "none")
TICK = "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.1; done"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["no-such-command"], 127),
        (["/etc/passwd"], 126),
        (["sh", "-c", "trap 'exit 3' TERM; kill -TERM $$; sleep 5"], 3),
    ],
)
def test_the_exit_code_is_the_payloads(lxcpy: Lxcpy, command: list[str], code: int) -> None:
    lxcpy(*QUICK, "busybox", *command, code=code)
    assert lxcpy.keys() == []


def test_standard_streams_stay_apart_and_stdin_ends(lxcpy: Lxcpy) -> None:
    done = lxcpy(*QUICK, "-i", "busybox", "sh", "-c", "cat; echo err >&2", stdin=b"in\n")
    assert (done.stdout, done.stderr) == (b"in\n", b"err\n")


def test_100_megabytes_pass_unchanged(lxcpy: Lxcpy, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 100
    done = lxcpy(*QUICK, "-i", "busybox", "cat", stdin=data)
    assert hashlib.sha256(data).digest() == hashlib.sha256(done.stdout).digest()


def test_words_and_variables_arrive_verbatim(lxcpy: Lxcpy) -> None:
    words = ["a b", "q\"u'o", "line\nbreak", "", "-x", "--", "é", "$HOME"]
    done = lxcpy(*QUICK, "busybox", "sh", "-c", 'for w; do printf "%s\\0" "$w"; done', "x", *words)
    assert words == done.stdout.decode().split("\0")[:-1]
    values = {"A": "l1\nl2", "B": 'q"=x', "C": "blanks  ", "D": "#\\$", "LD_PRELOAD": "/nope.so"}
    options = [word for name, value in values.items() for word in ("-e", f"{name}={value}")]
    script = 'printf "%s\\0" "$A" "$B" "$C" "$D" "$LD_PRELOAD"'
    done = lxcpy(*QUICK, *options, "busybox", "sh", "-c", script)
    assert list(values.values()) == done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--name", "a\nb"], "invalid container name"),
        (["--name", "../x"], "invalid container name"),
        (["-h", "a\nb"], "invalid host name"),
        (["--lxc-conf", "lxc.environment=A\nlxc.hook.pre-start=x"], "line"),
        (["--lxc-conf", "lxc.rootfs.path=/"], "lxc.rootfs.path"),
        (["-w", "relative"], "not absolute"),
        (["-u", "nosuchuser"], "nosuchuser"),
        (["--network", "nosuch"], "no such network"),
        (["--nosuch"], "unknown flag: --nosuch"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(
    lxcpy: Lxcpy, options: list[str], reason: str
) -> None:
    done = lxcpy("run", *options, "busybox", "true", code=125)
    lines = done.stderr.decode().splitlines()
    assert reason in lines[0]
    assert len(lines) <= 2
    assert lxcpy.keys() == []
    assert os.listdir(f"{lxcpy.root}/scratch") == []


def test_unknown_names(lxcpy: Lxcpy) -> None:
    assert b"No such image: nosuch" in lxcpy("run", "nosuch", code=125).stderr
    assert b"No such container: nosuch" in lxcpy("rm", "nosuch", code=1).stderr
    assert b"No such container: nosuch" in lxcpy("exec", "nosuch", "true", code=125).stderr


def test_cron_has_no_terminal_no_environment_and_closed_streams(lxcpy: Lxcpy) -> None:
    where = [f"{name}={value}" for name, value in lxcpy.env.items() if name != "PATH"]
    argv = ["setsid", "env", "-i", "PATH=/usr/bin:/bin", *where]
    line = '"$@" <&- >/dev/null 2>&-'
    command = [*argv, *lxcpy.argv("run", "--rm", "busybox", "sh", "-c", "exit 9")]
    assert subprocess.run(["sh", "-c", line, "cron", *command], check=False).returncode == 9


def test_a_day_with_a_container(lxcpy: Lxcpy) -> None:
    key = lxcpy.out("run", "-d", "--name", "work", "busybox", "sh", "-c", TICK)
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert [key[:12]] == lxcpy.out("ps", "-q").split()
    assert "root:x:0:0" in lxcpy.out("exec", "work", "cat", "/etc/passwd")
    assert lxcpy.out("exec", "work", "sh", "-c", "echo $((2+3))") == "5"
    lxcpy("exec", "work", "sh", "-c", "exit 4", code=4)
    lxcpy("exec", "work", "no-such", code=127)
    assert lxcpy.out("exec", "-w", "/etc", "work", "pwd") == "/etc"
    assert lxcpy.out("exec", "-u", "nobody", "work", "id", "-u") == "65534"
    lxcpy("exec", "work", "sh", "-c", "echo hi >/root/greeting; rm /etc/group")
    assert lxcpy.out("diff", "work").split("\n") == [
        "C /etc",
        "D /etc/group",
        "C /root",
        "A /root/greeting",
    ]
    image = lxcpy.out("commit", "-m", "greets", "-c", 'CMD ["cat","/root/greeting"]', "work", "g:1")
    assert lxcpy.out(*QUICK, "g:1") == "hi"
    lxcpy(*QUICK, image[7:19], "test", "-e", "/etc/group", code=1)
    assert "tick 1\ntick 2\n" in lxcpy.out("logs", "work")
    lxcpy("rm", "work", code=2)
    assert lxcpy.out("kill", "work") == "work"
    assert lxcpy.out("wait", "work") == "137"
    assert "Exited (137)" in lxcpy.out("ps", "-a")
    assert b"is used by container" in lxcpy("rmi", "busybox", code=2).stderr
    assert lxcpy.out("rm", "work") == "work"
    assert f"Untagged: g:1\nDeleted: {image}" == lxcpy.out("rmi", "g:1")
    assert lxcpy.keys() == []


def test_stop_lets_a_payload_end_itself(lxcpy: Lxcpy) -> None:
    script = "trap 'exit 5' TERM; while :; do sleep 0.05; done"
    lxcpy("run", "-d", "--name", "c", "busybox", "sh", "-c", script)
    lxcpy("stop", "c")
    assert lxcpy.out("wait", "c") == "5"
    lxcpy("run", "-d", "--name", "d", "busybox", "sleep", "1000")
    lxcpy("stop", "-t", "0.2", "d")
    assert lxcpy.out("wait", "d") == "137"


def test_names_win_over_prefixes_and_ambiguity_is_told(lxcpy: Lxcpy) -> None:
    keys = [lxcpy.out("run", "-d", "busybox", "sleep", "1000")[:12] for _ in range(2)]
    lxcpy("run", "-d", "--name", keys[0][:6], "busybox", "sleep", "1000")
    named = json.loads(lxcpy.out("inspect", keys[0][:6]))[0]
    assert f"/{keys[0][:6]}" == named["Name"]
    assert keys[1] == json.loads(lxcpy.out("inspect", keys[1][:8]))[0]["Id"][:12]
    taken = lxcpy("run", "--name", keys[0][:6], "busybox", "true", code=125)
    assert b"already in use" in taken.stderr


def test_nothing_of_a_container_is_on_the_hosts_mount_table(lxcpy: Lxcpy) -> None:
    key = lxcpy.out("run", "-d", "busybox", "sleep", "1000")[:12]
    assert lxcpy.root not in Path("/proc/self/mountinfo").read_text()
    assert "overlay" in lxcpy.out("exec", key, "mount").split("\n")[0]


def test_the_defaults_are_dockers_promises(lxcpy: Lxcpy) -> None:
    script = "grep -E 'CapEff|Seccomp:' /proc/self/status; mknod /dev/sda b 8 0; cat /dev/sda; id"
    done = lxcpy(*QUICK, "busybox", "sh", "-c", script)
    assert b"00000000a80425fb" in done.stdout
    assert b"Seccomp:\t2" in done.stdout
    assert b"not permitted" in done.stderr


def test_a_bridge_gives_an_address_and_a_lease_goes_with_it(lxcpy: Lxcpy) -> None:
    shown = lxcpy.out("run", "--rm", "busybox", "ip", "-4", "-o", "addr", "show", "eth0")
    assert lxcpy.subnet.rpartition(".")[0] in shown
    assert [
        name
        for _, _, names in os.walk(f"{lxcpy.runroot}/leases")
        for name in names
        if name[0].isdigit()
    ] == []


def _record(lxcpy: Lxcpy, key: str, who: str) -> int:
    record = lxcpy.monitor(key)
    if who == "lxc-start":
        out = subprocess.run(
            ["pgrep", "-P", str(record["pid"])], capture_output=True, check=True, text=True
        ).stdout
        return int(out.split()[0])
    return record["pid" if who == "monitor" else "init"]


@pytest.mark.parametrize("victim", ["monitor", "lxc-start", "payload"])
def test_sigkill_of_any_part_leaves_the_truth(lxcpy: Lxcpy, victim: str) -> None:
    key = lxcpy.out("run", "-d", "--name", "c", "busybox", "sleep", "1000")[:12]
    init = _record(lxcpy, key, "payload")
    os.kill(_record(lxcpy, key, victim), signal.SIGKILL)
    for _ in range(200):
        if not lxcpy.keys() or "Exited (137)" in lxcpy.out("ps", "-a"):
            break
        time.sleep(0.02)
    assert "Exited (137)" in lxcpy.out("ps", "-a")
    assert lxcpy.out("ps", "-q") == ""
    _wait_for_death(init)
    lxcpy("rm", "c")
    assert lxcpy.out("run", "--rm", "--name", "c", "busybox", "echo", "again") == "again"


def _wait_for_death(pid: int) -> None:
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} still runs")


def test_the_client_may_die_and_the_container_goes_on(lxcpy: Lxcpy) -> None:
    client = lxcpy.start("run", "--rm", "--name", "c", "busybox", "sh", "-c", "echo up; sleep 1000",
                         stdout=subprocess.PIPE)  # fmt: skip
    assert client.stdout
    assert client.stdout.readline() == b"up\n"
    client.kill()
    client.wait()
    client.stdout.close()
    assert "Up" in lxcpy.out("ps")
    lxcpy("kill", "c")
    for _ in range(500):  # the monitor removes what its client would have
        if not lxcpy.keys():
            break
        time.sleep(0.01)
    assert lxcpy.keys() == []


def test_signals_reach_a_foreground_payload(lxcpy: Lxcpy) -> None:
    script = "trap 'exit 6' TERM; echo up; while :; do sleep 0.05; done"
    client = lxcpy.start(*QUICK, "busybox", "sh", "-c", script, stdout=subprocess.PIPE)
    assert client.stdout
    assert client.stdout.readline() == b"up\n"
    client.terminate()
    assert client.wait() == 6
    client.stdout.close()


def test_a_terminal_is_a_real_one(lxcpy: Lxcpy) -> None:
    import pexpect

    argv = lxcpy.argv(*QUICK, "-it", "busybox", "sh")
    shell = pexpect.spawn(argv[0], argv[1:], env=lxcpy.env, timeout=20, dimensions=(30, 90))
    shell.expect("# ")
    shell.sendline("tty; stty size; sleep 100")
    shell.expect("/dev/pts/0")
    shell.expect("30 90")
    time.sleep(0.3)
    shell.sendintr()
    shell.expect("# ")
    shell.setwinsize(40, 100)
    time.sleep(0.3)
    shell.sendline("stty size")
    shell.expect("40 100")
    shell.sendline("sleep 100 &")
    shell.sendline("jobs; exit 4")
    shell.expect("Running")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 4


@pytest.mark.parametrize("driver", ["copy", "overlay"])
def test_commit_on_every_driver(
    make_lxcpy: Callable[..., Lxcpy], busybox_tar: Path, driver: str
) -> None:
    lxcpy = make_lxcpy(LXCPY_STORAGE_DRIVER=driver)
    lxcpy("import", str(busybox_tar), "busybox", "-c", 'CMD ["sh"]')
    script = "echo new >/new; rm -r /usr/lib; mkdir /usr/lib; echo x >/usr/lib/x; rm /bin/ls"
    lxcpy("run", "--network", "none", "--name", "c", "busybox", "sh", "-c", script)
    lxcpy("commit", "c", "changed")
    check = "cat /new /usr/lib/x; test ! -e /bin/ls && echo gone"
    assert lxcpy.out(*QUICK, "changed", "sh", "-c", check) == "new\nx\ngone"


def test_128_layers(lxcpy: Lxcpy) -> None:
    name = "busybox"
    for number in range(127):
        container = f"c{number}"
        lxcpy("run", "--network", "none", "--name", container, name, "touch", f"/f{number}")
        lxcpy("commit", container, "deep")
        lxcpy("rm", container)
        name = "deep"
    assert lxcpy.out(*QUICK, "deep", "sh", "-c", "ls /f* | wc -l") == "127"


def test_the_readmes_example_runs(lxcpy: Lxcpy) -> None:
    import sys

    text = (REPOSITORY / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    subprocess.run([sys.executable, "-c", code], env=lxcpy.env, check=True, capture_output=True)
    assert lxcpy.keys() == []
