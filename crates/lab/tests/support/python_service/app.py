"""A service that blocks a pool of threads, with the standard library alone.

An asyncio server answers on its event loop; a stream, and the sync health check, run on a
ThreadPoolExecutor, as the synchronous routes of a web framework do.

    python3 app.py --port 8000 --threads 4
"""

import argparse
import asyncio
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nConnection: close\r\n\r\n"


class Service:
    def __init__(self, threads, greeting):
        self.greeting = greeting
        self.pool = ThreadPoolExecutor(max_workers=threads)
        self.open = 0

    def stream(self, send, chunks, interval):
        """Blocks its thread from the first chunk to the last, as a synchronous generator would."""
        self.open += 1
        try:
            for n in range(chunks):
                if not send(f"data: {json.dumps({'chunk': n, 'of': chunks})}\n\n".encode()):
                    return
                time.sleep(interval)
            send(b"data: [DONE]\n\n")
        finally:
            self.open -= 1

    async def answer(self, reader, writer):
        loop = asyncio.get_running_loop()
        gone = False

        def send(data):
            if not gone:
                loop.call_soon_threadsafe(writer.write, data)
            return not gone

        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            path, _, query = request.split(" ")[1].partition("?")
            options = dict(pair.split("=") for pair in query.split("&") if "=" in pair)
            if path == "/stream":
                chunks = int(options.get("chunks", 600))
                interval = float(options.get("interval", 0.05))
                writer.write(HEAD.format("text/event-stream").encode())
                if self.greeting:
                    writer.write(b'data: {"hello": "you"}\n\n')
                job = self.pool.submit(self.stream, send, chunks, interval)
                # End of file from the client means that nobody listens any more.
                listening = asyncio.ensure_future(reader.read())
                done = asyncio.wrap_future(job)
                await asyncio.wait([listening, done], return_when=asyncio.FIRST_COMPLETED)
                listening.cancel()
            elif path == "/health-sync":
                await loop.run_in_executor(self.pool, time.sleep, 0)
                writer.write((HEAD.format("text/plain") + "ok\n").encode())
            elif path == "/health-async":
                writer.write((HEAD.format("text/plain") + "ok\n").encode())
            elif path == "/stats":
                writer.write((HEAD.format("application/json") + json.dumps({"open": self.open})).encode())
            else:
                writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            gone = True
            writer.close()


async def main(port, threads, certificate, greeting):
    service = Service(threads, greeting)
    tls = None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    server = await asyncio.start_server(service.answer, "127.0.0.1", port, backlog=512, ssl=tls)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--certificate", help="PEM file of certificate and key: HTTPS")
    parser.add_argument("--greeting", action="store_true", help="send an event before there is a thread")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.port, arguments.threads, arguments.certificate, arguments.greeting))
