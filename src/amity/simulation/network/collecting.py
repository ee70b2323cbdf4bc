"""A simulated meter that is a collector: it dials the head-end, carries for its neighbours, and answers for itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from amity.devices.server import MeterServer
from amity.kernel.errors import ConfigurationError
from amity.kernel.time import Clock
from amity.runtime.files.relay import relay_files
from amity.runtime.folder import Folder
from amity.runtime.roles.collector import run_collector
from amity.runtime.settings import Settings
from amity.simulation.network.meter_collector import MeterCollectorWays
from amity.transports.relay_tls import COLLECTOR, identity_in

Collecting = Callable[[MeterServer], AbstractAsyncContextManager[str]]
"""Makes the meter of this server a collector while the context lasts; gives the name it shows."""


def collecting(folder: Folder, settings: Settings, clock: Clock) -> Collecting:
    """A collector as that folder has it; its name stands in its certificate."""

    @asynccontextmanager
    async def begin(server: MeterServer) -> AsyncIterator[str]:
        name = own_name(folder)
        role = run_collector(folder, settings, lambda beyond: MeterCollectorWays(server, clock, beyond))
        running = asyncio.create_task(role, name="collector")
        try:
            yield name
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    return begin


def own_name(folder: Folder) -> str:
    """The name of the collector whose certificate lies in this folder; raise ConfigurationError when there is none."""
    path = relay_files(folder).certificate
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is no certificate", answer=str(error), next_step="see docs/collectors.md for how to make it"
        ) from error
    return identity_in(certificate.public_bytes(Encoding.DER), COLLECTOR).name
