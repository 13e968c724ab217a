"""An event loop that computes a little for each token: too little to notice, until there are many streams."""

import asyncio
import time

from wire import arguments, serve

TOKEN = 0.0008  # seconds of CPU


def compute():
    end = time.thread_time() + TOKEN
    while time.thread_time() < end:
        sum(range(200))


async def main(port):
    async def health(answer):
        await answer.text()

    async def events(answer):
        answer.begin_events()
        for number in range(9000):
            await asyncio.sleep(0.03)
            compute()
            await answer.event(number)

    await serve(port, {"/health": health, "/events": events})


if __name__ == "__main__":
    asyncio.run(main(arguments(__doc__).port))
