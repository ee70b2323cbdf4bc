"""Work of the head-end as jobs: schedules make them, a store leases them by meter, workers hold the sessions."""
