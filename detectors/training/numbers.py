"""Numbers, dates and addresses in the shapes that documents write them, with check digits where the kind has one."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from functools import cache
from typing import Any

from faker import Faker

MONTHS = "January February March April May June July August September October November December".split()


@cache
def _faker() -> Any:
    return Faker("en_US")


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choice(string.digits) for _ in range(count))


def _letters(chance: random.Random, count: int) -> str:
    return "".join(chance.choice(string.ascii_uppercase) for _ in range(count))


def _from_faker(method: str) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        faker = _faker()
        faker.seed_instance(chance.getrandbits(40))
        return str(getattr(faker, method)())

    return make


def _ssn(chance: random.Random) -> str:
    area = chance.choice([number for number in range(1, 900) if number != 666])
    join = chance.choice(["-", "-", "-", " ", ""])
    return join.join([f"{area:03d}", f"{chance.randrange(1, 100):02d}", f"{chance.randrange(1, 10_000):04d}"])


def _date(chance: random.Random, first: int = 2019, last: int = 2027) -> str:
    day, month, year = chance.randrange(1, 29), chance.randrange(1, 13), chance.randrange(first, last)
    return chance.choice([
        f"{month}/{day}/{year}", f"{month:02d}/{day:02d}/{year % 100:02d}", f"{MONTHS[month - 1]} {day}, {year}",
        f"{day} {MONTHS[month - 1]} {year}",
        f"{year}-{month:02d}-{day:02d}", f"{day:02d}.{month:02d}.{year}", f"{MONTHS[month - 1][:3]} {day}",
        f"{day} {MONTHS[month - 1][:3]}",
        f"{month}/{day}",
    ])  # fmt: skip


def _birth(chance: random.Random) -> str:
    day, month, year = chance.randrange(1, 29), chance.randrange(1, 13), chance.randrange(1932, 2024)
    return chance.choice(
        [
            f"{month:02d}/{day:02d}/{year}",
            f"{day} {MONTHS[month - 1]} {year}",
            f"{MONTHS[month - 1]} {day}, {year}",
            f"{month}/{day}/{year % 100:02d}",
            f"{year}-{month:02d}-{day:02d}",
        ]
    )


def _time(chance: random.Random) -> str:
    hour, minute = chance.randrange(24), chance.choice([0, 5, 10, 15, 20, 30, 40, 45, 50])
    return chance.choice(
        [
            f"{hour:02d}:{minute:02d}",
            f"{hour:02d}{minute:02d}",
            f"{hour % 12 or 12}:{minute:02d} {'am' if hour < 12 else 'pm'}",
            f"{hour % 12 or 12} {'am' if hour < 12 else 'pm'}",
        ]
    )


def _phone(chance: random.Random) -> str:
    area, end = chance.randrange(201, 990), f"01{chance.randrange(100):02d}"
    return chance.choice(
        [f"({area}) 555-{end}", f"{area}-555-{end}", f"{area}.555.{end}", f"+1 {area} 555 {end}", f"555-{end}", f"{area} 555 {end}"]
    )


def _luhn(body: str) -> str:
    total = 0
    for index, character in enumerate(reversed(body + "0")):
        number = int(character) * (1 + index % 2)
        total += number - 9 if number > 9 else number
    return body + str(-total % 10)


def _card(chance: random.Random) -> str:
    digits = _luhn(chance.choice(["4", "51", "52", "55"]).ljust(6, "2") + _digits(chance, 9))
    return chance.choice(
        [digits, " ".join(digits[i : i + 4] for i in range(0, 16, 4)), "-".join(digits[i : i + 4] for i in range(0, 16, 4))]
    )


def _routing(chance: random.Random) -> str:
    body = f"{chance.randrange(1, 13):02d}" + _digits(chance, 6)
    total = sum(int(digit) * weight for digit, weight in zip(body, (3, 7, 1) * 3, strict=False))
    return body + str(-total % 10)


def _amount(low: float, high: float) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        value = low * (high / low) ** chance.random()
        symbol = chance.choice(["$", "$", "$", "$", "", "£", "€", "USD "])
        return symbol + chance.choice([f"{value:,.2f}", f"{value:,.0f}", f"{round(value, -2):,.0f}", f"{value:.2f}"])

    return make


def _percent(chance: random.Random) -> str:
    return chance.choice(
        [
            f"{chance.uniform(0.5, 60):.1f}%",
            f"{chance.randrange(1, 100)}%",
            f"{chance.uniform(1, 30):.2f}%",
            f"{chance.randrange(2, 60)} percent",
        ]
    )


def _coded(*shapes: str) -> Callable[[random.Random], str]:
    """`#` becomes a digit, `@` a capital letter."""

    def make(chance: random.Random) -> str:
        return "".join(
            chance.choice(string.digits) if c == "#" else chance.choice(string.ascii_uppercase) if c == "@" else c
            for c in chance.choice(shapes)
        )

    return make


def _number(low: int, high: int) -> Callable[[random.Random], str]:
    return lambda chance: str(chance.randrange(low, high))


def _street(chance: random.Random) -> str:
    faker = _faker()
    faker.seed_instance(chance.getrandbits(40))
    return str(faker.street_address()).replace("\n", " ")


CODENAMES = (
    "Bluefin Kestrel Saffron Tundra Halberd Mistral Obelisk Cinder Lodestar Pangolin Quartz Riptide Sundial Tamarack Vesper "
    "Wolverine Basalt Heron Juno Onyx Marlin Thistle Zephyr Cobalt"
).split()

MAKERS: dict[str, Callable[[random.Random], str]] = {
    "street": _street,
    "zip": _coded("#####", "#####", "#####-####"),
    "ssn": _ssn,
    "dob": _birth,
    "date": _date,
    "time": _time,
    "phone": _phone,
    "email": _from_faker("safe_email"),
    "mrn": _coded("#######", "########", "MRN-######", "@######", "##-##-##", "#####"),
    "account": _coded("##########", "########", "####-######", "###########", "@@########"),
    "last": _coded("####"),
    "card": _card,
    "iban": _from_faker("iban"),
    "routing": _routing,
    "policy": _coded("@@-#######", "POL-######", "########", "@##-###-####"),
    "loan": _coded("LN-#######", "##########", "####-####-##", "L######"),
    "member": _coded("@@@#########", "#########-##", "W#########", "###-##-#####"),
    "claim": _coded("CLM-#######", "##-######-##", "@#########"),
    "amount": _amount(20, 9_000),
    "bigamount": _amount(9_000, 900_000),
    "hugeamount": _amount(900_000, 900_000_000),
    "percent": _percent,
    "int": _number(2, 99),
    "bigint": _number(100, 20_000),
    "age": _number(1, 89),
    "year": _number(2015, 2029),
    "url": _from_faker("url"),
    "ip": _from_faker("ipv4"),
    "vin": _coded("1@@@@##@#@@######", "5@@@@##@#@@######"),
    "case": _coded("##-cv-#####", "#:##-CV-####", "CV####-######", "No. ##-####"),
    "code": _coded("@@-####", "@##-@@##", "####-@@", "@@@-##"),
    "project": lambda chance: chance.choice(CODENAMES),
}
"""By slot name without its number. amount: up to 9,000; bigamount: up to 900,000; hugeamount: up to 900 million."""
