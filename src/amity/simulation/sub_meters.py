"""The gas and the water meter on the M-Bus of a simulated electricity meter."""

from collections.abc import Callable, Iterator
from datetime import datetime

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from amity.devices.cosem.mbus import DataElement, MBusIdentity, MBusMedium
from amity.devices.equipment.mbus_client import KEY_OCTETS, MBusChannel, SubMeter, takes_no_data
from amity.kernel.time import epoch_s
from amity.kernel.units import Unit
from amity.simulation.keys import derive
from amity.simulation.meter import SimulatedMeter

WATER_CHANNEL, GAS_CHANNEL = 1, 2
_MANUFACTURER = "XXX"
_SERIALS = 10**8
_LITRES, _TEN_LITRES = b"\x13", b"\x14"  # VIF: volume in 10**-3 and 10**-2 m3
_WIRED = (
    (WATER_CHANNEL, MBusMedium.WATER, 6, -3, _LITRES),
    (GAS_CHANNEL, MBusMedium.GAS, 12, -2, _TEN_LITRES),
)
"""Channel, medium, counts an hour, and what a count is."""
_NO_IV = bytes(KEY_OCTETS)  # a single block


def wired_sub_meters(meter: SimulatedMeter) -> Iterator[MBusChannel]:
    """A channel each for water and gas, both installed; the gas meter takes data that are sent to it."""
    for channel, medium, per_hour, scaler, value_information in _WIRED:
        number = (
            int.from_bytes(derive(meter.element.faults.seed, meter.serial, medium.name.lower(), 4), "big") % _SERIALS
        )
        sub_meter = SubMeter(
            MBusIdentity(f"{number:08}", _MANUFACTURER, 1, medium),
            _counting(number, per_hour),
            scaler,
            Unit.CUBIC_METRE,
            value_information,
            takes_key=_key_taker(sub_meter_key(meter, channel)),
            takes_data=_takes_data if medium is MBusMedium.GAS else takes_no_data,
        )
        yield MBusChannel(channel, sub_meter)


def sub_meter_key(meter: SimulatedMeter, channel: int) -> bytes:
    """The key that was delivered with a sub-meter; new ones come encrypted under it."""
    return derive(meter.element.faults.seed, meter.serial, f"sub-meter {channel}", KEY_OCTETS)


def encrypted_for(delivered: bytes, key: bytes) -> bytes:
    """A new key as a sub-meter takes it: one block of AES-128 under the key delivered with it."""
    encryptor = Cipher(AES(delivered), CBC(_NO_IV)).encryptor()
    return encryptor.update(key) + encryptor.finalize()


def _takes_data(element: DataElement) -> bool:
    return bool(element.data_information)


def _key_taker(delivered: bytes) -> Callable[[bytes], bytes | None]:
    def take(encrypted: bytes) -> bytes | None:
        if len(encrypted) != KEY_OCTETS:
            return None
        decryptor = Cipher(AES(delivered), CBC(_NO_IV)).decryptor()
        return decryptor.update(encrypted) + decryptor.finalize()

    return take


def _counting(number: int, per_hour: int) -> Callable[[datetime], int]:
    return lambda at: (number + epoch_s(at)) // 3600 * per_hour % _SERIALS
