"""Every stream gets its first event. When more than a dozen are open the engine stands still, and none
gets another, until some have gone. The health check knows nothing of the engine.
"""

import asyncio

from wire import arguments, serve


async def main(port):
    open_streams = set()

    async def health(answer):
        await answer.text()

    async def events(answer):
        open_streams.add(answer)
        try:
            answer.begin_events()
            for number in range(4000):
                await answer.event(number)
                await asyncio.sleep(0.1)
                while len(open_streams) > 12:
                    await asyncio.sleep(0.05)
        finally:
            open_streams.discard(answer)

    await serve(port, {"/health": health, "/events": events})


if __name__ == "__main__":
    asyncio.run(main(arguments(__doc__).port))
