#!/usr/bin/env python3
"""Makes countries.csv: what the Python package maxminddb reads in geoip/country.mmdb.

    pip install maxminddb
    python3 tests/data/make.py

Needed again only after geoip/country.mmdb was replaced.
"""

import ipaddress
import pathlib
import random

import maxminddb

HERE = pathlib.Path(__file__).parent
COUNTRY = HERE.parents[1] / "geoip" / "country.mmdb"
COUNT = 10_000

rng = random.Random(20260618)
reader = maxminddb.open_database(str(COUNTRY), maxminddb.MODE_MEMORY)
first = ipaddress.ip_address("2000::")
v6 = [net for net, _ in reader if net.version == 6 and net.network_address >= first]
chosen = []
while len(chosen) < COUNT:
    if len(chosen) % 8:
        address = ipaddress.IPv4Address(rng.randrange(1 << 24, 224 << 24))
    else:
        network = rng.choice(v6)
        address = ipaddress.IPv6Address(rng.randint(int(network[0]), int(network[-1])))
    if address.is_global:
        chosen.append(address)
with open(HERE / "countries.csv", "w", encoding="utf-8") as out:
    out.write("# address,country as the Python package maxminddb reads geoip/country.mmdb\n")
    out.write(f"# build_epoch={reader.metadata().build_epoch}\n")
    for address in chosen:
        record = reader.get(address) or {"country_code": ""}
        out.write(f"{address},{record['country_code']}\n")
