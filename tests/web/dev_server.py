"""Look at the console by hand: `python -m tests.web.dev_server [port]` fills a town and prints login links."""

import os
import sys
from datetime import UTC, datetime

import uvicorn

from amity.api.app import create_app
from amity.messaging.codec import ProtobufCodec
from amity.usecases.login import offer_link
from amity.usecases.services import Services
from amity.web.console import attach
from tests.unit.usecases.memory_database import FixedClock, MemoryDatabase, MemoryLogins
from tests.web.plausible_town import fill


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8123
    kind = sys.argv[2] if len(sys.argv) > 2 else "town"
    now = datetime(2026, 3, 18, 13, 40, tzinfo=UTC)
    database, codec = MemoryDatabase(), ProtobufCodec()
    if kind == "town":
        fill(database, codec, now)
    services = Services(database, MemoryLogins(), codec, FixedClock(now), os.urandom)
    app = create_app(services)
    attach(app, services)
    for _ in range(8):
        sys.stdout.write(f"http://127.0.0.1:{port}/login?token={offer_link(services, 'operator').secret}\n")
    sys.stdout.flush()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
