"""A thread serves a request from its first byte to its last, and there are only so many threads.

There is no event loop. The health check waits in the same line as everything else.
"""

import http.server
import time
from concurrent.futures import ThreadPoolExecutor

from wire import arguments


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def begin(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def do_GET(self):
        if self.path == "/events":
            self.begin("text/event-stream")
            for number in range(3000):
                self.wfile.write(b"data: %d\n\n" % number)
                time.sleep(0.1)
        elif self.path == "/balance":  # what it asks is slow, and the answer is short
            time.sleep(0.6)
            self.begin("application/json")
            self.wfile.write(b'{"balance": 0}\n')
        else:
            self.begin("text/plain")
            self.wfile.write(b"ok\n")


class Pooled(http.server.HTTPServer):
    request_queue_size = 512

    def __init__(self, port, threads):
        self.pool = ThreadPoolExecutor(threads)
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request, client_address):
        self.pool.submit(self.serve_one, request, client_address)

    def serve_one(self, request, client_address):
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # the client has hung up
        finally:
            self.shutdown_request(request)


if __name__ == "__main__":
    given = arguments(__doc__, threads=8)
    Pooled(given.port, given.threads).serve_forever()
