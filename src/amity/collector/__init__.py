"""The collector near the meters: carries APDUs it cannot read, and keeps pushes while the head-end is out of reach."""
