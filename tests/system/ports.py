"""Ports for servers of tests. They are below those that the kernel draws for connections (ip_local_port_range), so that no connection
takes one before its server is there, or while it is away; free for TCP and UDP on 127.0.0.1 and ::1; each is given once."""

import random
import socket

FIRST, LAST = 10000, 19999
draw = random.SystemRandom()  # also in tests that seed theirs
given = set()


def is_free(port):
    sockets = []
    try:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                sockets.append(socket.socket(family, kind))
                sockets[-1].bind((address, port))
        return True
    except OSError:
        return False
    finally:
        for s in sockets:
            s.close()


def free_port():
    while True:
        port = draw.randint(FIRST, LAST)
        if port not in given and is_free(port):
            given.add(port)
            return port
