"""A certificate authority of the tests, and certificates of servers and clients that are good, or bad in one way each.

A certificate and its key are in one file, which only its owner can read, as libpq and PostgreSQL ask for.
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# Whom the clients' certificates name.
CLIENT = "client.invalid"


def make_files(folder: Path) -> dict[str, Path]:
    """Write certificates for 127.0.0.1 that an authority has issued, and the file of another authority."""
    authority = make_authority(folder / "authority.pem")
    another = make_authority(folder / "another.pem")
    return {
        "authority": authority.file,
        "another": another.file,
        "good": authority.issue(folder / "good.pem"),
        "elsewhere": authority.issue(folder / "elsewhere.pem", host="elsewhere.invalid"),
        "expired": authority.issue(folder / "expired.pem", days=-1),
        "client": authority.issue(folder / "client.pem", host=CLIENT),
        "foreign client": another.issue(folder / "foreign.pem", host=CLIENT),
        "nowhere": folder / "nowhere.pem",
        "no certificate": folder,
    }


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests: `file` is what a client verifies with."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def issue(self, path: Path, *, host: str = "127.0.0.1", days: int = 1) -> Path:
        """Write a certificate for a host, with its key, to a file; with negative `days` one that has run out."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        certificate = (
            _builder(host, days)
            .public_key(key.public_key())
            .issuer_name(self.certificate.subject)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path.touch(0o600)
        path.write_bytes(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        return path


def make_authority(path: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(path.stem, 1)
    certificate = (
        builder.public_key(key.public_key())
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.stem)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(path, key, certificate)


def _builder(name: str, days: int) -> x509.CertificateBuilder:
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=10))
        .not_valid_after(end)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
