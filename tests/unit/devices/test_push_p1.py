from decimal import Decimal

from amity.devices.push_p1 import looks_like_p1, read_p1

TELEGRAM = (
    "/KFM5KAIFA-METER\r\n\r\n1-3:0.2.8(42)\r\n0-0:1.0.0(170124213128W)\r\n1-0:1.8.1(000306.946*kWh)\r\n"
    "1-0:2.7.0(00.000*kW)\r\n1-0:32.7.0(229.1*V)\r\n0-1:24.2.1(170124210000W)(00671.790*m3)\r\n"
    "1-0:99.97.0(1)(0-0:96.7.19)(160315184219W)(0000000310*s)\r\n1-0:1.7.0(-01.5*kW)\r\nnoise\r\n!"
)


def test_values_are_exact_in_base_units():
    readings = {str(one.obis): one for one in read_p1(TELEGRAM).readings}
    assert readings["1.0.1.8.1.255"].number == Decimal(306_946)
    assert readings["1.0.32.7.0.255"].number == Decimal("229.1")
    assert readings["1.0.1.7.0.255"].number == Decimal(-1500)
    assert readings["0.0.1.0.0.255"].value == "170124213128W"
    assert readings["1.3.0.2.8.255"].value == "42"


def test_a_meter_behind_the_meter_has_its_own_time():
    gas = next(one for one in read_p1(TELEGRAM).readings if str(one.obis) == "0.1.24.2.1.255")
    assert (gas.number, gas.time) == (Decimal("671.790"), "170124210000W")


def test_check_at_the_end():
    assert read_p1(TELEGRAM).crc_ok is None
    assert read_p1(TELEGRAM + "0000").crc_ok is False
    assert read_p1("/ABC5x\r\n\r\n1-0:1.8.0(1*Wh)\r\n!" + "E5D0").crc_ok in {True, False}


def test_recognising_one():
    assert looks_like_p1(TELEGRAM.encode())
    assert looks_like_p1(b"\r\n" + TELEGRAM.encode())
    assert not looks_like_p1(b"/no line ends here")
    assert not looks_like_p1(b"\x0f\x00\x00")


def test_codes_out_of_range_and_odd_brackets_are_passed_over():
    assert read_p1("/ABC5x\n1-0:999.8.0(1*Wh)\n1-0:1.8.0\n1-0:1.8.0((1))\n").readings == ()
