"""Vehicles and devices (45 CFR 164.514(b)(2)(i)(L),(M)): VIN by check digit, serial and device numbers by label, MAC by shape."""

from detectors.detector import Detector
from detectors.pattern import digits_of, labelled_detector, pattern_detector

VIN = r"(?<![\w-])[A-HJ-NPR-Z0-9]{17}(?![\w-])"
# 49 CFR 565.15: transliteration of letters and the weight of each position.
VIN_VALUES = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
CHECK_POSITION = 8
MAC = r"(?<![\w:-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![\w:-])"
UDI = r"\(01\)\d{14}(?:\(\d{2}\)[A-Za-z0-9]{1,20}){1,4}"  # GS1 form of a unique device identifier, 21 CFR 830
LABELS = (
    "serial number|serial no|serial|device id|device identifier|device number|device serial number|udi|imei|meid|implant serial",
    "pacemaker serial|lot number|lot no|asset tag",
)


def vin(value: str) -> bool:
    """Whether the ninth position is the check digit of the others."""
    if not any(character.isdigit() for character in value) or value.isdigit():
        return False
    numbers = [VIN_VALUES.get(character) or int(character) for character in value]
    remainder = sum(number * weight for number, weight in zip(numbers, VIN_WEIGHTS, strict=True)) % 11
    return value[CHECK_POSITION] == ("X" if remainder == 10 else str(remainder))  # noqa: PLR2004 - X stands for ten


def detectors() -> tuple[Detector, ...]:
    """Vehicles, network cards, unique device identifiers, serial numbers."""
    return (
        pattern_detector("VIN", VIN, name="vin", score=0.9, verify=vin),
        labelled_detector("VIN", ("vin|vehicle identification number|vehicle id",), r"[A-HJ-NPR-Z0-9]{17}"),
        pattern_detector("DEVICE_ID", MAC, name="mac_address", score=0.7),
        pattern_detector("DEVICE_ID", UDI, name="udi", score=0.9, needles=("(01)",)),
        labelled_detector("DEVICE_ID", LABELS, r"[A-Z0-9]{1,8}[-/ ]?[A-Z0-9-]{3,20}", verify=lambda value: len(digits_of(value)) >= 4),  # noqa: PLR2004
    )
