#!/bin/sh
# What busybox's udhcpc calls with each event of a lease: configures the interface, and writes the lease where and as
# klibc's ipconfig does, /run/net-IFACE.conf. Whoever answers DHCP chose the values: each is held against its form before
# it is used, and what is written is quoted.
umask 022

# One line that a pattern matches as a whole.
is() { [ "$(printf %s "$1" | wc -l)" -eq 0 ] && printf '%s\n' "$1" | grep -Eqx "$2"; }
octet='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
address="($octet\.){3}$octet"
length='([12]?[0-9]|3[0-2])'
is_address() { is "$1" "$address"; }
addresses() { for one in $1; do is_address "$one" && echo "$one"; done; }
# For between single quotes, without what acts on a terminal.
plain() { printf %s "$1" | tr -d "'\\\\\000-\037\177" | cut -c1-1024; }

# A gateway may lie outside of the network of a machine in a cloud.
route() {
  ip route add "$1" via "$2" dev "$interface" metric "$3" 2>/dev/null && return
  ip route add "$2" dev "$interface" scope link && ip route add "$1" via "$2" dev "$interface" metric "$3"
}

configure() {
  is "$mtu" '[1-9][0-9]{2,4}' && ip link set "$interface" mtu "$mtu"
  ip addr flush dev "$interface"
  ip addr add "$ip/$mask" broadcast + dev "$interface" || exit 1
  metric=1
  if [ -n "$staticroutes" ]; then
    # RFC 3442: who sends these routes means no others.
    set -- $staticroutes
    while [ $# -ge 2 ]; do
      is "$1" "$address/$length" && is_address "$2" && route "$1" "$2" $metric
      shift 2
    done
  else
    for gateway in $(addresses "$router"); do
      route default "$gateway" $metric
      metric=$((metric + 1))
    done
  fi
}

lease() {
  echo "DEVICE='$interface'"
  echo "PROTO='dhcp'"
  echo "IPV4ADDR='$ip'"
  for gateway in $(addresses "$router"); do
    echo "IPV4GATEWAY='$gateway'"
    break
  done
  number=0
  for server in $(addresses "$dns"); do
    echo "IPV4DNS$number='$server'"
    number=$((number + 1))
  done
  echo "HOSTNAME='$(plain "$hostname")'"
  echo "DNSDOMAIN='$(plain "$domain")'"
  echo "filename='$(plain "${bootfile:-$boot_file}")'"
}

case $1 in
deconfig)
  ip addr flush dev "$interface"
  ip link set "$interface" up
  ;;
bound | renew)
  is_address "$ip" || exit 1
  is "$mask" "$length" || mask=24
  configure
  lease >"/run/.net-$interface.conf" && mv "/run/.net-$interface.conf" "/run/net-$interface.conf"
  ;;
esac
exit 0
