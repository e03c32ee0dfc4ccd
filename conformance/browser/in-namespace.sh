#!/bin/sh
# Runs a command in a network namespace of its own, with a loopback and one more address (10.99.0.1), a default
# route, and no way out. The namespace is gone when the command ends. Works as root or, where the system allows it,
# as anyone.
set -e
[ "$#" -gt 0 ] || { echo "usage: $0 command [argument...]" >&2; exit 2; }
if [ "$(id -u)" = 0 ]; then own=; else own="--user --map-root-user"; fi
exec unshare $own --net sh -ec '
  ip link set lo up
  # A pair of virtual links with nobody at the far end: browsers want an address that is not loopback, and names of
  # the kind something.local are asked for by multicast, which wants a route.
  ip link add outside type veth peer name nowhere
  # No IPv6 addresses that come of themselves: they arrive seconds later, and a browser then drops what it was loading.
  ip link set outside addrgenmode none
  ip link set nowhere addrgenmode none
  ip address add 10.99.0.1/24 dev outside
  ip link set outside up
  ip link set nowhere up
  ip route add default dev outside
  exec "$@"
' sh "$@"
