"""Whose process listens at an address: Ray sends the token to whatever answers there.

`ray stop` leaves the file with the address of a cluster, and then another user of the machine may take its port.
"""

import ipaddress
import os
import socket
from ipaddress import IPv4Address, IPv6Address

import psutil


def is_another_users(address: str) -> bool:
    """Whether a process of another user listens at an address of this machine, `HOST:PORT`; at any one for `0.0.0.0`.

    False where that cannot be known: at an address of another machine, and on macOS.
    """
    host, _, port = address.rpartition(":")
    try:
        hosts = {_ip(str(info[4][0])) for info in socket.getaddrinfo(host.strip("[]"), None) if _is_local(info)}
        listeners = psutil.net_connections("tcp") if hosts else []
    except (OSError, ValueError, psutil.AccessDenied):
        return False
    return any(
        _is_foreign(listener.pid)
        for listener in listeners
        if listener.status == psutil.CONN_LISTEN and _is_reached(*listener.laddr, hosts=hosts, port=port)
    )


def _is_reached(host: str, at: int, *, hosts: set[IPv4Address | IPv6Address], port: str) -> bool:
    """Whether what listens here is reached at one of these hosts and this port."""
    ip = _ip(host)
    return str(at) == port and (ip in hosts or any(each.is_unspecified for each in (ip, *hosts)))


def _is_local(info: tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]) -> bool:
    with socket.socket(info[0], socket.SOCK_STREAM) as probe:
        try:
            probe.bind((info[4][0], 0))
        except OSError:
            return False
    return True


def _ip(text: str) -> IPv4Address | IPv6Address:
    ip = ipaddress.ip_address(text.partition("%")[0])
    return (ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip


def _is_foreign(pid: int | None) -> bool:
    """Whether a process is another user's; the system does not tell its id, except to root."""
    try:
        return pid is None or psutil.Process(pid).uids().effective != os.geteuid()
    except psutil.NoSuchProcess:
        return False
