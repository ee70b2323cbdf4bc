"""`amity meter objects`: everything that a meter lists for one association, as a tree."""

import json
from typing import Annotated

import typer
from rich.console import Console

from amity.cli.grouped import grouped
from amity.cli.meeting import Called, meet
from amity.cli.meter_options import LinkOptions, MeterArgument, SecretOptions, SecurityOptions, WayOptions
from amity.cli.objects.report import lines, to_json
from amity.devices.object_tree import read_object_list


@grouped
def objects(
    meter: MeterArgument,
    *,
    link: LinkOptions,
    way: WayOptions,
    security: SecurityOptions,
    secrets: SecretOptions,
    rights: Annotated[bool, typer.Option("--rights", help="Show attributes and methods of each object too.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait for each answer.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the objects of a meter you do not know: by medium and class, with names and access rights.

    Each client is shown what it may do. The options are those of `amity read`.
    """
    called = Called(meter, link, way, security, secrets)
    found = meet(called, read_object_list, timeout_s=timeout_s)
    if as_json:
        print(json.dumps(to_json(found), ensure_ascii=False, indent=2))
    else:
        Console(highlight=False, soft_wrap=True).print("\n".join(lines(found, with_rights=rights)))
