"""What gurux-dlms makes of class 64 and of general protection, without a line (run by the peer's own interpreter).

Takes {"certificates": attribute 6, "request": PKCS #10, "messages": {name: APDU}} in hexadecimal from the file named as
its argument; prints JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gurux_dlms import AesGcmParameter, GXByteBuffer, GXReplyData
from gurux_dlms.asn import GXPkcs10
from gurux_dlms.ecdsa import GXPrivateKey
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.objects import GXDLMSSecuritySetup
from gurux_dlms.objects.enums import CertificateEntity, CertificateType, SecuritySuite
from gurux_dlms.secure import GXDLMSSecureClient

METER, CLIENT = b"XXX\x00\x00\x00\x00\x07", b"AMY\x00\x00\x00\x00\x01"
ISSUER = bytes.fromhex("300f310d300b06035504030c04526f6f74")
SIGNING, AGREEMENT = CertificateType.DIGITAL_SIGNATURE, CertificateType.KEY_AGREEMENT
OCTETS = 32


def client() -> GXDLMSSecureClient:
    """The peer's client with the keys of the test, APDUs without framing."""
    made = GXDLMSSecureClient(True, 1, 1, Authentication.NONE, None, InterfaceType.PDU)
    ciphering = made.ciphering
    ciphering.systemTitle, ciphering.security = CLIENT, Security.AUTHENTICATION_ENCRYPTION
    ciphering.blockCipherKey, ciphering.authenticationKey = bytes(range(16)), bytes(range(16, 32))
    ciphering.securitySuite = SecuritySuite(1)
    made.settings.sourceSystemTitle = METER
    private, public = (GXPrivateKey.fromRawBytes(number.to_bytes(OCTETS, "big")) for number in (1001, 1002))
    ciphering.signingKeyPair = (public.getPublicKey(), private)
    private, public = (GXPrivateKey.fromRawBytes(number.to_bytes(OCTETS, "big")) for number in (2001, 2002))
    ciphering.keyAgreementKeyPair = (public.getPublicKey(), private)
    return made


def requests() -> dict[str, str]:
    """The ACTION of every method that the peer has, as it would go out."""
    plain = GXDLMSSecureClient(True, 1, 1, Authentication.NONE, None, InterfaceType.PDU)
    setup = GXDLMSSecuritySetup()
    calls = {
        "generate_key_pair": setup.generateKeyPair(plain, SIGNING),
        "generate_certificate_request": setup.generateCertificate(plain, AGREEMENT),
        "export_by_entity": setup.exportCertificateByEntity(plain, CertificateEntity.SERVER, SIGNING, METER),
        "export_by_serial": setup.exportCertificateBySerial(plain, 200, ISSUER),
        "remove_by_entity": setup.removeCertificateByEntity(plain, CertificateEntity.CLIENT, AGREEMENT, CLIENT),
    }
    return {name: bytes(apdus[0]).hex() for name, apdus in calls.items()}


def certificates(attribute: bytes) -> list[dict[str, Any]]:
    """The list that the peer reads out of attribute 6."""
    plain, setup, reply = client(), GXDLMSSecuritySetup(), GXReplyData()
    setup.version = 1
    plain.getData(GXByteBuffer(bytes.fromhex("c401c100") + attribute), reply)
    plain.updateValue(setup, 6, reply.value)
    return [
        {
            "entity": int(one.entity),
            "type": int(one.type_),
            "serial_number": bytes(one.serialNumber).hex(),
            "issuer": bytes(one.issuer).hex(),
            "subject": bytes(one.subject).hex(),
        }
        for one in setup.certificates
    ]


def opened(message: bytes) -> str:
    """What the peer's client reads out of a protected answer, or the error that it ends with."""
    reply = GXReplyData()
    try:
        client().getData(GXByteBuffer(message), reply)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return f"{type(error).__name__}: {error}"
    return f"value {reply.value}"


def repair() -> None:
    """Add the accessors that the peer's own code calls and its parameter class lacks."""
    for name in vars(AesGcmParameter(0, b"", b"", b"")):
        plain = name.lstrip("_")
        setter = "set" + plain[0].upper() + plain[1:]
        if not hasattr(AesGcmParameter, setter):
            setattr(AesGcmParameter, setter, lambda self, value, plain=plain: setattr(self, plain, value))
    AesGcmParameter.vml = None


def subject_of(request: bytes) -> str:
    """Whose request for a certificate it is, in the peer's words."""
    try:
        return str(GXPkcs10(request).subject)
    except Exception as error:  # noqa: BLE001 - as above
        return f"{type(error).__name__}: {error}"


def main() -> None:
    """Answer the order."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = {
        "requests": requests(),
        "certificates": certificates(bytes.fromhex(order["certificates"])),
        "request": subject_of(bytes.fromhex(order["request"])),
        "messages": {name: opened(bytes.fromhex(octets)) for name, octets in order["messages"].items()},
    }
    repair()
    answer["repaired"] = {name: opened(bytes.fromhex(octets)) for name, octets in order["messages"].items()}
    print(json.dumps(answer))  # noqa: T201 - its output is the answer


if __name__ == "__main__":
    main()
