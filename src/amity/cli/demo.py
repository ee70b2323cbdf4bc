"""`amity demo`: a living utility in one folder; every meter in it is simulated, everything else is the real thing."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from amity.cli.demo_display import Display
from amity.cli.demo_folder import Story, remembered_story, settings_with_free_ports, sole_user
from amity.cli.demo_summary import Summary, summarise
from amity.headend.provisioning import read_fleet_document
from amity.kernel.errors import AmityError
from amity.kernel.time import isoformat
from amity.runtime.folder import Folder
from amity.runtime.settings import Settings
from amity.runtime.supervisor import Program, Supervisor, until_told_to_stop
from amity.runtime.system import SystemClock, random_octets
from amity.simulation.faults import DEMO_MIX
from amity.simulation.fleet import Fleet, FleetSettings, build_fleet, document_entry
from amity.storage.it.database import ItDatabase
from amity.storage.it.database import open_database as open_it_database
from amity.storage.ot.database import open_database as open_ot_database
from amity.storage.ot.keys import KeyFile
from amity.usecases.login import offer_link
from amity.usecases.provision import provision
from amity.usecases.services import Services

_HOST = "127.0.0.1"
