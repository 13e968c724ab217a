"""A thread for each request, as many as are asked for, and each token costs CPU outside the interpreter's
lock: with streams enough every core is busy.
"""

import hashlib
import http.server
import time

from wire import arguments


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        is_stream = self.path == "/events"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if is_stream else "text/plain")
        self.end_headers()
        if not is_stream:
            self.wfile.write(b"ok\n")
            return
        try:
            for number in range(4000):
                hashlib.pbkdf2_hmac("sha256", b"token", b"salt", 60_000)
                self.wfile.write(b"data: %d\n\n" % number)
                time.sleep(0.05)
        except OSError:
            pass  # the client has hung up


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", arguments(__doc__).port), Handler).serve_forever()
