"""The LLC sub-layer's three octets before every APDU (IEC 62056-46, 5.3): destination, source, quality."""

LLC_REQUEST = b"\xe6\xe6\x00"
LLC_RESPONSE = b"\xe6\xe7\x00"
LLC_OCTETS = 3
_WITHOUT_QUALITY = (LLC_REQUEST[:2], LLC_RESPONSE[:2])


def without_llc(information: bytes) -> bytes:
    """The APDU; a sender that leaves the LLC octets out is understood too, or that says another quality."""
    return information[LLC_OCTETS:] if information.startswith(_WITHOUT_QUALITY) else information
