"""How the path to a meter fails, in the words that field staff know, each with the next thing to try.

TransportError
├── ConnectionRefusedByPeerError   nothing listens on the port
├── ConnectionFailedError          no way to the host, or no connection in time
├── SerialPortError                the serial port cannot be opened
├── SignOnFailedError              nobody identified itself at the optical head
├── LinkRefusedError               the meter is there and takes no HDLC link, or has dropped it
├── PartialFrameError              a frame began and never became whole
├── MisaddressedError              what came in time is between two others
├── TimerT1Error                   not one octet of an answer in time
└── ConnectionClosedError          the meter closed instead of answering
"""

from amity.kernel.errors import TransportError


class ConnectionRefusedByPeerError(TransportError):
    """Nothing listens on the port."""

    def __init__(self, address: str) -> None:
        super().__init__(
            "Connection Refused (Error 111)",
            tried=f"TCP connection to {address}",
            answer="refused",
            next_step="the meter's port is closed or the address is wrong: check power and address of the meter, then"
            " whether a firewall drops the port (iptables -L)",
        )


class ConnectionFailedError(TransportError):
    """No way to the host, or no connection in time."""

    def __init__(self, address: str, answer: str) -> None:
        super().__init__(
            "Connection Failed",
            tried=f"TCP connection to {address}",
            answer=answer,
            next_step="check the address, the route to the meter and its modem",
        )


class SerialPortError(TransportError):
    """The serial port cannot be opened."""

    def __init__(self, device: str, answer: str) -> None:
        super().__init__(
            "Serial Port Not Available",
            tried=f"opening {device}",
            answer=answer,
            next_step="check that the adapter is plugged in, that nothing else uses it, and that this user is in the"
            " group that may (dialout)",
        )


class SignOnFailedError(TransportError):
    """Nobody identified itself at the optical head."""

    def __init__(self, address: str, what: str, answer: str) -> None:
        super().__init__(
            "Sign-On Failed",
            tried=f"IEC 62056-21 sign-on at {address}: {what}",
            answer=answer,
            next_step="check how the optical head sits and whether the meter speaks mode E; a meter that begins with"
            " HDLC at once needs no sign-on",
        )


class LinkRefusedError(TransportError):
    """The meter is there and takes no HDLC link, or has dropped it."""

    def __init__(self, address: str, answer: str) -> None:
        super().__init__(
            "HDLC Link Refused",
            tried=f"an HDLC link to {address}",
            answer=answer,
            next_step="check client address, logical and physical device address; another client may hold the meter",
        )


class PartialFrameError(TransportError):
    """A frame began and never became whole."""

    def __init__(self, address: str, octet_count: int, ending: str) -> None:
        super().__init__(
            "Partial Frame Received",
            tried=f"a request to {address}",
            answer=f"{octet_count} octets of an unfinished frame, then {ending}",
            next_step="check the line or radio for attenuation and noise, then read again",
        )


class TimerT1Error(TransportError):
    """Not one octet of an answer in time."""

    def __init__(self, address: str, timeout_s: float) -> None:
        super().__init__(
            "Timer T1 Timeout",
            tried=f"a request to {address}",
            answer=f"nothing within {timeout_s:g} s",
            next_step="read again; if the meter is just slow, raise the request timeout",
        )


class MisaddressedError(TransportError):
    """What came in time is between two others: wrapper ports that were not to answer."""

    def __init__(self, address: str, came: tuple[int, int], due: tuple[int, int]) -> None:
        super().__init__(
            f"A frame from {came[0]} to {came[1]} came; one from {due[0]} to {due[1]} was due",
            tried=f"a request to {address}",
            answer=f"source {came[0]}, destination {came[1]}",
            next_step="the meter puts source and destination the wrong way round (IEC 62056-47): tell its maker"
            if came == due[::-1]
            else f"check --server and --client: the meter may be logical device {came[0]}",
        )


class ConnectionClosedError(TransportError):
    """The meter closed instead of answering."""

    def __init__(self, address: str) -> None:
        super().__init__(
            "Connection Closed by the Meter",
            tried=f"a request to {address}",
            answer="the connection was closed without an answer",
            next_step="another client may have taken the meter: try again in a minute",
        )
