"""Files of growing size between two hosts, by each way of jobs/transfer.sh: what setting up costs, and the rate after that."""
from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WAYS = ("scp", "rsync", "streams", "gridftp")
SCRIPT = Path(__file__).parents[1] / "jobs" / "transfer.sh"
NEEDED = ("ip", "tc", "unshare", "nsenter", "sshd", "ssh-keygen", "scp", "rsync")
HERE, THERE = "10.78.0.1", "10.78.0.2"
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Transfer:
    way: str
    megabytes: int
    mbit: int
    repeat: int
    seconds: float


def why_not() -> str:
    """Why two hosts cannot be made here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in NEEDED if shutil.which(name, path=_PATH) is None]
    if missing:
        return f"no {', '.join(missing)} (Debian: iproute2, util-linux, openssh-server, rsync)"
    tried = subprocess.run(["unshare", "--net", "--uts", "--mount", "sh", "-c", "mount --bind /etc/hosts /etc/hosts && "
                            "ip link add v0 type veth peer name v1 && tc qdisc add dev v0 root tbf rate 1mbit burst 32kb latency 30ms"],
                           capture_output=True, env={**os.environ, "PATH": _PATH})
    return "" if tried.returncode == 0 else "namespaces, or queues that cap a link, are not permitted"


def measure(folder: Path, megabytes: Sequence[int], mbit: int, repeats: int) -> Iterator[Transfer]:
    """Send noise of each size each way, in turn, and add the seconds to transfers.csv; needs root.

    The sender is one namespace, the receiver another, joined by a cable that passes `mbit` each way; four files of a quarter each, so that
    parallel streams have something to share. Both servers are the receiver's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="transfer-") as made:
        hosts = _Hosts(Path(made), mbit)
        try:
            ways = [w for w in WAYS if w != "gridftp" or shutil.which("globus-gridftp-server", path=_PATH)]
            for repeat in range(repeats):
                for size in megabytes:
                    source = Path(made) / f"{size}"
                    if not source.exists():
                        source.mkdir()
                        for part in range(4):
                            (source / f"{part}.bin").write_bytes(os.urandom(size * 1_000_000 // 4))
                    for way in ways:
                        found = Transfer(way, size, mbit, repeat, hosts.send(way, source))
                        _append(folder / "transfers.csv", found)
                        yield found
        finally:
            hosts.end()


def read(folder: Path) -> list[Transfer]:
    """What was measured; nothing where there is no transfers.csv."""
    path = folder / "transfers.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as f:
        return [Transfer(r["way"], int(r["megabytes"]), int(r["mbit"]), int(r["repeat"]), float(r["seconds"])) for r in csv.DictReader(f)]


def laws(found: Sequence[Transfer]) -> dict[str, tuple[float, float]]:
    """Seconds to set up and MB/s of each way: the line seconds = setup + size / rate nearest to the points, relative errors squared."""
    out = {}
    for way in dict.fromkeys(t.way for t in found):
        size = np.array([t.megabytes for t in found if t.way == way], float)
        seconds = np.array([t.seconds for t in found if t.way == way], float)
        if len(set(size.tolist())) > 1:
            slope, setup = np.polyfit(size, seconds, 1, w=1 / seconds)
            out[way] = float(setup), float(1 / slope)
    return out


def _append(path: Path, t: Transfer) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        if new:
            writer.writerow(["way", "megabytes", "mbit", "repeat", "seconds"])
        writer.writerow([t.way, t.megabytes, t.mbit, t.repeat, f"{t.seconds:.4f}"])


class _Hosts:
    """Two namespaces joined by a capped cable; a server of ssh and of GridFTP on the second. The processes end with `end`."""

    def __init__(self, folder: Path, mbit: int):
        self._folder, self._environment = folder, {**os.environ, "PATH": _PATH, "SSH_CONFIG": str(folder / "config")}
        self._servers: list[subprocess.Popen[bytes]] = []
        # A namespace lives as long as a process in it: no names are left behind, however this ends.
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{HERE} here\n{THERE} there\n")  # GridFTP wants a name for every address
        keep = f'hostname "$0" && mount --bind {folder}/hosts /etc/hosts && touch {folder}/up.$$ && exec sleep 86400'
        self._keepers = [subprocess.Popen(["unshare", "--net", "--uts", "--mount", "sh", "-c", keep, name], env=self._environment)
                         for name in ("here", "there")]
        self._wait(self._apart, "namespaces")
        one, two = (k.pid for k in self._keepers)
        self._run(0, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", str(two))
        for host, address in ((0, HERE), (1, THERE)):
            self._run(host, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
            self._run(host, "ip", "link", "set", "lo", "up")
            self._run(host, "ip", "link", "set", "eth0", "up")
            self._run(host, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", f"{mbit}mbit", "burst", "128kb", "latency", "30ms")
        for key in ("id", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (folder / "sshd_config").write_text(f"ListenAddress {THERE}\nPort 22\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/id.pub\nStrictModes no\n"
                                            "UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nPidFile none\nMaxStartups 100\n"
                                            "Subsystem sftp internal-sftp\n")
        (folder / "config").write_text(f"Host there\n  HostName {THERE}\n  User root\n  IdentityFile {folder}/id\n  IdentitiesOnly yes\n"
                                       "  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  LogLevel ERROR\n")
        self._serve(str(shutil.which("sshd", path=_PATH)), "-D", "-f", folder / "sshd_config")
        self._wait(lambda: self._tried("ssh", "-F", folder / "config", "there", "true"), "sshd")
        server = shutil.which("globus-gridftp-server", path=_PATH)
        if server is not None:
            # `-daemon` keeps it in front with children for the sessions, as in the tests of jobs/transfer.sh.
            self._serve(server, "-daemon", "-control-interface", THERE, "-p", "2811", "-aa", "-anonymous-user", "root", "-allow-root", "-home-dir", "/",
                        "-l", folder / "gridftp.log")
            self._wait(lambda: self._tried("bash", "-c", f"exec 3<>/dev/tcp/{THERE}/2811"), "the GridFTP server")

    def send(self, way: str, source: Path) -> float:
        """Seconds that the script takes; the receiver has nothing of it before."""
        to = self._folder / "received"
        shutil.rmtree(to, ignore_errors=True)
        begun = time.perf_counter()
        self._run(0, SCRIPT, way, source, f"ftp://{THERE}:2811{to}" if way == "gridftp" else f"there:{to}", timeout=600)
        return time.perf_counter() - begun

    def end(self) -> None:
        for p in (*self._servers, *self._keepers):
            p.terminate()
            p.wait(10)

    def _apart(self) -> bool:
        return all((self._folder / f"up.{k.pid}").exists() for k in self._keepers)

    def _on(self, host: int, *words: object) -> list[str]:
        return ["nsenter", "-t", str(self._keepers[host].pid), "--net", "--uts", "--mount", "--", *map(str, words)]

    def _run(self, host: int, *words: object, timeout: float = 30) -> None:
        subprocess.run(self._on(host, *words), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=self._environment, timeout=timeout)

    def _tried(self, *words: object) -> bool:
        return subprocess.run(self._on(0, *words), stdin=subprocess.DEVNULL, capture_output=True, env=self._environment, timeout=30).returncode == 0

    def _serve(self, *words: object) -> None:
        self._servers.append(subprocess.Popen(self._on(1, *words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                              env=self._environment))

    def _wait(self, true: object, what: str) -> None:
        assert callable(true)
        until = time.monotonic() + 20
        while not true():
            if time.monotonic() > until:
                self.end()
                raise TimeoutError(f"{what}: not within 20 s")
            time.sleep(0.05)
