"""jobs/transfer.sh between two folders of this machine, through its own sshd and GridFTP server on the loopback."""
from __future__ import annotations

import filecmp
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch import ROOT

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
SCRIPT = ROOT / "jobs" / "transfer.sh"


def needs(*commands: str) -> None:
    missing = [c for c in commands if shutil.which(c, path=PATH) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no {', '.join(missing)} (as root, `install/system.sh tests` installs them)" if missing else "sshd wants root")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def started(command: list[str], port: int) -> subprocess.Popen[bytes]:
    """A server, once it listens."""
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return p
        time.sleep(0.05)
    p.kill()
    raise AssertionError(f"{command[0]} does not listen on port {port}")


@pytest.fixture(scope="module")
def ssh_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    needs("sshd", "ssh", "ssh-keygen", "scp", "rsync")
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    for key in ("id", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (folder / "sshd_config").write_text(f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/id.pub\nStrictModes no\n"
                                        "UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nPidFile none\nSubsystem sftp internal-sftp\n")
    config = folder / "config"
    config.write_text(f"Host there\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  IdentityFile {folder}/id\n  IdentitiesOnly yes\n"
                      "  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  LogLevel ERROR\n")
    p = started([str(shutil.which("sshd", path=PATH)), "-D", "-f", str(folder / "sshd_config")], port)
    yield config
    p.terminate()
    p.wait(10)


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """A tree with empty, large and oddly named files."""
    for name, size in (("center_0/a.tif", 300_000), ("center_0/b c.tif", 10), ("center_1/empty", 0), ("stages.csv", 99), *((f"x/{i}", i) for i in range(9))):
        path = tmp_path / "slides" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return tmp_path / "slides"


def same(a: Path, b: Path) -> bool:
    files = sorted(str(p.relative_to(a)) for p in a.rglob("*") if p.is_file())
    return files == sorted(str(p.relative_to(b)) for p in b.rglob("*") if p.is_file()) and filecmp.cmpfiles(a, b, files, shallow=False)[0] == files


@pytest.mark.parametrize("method", ["scp", "rsync", "streams"])
def test_a_folder_comes_whole_over_ssh_and_again_where_a_part_is_there(method: str, ssh_config: Path, slides: Path, tmp_path: Path) -> None:
    there = tmp_path / "there" / "new"
    for _ in range(2):
        subprocess.run([SCRIPT, method, slides, f"there:{there}", "3"], check=True, timeout=60, env={**os.environ, "SSH_CONFIG": str(ssh_config)})
        assert same(slides, there)
        (there / "center_0" / "a.tif").unlink()
        (there / "center_0" / "b c.tif").write_bytes(b"half")


def test_a_folder_comes_whole_over_gridftp(slides: Path, tmp_path: Path) -> None:
    needs("globus-gridftp-server", "globus-url-copy")
    port = free_port()
    p = started([str(shutil.which("globus-gridftp-server", path=PATH)), "-daemon", "-control-interface", "127.0.0.1", "-p", str(port), "-aa",
                 "-anonymous-user", "root", "-allow-root", "-home-dir", "/", "-l", str(tmp_path / "log")], port)
    try:
        subprocess.run([SCRIPT, "gridftp", slides, f"ftp://127.0.0.1:{port}{tmp_path}/there", "4"], check=True, timeout=60)
        assert same(slides, tmp_path / "there")
    finally:
        p.terminate()
        p.wait(10)


def test_without_a_way_and_two_places_it_says_how_it_is_used() -> None:
    done = subprocess.run([SCRIPT, "scp"], capture_output=True, text=True)
    assert done.returncode == 2 and "jobs/transfer.sh rsync" in done.stderr
