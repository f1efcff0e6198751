"""A SLURM cluster of two nodes on this machine, started for a test and stopped after it.

Each node is a slurmd in network, process and host name spaces of its own: it has an address, sees
its own processes alone and has its own /tmp/ray, as on a machine of its own. Needs root and, of
Debian, the packages slurm-wlm, munge and iproute2.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "ip", "nsenter", "unshare")
MISSING = [name for name in PROGRAMS if not shutil.which(name)]
IS_ROOT = os.geteuid() == 0
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}({network}.1)
SlurmctldPort={port}
SlurmUser=root
AuthInfo=socket={folder}/munge,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
KillWait=5
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE
"""
NODES = {"n1": 11, "n2": 12}
"""Names, and the last number of their addresses."""
SPACES = "unshare --uts --pid --fork --kill-child --mount-proc bash -ec"
NODE = """
hostname "$0"
mount --bind "$1/hosts" /etc/hosts
mount --bind /dev/null /etc/resolv.conf
mkdir -p /tmp/ray
mount -t tmpfs ray /tmp/ray
slurmd -D &
wait $!  # as the first process, bash reaps those that others leave
"""


@dataclass(frozen=True)
class Slurm:
    """A running cluster: its folder, and its daemons by name."""

    folder: Path
    environment: dict[str, str]
    daemons: dict[str, subprocess.Popen[bytes]]

    def run(self, *command: str) -> str:
        """What a command prints that has to succeed."""
        done = subprocess.run(command, text=True, capture_output=True, env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def state(self, job: str) -> str:
        """PENDING, RUNNING, COMPLETED, ..."""
        return self.run("squeue", "--job", job, "--states=all", "--format=%T", "-h").strip()

    def lose(self, node: str) -> None:
        """Kill everything on a node; SLURM is told what it finds out itself in SlurmdTimeout."""
        self.daemons[node].kill()
        self.daemons[node].wait()
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=lost")

    def wait_for(self, condition: Callable[[], bool], log: Path, seconds: float = 90) -> None:
        """Until it is true; where it never is, shows the job's log and what the daemons say."""
        deadline = time.monotonic() + seconds
        while not condition():
            logs = [path for path in (log, *self.folder.glob("*.log")) if path.exists()]
            assert time.monotonic() < deadline, "\n".join(
                f"{path.name}:\n{path.read_text(encoding='utf-8')[-3000:]}" for path in logs
            )
            time.sleep(0.1)


@contextmanager
def slurm_cluster() -> Iterator[Slurm]:
    """Two nodes of one core and eight GPUs, which are numbers only."""
    number = os.getpid() % 250
    bridge, network = f"slurm{number}", f"10.213.{number}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm")))
        _configure(folder, network, port=20000 + number)
        slurm = Slurm(folder, os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}, {})

        def start(name: str, *command: str) -> None:
            log = stack.enter_context(open(folder / f"{name}.log", "w", encoding="utf-8"))
            daemon = subprocess.Popen(command, stdout=log, stderr=log, env=slurm.environment)
            slurm.daemons[name] = daemon
            stack.callback(daemon.wait)
            stack.callback(daemon.kill)

        def ip(command: str) -> None:
            subprocess.run(["ip", *command.split()], check=True)

        ip(f"link add {bridge} type bridge")
        stack.callback(ip, f"link delete {bridge}")
        ip(f"address add {network}.1/24 dev {bridge}")
        ip(f"link set {bridge} up")
        files = [f"--{what}-file={folder}/munge.{what}" for what in ("key", "log", "pid", "seed")]
        start("munged", "munged", "--foreground", "--force", f"--socket={folder}/munge", *files)
        slurm.wait_for((folder / "munge").exists, folder / "munged.log")
        start("slurmctld", "slurmctld", "-D")
        for name, address in NODES.items():
            space = f"{bridge}{name}"
            ip(f"netns add {space}")
            stack.callback(ip, f"netns delete {space}")
            ip(f"link add {space} type veth peer name eth0 netns {space}")
            ip(f"link set {space} master {bridge} up")
            ip(f"-n {space} address add {network}.{address}/24 dev eth0")
            for device in ("lo", "eth0"):
                ip(f"-n {space} link set {device} up")
            ip(f"-n {space} route add default via {network}.1")
            start(
                name, *f"nsenter --net=/run/netns/{space} {SPACES}".split(), NODE, name, str(folder)
            )
        yield slurm


def _configure(folder: Path, network: str, port: int) -> None:
    for name in ("state", *NODES):
        (folder / name).mkdir()
    hosts = "".join(f"{network}.{address} {name}\n" for name, address in NODES.items())
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    for gpu in range(8):
        os.mknod(folder / f"gpu{gpu}", stat.S_IFCHR, os.makedev(1, 3))  # /dev/null
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-7]\n")
    host = os.uname().nodename.partition(".")[0]
    lines = [
        f"NodeName={name} NodeAddr={network}.{address} CPUs=1 RealMemory=1000 Gres=gpu:8"
        for name, address in NODES.items()
    ]
    text = CONFIGURATION.format(host=host, network=network, folder=folder, port=port)
    (folder / "slurm.conf").write_text("\n".join([text, *lines]) + "\n")
