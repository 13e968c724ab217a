"""What the services with a client of their own ask: slow streams without an end, and how many are open."""

import asyncio
import json

from wire import arguments, serve


async def main(port):
    open_streams = set()

    async def stats(answer):
        await answer.text(json.dumps({"open": len(open_streams)}), kind="application/json")

    async def events(answer):
        open_streams.add(answer)
        try:
            await answer.events()
        finally:
            open_streams.discard(answer)

    await serve(port, {"/stats": stats, "/events": events})


if __name__ == "__main__":
    asyncio.run(main(arguments(__doc__).port))
