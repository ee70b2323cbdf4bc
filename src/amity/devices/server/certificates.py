"""The certificates that a meter keeps for one set of keys, and its key pairs (class 64, version 1, methods 4 to 8)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from amity.devices.cosem import fields
from amity.devices.cosem.certificates import CertificateEntity, CertificateType, KeptCertificate, identifications
from amity.kernel.errors import SecurityError
from amity.protocols.dlms.certificates import Purpose, Trust, check_authority, sound
from amity.protocols.dlms.data import Data, Tag, array, octet_string
from amity.protocols.dlms.protector import Protector
from amity.protocols.dlms.suites import suite_of

_KEPT_MAX = 32  # a meter's memory ends somewhere: authorities, clients, and its own two


class Owner(Protocol):
    """What the certificates need of the meter whose keys they are about."""

    @property
    def protector(self) -> Protector:
        """The keys valid now."""
        ...

    def take_keys(self, protector: Protector, *, new_unicast: bool) -> None:
        """These keys are valid from the next request on; under a new unicast key clients may count anew."""
        ...

    def take_client_key(self, system_title: bytes, purpose: Purpose, public: bytes) -> None:
        """A client of this title is known by this point from its next association on; by none where it is empty."""
        ...

    def show(self, certificate: bytes) -> None:
        """Associations that begin from now on are shown this as the meter's own; none where it is empty."""
        ...


class MeterCertificates:
    """What is kept, in the order it came.

    Where an authority is known, it must vouch for whatever is imported after it: one from `trust`, or, where there is
    none, the first that was imported. Others that were imported link to it; without it nothing is taken again. Private
    keys stay with the protector: a new pair waits there until its certificate is imported, so that nobody is locked
    out by a request that no authority ever answers.
    """

    def __init__(self, owner: Owner, server_title: bytes, trust: Trust, kept: Iterable[bytes] = ()) -> None:
        self._owner = owner
        self._server_title = server_title
        self._trust = trust
        self._first_authority = b""
        self._kept = [KeptCertificate.of(der, server_title) for der in kept]
        self.methods: Mapping[int, Callable[[Data, datetime], Data | None]] = {
            4: self._generate,
            5: self._request,
            6: self._import,
            7: self._export,
            8: self._remove,
        }

    def infos(self) -> Data:
        """Attribute 6."""
        return array(kept.info.to_data() for kept in self._kept)

    # -------------------------------------------------------------- the methods
    def _generate(self, parameters: Data, _now: datetime) -> None:
        self._owner.take_keys(self._owner.protector.generate(_purpose(parameters)), new_unicast=False)

    def _request(self, parameters: Data, _now: datetime) -> Data:
        return octet_string(self._owner.protector.certificate_request(_purpose(parameters), self._server_title))

    def _import(self, parameters: Data, now: datetime) -> None:
        kept = KeptCertificate.of(fields.octets(parameters, "certificate"), self._server_title)
        others = [one for one in self._kept if not _replaces(kept, one)]
        if len(others) >= _KEPT_MAX:
            raise SecurityError("no more certificates can be kept", next_step="remove one that is out of date")
        if kept.info.entity is CertificateEntity.AUTHORITY:
            check_authority(kept.der, suite_of(self._owner.protector.suite), now)
            self._check_chain(kept.der, now)
            self._first_authority = self._first_authority or kept.der
        else:
            self._take_key_of(kept, now)
        self._kept = [*others, kept]

    def _export(self, parameters: Data, _now: datetime) -> Data:
        return octet_string(self._find(parameters).der)

    def _remove(self, parameters: Data, _now: datetime) -> None:
        gone = self._find(parameters)
        self._kept.remove(gone)
        self._show(gone, b"")
        purpose = gone.info.type.purpose
        if gone.info.entity is CertificateEntity.CLIENT and purpose is not None:
            self._owner.take_client_key(gone.system_title, purpose, b"")

    # -------------------------------------------------------------- parts
    def _take_key_of(self, kept: KeptCertificate, now: datetime) -> None:
        """Have the key used that the certificate is about; of our own, only one whose private half is here."""
        purpose = kept.info.type.purpose
        if purpose is None:
            raise SecurityError("a certificate for neither signatures nor key agreement is of no use here")
        certificate = sound(kept.der, suite_of(self._owner.protector.suite), purpose, now)
        self._check_chain(kept.der, now)
        if kept.info.entity is CertificateEntity.SERVER:
            self._owner.take_keys(self._owner.protector.put_in_use(purpose, certificate.public), new_unicast=False)
            self._show(kept, kept.der)
        else:
            self._owner.take_client_key(kept.system_title, purpose, certificate.public)

    def _show(self, kept: KeptCertificate, certificate: bytes) -> None:
        if kept.info[:2] == (CertificateEntity.SERVER, CertificateType.SIGNING):
            self._owner.show(certificate)

    def _check_chain(self, der: bytes, now: datetime) -> None:
        if not self._trust.anchors and not self._first_authority:
            return
        authorities = tuple(kept.der for kept in self._kept if kept.info.entity is CertificateEntity.AUTHORITY)
        anchors = self._trust.anchors or tuple(one for one in authorities if one == self._first_authority)
        Trust(anchors, self._trust.intermediates + authorities).check_chain(der, now)

    def _find(self, parameters: Data) -> KeptCertificate:
        for wanted in identifications(parameters):
            found = next((kept for kept in reversed(self._kept) if kept.is_named_by(wanted)), None)
            if found is not None:
                return found
        raise SecurityError("no such certificate is kept")


def _replaces(new: KeptCertificate, old: KeptCertificate) -> bool:
    """A certificate again, or a newer one of the same owner for the same; authorities have many."""
    same_owner = (new.info.entity, new.info.type, new.system_title) == (
        old.info.entity,
        old.info.type,
        old.system_title,
    )
    return new.der == old.der or (same_owner and new.info.entity is not CertificateEntity.AUTHORITY)


def _purpose(parameters: Data) -> Purpose:
    purpose = fields.member(CertificateType, parameters, "kind of key pair").purpose
    if purpose is None or parameters.tag is not Tag.ENUM:
        raise SecurityError("this meter has key pairs for signatures and key agreement only")
    return purpose
