#!/usr/bin/env python3
"""Makes sample.csv: addresses of clients all over the world, with the country of each.

    pip install maxminddb
    python3 src/cli/demo/sample.py

The countries are read here, by another reader than Rhumb's, so that the demo compares answers with
something that Rhumb did not compute. Needed again only after geoip/country.mmdb was replaced.
"""

import collections
import ipaddress
import pathlib
import random

import maxminddb

HERE = pathlib.Path(__file__).parent
DATABASE = HERE.parents[2] / "geoip" / "country.mmdb"
# Addresses of each country: more where more people are online, at least one of many.
MANY = {
    8: "US IN",
    7: "DE GB BR JP",
    6: "FR CN ID",
    5: "IT ES MX KR CA AU NG",
    4: "PL NL TR PH VN TH AR ZA EG SE",
    3: "IE CH AT BE CZ PT RO UA GR DK FI NO HU MY SG TW HK PK BD KE MA CO CL PE SA AE IL NZ",
    2: """BG HR RS SK SI LT LV EE IS LU DZ TN GH ET TZ UG SN CI CM AO EC VE UY BO PY CR PA GT DO CU
          IQ KZ UZ LK NP MM KH QA KW JO LB OM MN""",
    1: """CY MT AL BA MK MD BY GE AM AZ RW MZ ZM ZW BW NA MG MU ML BF SD LY CD SV HN NI JM TT HT BS
          PG FJ LA BN AF BH GA BJ TG NE""",
}
# One in so many addresses is IPv6.
IPV6_EVERY = 6


def networks():
    by_country = collections.defaultdict(lambda: {4: [], 6: []})
    reader = maxminddb.open_database(str(DATABASE), maxminddb.MODE_MEMORY)
    for network, record in reader:
        country = record.get("country_code")
        if not network.is_global or not country:
            continue
        # The tree has every IPv4 network again inside of IPv6.
        if network.version == 6 and network.network_address < ipaddress.ip_address("2000::"):
            continue
        by_country[country][network.version].append(network)
    return reader, by_country


def draw(rng, choices):
    network = rng.choice(choices)
    offset = rng.randrange(network.num_addresses)
    return network[offset]


def main():
    rng = random.Random(20261120)
    reader, by_country = networks()
    rows = []
    for count, codes in MANY.items():
        for code in codes.split():
            for _ in range(count):
                wanted = 6 if len(rows) % IPV6_EVERY == IPV6_EVERY - 1 else 4
                choices = by_country[code][wanted] or by_country[code][4]
                # The largest networks are where most clients are.
                choices = sorted(choices, key=lambda n: n.prefixlen)[: max(8, len(choices) // 10)]
                while True:
                    address = draw(rng, choices)
                    if address.is_global and address not in {row[0] for row in rows}:
                        break
                assert reader.get(str(address))["country_code"] == code
                rows.append((address, code))
    rng.shuffle(rows)
    with open(HERE / "sample.csv", "w", encoding="ascii") as file:
        file.write("# Addresses of clients, drawn at random from the networks of geoip/country.mmdb, with the\n")
        file.write("# country that the database gives them (see geoip/README.md for its origin and licence).\n")
        file.write("# Made by sample.py, which reads it with Python's maxminddb.\n")
        for address, code in rows:
            file.write(f"{address},{code}\n")
    print(len(rows), "addresses of", sum(len(codes.split()) for codes in MANY.values()), "countries")


if __name__ == "__main__":
    main()
