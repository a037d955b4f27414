#!/usr/bin/env python3
"""Makes the test data of src/geo: independent readings and small databases of other schemas.

    pip install maxminddb mmdb_writer
    python3 src/geo/testdata/make.py

Needed again only after geoip/country.mmdb was replaced (for country.csv) or a schema was added.
cities.csv is not made here; its first lines say what it is.
"""

import ipaddress
import pathlib
import random

import maxminddb
from mmdb_writer import MMDBWriter, MmdbF32, MmdbF64, MmdbU32
from netaddr import IPSet

HERE = pathlib.Path(__file__).parent
COUNTRY = HERE.parents[2] / "geoip" / "country.mmdb"
WELL_KNOWN = """
1.1.1.1 8.8.8.8 9.9.9.9 193.0.6.139 1.0.0.0 223.255.255.255 126.255.255.255 100.63.255.255
100.128.0.0 172.32.0.0 192.167.255.255 2001:4860:4860::8888 2606:4700:4700::1111 2620:fe::fe
2001:67c:2e8:22::c100:68b 2000:: 3ffe:ffff::
""".split()


def readings():
    """One address of every country, and random ones: v4 anywhere, v6 in known networks."""
    rng = random.Random(20260617)
    reader = maxminddb.open_database(str(COUNTRY), maxminddb.MODE_MEMORY)
    by_country, v6 = {}, []
    for network, record in reader:
        if network.version == 6 and network.network_address < ipaddress.ip_address("2000::"):
            continue
        # AN was withdrawn in 2010 and is not in the table of countries.
        if record["country_code"] != "AN":
            by_country.setdefault(record["country_code"], []).append(network)
        if network.version == 6:
            v6.append(network)

    def address_in(network):
        first, last = int(network[0]), int(network[-1])
        number = rng.choice([first, last, rng.randint(first, last)])
        return network.network_address.__class__(number)

    chosen = [ipaddress.ip_address(text) for text in WELL_KNOWN]
    chosen += [address_in(rng.choice(networks)) for _, networks in sorted(by_country.items())]
    chosen += [address_in(network) for network in rng.sample(v6, 150)]
    while len(chosen) < 700:
        chosen.append(ipaddress.IPv4Address(rng.randrange(1 << 24, 224 << 24)))
    with open(HERE / "country.csv", "w", encoding="utf-8") as out:
        out.write("# address,country as the Python package maxminddb reads geoip/country.mmdb\n")
        out.write(f"# build_epoch={reader.metadata().build_epoch}\n")
        for address in chosen:
            if address.is_global:
                record = reader.get(address) or {"country_code": ""}
                out.write(f"{address},{record['country_code']}\n")


def database(name, kind, records, **options):
    writer = MMDBWriter(
        ip_version=6, ipv4_compatible=True, database_type=kind, description={"en": "test"}, **options
    )
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(HERE / name))


def schemas():
    database("maxmind-city.mmdb", "GeoLite2-City", {
        "81.2.69.0/24": {
            "city": {"geoname_id": MmdbU32(2643743), "names": {"en": "London", "de": "London"}},
            "continent": {"code": "EU"},
            "country": {"geoname_id": MmdbU32(2635167), "iso_code": "GB"},
            "registered_country": {"iso_code": "US"},
            "location": {
                "accuracy_radius": MmdbU32(10),
                "latitude": MmdbF64(51.5142),
                "longitude": MmdbF64(-0.0931),
                "time_zone": "Europe/London",
            },
            "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}, {"iso_code": "LND"}],
        },
        "2001:4860::/32": {
            "country": {"iso_code": "US"},
            "subdivisions": [{"names": {"en": "nameless"}}],
        },
        "5.5.0.0/16": {"registered_country": {"iso_code": "SE"}},
        "5.6.0.0/16": {"country": {"iso_code": "EU"}, "registered_country": {"iso_code": "NL"}},
        "5.7.0.0/16": {"location": {"latitude": MmdbF64(0.0), "longitude": MmdbF64(0.0)},
                       "country": {"iso_code": "KE"}},
        "5.8.0.0/16": {"location": {"latitude": MmdbF64(91.0), "longitude": MmdbF64(0.5)},
                       "country": {"iso_code": "KE"}},
        "5.9.0.0/16": {"location": {"latitude": MmdbF64(1.5), "longitude": MmdbF64(2.5)}},
        "5.10.0.0/16": {"traits": {"is_anonymous_proxy": True}},
        "5.11.0.0/16": {"country": "nonsense", "location": [], "subdivisions": {"a": "b"}},
    }, float_type="f64")
    database("maxmind-asn.mmdb", "GeoLite2-ASN", {
        "1.1.1.0/24": {"autonomous_system_number": MmdbU32(13335),
                       "autonomous_system_organization": "Cloudflare"},
        "2a00::/16": {"autonomous_system_number": MmdbU32(4200000001)},
        "5.5.0.0/16": {"autonomous_system_organization": "no number"},
        "5.6.0.0/16": {"autonomous_system_number": MmdbU32(0)},
    })
    database("flat-city.mmdb", "city", {
        "81.2.69.0/24": {"country_code": "GB", "state1": "England", "city": "London",
                         "latitude": MmdbF32(51.5), "longitude": MmdbF32(-0.125)},
        "5.5.0.0/16": {"country_code": "CH", "state1": "Zug", "latitude": MmdbF32(47.25),
                       "longitude": MmdbF32(8.5)},
        "5.6.0.0/16": {"country_code": "US", "state1": "CA"},
    })
    database("ipinfo.mmdb", "ipinfo generic_location.mmdb", {
        "81.2.69.0/24": {"country": "GB", "region": "England", "region_code": "ENG",
                         "lat": "51.50853", "lng": "-0.12574", "city": "London", "asn": "AS20712"},
        "5.5.0.0/16": {"country": "Sweden", "country_code": "SE", "asn": "AS1257",
                       "continent_code": "EU"},
        "5.6.0.0/16": {"country": "NL", "loc": "52.3740,4.8897", "asn": ""},
        "5.7.0.0/16": {"country": "", "lat": "", "lng": "", "asn": "ASx"},
    })


readings()
schemas()
