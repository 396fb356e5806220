"""Who is told over HTTP on loopback: keeps what is posted, and answers as it was asked to."""

import http.server
import json
import sys
import threading
import typing


class Post(typing.NamedTuple):
    path: str  # without what stands behind "?"
    target: str  # with it
    headers: typing.Mapping
    body: bytes

    @property
    def key(self):
        return self.headers["Idempotency-Key"]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.server.take(Post(self.path.split("?")[0], self.path, self.headers, body))
        answer = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """In threads of its own, from the first; context: of TLS."""
    daemon_threads = True

    def __init__(self, handler, port=0, context=None):
        super().__init__(("127.0.0.1", port), handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.port = self.server_port
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *where):
        if not isinstance(sys.exc_info()[1], OSError):  # else whoever asked is dead, or does not trust us
            super().handle_error(*where)


class Hook(Server):
    """answers: by path the status and the JSON of what is answered next, one after the other, the last again and again.
    Several may share them, and the posts that came."""

    def __init__(self, answers=None, posts=None, otherwise=(200, {}), **more):
        self.answers, self.otherwise = {} if answers is None else answers, otherwise
        self.posts = [] if posts is None else posts
        super().__init__(Handler, **more)

    def take(self, post):
        self.posts.append(post)
        rows = self.answers.get(post.path, [self.otherwise])
        return rows.pop(0) if len(rows) > 1 else rows[0]
