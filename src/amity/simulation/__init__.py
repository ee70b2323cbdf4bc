"""A utility in a box: households, weather, meters and their faults, all from one seed; nothing here is for real use.

In reading order: `chance` (draws with random access), `weather`, `solar`, `household` (Wh of any interval), `ledger`
(registers that follow from them), `faults`, `happenings`, `measuring` (the truth in a model's resolution), `rows` and
`records` (its profiles as octets), `meter`, `cosem_objects`, `device` (the meter as a DLMS server), `pushes`, `town`,
`fleet`, `serving`. Nothing runs in the background: whatever is asked is computed for the instant of asking.
"""
