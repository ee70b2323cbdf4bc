"""What the codes of event logs and the bits of alarm registers mean: tables as data, by device profile."""

from amity.headend.event_catalogue.catalogue import EventCatalogue, alarm_register, log_of, packaged_catalogue
from amity.headend.event_catalogue.folder import EventTables
from amity.headend.event_catalogue.table import EventTable, parse_table

__all__ = [
    "EventCatalogue",
    "EventTable",
    "EventTables",
    "alarm_register",
    "log_of",
    "packaged_catalogue",
    "parse_table",
]
