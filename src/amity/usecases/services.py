"""What the IT side's use cases work with; runtime builds one of these and hands it to API and console."""

from collections.abc import Callable
from dataclasses import dataclass

from amity.domain.ports import DeliveryCodec
from amity.kernel.time import Clock
from amity.usecases.ports import Database, LoginStore


@dataclass(frozen=True, slots=True)
class Services:
    """Database, login store, codec of stored deliveries, clock and chance, each behind its port."""

    database: Database
    logins: LoginStore
    codec: DeliveryCodec
    clock: Clock
    random_octets: Callable[[int], bytes]
