"""What a client may do with an object: what its role may do with the class, as far as the object itself goes."""

from amity.devices.interface_classes import Right, Role
from amity.devices.objects import ActingObject, CosemObject, WritableObject
from amity.devices.server.security_setup import SecuritySetup
from amity.devices.server.settings import ClientAccess


def attribute_rights(cosem: CosemObject, index: int, role: Role) -> Right:
    """Reading where the class allows it; writing only what the object takes, by the role that changes its class."""
    rights = cosem.interface.rights(index, role)
    takes = isinstance(cosem, WritableObject) and index in cosem.writable_attributes
    return rights if takes else rights & Right.READ


def may_call(cosem: CosemObject, index: int, access: ClientAccess) -> bool:
    """True for a method that the object has, called by the role that changes its class.

    A Security setup is changed only by clients whose keys it is about: else one could take the keys of another.
    """
    offered = isinstance(cosem, ActingObject) and index in cosem.offered_methods
    own = not isinstance(cosem, SecuritySetup) or access.client in cosem.clients
    return offered and own and cosem.interface.changed_by is access.role
