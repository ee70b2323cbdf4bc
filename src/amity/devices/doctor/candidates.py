"""Which ways to a meter are tried, likely ones first: framings, addresses, speeds of a line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from amity.devices.doctor.steps import HDLC_OCTETS_LONG, HDLC_OCTETS_MIDDLE, Link
from amity.devices.profiles import DeviceProfile, Framing, SignOn

PUBLIC_CLIENT = 16
_READERS = (1, 32, 2, 48, 3)
_WRAPPER_SERVERS = (1, 16, 17, 32, 100)
# Logical and lower address as IEC 62056-46 has them for a single device, then what makers made of them.
_HDLC_SERVERS = ((1, None, 0), (1, 17, HDLC_OCTETS_LONG), (1, 17, HDLC_OCTETS_MIDDLE), (16, None, 0), (1, 16, 0))
_LINES = (
    (9600, SignOn.NONE), (300, SignOn.MODE_E), (19_200, SignOn.NONE), (2400, SignOn.NONE), (115_200, SignOn.NONE),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What the one who asks knows already; None leaves it to be found out. `serial`: the way is a serial line."""

    serial: bool = False
    framing: Framing | None = None
    client: int | None = None
    server: int | None = None
    physical: int | None = None
    baud: int | None = None


def links(known: Known, profiles: Iterable[DeviceProfile]) -> Iterator[Link]:
    """The ways to try, each once, the likely ones first. With nothing known there are about forty of them."""
    models = list(profiles)
    seen: set[Link] = set()
    for client in _first_clients(known):
        for link in _of_client(known, client, models):
            if link not in seen:
                seen.add(link)
                yield link


def readers(known: Known, profiles: Iterable[DeviceProfile]) -> tuple[int, ...]:
    """Clients that may read more than the public one, likely ones first."""
    if known.client is not None:
        return (known.client,)
    clients = dict.fromkeys((*_READERS, *(profile.association.client for profile in profiles)))
    return tuple(client for client in clients if client != PUBLIC_CLIENT)


def _first_clients(known: Known) -> tuple[int, ...]:
    """The public client is let in nearly everywhere; where strangers are met with silence, a reading client is not."""
    return (PUBLIC_CLIENT, *readers(known, ())[:2])


def _of_client(known: Known, client: int, models: list[DeviceProfile]) -> Iterator[Link]:
    lines = _lines(known)
    wrapper, hdlc = list(_wrapper(known, client, models)), list(_hdlc(known, client, models))
    if known.serial:
        wrapper = []  # nobody sends wrapper frames over a serial line
    ordered = (*wrapper[:1], *hdlc[:2], *wrapper[1:], *hdlc[2:])
    for link in ordered:
        for baud, sign_on in lines:
            yield Link(link.framing, client, link.server, link.physical, link.address_octets, baud, sign_on)


def _lines(known: Known) -> tuple[tuple[int | None, SignOn], ...]:
    if not known.serial:
        return ((None, SignOn.NONE),)
    return tuple(line for line in _LINES if known.baud in {None, line[0]}) or ((known.baud, SignOn.NONE),)


def _wrapper(known: Known, client: int, models: list[DeviceProfile]) -> Iterator[Link]:
    if known.framing is Framing.HDLC:
        return
    servers = (*_WRAPPER_SERVERS, *(model.association.server for model in models))
    for server in dict.fromkeys(servers if known.server is None else (known.server,)):
        yield Link(Framing.WRAPPER, client, server)


def _hdlc(known: Known, client: int, models: list[DeviceProfile]) -> Iterator[Link]:
    if known.framing is Framing.WRAPPER:
        return
    addresses = [*_HDLC_SERVERS, *(_address_of(model) for model in models if model.link.framing is Framing.HDLC)]
    for server, physical, octets in dict.fromkeys(addresses):
        lower = physical if known.physical is None else known.physical
        yield Link(Framing.HDLC, client, known.server or server, lower, octets)


def _address_of(model: DeviceProfile) -> tuple[int, int | None, int]:
    return model.association.server, model.link.physical or None, model.link.address_octets
