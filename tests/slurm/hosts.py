"""Hosts out of Linux namespaces: own host name, address, processes, shared memory and local disk each; the rest of the file system is shared.

A host lives as long as one process, its PID 1. Killing that is a power cut: everything on the host ends, and nothing is left in the machine's
own network. Needs root.
"""
from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

NEEDED = ("ip", "tc", "unshare", "nsenter", "setpriv", "pgrep")  # Debian: iproute2, util-linux, procps
INIT = """
hostname "$2"; mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /sys/fs/cgroup; mount -t tmpfs -o size=25% tmpfs /dev/shm
mount --bind "$1/$2.boot_id" /proc/sys/kernel/random/boot_id
mount --bind "$1/hosts" /etc/hosts; mkdir -p "$1/local" "$1/disks/$2"; mount --bind "$1/disks/$2" "$1/local"
cd /; ip link set lo up; touch "$1/$2.up"
trap : TERM INT HUP; while :; do sleep 3600 & wait $!; done
"""  # UCX takes hosts with the same boot id for one host. PID 1 reaps orphans, and nothing else.


def why_not() -> str:
    """Why hosts cannot be made here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} (Debian: iproute2, util-linux, procps)"
    tried = subprocess.run(["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "sh", "-c",
                            "ip link add b0 type bridge && ip link add v0 type veth peer name v1 && mount -t tmpfs tmpfs /mnt"], capture_output=True)
    return "" if tried.returncode == 0 else "namespaces, bridges or mounts are not permitted"


class Hosts:
    """Hosts on one switch; `folder` must have a short path, as sockets lie in it. `local` in it is each host's own disk."""

    def __init__(self, folder: Path, mbit: int | None = None):
        self.folder, self._mbit = folder, mbit
        self._alive: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._addresses: dict[str, str] = {}

    def name(self, *hosts: str) -> None:
        """Give all hosts that there will be their addresses; the first is the switch."""
        self._addresses = {h: f"10.79.0.{i}" for i, h in enumerate(hosts, 1)}
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{a} {h}\n" for h, a in self._addresses.items()))

    def address(self, host: str) -> str:
        return self._addresses[host]

    def disk(self, host: str) -> Path:
        """Where the host's `local` lies, seen from outside."""
        return self.folder / "disks" / host

    def boot(self, host: str) -> None:
        up = self.folder / f"{host}.up"
        (self.folder / f"{host}.boot_id").write_text(f"{uuid.uuid4()}\n")
        with (self.folder / f"{host}.log").open("wb") as log:
            # It ends with the test's process, however that ends.
            outer = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child",
                                      "--propagation", "private", "--mount-proc", "bash", "-c", INIT, "init", str(self.folder), host],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: up.exists() or outer.poll() is not None, 10, f"host {host}")
        up.unlink()
        pid = int(subprocess.run(["pgrep", "-P", str(outer.pid)], capture_output=True, text=True, check=True).stdout)
        self._alive[host] = outer, pid
        switch = next(iter(self._addresses))
        if host == switch:
            self.run(host, "sh", "-c", f"ip link add br0 type bridge && ip addr add {self.address(host)}/24 dev br0 && ip link set br0 up")
            return
        # Into the network only: seen from the switch's own process tree, the host has no pid.
        subprocess.run(["nsenter", "-t", str(self._alive[switch][1]), "--net", "ip", "link", "add", f"v-{host}", "type", "veth", "peer", "name", "eth0",
                        "netns", str(pid)], check=True, capture_output=True)
        self.run(host, "sh", "-c", f"ip addr add {self.address(host)}/24 dev eth0 && ip link set eth0 up")
        self.run(switch, "sh", "-c", f"ip link set v-{host} master br0 && ip link set v-{host} up")
        if self._mbit is not None:
            for where, link in ((host, "eth0"), (switch, f"v-{host}")):
                self.run(where, "tc", "qdisc", "replace", "dev", link, "root", "tbf", "rate", f"{self._mbit}mbit", "burst", "128kb", "latency", "30ms")

    def on(self, host: str, *words: object) -> list[str]:
        """The command line that runs `words` on a host."""
        _, pid = self._alive[host]
        return ["nsenter", "-t", str(pid), "--net", "--uts", "--ipc", "--mount", "--pid", f"--wdns={Path.cwd()}", "--", *map(str, words)]

    def run(self, host: str, *words: object) -> None:
        subprocess.run(self.on(host, *words), check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)

    def cut_power(self, host: str) -> None:
        """End everything on a host at once."""
        outer, pid = self._alive.pop(host)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
        outer.wait(timeout=20)

    def end(self) -> None:
        for host in list(self._alive)[::-1]:
            self.cut_power(host)


def wait_for(true: object, seconds: float, what: str) -> None:
    """Wait until the callable `true` says so; fails after `seconds`."""
    assert callable(true)
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.05)
