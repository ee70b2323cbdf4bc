"""Telegrams of real meters decode to the values that others published for them."""

import json
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.devices.telegram_json import telegram_to_json
from amity.devices.telegrams import Telegram, decode_telegram, no_keys, protector_from_keys
from amity.kernel.errors import RemoteProtocolError, SecurityError
from tests.golden.vectors import each, entry, needs_vectors

pytestmark = needs_vectors

# The publisher prints unprintable octets as nothing; the same entry's XML says that these six are an OBIS code.
PUBLISHED_AS_NOTHING = {("dlms_parser/raw_egd_example", "0.2.25.9.0.255"): "0.2.25.9.0.255"}

# Names of amshan's fields; energies and the rest are in W, var, Wh, varh, V, A there too.
AMSHAN = {
    "list_ver_id": "1.1.0.2.129.255", "meter_id": "0.0.96.1.0.255", "meter_type": "0.0.96.1.7.255",
    "active_power_import": "1.0.1.7.0.255", "active_power_export": "1.0.2.7.0.255",
    "reactive_power_import": "1.0.3.7.0.255", "reactive_power_export": "1.0.4.7.0.255",
    "current_l1": "1.0.31.7.0.255", "current_l2": "1.0.51.7.0.255", "current_l3": "1.0.71.7.0.255",
    "voltage_l1": "1.0.32.7.0.255", "voltage_l2": "1.0.52.7.0.255", "voltage_l3": "1.0.72.7.0.255",
    "active_power_import_total": "1.0.1.8.0.255", "active_power_export_total": "1.0.2.8.0.255",
    "reactive_power_import_total": "1.0.3.8.0.255", "reactive_power_export_total": "1.0.4.8.0.255",
}  # fmt: skip
# Aidon's first list holds one power and nothing that tells who made the meter: Landis+Gyr sends the same shape.
MAKER_NOT_IN_TELEGRAM = {"amshan/test_aidon/no_list_1"}

CARRIER_TEST_ONLY = "carries two octets that are no APDU: a test of HDLC, not of DLMS"
NO_TELEGRAM = {
    "amshan/test_hdlc/TestHdlcFrameReader.test_start_read_in_frame.L77": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_start_read_in_frame.L62": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_start_read_in_frame.L63": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_abort_sequence.data_feed": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_single_flag_sequences_between_frames.data_feed": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_two_flag_sequences_between_frames.data_feed": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_many_flag_sequences_between_frames.data_feed": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_stuffed_frame_short_info.data_feed": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_too_long_frame_is_discarded.L205": CARRIER_TEST_ONLY,
    "amshan/test_hdlc/TestHdlcFrameReader.test_empty_info_frame.data_feed": "an HDLC frame without information",
    "amshan/test_hdlc/TestHdlcFrame.test_empty_info_frame.frame_data": "an HDLC frame without information",
    "amshan/test_hdlc/TestHdlcFrameReader.test_too_short_frame_is_discarded.data_feed": "no frame at all",
}


def decoded(vector: dict[str, Any]) -> Telegram:
    keys = vector.get("keys") or {}
    octets = bytes.fromhex(vector["hex"])
    if "global_unicast_encryption_key" not in keys:
        return decode_telegram(octets)
    authentication = keys.get("global_authentication_key")
    return decode_telegram(
        octets,
        protector_from_keys(
            bytes.fromhex(keys["global_unicast_encryption_key"]),
            bytes.fromhex(authentication) if authentication else None,
        ),
    )


def as_json(telegram: Telegram) -> dict[str, Any]:
    return json.loads(json.dumps(telegram_to_json(telegram), allow_nan=False))


def by_obis(telegram: Telegram) -> dict[str, Any]:
    return {reading["obis"]: reading["value"] for reading in as_json(telegram)["readings"]}


@each("push_telegrams")
def test_published_numbers(vector: dict[str, Any]):
    readings = by_obis(decoded(vector))
    assert {obis: readings.get(obis) for obis in vector["expected"]["numbers"]} == vector["expected"]["numbers"]


@each("push_telegrams")
def test_published_strings(vector: dict[str, Any]):
    readings = by_obis(decoded(vector))
    expected = {
        obis: PUBLISHED_AS_NOTHING.get((vector["name"], obis), text)
        for obis, text in vector["expected"]["strings"].items()
    }
    assert {obis: readings.get(obis) for obis in expected} == expected


@each("push_telegrams")
def test_no_published_object_is_missing(vector: dict[str, Any]):
    assert len(decoded(vector).readings) >= vector["expected"]["object_count"]


def body_elsewhere(vector: dict[str, Any]) -> Any:
    """What another decoder read; None where a tagged date-time or an untagged descriptor threw it out of step."""
    notification = vector["checked_here"].get("data_notification", {})
    return notification.get("body") if notification.get("bytes_left") == 0 else None


@each("push_telegrams", where=body_elsewhere)
def test_body_as_others_decode_it(vector: dict[str, Any]):
    body = body_elsewhere(vector)
    apdu = as_json(decoded(vector))["messages"][0]["apdu"]["data-notification"]
    assert apdu["body"] == body


@each("nordic_han_push", where=lambda vector: "amshan_decoded" in vector.get("expected", {}))
def test_published_fields(vector: dict[str, Any]):
    expected = dict(vector["expected"]["amshan_decoded"])
    telegram = decoded(vector)
    maker, moment = expected.pop("meter_manufacturer"), expected.pop("meter_datetime", None)
    quantities = {str(one.obis): one.value if one.quantity is None else one.quantity for one in telegram.readings}
    for field, value in expected.items():
        wanted = Decimal(str(value)) if isinstance(value, int | float) else value
        assert quantities[AMSHAN[field]] == wanted, field
    assert telegram.messages[0].manufacturer == (None if vector["name"] in MAKER_NOT_IN_TELEGRAM else maker)
    if moment is not None:
        assert moment.replace("T", " ") in json.dumps(as_json(telegram))


