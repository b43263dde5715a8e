"""The authority of a trial: what it signs, what it refuses to, what it keeps secret."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.command import twin
from twin.certificates import CertificateRefused, Role, TrialAuthority

NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> TrialAuthority:
    return TrialAuthority(tmp_path / "authority", lambda: NOW)


@pytest.mark.parametrize(
    ("role", "name", "alternative", "usage"),
    [
        ("device", "watch-7", "urn:wearable-twin:device:watch-7", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("ingest", "twin-ingest-2", "urn:wearable-twin:ingest:twin-ingest-2", None),
        ("broker", "mqtt.example.org", "mqtt.example.org", ExtendedKeyUsageOID.SERVER_AUTH),
        ("broker", "127.0.0.1", "127.0.0.1", ExtendedKeyUsageOID.SERVER_AUTH),
    ],
)
def test_a_certificate_says_who_it_is_for_and_until_when(
    authority: TrialAuthority, role: Role, name: str, alternative: str, usage: object
) -> None:
    issued = authority.issue(role, name, 30)
    made = x509.load_pem_x509_certificate(issued.certificate)
    assert made.subject.rfc4514_string() == f"CN={name}"
    assert made.not_valid_after_utc == issued.until == NOW + timedelta(days=30)
    assert isinstance(made.public_key(), EllipticCurvePublicKey)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert str(next(iter(names)).value) == alternative
    (purpose,) = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert purpose == (usage or ExtendedKeyUsageOID.CLIENT_AUTH)
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(issued.authority))


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("device", "twin-ingest"),
        ("device", "twin-ingest-2"),
        ("device", "ward-gw/ring-1"),
        ("device", "+"),
        ("device", ""),
        ("ingest", "watch-7"),
        ("broker", "not a host"),
    ],
)
def test_a_name_that_could_be_taken_for_another_is_refused(
    authority: TrialAuthority, role: Role, name: str
) -> None:
    with pytest.raises(CertificateRefused):
        authority.issue(role, name, 30)
    assert list((authority.folder / "issued").iterdir()) == []


def test_keys_are_for_their_owner_alone_and_fit_their_certificates(
    authority: TrialAuthority, tmp_path: Path
) -> None:
    certificate, key, _ = authority.issue("device", "watch-7", 30).write(tmp_path / "out")
    for secret in (key, authority.folder / "ca.key"):
        assert secret.stat().st_mode & 0o777 == 0o600
    assert authority.folder.stat().st_mode & 0o777 == 0o700
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key)
    assert b"PRIVATE" not in b"".join(f.read_bytes() for f in authority.folder.glob("*.pem"))


def test_the_authority_is_made_once_and_outlives_no_certificate(
    authority: TrialAuthority,
) -> None:
    again = TrialAuthority(authority.folder, lambda: NOW + timedelta(days=3_649))
    issued = again.issue("device", "watch-7", 365)
    assert issued.authority == authority.issue("device", "watch-8", 1).authority
    assert issued.until == NOW + timedelta(days=3_650)


def test_every_certificate_of_a_name_is_revoked_and_the_list_grows(
    authority: TrialAuthority,
) -> None:
    for name in ("watch-7", "watch-7", "watch-8"):
        authority.issue("device", name, 30)
    assert authority.revoke("watch-7") == 2
    assert authority.revoke("watch-7") == 0
    assert authority.revoke("watch-8") == 1
    crl = x509.load_pem_x509_crl(authority.revocations.read_bytes())
    assert len(crl) == 3
    with pytest.raises(CertificateRefused, match="watch-9: has no certificate"):
        authority.revoke("watch-9")


def test_a_damaged_authority_is_refused_with_its_folder(tmp_path: Path) -> None:
    TrialAuthority(tmp_path, lambda: NOW)
    (tmp_path / "ca.key").write_text("nonsense")
    with pytest.raises(CertificateRefused, match="no usable authority"):
        TrialAuthority(tmp_path, lambda: NOW)


def test_the_command_writes_three_files_and_says_until_when(tmp_path: Path) -> None:
    place = ("--authority", tmp_path / "ca", "--json")
    made = twin("devices", "certificate", "watch-7", "--out", tmp_path / "out", *place)
    assert made.code == 0
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
        "ca.pem",
        "watch-7.key",
        "watch-7.pem",
    ]
    assert made.json["certificate"].endswith("watch-7.pem")
    revoked = twin("devices", "certificate", "watch-7", "--revoke", *place)
    assert revoked.json["revoked"] == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--out", "x"), "expected one of NAME, --broker HOST and --ingest"),
        (("w", "--broker", "h", "--out", "x"), "expected one of NAME"),
        (("w",), "--out DIR"),
        (("twin-ingest", "--out", "x"), "is a name of ingest"),
        (("w", "--revoke"), "has no certificate"),
    ],
)
def test_a_certificate_that_cannot_be_made_is_wrong_input(
    tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    ended = twin("devices", "certificate", *arguments, "--authority", tmp_path / "ca")
    assert (ended.code, ended.out) == (2, "")
    assert why in ended.err
