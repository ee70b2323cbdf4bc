"""A serial line whose other end takes nothing."""

import asyncio
import os
import pty

from amity.transports.line import SerialSettings, open_serial_line


async def test_a_line_that_takes_nothing_is_closed_all_the_same():
    head, port = pty.openpty()
    try:
        line = await open_serial_line(os.ttyname(port), SerialSettings())
        line.write(bytes(300_000))
        async with asyncio.timeout(20):
            await line.close()
        assert line.ended
    finally:
        os.close(head)
        os.close(port)
