"""A real SLURM, small: a controller and N nodes as hosts of namespaces (tests/slurm/hosts.py), partitions `cpu` and `gpu` over the same nodes."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from .hosts import Hosts, wait_for
from .hosts import why_not as why_no_hosts

DAEMONS = ("slurmctld", "slurmd", "munged")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
# Times are short: a dead node is noticed after 10 s, a requeued job starts after cred_expire. CPUs and memory are what is written here.
CONFIG = """
ClusterName=test
SlurmctldHost=login({address})
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
TmpFS={folder}/tmp/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=3600
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=2,bf_interval=2
JobRequeue=1
SlurmdParameters=config_overrides
GresTypes=gpu
PartitionName=cpu Nodes=n[1-{nodes}] Default=YES State=UP
PartitionName=gpu Nodes=n[1-{nodes}] State=UP
"""


def why_not() -> str:
    """Why a cluster cannot be started here; empty where it can."""
    missing = [name for name in (*DAEMONS, "sbatch", "srun") if shutil.which(name, path=PATH) is None]
    return f"no {', '.join(missing)} (as root, `install/system.sh tests` installs them)" if missing else why_no_hosts()


class Cluster:
    """A running SLURM; `end` leaves nothing behind but logs."""

    def __init__(self, folder: Path, nodes: int, mbit: int | None = None):
        assert len(str(folder)) < 60, "names of sockets end at 107 characters"
        self.folder, self.nodes = folder, [f"n{i}" for i in range(1, nodes + 1)]
        self.hosts = Hosts(folder, mbit)
        self.hosts.name("login", *self.nodes)
        for name in ("state", "log", "munge", *(f"{kind}/{n}" for kind in ("spool", "tmp") for n in self.nodes)):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        lines = [f"NodeName={n} NodeAddr={self.hosts.address(n)} CPUs=2 RealMemory=4000 Gres=gpu:1 State=UNKNOWN" for n in self.nodes]
        self.config = folder / "slurm.conf"
        self.config.write_text(CONFIG.format(folder=folder, address=self.hosts.address("login"), nodes=nodes) + "\n".join(lines) + "\n")
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")  # a GPU by name only
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # slurmd loads one even if it is not used; this one touches nothing
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        (folder / "munge").chmod(0o755)
        try:
            self._start()
        except BaseException:
            self.end()
            raise

    def _start(self) -> None:
        m = self.folder / "munge"
        self.hosts.boot("login")
        self._daemon("login", "munged", "--force", f"--socket={m}/socket", f"--key-file={m}/key", f"--pid-file={m}/pid", f"--log-file={m}/log",
                     f"--seed-file={m}/seed")
        self._daemon("login", "slurmctld", "-c", "-f", self.config)
        for n in self.nodes:
            self.boot(n)
        self.wait_for_nodes()

    def wait_for_nodes(self) -> None:
        wait_for(lambda: self.ask("sinfo", "-h", "-p", "cpu", "-N", "-t", "idle").count("\n") == len(self.nodes), 60, "nodes")

    def _daemon(self, host: str, *words: object) -> None:
        with (self.folder / "log" / "start.log").open("ab") as log:
            subprocess.run(self.hosts.on(host, *words), check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=30,
                           env={k: v for k, v in os.environ.items() if k != "SLURM_CONF"} | {"PATH": PATH})

    def boot(self, node: str) -> None:
        self.hosts.boot(node)
        self._daemon(node, "slurmd", "-N", node, "-f", self.config)

    def settle(self) -> None:
        """End all jobs, and start again the slurmd that crashed (SLURM 22.05's does now and then, where a job comes as another goes), as systemd would."""
        self.ask("scancel", "-u", "root")
        wait_for(lambda: not self.ask("squeue", "-h").strip(), 60, "the end of all jobs")
        for n in self.nodes:
            if subprocess.run(self.hosts.on(n, "pgrep", "-x", "slurmd"), capture_output=True, timeout=30).returncode:
                self._daemon(n, "slurmd", "-N", n, "-f", self.config)
        self.wait_for_nodes()

    def ask(self, *words: object, **env: str) -> str:
        """What a command on the login host says; fails with its words where it does."""
        p = subprocess.run(self.hosts.on("login", *words), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                           env=os.environ | {"PATH": PATH, "SLURM_CONF": str(self.config)} | env)
        assert p.returncode == 0, f"{words}: exit {p.returncode}\n{p.stdout}{p.stderr}"
        return p.stdout

    def about(self, job: str) -> dict[str, str]:
        """What `scontrol show job` says of a job."""
        return dict(re.findall(r"(\w+)=(\S*)", self.ask("scontrol", "-o", "show", "job", job)))

    def state(self, job: str) -> str:
        return self.about(job)["JobState"]

    def wait_until(self, job: str, *states: str, seconds: float = 400) -> str:
        """Wait until a job is in one of `states`; returns which. Fails where it ends otherwise."""
        until = time.monotonic() + seconds
        while (now := self.state(job)) not in states:
            assert now in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED"), f"job {job} is {now}, not {states}\n{self.said(job)}"
            assert time.monotonic() < until, f"job {job} is still {now} ({self.about(job)['Reason']}) after {seconds} s\n{self.said(job)}"
            time.sleep(0.2)
        return now

    def said(self, job: str) -> str:
        """What a job has written."""
        path = Path(self.about(job)["StdOut"])
        return path.read_text()[-4000:] if path.exists() else ""

    def end(self) -> None:
        self.hosts.end()
