"""Who may do what: login tokens and sessions now; gate, keys and audit tree later."""
