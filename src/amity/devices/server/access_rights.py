"""What a client may do with an object: what its role may do with the class, as far as the object itself goes."""

from amity.devices.interface_classes import Right, Role
from amity.devices.objects import ActingObject, CosemObject, WritableObject


def attribute_rights(cosem: CosemObject, index: int, role: Role) -> Right:
    """Reading where the class allows it; writing only what the object takes, by the role that changes its class."""
    rights = cosem.interface.rights(index, role)
    takes = isinstance(cosem, WritableObject) and index in cosem.writable_attributes
    return rights if takes else rights & Right.READ


def may_call(cosem: CosemObject, index: int, role: Role) -> bool:
    """True for a method that the object has, called by the role that changes its class."""
    offered = isinstance(cosem, ActingObject) and index in cosem.offered_methods
    return offered and cosem.interface.changed_by is role
