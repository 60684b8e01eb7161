#!/usr/bin/env python3
"""Merges the recordings of record.sh, one per VM and direction, into one pcapng file.

Interfaces are vm-a, vm-b, vm-c; each packet carries its direction (epb_flags, bits 0-1: 1 inbound,
2 outbound) and a timestamp in nanoseconds.
Usage: merge.py OUTPUT DIRECTORY
"""
import pathlib
import struct
import subprocess
import sys

VMS = ["vm-a", "vm-b", "vm-c"]
INBOUND, OUTBOUND = 1, 2


def pcap_packets(path):
    data = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert magic == 0xA1B23C4D and link == 1, f"{path}: not a nanosecond Ethernet pcap"
    at = 24
    while at + 16 <= len(data):
        seconds, nanos, kept, length = struct.unpack_from("<IIII", data, at)
        assert kept == length, f"{path}: packet cut to {kept} of {length} bytes"
        yield seconds * 10**9 + nanos, data[at + 16 : at + 16 + kept]
        at += 16 + kept


def pad(data):
    return data + bytes(-len(data) % 4)


def option(code, value):
    return struct.pack("<HH", code, len(value)) + pad(value)


def block(kind, body):
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def main():
    output, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    packets = []
    for number, vm in enumerate(VMS):
        for name, direction in (("in", INBOUND), ("out", OUTBOUND)):
            for time, frame in pcap_packets(directory / f"{vm}.{name}.pcap"):
                packets.append((time, number, direction, frame))
    packets.sort(key=lambda packet: packet[0])

    # Times count from the first packet: nothing in the file depends on when it was recorded.
    start = packets[0][0]
    end_of_options = struct.pack("<HH", 0, 0)
    tcpdump = subprocess.run(["tcpdump", "--version"], capture_output=True, text=True)
    application = (tcpdump.stdout + tcpdump.stderr).splitlines()[0]
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
                + option(4, application.encode()) + end_of_options)
    for vm in VMS:
        out += block(1, struct.pack("<HHI", 1, 0, 0)
                     + option(2, vm.encode()) + option(9, bytes([9])) + end_of_options)
    for time, number, direction, frame in packets:
        ticks = time - start
        out += block(6, struct.pack("<IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
                     + pad(frame) + option(2, struct.pack("<I", direction)) + end_of_options)
    output.write_bytes(out)
    print(f"{output}: {len(packets)} packets, {len(out)} bytes")


main()
