"""gurux-dlms and class 64, general-ciphering, general-signing: what it says the same way, and what it cannot do."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amity.devices.cosem.certificates import (
    ByEntity,
    BySerial,
    CertificateEntity,
    CertificateType,
    KeptCertificate,
    identifications,
)
from amity.protocols.dlms import apdu
from amity.protocols.dlms.certificates import Purpose
from amity.protocols.dlms.data import Data, array, encode, enum
from amity.protocols.dlms.general_protection import KeyUse, Parties, sign_general, wrap_general
from amity.protocols.dlms.key_info import STATIC_UNIFIED, AgreedKey
from tests.interop import ledger
from tests.interop.foreign import ANSWER_TIMEOUT_S, ROOT, interpreter_of
from tests.unit.devices.conversing import CLIENT_TITLE, METER_TITLE
from tests.unit.devices.test_certificates_of_a_meter import CLIENTS
from tests.unit.devices.test_certificates_of_a_meter import ROOT as ROOT_CERTIFICATE
from tests.unit.devices.test_security_suites import public_keys, ring

PEER = "gurux-dlms"
ANSWER = bytes.fromhex("c401c1000600001267")
KEPT = tuple(KeptCertificate.of(der, METER_TITLE) for der in (CLIENTS, ROOT_CERTIFICATE))
PARTIES = Parties(ring(1, 2), METER_TITLE, CLIENT_TITLE, public_keys(1, 1))


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the peer made of everything, in one process."""
    order = {
        "certificates": encode(array(kept.info.to_data() for kept in KEPT)).hex(),
        "request": ring(1, 2).certificate_request(Purpose.SIGNING, METER_TITLE).hex(),
        "messages": {
            **{use.value: wrap_general(PARTIES, use, 0x31, 5, ANSWER).hex() for use in KeyUse},
            "told as agreed": told_as_agreed(0),
            "told as agreed, with another tag": told_as_agreed(1),
            "signed": sign_general(PARTIES, 5, ANSWER).hex(),
        },
    }
    path: Path = tmp_path_factory.mktemp("gurux") / "order.json"
    path.write_text(json.dumps(order), encoding="utf-8")
    driver = ROOT / "tests" / "interop" / "peers" / "gurux_protection.py"
    command = [str(interpreter_of(PEER)), str(driver), str(path)]
    finished = subprocess.run(  # noqa: S603 - our own script
        command, capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    told: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return told


def told_as_agreed(spoilt: int) -> str:
    """An answer under the global key whose key info speaks of an agreed one; the last octet of the tag may be wrong."""
    message = apdu.decode(wrap_general(PARTIES, KeyUse.IDENTIFIED, 0x31, 5, ANSWER))
    assert isinstance(message, apdu.GeneralCiphering)
    payload = message.payload[:-1] + bytes([message.payload[-1] ^ spoilt])
    return replace(message, key_info=AgreedKey(STATIC_UNIFIED, b""), payload=payload).encode().hex()


def noted(services: str) -> None:
    ledger.ran(PEER, auth="none", ciphering="suite 1", services=services)


def parameter(answer: dict[str, Any], name: str) -> tuple[int, Data]:
    """The method that the peer calls, and with what."""
    request = apdu.decode(bytes.fromhex(answer["requests"][name]))
    assert isinstance(request, apdu.ActionRequestNormal)
    assert request.parameters is not None
    return request.method.index, request.parameters


def test_methods_4_to_8_are_called_as_our_meter_takes_them(answer: dict[str, Any]):
    noted("class 64, methods 4 to 8")
    assert parameter(answer, "generate_key_pair") == (4, enum(CertificateType.SIGNING))
    assert parameter(answer, "generate_certificate_request") == (5, enum(CertificateType.AGREEMENT))
    named = {
        "export_by_entity": (7, ByEntity(CertificateEntity.SERVER, CertificateType.SIGNING, METER_TITLE)),
        "export_by_serial": (7, BySerial(200, KEPT[0].info.issuer)),  # its number as a whole INTEGER of DER
        "remove_by_entity": (8, ByEntity(CertificateEntity.CLIENT, CertificateType.AGREEMENT, CLIENT_TITLE)),
    }
    for name, (index, wanted) in named.items():
        called, parameters = parameter(answer, name)
        assert (called, identifications(parameters)[-1]) == (index, wanted)
    assert named["export_by_entity"][1].to_data() == parameter(answer, "export_by_entity")[1]


def test_the_list_of_certificates_is_read_as_we_write_it(answer: dict[str, Any]):
    noted("class 64, certificates")
    for told, kept in zip(answer["certificates"], KEPT, strict=True):
        info = kept.info
        assert (told["entity"], told["type"]) == (info.entity, info.type)
        assert int(told["serial_number"], 16) == info.serial_number
        assert (told["issuer"], told["subject"]) == (info.issuer.hex(), info.subject.hex())


def test_a_request_for_a_certificate_is_read(answer: dict[str, Any]):
    noted("PKCS #10")
    assert answer["request"] == f"CN={METER_TITLE.hex().upper()}"


@pytest.mark.parametrize("use", KeyUse)
def test_general_ciphering(answer: dict[str, Any], use: KeyUse):
    ledger.ran(PEER, auth="none", ciphering=f"general-ciphering {use}", services="GET")
    assert answer["messages"][use.value].startswith("AttributeError")
    assert not answer["repaired"][use.value].startswith("value")
    assert answer["repaired"]["told as agreed"] == "value 4711"
    assert answer["repaired"]["told as agreed, with another tag"] == "value 4711"
    ledger.defect("stops at a missing accessor; with it added it agrees on no key and looks at no tag")


def test_general_signing(answer: dict[str, Any]):
    ledger.ran(PEER, auth="none", ciphering="general-signing", services="GET")
    assert answer["messages"]["signed"] == "ValueError: Invalid Command."
    ledger.defect("knows no general-signing APDU")
