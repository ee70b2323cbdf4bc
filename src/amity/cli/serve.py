"""`amity serve`: the roles of an installation, in the foreground."""

import json
from pathlib import Path
from typing import Annotated

import structlog
import typer

from amity.kernel.errors import ConfigurationError
from amity.runtime.folder import Folder
from amity.runtime.installation import Installation, find_installation
from amity.runtime.logs.lines import configure_logs
from amity.runtime.logs.sessions import SessionLogs
from amity.runtime.roles import loops
from amity.runtime.roles.serving import ONE_MACHINE, Role, serve_roles
from amity.runtime.settings import load

_FIELD_ROLES = (Role.BROKER, Role.HEADEND)
"""What an installation under /etc does unless told otherwise; the IT side runs elsewhere."""


def serve(
    directory: Annotated[Path | None, typer.Option("--dir", help="The installation's folder.")] = None,
    configuration: Annotated[
        Path | None, typer.Option("--config", help="The folder with dlms_config.yaml, like /etc/ami-gateway.")
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(help=f"Comma-separated: {', '.join(Role)}. With --config: broker,headend.", envvar="AMI_ROLES"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say in JSON what is served.")] = False,
    with_parent: Annotated[bool, typer.Option(help="End when standard input closes.", hidden=True)] = False,
) -> None:
    """Run roles of an installation until stopped; each role may run in a process of its own."""
    wanted = _roles(roles, _FIELD_ROLES if configuration is not None else ONE_MACHINE)
    folder, settings = _installation(configuration, directory)
    folder.create()
    logs = SessionLogs(folder) if folder.log_folder is not None else None
    configure_logs(more=logs.keep_errors if logs is not None else None)
    served = {"dir": str(folder.root), "roles": wanted, "web": f"http://{settings.web.host}:{settings.web.port}/"}
    if as_json:
        print(json.dumps(served), flush=True)
    else:
        structlog.get_logger("serve").info("serving", roles=",".join(wanted), dir=str(folder.root))
    try:
        loops.run(serve_roles(folder, wanted, with_parent=with_parent, settings=settings))
    except Exception as error:
        if logs is not None:
            logs.tell_end(error)
        raise


def _installation(configuration: Path | None, directory: Path | None) -> Installation:
    if configuration is not None:
        return find_installation(configuration, directory)
    folder = Folder(directory or Path("amity-demo"))
    folder.create()
    return Installation(folder, load(folder.settings))


def _roles(text: str | None, otherwise: tuple[Role, ...]) -> list[Role]:
    if text is None:
        return list(otherwise)
    try:
        return [Role(word.strip()) for word in text.split(",") if word.strip()]
    except ValueError:
        raise ConfigurationError(
            f"--roles {text!r} names a role that does not exist", next_step=f"choose from {', '.join(Role)}"
        ) from None
