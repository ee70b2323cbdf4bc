"""A maker that does not exist, added by a file alone."""

INVENTED = """
inherit = "idis_package2"
manufacturer = "Quetzal Contadores"
flag = "QZL"
model = "QZ-1"
basis = "invented"

[association]
client = 3

[load_profile]
obis = "1.0.99.2.0.255"
stamp = "start"
"""
