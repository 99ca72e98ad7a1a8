"""A TURN server on the loopback: Debian's coturn, which lets through what a test says and nothing else."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"
SECRET = "known to two"
TURNSERVER = shutil.which("turnserver") or shutil.which("turnserver", path="/usr/sbin:/usr/local/bin:/opt/homebrew/bin")
WITHOUT = "coturn is not installed, so no call goes through a relay (Debian: apt-get install coturn)"
WAYS = {
    "udp": ("turn:{host}:{plain}", ("--no-tcp", "--no-tls")),
    "tcp": ("turn:{host}:{plain}?transport=tcp", ("--no-udp", "--no-tls")),
    "tls": ("turns:{host}:{secured}", ("--no-udp", "--no-tcp")),
}
"""By name: the address that a client is told, and what coturn has to be told so that there is no other way in."""


@dataclass(frozen=True)
class Relay:
    """A TURN server that runs."""

    url: str
    certificate: Path
    """Its own, self-signed."""
    log: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Without a word to anybody."""
        self.process.kill()
        self.process.wait(10)

    def users(self) -> set[str]:
        """The names of those who were given an address."""
        lines = [line for line in self.log.read_text().splitlines() if "ALLOCATE processed, success" in line]
        return {line.partition("user <")[2].partition(">")[0].partition(":")[2] for line in lines}


@contextmanager
def relay(folder: Path, way: str = "udp") -> Iterator[Relay]:
    """A TURN server that clients reach by UDP, TCP or TLS only; it relays over UDP, as all of WebRTC does."""
    assert TURNSERVER is not None, WITHOUT
    plain, secured = free_port(), free_port()
    address, closed = WAYS[way]
    certificate, key, log = folder / "relay.crt", folder / "relay.key", folder / "relay.log"
    sign(certificate, key)
    files = [f"--cert={certificate}", f"--pkey={key}", f"--userdb={folder / 'users'}", f"--pidfile={folder / 'pid'}"]
    ports = [f"--listening-port={plain}", f"--tls-listening-port={secured}"]
    where = [f"--listening-ip={HOST}", f"--relay-ip={HOST}", "--allow-loopback-peers"]
    who = ["--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=vivavoce"]
    rest = ["-n", "--verbose", "--log-file=stdout", "--no-cli", "--no-dtls", *closed]
    with log.open("w") as said:
        command = [TURNSERVER, *files, *ports, *where, *who, *rest]
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=folder)
    try:
        await_listening(process, way, secured if way == "tls" else plain, log)
        yield Relay(address.format(host=HOST, plain=plain, secured=secured), certificate, log, process)
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """One that is free for UDP and TCP; coturn cannot choose for itself."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams, socket.socket() as stream:
            datagrams.bind((HOST, 0))
            try:
                stream.bind(datagrams.getsockname())
            except OSError:
                continue
            return int(stream.getsockname()[1])


def await_listening(process: subprocess.Popen[bytes], way: str, port: int, log: Path) -> None:
    """Returns once somebody answers there. Raises RuntimeError with coturn's last words if it ends instead."""
    for _ in range(200):
        if (answers_stun if way == "udp" else accepts)(port):
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    raise RuntimeError("coturn does not listen: " + log.read_text()[-500:])


def accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def answers_stun(port: int) -> bool:
    """RFC 8489: a Binding request of no more than its header."""
    with socket.socket(type=socket.SOCK_DGRAM) as asked:
        asked.settimeout(0.2)
        asked.connect((HOST, port))
        try:
            asked.send(bytes.fromhex("00010000 2112a442") + bytes(12))
            return asked.recv(1_500)[:2] == b"\x01\x01"
        except OSError:
            return False


def sign(certificate: Path, key: Path) -> None:
    """A certificate of the loopback, signed by itself, and its key."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(secret.private_bytes(*form))
