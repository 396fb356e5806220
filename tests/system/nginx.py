"""One nginx for a test: server blocks on ports of both loopback addresses, in the foreground, ended by its pid."""

import os
import shutil
import socket
import subprocess
import time

from ports import free_port

BINARY = shutil.which("nginx") or "/usr/sbin/nginx"
CONFIG = """
daemon off; master_process off; error_log {folder}/error.log info; pid {folder}/pid;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; server_tokens off;
{servers}
}}
"""


class Nginx:
    def __init__(self, folder):
        self.folder, self.servers, self.process = folder, [], None

    def server(self, body, tls=""):
        """Adds a server block; its port."""
        port = free_port()
        word = "ssl" if tls else ""
        self.servers.append(f"server {{ listen 127.0.0.1:{port} {word}; listen [::1]:{port} {word}; {tls}\n{body} }}")
        return port

    def start(self):
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(folder=self.folder, servers="\n".join(self.servers)))
        self.process = subprocess.Popen([BINARY, "-c", path, "-p", self.folder, "-e", os.path.join(self.folder, "error.log")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        port = int(self.servers[-1].split("127.0.0.1:")[1].split()[0])
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError("nginx: " + self.process.stderr.read())
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("nginx does not listen")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process.stderr.close()
