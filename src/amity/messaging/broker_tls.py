"""TLS 1.3 to and among the brokers, both sides with certificates of one CA; the passwords stand besides."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from amity.kernel.errors import ConfigurationError

_HANDSHAKE_S: Final = 5


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """PEM files: our certificate, with a name or address by which others reach us; its key; the CA of all of them."""

    certificate: Path
    key: Path
    authorities: Path

    def route_section(self) -> dict[str, Any]:
        """For links between servers: whoever dials checks the other's address, whoever is dialled the certificate."""
        return {
            "cert_file": str(self.certificate),
            "key_file": str(self.key),
            "ca_file": str(self.authorities),
            "verify": True,
            "min_version": "1.3",
            "timeout": _HANDSHAKE_S,
        }

    def client_section(self) -> dict[str, Any]:
        """For head-end and MDM side. They begin with the handshake: nobody in between can talk them out of it."""
        return {**self.route_section(), "handshake_first": True}

    def context(self) -> ssl.SSLContext:
        """For one who connects; raise ConfigurationError for files that cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_cert_chain(self.certificate, self.key)
            context.load_verify_locations(self.authorities)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                "the certificates for the links to the brokers cannot be used",
                tried=f"{self.certificate}, {self.key}, {self.authorities}",
                answer=str(error),
                next_step="see docs/cluster.md for the files and how to make them, or set tls = false in [broker]",
            ) from error
        return context