def on_the_command_line(vector: dict[str, Any]) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["decode", vector["hex"]], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout, parse_float=Decimal)


@each("nordic_han_push", where=lambda vector: "amshan_decoded" in vector.get("expected", {}))
def test_published_fields_on_the_command_line(vector: dict[str, Any]):
    shown = on_the_command_line(vector)
    readings = {one["obis"]: one.get("assumed", one)["value"] for one in shown["readings"]}
    expected = {
        AMSHAN[field]: value for field, value in vector["expected"]["amshan_decoded"].items() if field in AMSHAN
    }
    exact = {obis: Decimal(str(value)) if isinstance(value, float) else value for obis, value in expected.items()}
    assert {obis: readings.get(obis) for obis in exact} == exact


@each("nordic_han_push", where=lambda vector: NO_TELEGRAM.get(vector["name"]) != "no frame at all")
def test_every_entry_is_shown_on_the_command_line(vector: dict[str, Any]):
    shown = on_the_command_line(vector)
    assert bool(shown["readings"]) is (vector["name"] not in NO_TELEGRAM)
    assert shown["messages"] or shown["frames"]


@each("nordic_han_push")
def test_every_entry_decodes_or_is_known_to_be_none(vector: dict[str, Any]):
    octets = bytes.fromhex(vector["hex"])
    if NO_TELEGRAM.get(vector["name"]) == "no frame at all":
        with pytest.raises(RemoteProtocolError, match="8 octets is announced, 7 were captured"):
            decode_telegram(octets)
        return
    telegram = decode_telegram(octets)
    assert bool(telegram.readings) is (vector["name"] not in NO_TELEGRAM)
    assert telegram.messages or telegram.frames


def test_altered_frame_check_is_a_warning_and_the_values_stand():
    telegram = decoded(entry("push_telegrams", "dlms_parser/hdlc_landis_gyr_zmf100"))
    assert telegram.frames[0].damaged == ("frame check",)
    assert any("frame check does not match" in warning for warning in telegram.warnings)
    assert any("swapped" in warning for warning in telegram.warnings)


def test_verified_message_says_so():
    telegram = decoded(entry("push_telegrams", "dlms_parser/hdlc_kamstrup_omnipower"))
    (report,) = telegram.messages[0].security
    assert (report.verified, report.authenticated, report.encrypted) == (True, True, True)
    assert report.invocation_counter == 17_784_996


def test_missing_authentication_key_still_deciphers_and_says_plainly_that_nothing_was_verified():
    vector = entry("push_telegrams", "dlms_parser/hdlc_kamstrup_omnipower")
    key = bytes.fromhex(vector["keys"]["global_unicast_encryption_key"])
    telegram = decode_telegram(bytes.fromhex(vector["hex"]), protector_from_keys(key))
    assert len(telegram.readings) == 33
    assert telegram.messages[0].security[0].verified is None
    assert "the authentication tag was not verified" in telegram.warnings[0]


def test_encryption_without_tag_is_never_called_verified():
    telegram = decoded(entry("push_telegrams", "dlms_parser/mbus_netz_noe_p1"))
    (report,) = telegram.messages[0].security
    assert (report.security_control, report.verified) == (0x20, None)


@pytest.mark.parametrize(
    "name", ["dlms_parser/hdlc_kamstrup_omnipower", "dlms_parser/mbus_netz_noe_p1", "dlms_parser/hdlc_landis_gyr_e450"]
)
def test_wrong_key_is_named_as_such(name: str):
    vector = entry("push_telegrams", name)
    with pytest.raises(SecurityError) as caught:
        decode_telegram(bytes.fromhex(vector["hex"]), protector_from_keys(bytes(16), bytes(16)))
    assert "key" in " ".join(caught.value.lines())


def test_without_keys_the_frames_and_the_header_are_shown():
    vector = entry("push_telegrams", "dlms_parser/hdlc_kamstrup_omnipower")
    telegram = decode_telegram(bytes.fromhex(vector["hex"]), no_keys)
    assert telegram.frames[0].damaged == ()
    assert telegram.messages[0].security[0].deciphered is False
    assert "no key is known for system title 4b414d4501349083" in telegram.warnings[0]


def test_what_a_list_leaves_out_is_marked_as_assumed():
    telegram = decoded(entry("push_telegrams", "dlms_parser/hdlc_kamstrup_omnipower"))
    readings = {reading["obis"]: reading for reading in as_json(telegram)["readings"]}
    assert readings["1.1.31.7.0.255"]["value"] == 57
    assert readings["1.1.31.7.0.255"]["assumed"] == {"value": 0.57, "unit": "A", "scaler": -2}


def framed(vector: dict[str, Any]) -> bool:
    """A bare APDU does not say where it begins and ends."""
    return vector["layer"] != "raw"


@each("push_telegrams", where=framed)
def test_noise_around_a_telegram_changes_no_value(vector: dict[str, Any]):
    plain = decoded(vector)
    noisy = dict(vector, hex="00ff7ea0" + vector["hex"] + "7e0068ff")
    assert decoded(noisy).readings == plain.readings


@each("push_telegrams", where=framed)
def test_two_telegrams_in_a_row_are_two_messages(vector: dict[str, Any]):
    plain = decoded(vector)
    twice = decoded(dict(vector, hex=vector["hex"] * 2))
    assert twice.readings == plain.readings * 2
