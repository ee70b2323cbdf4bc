"""Logs as lines of `key=value` on standard error, which whoever started the process keeps."""

import logging
import sys

import structlog


def configure_logs(*, quiet: bool = False) -> None:
    """Set structlog up once per process; times are UTC."""
    level = logging.CRITICAL if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
