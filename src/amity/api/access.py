"""How an endpoint gets at the use cases' services and at the person who asks."""

from typing import Annotated

from fastapi import Depends, Request

from amity.usecases.services import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Asked = Annotated[Services, Depends(_services)]
