"""Zero consumption: a meter that lives where nobody does.

Catalogue: "Zero consumption (active meter)", no usage on an active point (Oracle, DASMMD).
Formula: the share of measured intervals whose value is 0. Default: 95 % of them. A share, not a run of days: a vacant
home is visited now and then, and a family on holiday for three weeks is not vacant (Low Carbon London, 2013: the one
vacant home of 100 has 99.4 % zeros and no run longer than 14 days, another home one of 18 days).
"""

import numpy as np

from amity.domain.readings import Int64Column, Quality, QualityColumn

VACANT_ZERO_SHARE = 0.95
JUDGED_FROM = 96  # measured intervals: a single night without use says nothing


def is_vacant(values: Int64Column, qualities: QualityColumn, zero_share: float = VACANT_ZERO_SHARE) -> bool:
    """Judge int64[n] values with uint8[n] qualities; False when hardly anything is measured."""
    measured = values[(qualities & Quality.MEASURED) != 0]
    return len(measured) >= JUDGED_FROM and float(np.mean(measured == 0)) >= zero_share
