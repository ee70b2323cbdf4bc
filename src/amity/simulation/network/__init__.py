"""Links between meters, collectors and the head-end as in the field: slow, far, lossy, allowed little airtime."""
