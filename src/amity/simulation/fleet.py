"""A simulated fleet: a town, its meters and what is wrong with some of them; the same settings give the same fleet."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from amity.devices.interface_classes import Role
from amity.devices.profiles import DeviceProfile, Form, Framing, fictional_keys, packaged_profile
from amity.devices.settings import Authentication, Ciphering, Protection
from amity.domain.registry import Town
from amity.kernel.errors import ConfigurationError
from amity.kernel.obis import Obis
from amity.kernel.time import epoch_s, utc_day
from amity.simulation.chance import stream
from amity.simulation.device import role_clients
from amity.simulation.faults import FaultKind, RecordFaults, assign
from amity.simulation.happenings import Happenings, Outage
from amity.simulation.household import INTERVAL_S, Household
from amity.simulation.keys import SimulatedKeys, keys_of
from amity.simulation.measuring import MeasuringElement
from amity.simulation.meter import ClockDrift, SimulatedMeter, ledger_of, powered
from amity.simulation.rows import LoadProfileRows
from amity.simulation.town import Premise, build_town, centre
from amity.simulation.weather import Weather

INSTALLED_DAYS_BEFORE = 60
METERS_MAX = 20_000

_OUTAGE_HOURS_BEFORE = 3
_PLAIN_PROFILE = "norrvik_n1"  # the model with the fewest peculiarities
_ASSOCIATION_OF = {
    Authentication.NONE: "norrvik_n1",
    Authentication.LLS: "bergholm_b20",
    Authentication.HLS2: "bergholm_b20",
    Authentication.HLS_MD5: "bergholm_b20",
    Authentication.HLS_SHA1: "bergholm_b20",
    Authentication.HLS_GMAC: "castellan_c3",
    Authentication.HLS_SHA256: "castellan_c3",
    Authentication.HLS_ECDSA: "castellan_c3",
}
"""The model whose client, addresses and ciphering a plain model with that authentication has."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """All that decides what a fleet is like.

    `anchor` is the instant the story is told from: meters were installed 60 days before, faults of the record show on
    its yesterday, the outage began three hours earlier. A fleet that is built again with the same anchor goes on.
    `auth` makes every meter a plain model with that authentication; None mixes all models.
    `suite` is the security suite of all of them; suite 0 leaves them what their models have.
    `faults` are shares of the fleet; `fault_of` gives single meters, by their number from 0, a fault of their own.
    """

    meters: int
    seed: int
    anchor: datetime
    auth: Authentication | None = None
    faults: Mapping[FaultKind, float] = field(default_factory=lambda: MappingProxyType({}))
    fault_of: Mapping[int, FaultKind] = field(default_factory=lambda: MappingProxyType({}))
    outage: bool = False
    suite: int = 0

    def __post_init__(self) -> None:
        """Raise ConfigurationError for a fleet that cannot be."""
        if not 1 <= self.meters <= METERS_MAX:
            raise ConfigurationError(
                f"a simulated fleet has 1 to {METERS_MAX} meters, not {self.meters}", next_step="choose with --meters N"
            )
        if self.auth is Authentication.HLS_ECDSA and not self.suite:
            raise ConfigurationError("signatures need security suite 1 or 2", next_step="add --suite 1")
        for number in self.fault_of:
            if not 0 <= number < self.meters:
                raise ConfigurationError(f"there is no meter number {number} among {self.meters} to give a fault to")

    @property
    def anchor_day(self) -> int:
        """The UTC day of the anchor."""
        return utc_day(epoch_s(self.anchor))


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """The registry document of the town and its meters, in the same order."""

    settings: FleetSettings
    town: Town
    meters: tuple[SimulatedMeter, ...]

    def meter(self, meter_id: str) -> SimulatedMeter:
        """One meter by its logical device name; raise ConfigurationError when there is none."""
        for meter in self.meters:
            if meter.meter_id == meter_id:
                return meter
        raise ConfigurationError(f"no meter of this fleet is called {meter_id!r}")

    def truth_wh(self, meter_id: str, obis: Obis, start_s: int) -> int:
        """What that meter counted in the interval that starts at `start_s`; see `SimulatedMeter.truth_wh`."""
        return self.meter(meter_id).truth_wh(obis, start_s)


def build_fleet(settings: FleetSettings) -> Fleet:
    """Build the town and its meters; nothing is computed for their past until somebody asks."""
    built = build_town(settings.seed, settings.meters, _profiles(settings.auth, settings.suite))
    outages = _outages(settings, built.town)
    kinds = _kinds(settings, built.premises, outages)
    weather = Weather(settings.seed, *centre())
    meters = tuple(
        _meter(settings, premise, weather, kinds.get(premise.meter.serial), outages) for premise in built.premises
    )
    return Fleet(settings, built.town, meters)


def truth_wh(settings: FleetSettings, meter_id: str, obis: Obis, start_s: int) -> int:
    """The truth from settings alone, in a process that serves nothing."""
    return build_fleet(settings).truth_wh(meter_id, obis, start_s)


def document_entry(meter: SimulatedMeter, host: str, port: int) -> dict[str, Any]:
    """One meter of the fleet document: all that a head-end or a foreign client needs to read it.

    `framing` is wrapper or hdlc; what else the way needs (a UDP port, an HDLC address, a device) is said beside it.
    Keys and title are hexadecimal, derived from the seed (see `keys`); they must never be used for anything real.
    `client_signing_key` is private, `meter_signing_key` public; both are empty in suite 0.
    `associations` are the clients that may change something, by role, with keys of their own in the same suite; `kek`
    is the master key under which new ones travel. A head-end takes the one for management.
    `cell` is the transformer whose low-voltage lines it shares.
    `faults` names what is wrong with the meter, `outage` included; it is empty for a healthy one.
    """
    association = meter.profile.association
    return {
        "host": host,
        "port": port,
        "framing": Framing.WRAPPER.value,
        "client": association.client,
        "server": association.server,
        "auth": association.authentication.value,
        "password": meter.keys.password.decode("ascii"),
        "suite": meter.keys.suite,
        "guek": meter.keys.guek.hex(),
        "gak": meter.keys.gak.hex(),
        "kek": meter.keys.kek.hex(),
        "client_signing_key": meter.keys.client_signing.hex(),
        "meter_signing_key": meter.keys.meter_public.signing.hex(),
        "system_title": meter.system_title.hex(),
        "logical_device_name": meter.meter_id,
        "serial": meter.serial,
        "profile": meter.profile.key,
        "ciphering": association.ciphering.value,
        "protection": association.protection.value,
        "usage_point": meter.usage_point.usage_point_id,
        "transformer": meter.usage_point.transformer_id,
        "cell": meter.usage_point.transformer_id,
        "faults": [*sorted(kind.value for kind in meter.kinds), *(["outage"] if meter.happenings.outages else [])],
        "associations": [_association(role, *found) for role, found in role_clients(meter).items()],
        "simulated": True,
    }


def _association(role: Role, client: int, keys: SimulatedKeys) -> dict[str, Any]:
    """A client that may change something, as `simulation.device` lets it in."""
    return {
        "role": role.value,
        "client": client,
        "auth": Authentication.HLS_GMAC.value,
        "ciphering": Ciphering.GLO.value,
        "protection": Protection.AUTHENTICATED_ENCRYPTED.value,
        "suite": keys.suite,
        "guek": keys.guek.hex(),
        "gak": keys.gak.hex(),
        "kek": keys.kek.hex(),
        "client_signing_key": keys.client_signing.hex(),
        "meter_signing_key": keys.meter_public.signing.hex(),
    }


def _profiles(auth: Authentication | None, suite: int) -> tuple[DeviceProfile, ...]:
    if auth is None:
        return tuple(_with_association(packaged_profile(key), suite=suite) for key in fictional_keys())
    like = packaged_profile(_ASSOCIATION_OF[auth]).association
    plain = replace(packaged_profile(_PLAIN_PROFILE), association=like)
    return (
        _with_association(
            plain, suite=suite, authentication=Authentication(auth), with_list=True, answers_release=True
        ),
    )


def _with_association(profile: DeviceProfile, *, suite: int, **changes: Any) -> DeviceProfile:
    suite = suite or profile.association.suite
    return replace(profile, association=replace(profile.association, suite=suite, **changes))


def _kinds(settings: FleetSettings, premises: tuple[Premise, ...], outages: tuple[Outage, ...]) -> dict[str, FaultKind]:
    """Which meter has which fault; at most one each, and none where the lights are out anyway.

    A fault that would not show with a model (see `_shows`) goes to meters of other models, or to none.
    """
    chosen = {premises[number].meter.serial: kind for number, kind in settings.fault_of.items()}
    dark = {outage.transformer_id for outage in outages}
    lit = [premise for premise in premises if premise.usage_point.transformer_id not in dark]
    for kind, share in settings.faults.items():
        fitting = [premise.meter.serial for premise in lit if _shows(kind, premise.profile)]
        free = [serial for serial in fitting if serial not in chosen]
        chosen.update(assign(kind, share, settings.seed, free, len(premises)))
    return chosen


def _shows(kind: FaultKind, profile: DeviceProfile) -> bool:
    """A spike looks absurd as consumption, not in a running total; a wrong key needs a meter that uses its keys."""
    if kind is FaultKind.SPIKE:
        return _holds_intervals(profile)
    return kind is not FaultKind.WRONG_KEY or profile.association.authentication is Authentication.HLS_GMAC


def _holds_intervals(profile: DeviceProfile) -> bool:
    return any(
        measured.form is Form.INTERVAL for measured in profile.objects if measured.name in profile.load_profile.columns
    )


def _outages(settings: FleetSettings, town: Town) -> tuple[Outage, ...]:
    """One transformer's area has been without power for three hours; never the only transformer."""
    if not settings.outage or len(town.transformers) == 1:
        return ()
    transformer = town.transformers[stream(settings.seed, "outage") % len(town.transformers)]
    start_s = (epoch_s(settings.anchor) // INTERVAL_S - _OUTAGE_HOURS_BEFORE * 4) * INTERVAL_S
    return (Outage(transformer.transformer_id, start_s),)


def _meter(
    settings: FleetSettings, premise: Premise, weather: Weather, kind: FaultKind | None, outages: tuple[Outage, ...]
) -> SimulatedMeter:
    seed, serial, usage_point = settings.seed, premise.meter.serial, premise.usage_point
    own_outages = tuple(outage for outage in outages if outage.transformer_id == usage_point.transformer_id)
    faults = RecordFaults(frozenset([kind] if kind else []), seed, serial, settings.anchor_day)
    installed_day = settings.anchor_day - INSTALLED_DAYS_BEFORE
    household = Household.from_seed(seed, usage_point.usage_point_id, solar=usage_point.has_solar)
    ledger = ledger_of(household, weather, own_outages, installed_day, premise.profile.clock.standard_offset_min)
    element = MeasuringElement(ledger, premise.profile, faults)
    return SimulatedMeter(
        meter_id=premise.meter.meter_id,
        serial=serial,
        profile=premise.profile,
        usage_point=usage_point,
        system_title=premise.profile.flag.encode("ascii") + int(serial).to_bytes(5, "big"),
        keys=keys_of(seed, serial, premise.profile.association.suite),
        element=element,
        rows=LoadProfileRows(element, partial(powered, own_outages)),
        happenings=Happenings(faults, usage_point.transformer_id, installed_day, own_outages),
        drift=ClockDrift.from_seed(seed, serial),
    )
