"""Payment (classes 111, 112, 113, 115): account, credits, charges and tokens (IEC 62056-6-2, 4.6)."""

from enum import IntEnum, IntFlag
from typing import NamedTuple, Self

from amity.devices.cosem import fields
from amity.kernel.obis import Obis
from amity.protocols.dlms.data import Data, Tag, bit_string, enum, integer, long, octet_string, structure
from amity.protocols.dlms.data import array as array_of
from amity.protocols.dlms.data import long_unsigned as lu

ACCOUNT_OBIS = Obis.parse("0.0.19.0.0.255")
TOKEN_GATEWAY_OBIS = Obis.parse("0.0.19.40.0.255")
PROPORTION_WHOLE = 10_000
"""A charge's proportion counts in hundredths of a percent."""


def credit_obis(number: int) -> Obis:
    """The credit object `number`, from 0."""
    return Obis(bytes((0, 0, 19, 10, number, 255)))


def charge_obis(number: int) -> Obis:
    """The charge object `number`, from 0."""
    return Obis(bytes((0, 0, 19, 20, number, 255)))


class PaymentMode(IntEnum):
    """How the customer pays."""

    CREDIT = 1
    PREPAYMENT = 2


class AccountStatus(IntEnum):
    """Where the life of an account stands."""

    NEW = 1
    ACTIVE = 2
    CLOSED = 3


class CreditType(IntEnum):
    """Where a credit comes from."""

    TOKEN = 0
    RESERVED = 1
    EMERGENCY = 2
    TIME_BASED = 3
    CONSUMPTION_BASED = 4


class CreditStatus(IntEnum):
    """Where a credit stands: one is in use at a time, by priority; an emergency credit must be selected first."""

    ENABLED = 0
    SELECTABLE = 1
    SELECTED = 2
    IN_USE = 3
    EXHAUSTED = 4


class CreditConfiguration(IntFlag):
    """credit_configuration, bit 0 of the bit string first."""

    VISUAL_INDICATION = 1
    CONFIRMATION_NEEDED = 2
    PAID_BACK = 4
    RESETTABLE = 8
    TAKES_TOKENS = 16


NOTHING_SPECIAL = CreditConfiguration(0)


class ChargeType(IntEnum):
    """What makes a charge fall due."""

    CONSUMPTION = 0
    TIME = 1
    PAYMENT_EVENT = 2


class DeliveryMethod(IntEnum):
    """How the last token came."""

    REMOTE = 0
    LOCAL = 1
    MANUAL = 2


class TokenStatus(IntEnum):
    """What became of the last token."""

    FORMAT_OK = 0
    AUTHENTICATION_OK = 1
    VALIDATION_OK = 2
    EXECUTION_OK = 3
    FORMAT_FAILURE = 4
    AUTHENTICATION_FAILURE = 5
    VALIDATION_FAILURE = 6
    EXECUTION_FAILURE = 7
    NOT_YET_PROCESSED = 8

    @property
    def label(self) -> str:
        """`execution-ok` and so on."""
        return self.name.lower().replace("_", "-")


class UnitCharge(NamedTuple):
    """The price of a charge: `price` x 10**price_scale of the currency for each 10**commodity_scale of the commodity.

    `commodity` is the register that counts it (class, logical name, attribute); class 0 for none.
    """

    price: int
    price_scale: int = 0
    commodity_scale: int = 0
    commodity: tuple[int, Obis, int] = (0, Obis(bytes(6)), 0)

    @classmethod
    def from_data(cls, data: Data) -> Self:
        """Read one with a single price (the first of its table); raise RemoteProtocolError when it is none."""
        scaling, commodity, table = fields.parts(data, 3, "unit charge")
        commodity_scale, price_scale = fields.parts(scaling, 2, "charge per unit scaling")
        class_id, obis, attribute = fields.parts(commodity, 3, "commodity reference")
        return cls(
            charge_table(table),
            fields.number(price_scale, "price scale", Tag.INTEGER),
            fields.number(commodity_scale, "commodity scale", Tag.INTEGER),
            (
                fields.number(class_id, "class id", Tag.LONG_UNSIGNED),
                fields.obis(obis, "commodity"),
                fields.number(attribute, "attribute index", Tag.INTEGER),
            ),
        )

    def to_data(self) -> Data:
        """The structure as it travels."""
        class_id, obis, attribute = self.commodity
        return structure(
            structure(integer(self.commodity_scale), integer(self.price_scale)),
            structure(lu(class_id), octet_string(bytes(obis)), integer(attribute)),
            array_of((structure(octet_string(b""), long(self.price)),)),
        )


def _price(entry: Data) -> int:
    _, price = fields.parts(entry, 2, "charge table element")
    return fields.number(price, "charge per unit", Tag.LONG)


def charge_table(data: Data) -> int:
    """The single price of a charge table (the first of several); raise RemoteProtocolError when there is none."""
    prices = fields.elements(data, _price, "charge table")
    if not prices:
        raise fields.wrong("charge table", data)
    return prices[0]


def configuration_bits(configuration: CreditConfiguration) -> Data:
    """The five bits of a credit configuration as they travel."""
    return bit_string("".join("1" if configuration & 1 << place else "0" for place in range(5)))


def configuration_of(bits: str) -> CreditConfiguration:
    """A credit configuration from its bits; bits beyond the fifth are passed over."""
    return CreditConfiguration(sum(1 << place for place, bit in enumerate(bits[:5]) if bit == "1"))


def token_status_data(status: TokenStatus, value: str = "") -> Data:
    """token_status: the code and, as bits, what the meter wants to add."""
    return structure(enum(status), bit_string(value))
