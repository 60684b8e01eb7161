#!/usr/bin/env bash
# Records traffic.pcapng: real programs in three network namespaces that stand for VMs.
#
#   vm-a 10.0.0.10 ──┐                                   gateway 10.0.1.1
#                    ├─ bridge in `rt`, gateway 10.0.0.1 ─── rt ─── vm-c 10.0.1.30
#   vm-b 10.0.0.20 ──┘
#
# Needs root, iproute2, ethtool, tcpdump, dnsmasq, dig, nginx, curl, iperf3, traceroute, ping, python3.
# Usage: record.sh [OUTPUT]
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/traffic.pcapng}
work=$(mktemp -d)
chmod a+rx "$work"
namespaces=(vm-a vm-b vm-c rt)
pids=()

cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for ns in "${namespaces[@]}"; do ip netns del "fnrec-$ns" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

in_ns() { ip netns exec "fnrec-$1" "${@:2}"; }
background() { ip netns exec "fnrec-$1" "${@:2}" & pids+=($!); }

for ns in "${namespaces[@]}"; do
    ip netns add "fnrec-$ns"
    # No link-local addresses of VMs and no duplicate detection: the capture holds what programs caused.
    in_ns "$ns" sysctl -qw net.ipv6.conf.default.addr_gen_mode=1 net.ipv6.conf.default.accept_dad=0 \
        net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.all.forwarding=0
    in_ns "$ns" ip link set lo up
done
# A router needs link-local addresses for its neighbour solicitations.
in_ns rt sysctl -qw net.ipv6.conf.default.addr_gen_mode=0 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.send_redirects=0

# Sizes and checksums as on a wire: nothing is left to hardware that is not there.
no_offloads() { in_ns "$1" ethtool -K "$2" tso off gso off gro off tx off rx off >/dev/null; }

attach() { # namespace, its MAC, name of the router's end
    ip link add eth0 netns "fnrec-$1" address "$2" mtu 1450 type veth peer name "$3" netns fnrec-rt
    in_ns rt ip link set "$3" mtu 1450 up
    no_offloads "$1" eth0
    no_offloads rt "$3"
}
attach vm-a 02:00:00:00:00:0a to-a
attach vm-b 02:00:00:00:00:14 to-b
attach vm-c 02:00:00:00:00:1e to-c
in_ns rt ip link add br0 address 02:00:5e:00:00:01 mtu 1450 type bridge mcast_snooping 0
in_ns rt ip link set to-a master br0
in_ns rt ip link set to-b master br0
in_ns rt ip link set br0 up
in_ns rt ip link set to-c down
in_ns rt ip link set to-c address 02:00:5e:00:00:02 up

address() { # namespace, device, IPv4, IPv6
    in_ns "$1" ip addr add "$3" dev "$2"
    in_ns "$1" ip addr add "$4" dev "$2" nodad
    in_ns "$1" ip link set "$2" up
}
address rt br0 10.0.0.1/24 fd00:0:0:1::1/64
address rt to-c 10.0.1.1/24 fd00:0:0:2::1/64
address vm-a eth0 10.0.0.10/24 fd00:0:0:1::a/64
address vm-b eth0 10.0.0.20/24 fd00:0:0:1::14/64
address vm-c eth0 10.0.1.30/24 fd00:0:0:2::1e/64
for vm in vm-a vm-b; do
    in_ns $vm ip route add default via 10.0.0.1
    in_ns $vm ip route add default via fd00:0:0:1::1
done
in_ns vm-c ip route add default via 10.0.1.1
in_ns vm-c ip route add default via fd00:0:0:2::1

# Servers on b and c.
mkdir "$work/www"
base64 -w 76 <(head -c 45000 /dev/urandom) >"$work/www/page.txt"
echo "a small page" >"$work/www/index.html"
for vm in vm-b vm-c; do
    cat >"$work/nginx-$vm.conf" <<CONF
daemon off; worker_processes 1; pid $work/nginx-$vm.pid; error_log $work/nginx-$vm.log;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $work/$vm-body; proxy_temp_path $work/$vm-proxy; fastcgi_temp_path $work/$vm-f;
    uwsgi_temp_path $work/$vm-u; scgi_temp_path $work/$vm-s;
    server { listen 80; listen [::]:80; root $work/www; }
}
CONF
    background $vm nginx -c "$work/nginx-$vm.conf" -e "$work/nginx-$vm.log"
    background $vm iperf3 -s &>/dev/null
