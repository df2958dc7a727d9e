"""Invented people, firms and places."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from faker import Faker

# How often each culture comes up. Faker's locales that write in Latin letters; `own:` names a list below.
CULTURES = {
    "en_US": 30, "en_GB": 8, "en_IE": 3, "en_IN": 7, "en_NZ": 2, "en_PK": 4, "es_MX": 7, "es_ES": 3, "pt_BR": 3, "fr_FR": 4, "de_DE": 4,
    "it_IT": 3, "nl_NL": 3, "sv_SE": 2, "no_NO": 1, "da_DK": 1, "fi_FI": 1, "pl_PL": 3, "cs_CZ": 2, "ro_RO": 2, "hu_HU": 1, "hr_HR": 2,
    "tr_TR": 3, "vi_VN": 3, "id_ID": 2, "fil_PH": 2, "yo_NG": 2, "zu_ZA": 1, "tw_GH": 2, "lt_LT": 1,
    "own:chinese": 5, "own:korean": 3, "own:japanese": 3, "own:arabic": 4, "own:east_african": 2, "own:slavic": 3,
}  # fmt: skip
OWN = {
    "own:chinese": (
        "Wei Xiaoming Jing Mei Hao Lihua Yan Jun Qiang Xiu Feng Yuxuan Zihan Ling Bo Min Ying Guowei Shufen Meiling",
        "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo He Lin Gao Luo Cheng Cai Deng Tsai Kwok",
    ),
    "own:korean": (
        "Ji-hoon Min-jun Seo-yeon Ji-woo Hye-jin Sung-min Eun-ji Dong-hyun Soo-jin Young-ho Mi-sook Jae-won Hana Yuna Sang-woo",
        "Kim Lee Park Choi Jung Kang Cho Yoon Jang Lim Han Oh Seo Shin Kwon Hwang Ahn Song Hong",
    ),
    "own:japanese": (
        "Hiroshi Yuki Kenji Sakura Takeshi Naoko Haruto Aiko Satoshi Emi Ryo Kaori Daisuke Mika Shinji Yoko Kazuo Hina Noboru",
        (
            "Sato Suzuki Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi Kato Yoshida Yamada Sasaki Matsumoto "
            "Inoue Kimura Hayashi Mori"
        ),
    ),
    "own:arabic": (
        (
            "Mohammed Ahmed Fatima Aisha Omar Youssef Layla Hassan Khalid Noor Zainab Ibrahim Mariam Tariq Salma Hussein "
            "Rania Samir Amal Nadia"
        ),
        (
            "Al-Rashid Haddad Khoury El-Sayed Mansour Nasser Aziz Farouk Hakimi Bakri Saleh Darwish Al-Amin Qureshi Zaman "
            "Ismail Abdi Hamdan Sabbagh"
        ),
    ),
    "own:east_african": (
        "Wanjiru Kamau Achieng Otieno Abebe Selam Tesfaye Makena Juma Neema Amina Baraka Hirut Dawit Mwangi Njeri Zawadi Yonas",
        "Kiptoo Mwangi Odhiambo Wambui Gebremariam Tadesse Bekele Hailu Nyambura Kimani Omondi Mutua Tekle Haile Chepkemoi Njoroge",
    ),
    "own:slavic": (
        (
            "Oleksandr Iryna Dmytro Svitlana Sergei Natalia Yevgeny Tatiana Bogdan Ludmila Mikhail Oksana Vladimir "
            "Ekaterina Andriy Galina Stanislav"
        ),
        (
            "Shevchenko Kovalenko Bondarenko Ivanov Petrov Kuznetsov Popova Sokolova Melnyk Tkachenko Morozov Volkova "
            "Lebedev Novikov Zelenko Fedorov"
        ),
    ),
}
RARE_ENDINGS = (
    "worth",
    "ley",
    "mere",
    "stead",
    "quist",
    "bourne",
    "acre",
    "gard",
    "vik",
    "enko",
    "oglu",
    "escu",
    "ardo",
    "inen",
    "strand",
    "holm",
    "wick",
    "anova",
)
RARE_STARTS = (
    "Bram Thorn Quill Vost Oster Pell Marl Drav Kest Hollow Ash Wren Tarn Fenn Zell Ival Corm Ludd Brack Sorr Yar Nett Ode Umber Gast"
).split()


@dataclass(frozen=True, slots=True)
class Person:
    """A first and a last name."""

    first: str
    last: str


@cache
def _faker(locale: str) -> Any:
    return Faker(locale, use_weighting=False)


def person(chance: random.Random) -> Person:
    """Somebody from anywhere. One in twelve has a double name, and one in twelve a surname that is on no list."""
    culture = chance.choices(list(CULTURES), weights=list(CULTURES.values()))[0]
    if culture in OWN:
        firsts, lasts = (names.split() for names in OWN[culture])
        first, last = chance.choice(firsts), chance.choice(lasts)
    else:
        faker = _faker(culture)
        faker.seed_instance(chance.getrandbits(40))
        first, last = faker.first_name(), faker.last_name()
    if chance.random() < 1 / 12:
        last = chance.choice(RARE_STARTS) + chance.choice(RARE_ENDINGS)
    elif chance.random() < 1 / 12:
        last = f"{last}-{person(chance).last}"
    return Person(first.title() if first.isupper() else first, last)


TRADES = (
    "Logistics Foods Analytics Robotics Textiles Chemicals Motors Systems Biotech Software Partners Energy Instruments "
    "Packaging Freight Foundry Media Labs Materials Retail Aerospace Dairy Plastics Marine Optics Semiconductors"
).split()
FORMS = ("Inc.", "Inc", "LLC", "Ltd", "Corp.", "Co.", "GmbH", "plc", "Group", "Holdings", "& Sons", "")
WORDS = (
    "Alder Amber Apex Arden Beacon Birch Blue Ridge Bright Cedar Cobalt Copper Crescent Delta Ember Falcon Granite Harbor "
    "Helio Iron Juniper Keystone Lumen Maple Meridian Nimbus North Oak Onyx Orchard Pine Quarry Raven River Silver Sterling "
    "Summit Tidal Umbra Vale Vertex Willow Zenith"
).split()
PLACES = "Street Hill Valley Lake River Park Grove Point Creek Ridge".split()


def _surname(chance: random.Random) -> str:
    return person(chance).last


def company(chance: random.Random) -> str:
    """A firm."""
    pattern = chance.randrange(5)
    word, trade, form = chance.choice(WORDS), chance.choice(TRADES), chance.choice(FORMS)
    texts = (
        f"{word} {trade} {form}", f"{_surname(chance)} {trade} {form}", f"{word}{chance.choice(WORDS).lower()} {form}",
        f"{_surname(chance)} & {_surname(chance)} {form}", f"{word} {chance.choice(WORDS)} {trade}",
    )  # fmt: skip
    return texts[pattern].strip()


def hospital(chance: random.Random) -> str:
    """A hospital, clinic or practice."""
    saint = chance.choice(["St. Luke's", "St. Brigid's", "Mercy", "Sacred Heart", "St. Jude", "Good Shepherd", "Providence"])
    kind = chance.choice(
        [
            "Hospital",
            "Medical Center",
            "General Hospital",
            "Clinic",
            "Health",
            "Family Practice",
            "Surgery",
            "Health System",
            "Dental",
            "Infirmary",
        ]
    )
    return chance.choice(
        [
            f"{saint} {kind}",
            f"{city(chance)} {kind}",
            f"{chance.choice(WORDS)} {chance.choice(PLACES)} {kind}",
            f"{_surname(chance)} Memorial {kind}",
        ]
    )


def bank(chance: random.Random) -> str:
    """A bank, lender, insurer or credit union."""
    kind = chance.choice(
        [
            "Bank",
            "Credit Union",
            "Savings Bank",
            "Trust",
            "Mortgage",
            "Financial",
            "Federal Credit Union",
            "Building Society",
            "Insurance",
            "Lending",
        ]
    )
    first = chance.choice(
        [
            f"First {city(chance)}",
            f"{chance.choice(WORDS)} {chance.choice(PLACES)}",
            f"{city(chance)}",
            f"{_surname(chance)} National",
            f"{chance.choice(WORDS)}",
        ]
    )
    return f"{first} {kind}"


def law_firm(chance: random.Random) -> str:
    """A law firm."""
    a, b, c = (_surname(chance) for _ in range(3))
    return chance.choice(
        [f"{a} {b} LLP", f"{a}, {b} & {c}", f"{a} & {b} LLP", f"{a} Law Group", f"{a} {b} {c} PLLC", f"{a} & Partners", f"{a} Chambers"]
    )


def agency(chance: random.Random) -> str:
    """A public body."""
    return chance.choice(
        [
            f"{city(chance)} City Council",
            f"Department of {chance.choice(['Labor', 'Health', 'Revenue', 'Transportation', 'Education'])}",
            f"{city(chance)} Planning Board",
            "Federal Trade Commission",
            "Environmental Protection Agency",
            f"{state(chance)} Insurance Department",
        ]
    )


def school(chance: random.Random) -> str:
    """A school."""
    kind = chance.choice(["Elementary School", "High School", "Academy", "University", "College", "Primary School"])
    return f"{chance.choice([city(chance), _surname(chance), chance.choice(WORDS)])} {kind}"


def city(chance: random.Random) -> str:
    """A town, real or not."""
    faker = _faker(chance.choice(["en_US", "en_US", "en_GB", "de_DE", "es_MX", "fr_FR", "it_IT"]))
    faker.seed_instance(chance.getrandbits(40))
    return str(faker.city())


def state(chance: random.Random) -> str:
    """A state of the US, in full or by its letters."""
    faker = _faker("en_US")
    faker.seed_instance(chance.getrandbits(40))
    return str(faker.state_abbr() if chance.random() < 0.4 else faker.state())


def country(chance: random.Random) -> str:
    """A country."""
    faker = _faker("en_GB")
    faker.seed_instance(chance.getrandbits(40))
    return str(faker.country())


def county(chance: random.Random) -> str:
    """A county."""
    return f"{_surname(chance) if chance.random() < 0.5 else city(chance)} County"
