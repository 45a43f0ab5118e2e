"""A real Slurm of one node, for the time of a test: munged, slurmctld and slurmd in a temporary
folder, as whoever runs the test, on free ports of 127.0.0.1. Nothing of an installed cluster's
configuration is read or touched."""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

CPUS = 4  # that the node says it has: several jobs at once, however small the machine
DAEMONS = ("munged", "slurmctld", "slurmd")

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
KillWait=30
MinJobAge=3600
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


def find(program):
    """Daemons lie in sbin, which is not on everybody's PATH."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """`with Cluster() as cluster:` starts it; cluster.environment is what its commands need."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="qgraft-slurm-"))
        self.folder.chmod(0o755)  # munged wants its socket to be reachable by everybody
        self.daemons = []
        self.configuration = self.folder / "slurm.conf"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        self.environment["SLURM_CONF"] = str(self.configuration)
        try:
            self.start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if len(self.daemons) == len(DAEMONS) and all(d.poll() is None for d in self.daemons):
            self.cancel_all()
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cancel_all(self):
        """No job outlives its cluster: asked to end first, then killed."""
        mine = f"--user={getpass.getuser()}"
        for options in ([], ["--signal=KILL", "--full"]):
            self.command("scancel", mine, *options, check=False)
            end = time.monotonic() + 10
            while time.monotonic() < end:
                if self.output("squeue", "--noheader", check=False) == "":
                    return
                time.sleep(0.2)

    def start_all(self):
        f = self.folder
        for name in ("state", "spool"):
            (f / name).mkdir(mode=0o700)
        key = f / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        controller_port, node_port = free_ports(2)
        self.configuration.write_text(CONFIGURATION.format(
            folder=f, user=getpass.getuser(), cpus=CPUS, controller_port=controller_port,
            node_port=node_port))
        self.start("munged", "--foreground", f"--key-file={key}", f"--socket={f}/munge.socket",
                   f"--pid-file={f}/munged.pid", f"--log-file={f}/munged.log",
                   f"--seed-file={f}/munged.seed", "--num-threads=2")
        self.wait(lambda: (f / "munge.socket").exists(), "munged does not listen")
        self.start("slurmctld", "-D", "-c")
        self.start("slurmd", "-D", "-N", "localhost")
        self.wait(lambda: self.output("sinfo", "--noheader", "--format=%T", check=False) == "idle",
                  "the node does not come up")

    def start(self, name, *options):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.daemons.append(subprocess.Popen(
                ["setpriv", "--pdeathsig=TERM", find(name), *options], env=self.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def logs(self):
        return "\n".join(f"== {p.name}\n{p.read_text(errors='replace')[-4000:]}"
                         for p in sorted(self.folder.glob("*.log")))

    def wait(self, condition, failure, seconds=300):
        """Until the condition holds; a daemon that ends meanwhile is a failure."""
        end = time.monotonic() + seconds
        while not condition():
            dead = [d.args[2] for d in self.daemons if d.poll() is not None]
            if dead or time.monotonic() > end:
                raise RuntimeError(f"{failure} ({dead or 'in time'})\n{self.logs()}")
            time.sleep(0.1)

    def command(self, *words, check=True, **options):
        return subprocess.run(list(map(str, words)), env=self.environment, capture_output=True,
                              text=True, timeout=1200, check=check, **options)

    def output(self, *words, **options):
        return self.command(*words, **options).stdout.strip()
