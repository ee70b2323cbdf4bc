"""The OT side as a process: reads the fleet, listens for pushes, hands deliveries to the broker."""

import asyncio
import random
from collections.abc import Callable
from contextlib import asynccontextmanager
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TypeVar

import structlog

from amity.headend.delivery import Courier
from amity.headend.fleet import Fleet, Round, Told
from amity.headend.mapping_file import MappingFile
from amity.headend.plan import ReadingRules
from amity.headend.surroundings import SessionRules, Surroundings
from amity.kernel.time import isoformat
from amity.messaging.access import OT, SUBJECT, load_access
from amity.messaging.broker import JetStreamPublisher
from amity.messaging.codec import ProtobufCodec
from amity.runtime.folder import Folder
from amity.runtime.settings import HeadendSettings, Settings
from amity.runtime.system import SystemClock, random_octets
from amity.storage.ot.database import OtDatabase, open_database
from amity.storage.ot.keys import KeyFile
from amity.transports.meter_connector import TcpConnector
