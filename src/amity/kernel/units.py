"""Physical units with their COSEM codes (IEC 62056-6-2, unit of `scal_unit_type`)."""

from enum import IntEnum


class Unit(IntEnum):
    """The unit codes a meter reading needs; `symbol` is how people write them."""

    YEAR = 1
    MONTH = 2
    WEEK = 3
    DAY = 4
    HOUR = 5
    MINUTE = 6
    SECOND = 7
    DEGREE = 8
    CELSIUS = 9
    CURRENCY = 10
    METRE = 11
    METRE_PER_SECOND = 12
    CUBIC_METRE = 13
    CORRECTED_CUBIC_METRE = 14
    CUBIC_METRE_PER_HOUR = 15
    CORRECTED_CUBIC_METRE_PER_HOUR = 16
    CUBIC_METRE_PER_DAY = 17
    CORRECTED_CUBIC_METRE_PER_DAY = 18
    LITRE = 19
    KILOGRAM = 20
    NEWTON = 21
    NEWTON_METRE = 22
    PASCAL = 23
    BAR = 24
    JOULE = 25
    JOULE_PER_HOUR = 26
    WATT = 27
    VOLT_AMPERE = 28
    VAR = 29
    WATT_HOUR = 30
    VOLT_AMPERE_HOUR = 31
    VAR_HOUR = 32
    AMPERE = 33
    COULOMB = 34
    VOLT = 35
    VOLT_PER_METRE = 36
    FARAD = 37
    OHM = 38
    WEBER = 40
    TESLA = 41
    AMPERE_PER_METRE = 42
    HENRY = 43
    HERTZ = 44
    PER_WATT_HOUR = 45
    PER_VAR_HOUR = 46
    PER_VOLT_AMPERE_HOUR = 47
    VOLT_SQUARED_HOUR = 48
    AMPERE_SQUARED_HOUR = 49
    KILOGRAM_PER_SECOND = 50
    SIEMENS = 51
    KELVIN = 52
    PERCENT = 56
    AMPERE_HOUR = 57
    DECIBEL_MILLIWATT = 70
    DECIBEL_MICROVOLT = 71
    DECIBEL = 72
    OTHER = 254
    COUNT = 255

    @property
    def symbol(self) -> str:
        """The usual symbol, empty for a plain count."""
        return _SYMBOLS.get(self, self.name.lower())


_SYMBOLS = {
    Unit.WATT: "W", Unit.VOLT_AMPERE: "VA", Unit.VAR: "var", Unit.WATT_HOUR: "Wh", Unit.VOLT_AMPERE_HOUR: "VAh",
    Unit.VAR_HOUR: "varh", Unit.AMPERE: "A", Unit.VOLT: "V", Unit.HERTZ: "Hz", Unit.COUNT: "", Unit.OTHER: "",
    Unit.CUBIC_METRE: "m³", Unit.CELSIUS: "°C", Unit.PERCENT: "%", Unit.SECOND: "s", Unit.MINUTE: "min",
    Unit.HOUR: "h", Unit.DECIBEL_MILLIWATT: "dBm",
}  # fmt: skip
