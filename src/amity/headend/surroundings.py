"""All that the head-end is given from outside, in one place: clock, chance, network, disk, keys, mapping."""

from collections.abc import Callable
from dataclasses import dataclass, field

from amity.devices.profiles import DeviceProfile, packaged_profile
from amity.domain.ports import DeliveryCodec
from amity.headend.event_catalogue import EventTables
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.ports import CollectionStore, Connector, CounterStore, Disk, Endpoints, Keys
from amity.kernel.backoff import Backoff, Chance
from amity.kernel.time import Clock


@dataclass(frozen=True, slots=True)
class SessionRules:
    """Limits of one session: how long each step may take, how often and after which wait it is tried again."""

    connect_timeout_s: float = 5.0
    request_timeout_s: float = 5.0
    session_timeout_s: float = 180.0
    attempts_max: int = 3
    backoff: Backoff = field(default_factory=lambda: Backoff(base_s=1.0, limit_s=30.0))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The outside world as the head-end sees it.

    `system_title` is the head-end's own, eight octets. `random_octets` is cryptographic. `subject` is where deliveries
    are published. `only_named` says whether whoever was just spoken with as a meter had only said its name.
    """

    clock: Clock
    chance: Chance
    random_octets: Callable[[int], bytes]
    system_title: bytes
    connector: Connector
    disk: Disk
    endpoints: Endpoints
    keys: Keys
    counters: CounterStore
    collection: CollectionStore
    codec: DeliveryCodec
    mappings: MappingFile
    subject: str
    profile_of: Callable[[str], DeviceProfile] = packaged_profile
    reading: ReadingRules = field(default_factory=ReadingRules)
    session: SessionRules = field(default_factory=SessionRules)
    events: EventTables = field(default_factory=EventTables)
    only_named: Callable[[str], bool] = lambda _meter_id: False