done
chmod -R a+rX "$work"
background vm-b dnsmasq --no-daemon --no-resolv --no-hosts --conf-file=/dev/null --log-facility="$work/dns.log" \
    --user=root --listen-address=10.0.0.20,fd00:0:0:1::14 --bind-interfaces \
    --address=/web.example/10.0.0.20 --address=/web.example/fd00:0:0:1::14 --address=/app.example/10.0.1.30 \
    --txt-record=long.example,"$(head -c 180 /dev/zero | tr '\0' x)" 2>/dev/null
sleep 2

# One recording per VM and direction: the direction is not in tcpdump's file format.
for vm in vm-a vm-b vm-c; do
    for direction in in out; do
        background $vm tcpdump -i eth0 -Q $direction --time-stamp-precision=nano -U -B 8192 -s 0 \
            -w "$work/$vm.$direction.pcap" 2>/dev/null
    done
done
sleep 2
for vm in vm-a vm-b vm-c; do in_ns $vm ip neigh flush all; done
in_ns rt ip neigh flush all

A=10.0.0.10 B=10.0.0.20 C=10.0.1.30 B6=fd00:0:0:1::14 C6=fd00:0:0:2::1e
quietly() { "$@" >/dev/null 2>&1 || true; }

# Reachability: one subnet, two subnets, both IP versions.
quietly in_ns vm-a ping -c 4 -i 0.2 $B
quietly in_ns vm-a ping -c 4 -i 0.2 $B6
quietly in_ns vm-a ping -c 4 -i 0.2 $C
quietly in_ns vm-a ping -c 4 -i 0.2 $C6
quietly in_ns vm-c ping -c 3 -i 0.2 $A
# Larger than the MTU: fragments.
quietly in_ns vm-a ping -c 2 -i 0.2 -s 4000 $B
quietly in_ns vm-a ping -c 2 -i 0.2 -s 3000 $B6
quietly in_ns vm-b ping -c 1 -s 3000 $C
# Names.
for name in web.example app.example missing.example; do quietly in_ns vm-a dig +tries=1 +time=2 @$B $name A; done
quietly in_ns vm-a dig +tries=1 +time=2 @$B web.example AAAA
quietly in_ns vm-a dig +tries=1 +time=2 @$B6 web.example AAAA
quietly in_ns vm-a dig +tries=1 +time=2 +tcp @$B long.example TXT
quietly in_ns vm-c dig +tries=1 +time=2 @$B web.example A
# Pages, small and large.
quietly in_ns vm-a curl -s --max-time 5 http://$B/
quietly in_ns vm-a curl -s --max-time 5 http://$B/page.txt
quietly in_ns vm-a curl -s --max-time 5 "http://[$B6]/page.txt"
quietly in_ns vm-a curl -s --max-time 5 http://$C/page.txt
quietly in_ns vm-a curl -s --max-time 5 "http://[$C6]/"
quietly in_ns vm-c curl -s --max-time 5 http://$B/missing
# Throughput, short.
quietly in_ns vm-a iperf3 -c $B --repeating-payload -n 64K -l 8K
quietly in_ns vm-a iperf3 -c $C --repeating-payload -u -b 400K -l 1000 -t 1
quietly in_ns vm-c iperf3 -c $B6 --repeating-payload -n 32K -l 8K
# Refusals: closed ports, hop limit.
quietly in_ns vm-a curl -s --max-time 2 http://$B:9999/
quietly in_ns vm-a curl -s --max-time 2 "http://[$C6]:9999/"
quietly in_ns vm-b curl -s --max-time 2 http://$A:9999/
quietly in_ns vm-a traceroute -n -q 1 -w 1 -m 2 $C
quietly in_ns vm-a traceroute -n -q 1 -w 1 -m 1 $B
quietly in_ns vm-a traceroute -6 -n -q 1 -w 1 -m 2 $C6
quietly in_ns vm-a traceroute -6 -n -q 1 -w 1 -m 1 $B6
sleep 1

for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
wait 2>/dev/null || true
pids=()
python3 "$here/merge.py" "$output" "$work"
