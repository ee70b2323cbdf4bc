"""Certificates for MQTT in a simulation: an authority, the broker's and one for each meter. Never for anything real."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from amity.kernel.errors import ConfigurationError
from amity.messaging.meter_access import identity_of
from amity.security.private_files import write_private

AUTHORITY: Final = "meters-ca"
BROKER: Final = "mqtt"
_VALID: Final = timedelta(days=30)
_BEFORE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MeterCertificates:
    """The folder of a simulated authority; a meter's certificate is made when it is first wanted."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, host: str = "127.0.0.1") -> "MeterCertificates":
        """An authority of its own, and the certificate of a broker at that address."""
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder, AUTHORITY, key, _certificate("simulated meters", key, "simulated meters", key, [], ca=True))
        made = cls(folder)
        made.issue(BROKER, "broker", [x509.IPAddress(ipaddress.ip_address(host))])
        return made

    def issue(self, file: str, name: str, names: list[x509.GeneralName]) -> None:
        """Write `file`.crt and `file`.key for these subject alternative names."""
        key = ec.generate_private_key(ec.SECP256R1())
        authority = _certificate(name, key, "simulated meters", self._authority_key(), names, ca=False)
        _write(self.folder, file, key, authority)

    def context(self, meter_id: str) -> ssl.SSLContext:
        """How that meter speaks TLS."""
        certificate = self.folder / f"meter-{meter_id}.crt"
        if not certificate.exists():
            identity = x509.UniformResourceIdentifier(identity_of(meter_id))
            self.issue(f"meter-{meter_id}", meter_id, [identity])
        context = ssl.create_default_context(cafile=str(self.folder / f"{AUTHORITY}.crt"))
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        return context

    def _authority_key(self) -> ec.EllipticCurvePrivateKey:
        path = self.folder / f"{AUTHORITY}.key"
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{path} is no private key", answer=str(error), next_step="see docs/pushes.md"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigurationError(f"{path} is no key on a curve", next_step="see docs/pushes.md")
        return key


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    *,
    ca: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)  # TLS goes by the real clock, also in a simulation
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write(folder: Path, file: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    octets = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    write_private(folder / f"{file}.key", octets.decode("ascii"))
    (folder / f"{file}.crt").write_bytes(certificate.public_bytes(pem))
