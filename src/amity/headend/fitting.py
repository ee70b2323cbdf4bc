"""A delivery as the broker takes it: what is too large loses evidence first, then its readings, never its outcome."""

from dataclasses import replace
from typing import Final, NamedTuple

from amity.domain.collection import Delivery, Exchange, Outcome
from amity.domain.ports import DeliveryCodec
from amity.headend.message_id import identified
from amity.kernel.errors import LocalProtocolError

_CUTS: Final = (0.5, 1.0)
"""The parts of the evidence that are given up one after the other, largest exchanges first."""


class Fitted(NamedTuple):
    """A delivery and its octets; without readings the meter has to be asked again."""

    delivery: Delivery
    body: bytes
    with_readings: bool = True


def fitting(delivery: Delivery, codec: DeliveryCodec) -> Fitted:
    """Encode the delivery, cut down as far as it must be; a line of its detail says what is missing.

    Raise LocalProtocolError when not even the bare outcome can be encoded.
    """
    try:
        return Fitted(delivery, codec.encode(delivery))
    except LocalProtocolError as error:
        refusal = error
    for part in _CUTS:
        cut = _without_evidence(delivery, part)
        try:
            return Fitted(cut, codec.encode(cut))
        except LocalProtocolError as error:
            refusal = error
    bare = _bare(delivery, refusal)
    return Fitted(bare, codec.encode(bare), with_readings=False)


def _without_evidence(delivery: Delivery, part: float) -> Delivery:
    """Exchanges keep their places, since readings point at them; the largest lose their octets."""
    sizes = [len(one.request) + len(one.response) + len(one.plain) for one in delivery.exchanges]
    order = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    emptied = set(order[: round(len(order) * part)])
    kept = tuple(
        Exchange(one.at, b"", b"", b"") if position in emptied else one
        for position, one in enumerate(delivery.exchanges)
    )
    line = f"the octets of {len(emptied)} of {len(sizes)} exchanges were dropped: the delivery was too large with them"
    return identified(replace(delivery, detail=(*delivery.detail, line), exchanges=kept))


def _bare(delivery: Delivery, refusal: LocalProtocolError) -> Delivery:
    return identified(
        replace(
            delivery,
            outcome=Outcome.BROKEN,
            detail=(f"meter {delivery.meter_id}: {refusal.what}", *refusal.lines()[1:]),
            intervals=(),
            registers=(),
            events=(),
            unknown=(),
            exchanges=(),
        )
    )
