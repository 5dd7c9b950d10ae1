"""Hosts of URLs by which nobody outside may reach this machine or its networks.

Each stands as some URL parser, resolver or socket reads it: whoever connects where a customer or a
user says (callbacks, links of media) is tried with all of them.
"""

from __future__ import annotations

_THIS_HOST = """
127.0.0.1 127.1 127.0.1 2130706433 017700000001 0177.0.0.1 0177.0.0.01 00000177.1 0x7f000001
0x7f.0.0.1 0x7f.1 0X7F.0x0.0x0.0x1 127.0.0.1. 127.000.000.001 127.0.0.0x1 127.255.255.254
4294967297 0 0.0.0.0 0x0 00000000 0.1.2.3
localhost LOCALHOST localhost. LOCALHOST. a.localhost a.b.LocalHost.
%31%32%37.0.0.1 user@127.0.0.1 u:p@127.0.0.1 127.0.0.2@127.0.0.1 public.example@127.0.0.1
public.example:443@127.0.0.1 public.example%40127.0.0.1 public.example%23@127.0.0.1 a:b@[::1]
"""
_IPV6 = """
[::1] [::] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::1%25lo]
[::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::ffff:169.254.169.254]
[::127.0.0.1] [2002:7f00:1::] [2002:7f00:0001::1] [2002:a9fe:a9fe::1]
[64:ff9b::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b:1::7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::1]
[fe80::1] [fe80::1%25lo] [fec0::1] [fc00::1] [fd00::1] [fd00:ec2::254] [ff02::1]
"""
# Private, shared, link-local, metadata, multicast, reserved, broadcast, test networks.
_NETWORKS = """
10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 192.168.1.1 100.64.0.1 169.254.169.254
169.254.169.254. 2852039166 0xa9fea9fe 224.0.0.1 240.0.0.1 255.255.255.255 192.0.0.1 192.0.2.1
192.88.99.1 198.18.0.1 198.51.100.7 203.0.113.1
"""
# localhost and 127.0.0.1 in letters and digits that IDNA reads as the usual ones.
_OTHER_LETTERS = """
\u24db\u24deca\u24dbhost \uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54
\uff11\uff12\uff17.0.0.1 127\u30020\u30020\u30021 127\uff610\uff610\uff611
\u2460\u2461\u2466.0.0.1 0\uff387f.1
"""
PLAIN = [*_THIS_HOST.split(), *_IPV6.split(), *_NETWORKS.split(), *_OTHER_LETTERS.split()]
# What only a resolver makes an address of: a URL that names them is refused at the connection.
AT_THE_RESOLVER = ["127.0.0.1%00", "127.0.0.1%2e", "127.0.0.1%2f", "loc%61lhost"]
HOSTS = [*PLAIN, *AT_THE_RESOLVER]
