"""Pushes come in over UDP, HDLC and MQTT as they do over the wrapper; who is not believed is parked, and told of."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from amity.cli.main import app
from amity.domain.collection import Outcome
from amity.domain.events import EventKind
from amity.kernel.errors import TransportError
from amity.kernel.time import epoch_s
from amity.messaging.meter_access import topics
from amity.protocols.wrapper.frame import decode_datagram
from amity.runtime.doors.mqtt_refused import PublishesRefused
from amity.runtime.files.mqtt import AUTHORITIES, CERTIFICATE
from amity.runtime.system import SystemClock
from amity.simulation.counters import MeterCounter, reservation_by_time
from amity.simulation.fleet import FleetSettings, build_fleet, document_entry
from amity.simulation.happenings import Happening
from amity.simulation.meter import SimulatedMeter
from amity.simulation.mqtt_certificates import MeterCertificates
from amity.simulation.mqtt_client import Broker, MqttClient
from amity.simulation.outgoing import deliver
from amity.simulation.outgoing_ways import deliver_by_mqtt, deliver_in_datagram, deliver_in_hdlc
from amity.simulation.pushes import Pusher

HOST = "127.0.0.1"


def fleet(meters: int = 2, auth: str = "hls-gmac") -> list[SimulatedMeter]:
    return list(build_fleet(FleetSettings(meters=meters, seed=5, anchor=datetime.now(UTC), auth=auth)).meters)


def known(meters: list[SimulatedMeter]) -> list[dict[str, Any]]:
    return [document_entry(meter, HOST, 9) for meter in meters]  # nobody listens on the discard port


def pusher_of(meter: SimulatedMeter, *, confirmed: bool = False) -> Pusher:
    return Pusher(meter, MeterCounter(reservation_by_time(SystemClock().now())), confirmed=confirmed)


def interval(pusher: Pusher) -> bytes:
    now = SystemClock().now()
    frame = pusher.interval(epoch_s(now) // 900 * 900 - 900, now)
    assert frame is not None
    return frame


def pushed(running: Any) -> list[Any]:
    return [one for one in running.kept() if one.outcome is Outcome.PUSHED]


def parked(running: Any) -> dict[str, int]:
    return json.loads(running.folder.calls.read_text())["parked"] if running.folder.calls.exists() else {}


@pytest.fixture
def certificates(tmp_path: Path) -> MeterCertificates:
    """A simulated authority in the folder where the broker looks for its files."""
    made = MeterCertificates.make(tmp_path / "ot" / "certs")
    assert (made.folder / CERTIFICATE).exists()
    assert (made.folder / AUTHORITIES).exists()
    return made


@pytest.mark.parametrize("way", [deliver, deliver_in_datagram, deliver_in_hdlc])
@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_push_is_kept_and_confirmed_over(
    head_end: Callable[..., Any], way: Callable[..., Any], confirmed: bool
) -> None:
    meters = fleet()
    async with head_end(know=known(meters)) as running:
        pusher = pusher_of(meters[0], confirmed=confirmed)
        assert await way(HOST, running.port, interval(pusher), pusher.hearing(alarm=False))
        await running.until(lambda: len(pushed(running)) == 1)
        assert pushed(running)[0].meter_id == meters[0].meter_id


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_push_is_kept_and_confirmed_over_mqtt(
    head_end: Callable[..., Any], certificates: MeterCertificates, free_port: Callable[[], int], confirmed: bool
) -> None:
    meters, port = fleet(), free_port()
    async with head_end(know=known(meters), broker_mqtt_port=free_port(), mqtt_port=port) as running:
        meter = meters[0]
        pusher = pusher_of(meter, confirmed=confirmed)
        broker = Broker(HOST, port, certificates.context(meter.meter_id))
        hearing, frame = pusher.hearing(alarm=False), interval(pusher)
        async with asyncio.timeout(120):  # a meter that hears nothing in time sends again; it is one push all the same
            while not await deliver_by_mqtt(broker, meter.meter_id, frame, hearing):
                pass
        await running.until(lambda: len(pushed(running)) >= 1)
        assert len(pushed(running)) == 1


async def test_a_plain_meter_is_believed_by_its_certificate_and_not_by_a_datagram(
    head_end: Callable[..., Any], certificates: MeterCertificates, free_port: Callable[[], int]
) -> None:
    meters, port = fleet(auth="none"), free_port()
    async with head_end(know=known(meters), broker_mqtt_port=free_port(), mqtt_port=port) as running:
        meter, frame = meters[0], interval(pusher_of(meters[0]))
        assert await deliver_in_datagram(HOST, running.port, frame)
        await running.until(lambda: parked(running) == {"unknown-sender": 1})
        assert pushed(running) == []
        other = Broker(HOST, port, certificates.context(meters[1].meter_id))
        assert await deliver_by_mqtt(other, meters[1].meter_id, frame)  # another's reading under one's own certificate
        await running.until(lambda: parked(running) == {"unknown-sender": 2})
        broker = Broker(HOST, port, certificates.context(meter.meter_id))
        assert await deliver_by_mqtt(broker, meter.meter_id, frame)
        await running.until(lambda: len(pushed(running)) == 1)


async def test_mqtt_lets_nobody_speak_for_another(
    head_end: Callable[..., Any], certificates: MeterCertificates, free_port: Callable[[], int]
) -> None:
    meters, port = fleet(), free_port()
    one, two = meters[0].meter_id, meters[1].meter_id
    async with head_end(know=known(meters), broker_mqtt_port=free_port(), mqtt_port=port) as running:
        refused = PublishesRefused(running.folder.broker / "nats-server.log")
        frame = decode_datagram(interval(pusher_of(meters[1]))).payload
        async with await MqttClient.connect(Broker(HOST, port, certificates.context(one)), one) as client:
            await client.publish(topics(two)[0], frame)  # MQTT 3.1.1 acknowledges what it throws away
            await client.publish("amity/*/push", frame)
            with pytest.raises(TransportError):
                await client.subscribe(topics(two)[1])
            await client.publish(topics(one)[0], b"\x0f nonsense")
        await running.until(lambda: parked(running) == {"undecodable": 1})
        assert pushed(running) == []
        assert refused.look()
        assert refused.count == 2
        with pytest.raises(TransportError, match="refuses"):  # certified, and not of the fleet
            await MqttClient.connect(Broker(HOST, port, certificates.context("STRANGER")), "STRANGER")
        foreign = MeterCertificates.make(certificates.folder / "foreign").context(one)
        foreign.load_verify_locations(certificates.folder / AUTHORITIES)
        with pytest.raises((OSError, TransportError)):  # another authority's word
            await MqttClient.connect(Broker(HOST, port, foreign), one)


async def test_who_may_not_call_is_turned_away_at_every_door(
    head_end: Callable[..., Any], certificates: MeterCertificates, free_port: Callable[[], int]
) -> None:
    meters, port = fleet(), free_port()
    allowed = ["10.99.0.0/16"]
    async with head_end(
        know=known(meters), broker_mqtt_port=free_port(), mqtt_port=port, peers_allowed=allowed
    ) as running:
        meter, pusher = meters[0], pusher_of(meters[0], confirmed=True)
        hearing = pusher.hearing(alarm=False)
        assert not await deliver(HOST, running.port, interval(pusher), hearing)
        with pytest.raises(ConnectionError):
            await MqttClient.connect(Broker(HOST, port, certificates.context(meter.meter_id)), meter.meter_id)
        assert await deliver_in_datagram(HOST, running.port, interval(pusher))
        await running.until(lambda: json.loads(running.folder.calls.read_text())["turned_away"] >= 3)
        assert (pushed(running), parked(running)) == ([], {})


async def test_a_replay_is_parked_over_udp(head_end: Callable[..., Any]) -> None:
    meters = fleet()
    async with head_end(know=known(meters)) as running:
        frame = interval(pusher_of(meters[0]))
        for _ in range(3):
            assert await deliver_in_datagram(HOST, running.port, frame)
        await running.until(lambda: parked(running) == {"not-believed": 2})
        assert len(pushed(running)) == 1


async def test_the_operator_is_told_of_strangers_and_what_to_do(head_end: Callable[..., Any]) -> None:
    meters = fleet()
    async with head_end(know=known(meters[:1])) as running:
        alarm = pusher_of(meters[1]).alarm(Happening(epoch_s(SystemClock().now()), EventKind.POWER_DOWN))
        assert alarm is not None
        assert await deliver(HOST, running.port, alarm)
        await running.until(lambda: parked(running) == {"unknown-sender": 1})
        where = ["--dir", str(running.folder.root)]
        (running.folder.settings).write_text("")
        shown = await asyncio.to_thread(CliRunner().invoke, app, ["pushes", "parked", *where])
        assert shown.exit_code == 0, shown.output
        assert meters[1].system_title.hex() in shown.output
        assert "amity meter add" in shown.output
        running.know(known(meters))
        await asyncio.sleep(10.1)  # the fleet is looked at anew only now and then
        assert await deliver(HOST, running.port, alarm)
        await running.until(lambda: len(pushed(running)) == 1)
