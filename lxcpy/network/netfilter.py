"""One question to nf_tables without a process: nft takes 2.5 ms to answer it, netlink 0.1."""

import struct

SUBSYSTEM, GET_TABLE, TABLE_NAME = 10, 1, 1  # NFNL_SUBSYS_NFTABLES, NFT_MSG_*, NFTA_TABLE_*
NETLINK_NETFILTER = 12
REQUEST = 1  # NLM_F_REQUEST
ERROR = 2  # NLMSG_ERROR
FAMILY_IP = 2  # NFPROTO_IPV4
TIMEOUT_S = 5.0


def has_table(name: str) -> bool:
    """Whether the firewall has the table `ip NAME`; False as well when the kernel does not say.

    A message is nlmsghdr, nfgenmsg and one attribute (netlink(7), linux/netfilter/nf_tables.h).
    """
    import socket

    value = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(value), TABLE_NAME) + value
    body = struct.pack("=BBH", FAMILY_IP, 0, 0) + attribute + bytes(-len(attribute) % 4)
    head = struct.pack("=IHHII", 16 + len(body), SUBSYSTEM << 8 | GET_TABLE, REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
            netlink.settimeout(TIMEOUT_S)
            netlink.send(head + body)
            answer = netlink.recv(65536)
    except OSError:
        return False
    return len(answer) >= 16 and struct.unpack_from("=H", answer, 4)[0] != ERROR
