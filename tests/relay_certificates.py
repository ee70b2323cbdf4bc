"""A small CA for tests: certificates of head-ends and collectors, good ones and those that must be refused."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


class Authority:
    """Issues certificates into folders as head-end and collector expect them."""

    def __init__(self, name: str = "AMI test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._signed(
            self._name,
            self._key,
            [(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(ca=True), True)],
        )

    def issue(
        self,
        folder: Path,
        uri: str | None,
        *,
        believes: "Authority | None" = None,
        dns: tuple[str, ...] = ("localhost",),
        uses: tuple[x509.ObjectIdentifier, ...] = (SERVER, CLIENT),
        days: int = 1,
        revoked: tuple[x509.Certificate, ...] | None = None,
    ) -> x509.Certificate:
        """Key, certificate and CA file for one machine."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        if uri is not None:
            names.append(x509.UniformResourceIdentifier(uri))
        certificate = self._signed(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ami")]),
            key,
            [
                (x509.SubjectAlternativeName(names), False),
                (x509.ExtendedKeyUsage(list(uses)), False),
                (_usage(ca=False), True),
            ],
            days=days,
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "ami_service.key").touch(0o600)
        (folder / "ami_service.key").write_bytes(private)
        (folder / "ami_service.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "ca.crt").write_bytes((believes or self).certificate.public_bytes(serialization.Encoding.PEM))
        if revoked is not None:
            (folder / "ca.crl").write_bytes(self.revoking(revoked))
        return certificate

    def revoking(self, revoked: tuple[x509.Certificate, ...]) -> bytes:
        """A list that is in date."""
        now = dt.datetime.now(dt.UTC)
        one_day = dt.timedelta(days=1)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(now - one_day).next_update(now + one_day)
        for one in revoked:
            gone = x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(now - one_day)
            builder = builder.add_revoked_certificate(gone.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
        *,
        days: int = 1,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=2))
            .not_valid_after(now + dt.timedelta(days=days))
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(self._key, hashes.SHA256())


def collector_uri(name: str) -> str:
    return f"spiffe://ami/ot/collector/{name}"


HEADEND_URI = "spiffe://ami/ot/headend/he1"


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
