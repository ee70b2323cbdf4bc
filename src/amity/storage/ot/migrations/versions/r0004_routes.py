"""How a meter is reached becomes a route of any framing; what was there were wrapper frames over TCP."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_FLAGS = ("signed", "general_blocks", "legacy_allowed")
_ENDPOINT = sa.table(
    "endpoint", sa.column("meter_id"), sa.column("host"), sa.column("port"), sa.column("route", sa.String())
)


def upgrade() -> None:
    """Write host and port of every endpoint as its route; the new choices have their defaults."""
    op.add_column("endpoint", sa.Column("route", sa.String(), nullable=False, server_default="{}"))
    op.add_column("endpoint", sa.Column("suite", sa.Integer(), nullable=True))
    for name in _FLAGS:
        op.add_column("endpoint", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    for meter_id, host, port in _stored("host", "port"):
        _set(meter_id, route=json.dumps({"host": host, "port": port}))
    for name in ("host", "port"):
        op.drop_column("endpoint", name)


def downgrade() -> None:
    """Keep host and port; a meter that is reached in another way has none."""
    op.add_column("endpoint", sa.Column("host", sa.String(), nullable=False, server_default=""))
    op.add_column("endpoint", sa.Column("port", sa.Integer(), nullable=False, server_default="0"))
    for meter_id, route in _stored("route"):
        document = json.loads(route)
        _set(meter_id, host=document.get("host", ""), port=document.get("port", 0))
    for name in ("route", "suite", *_FLAGS):
        op.drop_column("endpoint", name)


def _stored(*names: str) -> list[Any]:
    columns = _ENDPOINT.c
    return list(op.get_bind().execute(sa.select(columns.meter_id, *(columns[name] for name in names))))


def _set(meter_id: str, **values: object) -> None:
    op.get_bind().execute(sa.update(_ENDPOINT).where(_ENDPOINT.c.meter_id == meter_id).values(**values))
