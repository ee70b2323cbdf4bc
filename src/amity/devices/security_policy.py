"""The security policy of a Security setup object as a value (IEC 62056-6-2, class 64, versions 0 and 1)."""

from dataclasses import dataclass

from amity.devices.settings import Protection
from amity.kernel.errors import ConfigurationError

_V1_REQUEST, _V1_RESPONSE = 2, 5  # the lowest of three bits each: authenticated, encrypted, signed
_V1_SIGNED = 4
_V1_RESERVED = 0x03
_V0_MAX = 3
_OCTET_MAX = 0xFF
_MODES = {protection.control >> 4: protection for protection in Protection}


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """The least that messages of every association are given, by direction."""

    requests: Protection = Protection.NONE
    responses: Protection = Protection.NONE
    signed_requests: bool = False
    signed_responses: bool = False

    @classmethod
    def from_number(cls, number: int, version: int) -> "SecurityPolicy":
        """The policy that attribute 2 of this class version means.

        Version 0 counts: 0 nothing, 1 authenticated, 2 encrypted, 3 both, in both directions. Version 1 has a bit for
        each: requests authenticated (2), encrypted (3), signed (4), responses the same (5, 6, 7).
        Raises ConfigurationError for a number that the version does not have.
        """
        if version == 0 and 0 <= number <= _V0_MAX:
            return cls(_MODES[number], _MODES[number])
        if version == 0 or not 0 <= number <= _OCTET_MAX or number & _V1_RESERVED:
            raise ConfigurationError(f"version {version} of the security setup has no policy {number}")
        requests, responses = number >> _V1_REQUEST, number >> _V1_RESPONSE
        return cls(
            _MODES[requests & _V0_MAX],
            _MODES[responses & _V0_MAX],
            bool(requests & _V1_SIGNED),
            bool(responses & _V1_SIGNED),
        )

    def number(self, version: int) -> int:
        """Attribute 2 in this class version; in version 0 the weaker direction, for it knows but one."""
        requests, responses = self.requests.control >> 4, self.responses.control >> 4
        if version == 0:
            return requests & responses
        signed = self.signed_requests * _V1_SIGNED, self.signed_responses * _V1_SIGNED
        return (requests | signed[0]) << _V1_REQUEST | (responses | signed[1]) << _V1_RESPONSE

    def holds_all_of(self, other: "SecurityPolicy") -> bool:
        """True when nothing that `other` demands is given up: a policy may only be strengthened."""
        return other.number(1) & ~self.number(1) == 0
