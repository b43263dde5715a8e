"""A small certificate authority for a trial: it signs devices, gateways, ingest and the broker.

One folder: `ca.key` (0600), `ca.pem`, `crl.pem` (what is revoked) and `issued/`, every certificate
that it signed. Keys are EC P-256. A larger site has an authority of its own; the broker asks only
that the certificate's common name is the device.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ingest.topic import NAME

#: The name under which ingest signs in, or how it begins where there are several: no device may
#: have it, as it may read everything.
INGEST = "twin-ingest"
AUTHORITY_DAYS = 3_650
_NAME = re.compile(NAME)
_HOST = re.compile(r"(?=.{1,253}$)([A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
#: Clocks of devices are not that good.
_BACKDATED = timedelta(hours=1)

Role = Literal["device", "ingest", "broker"]


class CertificateRefused(Exception):
    """A certificate that is not made, or an authority that cannot be used: `subject`, `why`."""

    def __init__(self, subject: str, why: str) -> None:
        super().__init__(f"{subject}: {why}")
        self.subject = subject
        self.why = why


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key as PEM, and the authority's certificate; `until` is UTC."""

    name: str
    certificate: bytes
    key: bytes
    authority: bytes
    until: datetime

    def write(self, folder: Path) -> Sequence[Path]:
        """NAME.pem, NAME.key (0600) and ca.pem; returns them. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        at = folder / f"{self.name}.pem", folder / f"{self.name}.key", folder / "ca.pem"
        _write(at[0], self.certificate)
        _write(at[1], self.key, 0o600)
        _write(at[2], self.authority)
        return at


class TrialAuthority:
    """Made on first use. `now` gives aware UTC. Raises CertificateRefused, OSError."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self.folder = folder
        self._now = now
        if not (folder / "ca.key").exists():
            self._make()
        try:
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
            self._certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        except ValueError as error:
            raise CertificateRefused(str(folder), f"no usable authority: {error}") from None
        self._key = cast(EllipticCurvePrivateKey, key)

    def issue(self, role: Role, name: str, days: int) -> Issued:
        """A new certificate; an earlier one of the same name stays valid until it is revoked.

        name: of a device or gateway, as in its topic; of a broker, its host name or address.
        """
        _check(role, name)
        key = generate_private_key(SECP256R1())
        until = min(self._now() + timedelta(days=days), self._certificate.not_valid_after_utc)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if role == "broker" else None
        certificate = (
            self._builder(name, key, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([usage or ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([_alternative(role, name)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        public = certificate.public_bytes(serialization.Encoding.PEM)
        _write(self.folder / "issued" / f"{certificate.serial_number:x}.pem", public)
        return Issued(name, public, _private(key), self._public(), until)

    def revoke(self, name: str) -> int:
        """Put every certificate of this name on the revocation list; returns how many are new."""
        revoked = {each.serial_number for each in self._crl()}
        fresh = [
            each.serial_number
            for each in self._issued()
            if _common_name(each) == name and each.serial_number not in revoked
        ]
        if not fresh and not any(_common_name(each) == name for each in self._issued()):
            raise CertificateRefused(name, "has no certificate of this authority")
        self._write_crl(
            [
                *self._crl(),
                *(
                    x509.RevokedCertificateBuilder()
                    .serial_number(serial)
                    .revocation_date(self._now())
                    .build()
                    for serial in fresh
                ),
            ]
        )
        return len(fresh)

    @property
    def revocations(self) -> Path:
        """The revocation list, for the broker's `crlfile`."""
        return self.folder / "crl.pem"

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "issued").mkdir(exist_ok=True)
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wearable-twin trial authority")])
        now = self._now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        self._key, self._certificate = key, certificate
        self._write_crl([])
        _write(self.folder / "ca.pem", self._public())
        _write(self.folder / "ca.key", _private(key), 0o600)

    def _builder(
        self, name: str, key: EllipticCurvePrivateKey, until: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now() - _BACKDATED)
            .not_valid_after(until)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )

    def _issued(self) -> Iterator[x509.Certificate]:
        for file in sorted((self.folder / "issued").glob("*.pem")):
            yield x509.load_pem_x509_certificate(file.read_bytes())

    def _crl(self) -> list[x509.RevokedCertificate]:
        return list(x509.load_pem_x509_crl(self.revocations.read_bytes()))

    def _write_crl(self, revoked: Sequence[x509.RevokedCertificate]) -> None:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(self._now() - _BACKDATED)
            # A list that has run out refuses everybody: it lives as long as the authority.
            .next_update(self._certificate.not_valid_after_utc)
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(each)
        signed = builder.sign(self._key, hashes.SHA256())
        _write(self.revocations, signed.public_bytes(serialization.Encoding.PEM))

    def _public(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)


def expiry(certificate: Path) -> datetime:
    """Until when a certificate file (PEM) is valid, UTC. Raises OSError, ValueError."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def _check(role: Role, name: str) -> None:
    if role == "broker":
        if not _HOST.fullmatch(name) and not _is_address(name):
            raise CertificateRefused(name, "a broker's host name or address is expected")
    elif not _NAME.fullmatch(name):
        raise CertificateRefused(
            name, "a device or gateway is 1–64 of A–Z a–z 0–9 . _ - (behind a gateway it has none)"
        )
    elif role == "device" and name.startswith(INGEST):
        raise CertificateRefused(name, "is a name of ingest, which may read everything")
    elif role == "ingest" and not name.startswith(INGEST):
        raise CertificateRefused(name, f"ingest is {INGEST}, or a name that begins so")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _alternative(role: Role, name: str) -> x509.GeneralName:
    if role != "broker":
        return x509.UniformResourceIdentifier(f"urn:wearable-twin:{role}:{name}")
    return x509.IPAddress(ip_address(name)) if _is_address(name) else x509.DNSName(name)


def _key_usage(authority: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _common_name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _private(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Whole or not at all, and never readable by more than `mode` says."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
