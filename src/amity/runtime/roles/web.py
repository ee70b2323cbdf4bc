"""API and console as a process."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from amity.api.app import create_app
from amity.kernel.errors import TransportError
from amity.runtime.databases import it_services
from amity.runtime.folder import Folder
from amity.runtime.roles.readiness import stands
from amity.runtime.settings import Settings, WebSettings
from amity.usecases.services import Services
from amity.web.console import attach

_SHUTDOWN_S = 2
_BACKLOG = 128


async def run_web(folder: Folder, settings: Settings) -> None:
    """Serve API and console until cancelled."""
    listening = _listening(settings.web)
    with it_services(folder) as services:
        await _serve(services, settings.web, listening)


async def _serve(services: Services, settings: WebSettings, listening: socket.socket) -> None:
    app = create_app(services, allowed_hosts=settings.allowed_hosts)
    attach(app, services)
    server = _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
            server_header=False,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listening]))
    stands("web")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await task
        raise


class _Server(uvicorn.Server):
    """Leaves signals to the process that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _listening(settings: WebSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=_BACKLOG)
    except OSError as error:
        raise TransportError(
            f"API and console cannot listen on {settings.host}:{settings.port}",
            answer=error.strerror,
            next_step="end the program that holds the port, or set web.port in amity.toml",
        ) from error
