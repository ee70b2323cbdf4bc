"""`amity serve`: the roles of an installation, in the foreground."""

import json
from pathlib import Path
from typing import Annotated

import structlog
import typer

from amity.kernel.errors import ConfigurationError
from amity.runtime import loops
from amity.runtime.folder import Folder
from amity.runtime.logs import configure_logs
from amity.runtime.roles import Role, serve_roles
from amity.runtime.settings import load


def serve(
    directory: Annotated[Path, typer.Option("--dir", help="The installation's folder.")] = Path("amity-demo"),
    roles: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(Role)}.")] = ",".join(Role),
    as_json: Annotated[bool, typer.Option("--json", help="Say in JSON what is served.")] = False,
    with_parent: Annotated[bool, typer.Option(help="End when standard input closes.", hidden=True)] = False,
) -> None:
    """Run roles of an installation until stopped; each role may run in a process of its own."""
    wanted = _roles(roles)
    configure_logs()
    folder = Folder(directory)
    folder.create()
    settings = load(folder.settings)
    served = {"dir": str(directory), "roles": wanted, "web": f"http://{settings.web.host}:{settings.web.port}/"}
    if as_json:
        print(json.dumps(served), flush=True)
    else:
        structlog.get_logger("serve").info("serving", roles=",".join(wanted), dir=str(directory))
    loops.run(serve_roles(folder, wanted, with_parent=with_parent))


def _roles(text: str) -> list[Role]:
    try:
        return [Role(word.strip()) for word in text.split(",") if word.strip()]
    except ValueError:
        raise ConfigurationError(
            f"--roles {text!r} names a role that does not exist", next_step=f"choose from {', '.join(Role)}"
        ) from None
