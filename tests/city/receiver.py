#!/usr/bin/env python3
"""Whom the city's notices reach: takes the webhook of Alertmanager and writes each one down.

usage: receiver.py PORT FILE      a line per notice: audience, incident, status and words, as JSON
"""

import http.server
import json
import signal
import sys


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(sys.argv[2], "a", encoding="utf-8") as f:
            for alert in told["alerts"]:
                f.write(json.dumps({"key": self.headers["Idempotency-Key"], "status": alert["status"], **alert["labels"],
                                    "title": alert["annotations"]["summary"]}, ensure_ascii=False) + "\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    open(sys.argv[2], "a", encoding="utf-8").close()  # whoever started this sees that it serves
    server.serve_forever()
