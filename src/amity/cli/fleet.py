"""`amity fleet import FILE`: the meters of a fleet document become those that a head-end reads."""

import json
from pathlib import Path
from typing import Annotated

import typer

from amity.runtime.checkup.check import start_command
from amity.runtime.fleet.provisioning import difference, fleet_json, fleet_of, provision_fleet
from amity.runtime.installation import find_installation

fleet_app = typer.Typer(help="The meters that a head-end reads, from a fleet document.", no_args_is_help=True)


@fleet_app.callback()
def fleet() -> None:
    """Keep `import` a command of its own: a Typer application of one command has no name for it."""


@fleet_app.command("import")
def import_fleet(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A fleet document: a JSON list of meters.")],
    configuration: Annotated[Path | None, typer.Option("--config", help="Default: /etc/ami-gateway.")] = None,
    directory: Annotated[Path | None, typer.Option("--dir", help="An installation in one folder.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Add the meters of a document or replace them, their keys into the key file: all of them, or none if one is wrong.

    Meters that the document does not name stay. A head-end that is running learns of new keys when it is started again.
    """
    document = fleet_json(file)  # before root becomes who may not read it
    folder, settings = find_installation(configuration, directory)
    wanted = fleet_of(document, folder)
    changes = difference(folder, settings.headend, wanted)
    if not dry_run:
        folder.create()
        provision_fleet(folder, settings.headend, wanted)
    if as_json:
        print(json.dumps({"dir": str(folder.root), "dry_run": dry_run, **changes._asdict()}, ensure_ascii=False))
        return
    would = "would be " if dry_run else ""
    print(f"{len(changes.added)} meters {would}added, {len(changes.replaced)} {would}replaced in {folder.root}")
    if not dry_run:
        again = "sudo systemctl restart ami-collector" if folder.installed else start_command(folder)
        print(f"start the head-end, or start it again: `{again}`")
