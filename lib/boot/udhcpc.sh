#!/bin/sh
# What busybox's udhcpc executes once it has a lease: configures the interface, and writes the lease where and as klibc's
# ipconfig does, /run/net-IFACE.conf. Whoever answers DHCP chose the values: one that is not of its form is left out.
# The shell does all of that by itself, because each program that it starts takes time.
umask 022
LC_ALL=C

# A decimal number up to another one.
is_number() {
  case $1 in '' | *[!0-9]* | 0?* | ??????*) return 1 ;; esac
  [ "$1" -le "$2" ]
}

is_address() {
  case $1 in *[!0-9.]* | *. | '') return 1 ;; esac
  rest=$1 count=0
  while [ -n "$rest" ]; do
    is_number "${rest%%.*}" 255 || return 1
    count=$((count + 1))
    case $rest in *.*) rest=${rest#*.} ;; *) rest= ;; esac
  done
  [ $count -eq 4 ]
}

is_network() { is_address "${1%/*}" && is_number "${1##*/}" 32; }

# A gateway may lie outside of the network of a machine in a cloud.
route() {
  ip route add "$1" via "$2" dev "$interface" metric "$3" 2>/dev/null && return
  ip route add "$2" dev "$interface" && ip route add "$1" via "$2" dev "$interface" metric "$3"
}

# The addresses of a list, as values of NAME0, NAME1 …
addresses() {
  number=0
  for one in $2; do
    is_address "$one" || continue
    echo "$1$number='$one'"
    number=$((number + 1))
  done
}

# Nothing in it acts on a shell or a terminal.
text() {
  case $2 in '' | *[!A-Za-z0-9._~:/?#@!\$\&\(\)*+,\;=%[\]-]*) return ;; esac
  [ ${#2} -le 4096 ] && echo "$1='$2'"
}

[ "$1" = bound ] || exit 0
# Names in what was sent are no patterns.
set -f
is_address "$ip" || exit 1
is_number "$mask" 32 || mask=24
is_number "$mtu" 65535 && ip link set "$interface" mtu "$mtu"
ip addr add "$ip/$mask" broadcast + dev "$interface" || exit 1
metric=1
if [ -n "$staticroutes" ]; then
  # RFC 3442: these are all routes that there are.
  set -- $staticroutes
  while [ $# -ge 2 ]; do
    is_network "$1" && is_address "$2" && route "$1" "$2" $metric
    shift 2
  done
else
  for gateway in $router; do
    is_address "$gateway" && route default "$gateway" $metric
    metric=$((metric + 1))
  done
fi
{
  echo "DEVICE='$interface'"
  echo "PROTO='dhcp'"
  echo "IPV4ADDR='$ip'"
  for gateway in $router; do
    is_address "$gateway" && echo "IPV4GATEWAY='$gateway'" && break
  done
  addresses IPV4DNS "$dns"
  text HOSTNAME "$hostname"
  text DNSDOMAIN "$domain"
  text filename "${bootfile:-$boot_file}"
} >"/run/net-$interface.conf"
