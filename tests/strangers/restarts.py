"""A process that ends some seconds after its first stream, as one that is killed for its memory, and a
supervisor that starts it again a second later.
"""

import asyncio
import os
import subprocess
import sys
import time

from wire import arguments, serve

LIFE = 8  # seconds from the first stream to the end


async def main(port):
    begun = False

    async def health(answer):
        await answer.text()

    async def events(answer):
        nonlocal begun
        if not begun:
            begun = True
            asyncio.get_running_loop().call_later(LIFE, os._exit, 137)
        await answer.events()

    await serve(port, {"/health": health, "/events": events})


def supervise():
    while True:
        subprocess.run([sys.executable, *sys.argv, "--child", "1"])
        time.sleep(1)


if __name__ == "__main__":
    given = arguments(__doc__, child=0)
    if given.child:
        asyncio.run(main(given.port))
    else:
        supervise()
