"""`amity meter`: the meters that are known, and what somebody does with one of them."""
