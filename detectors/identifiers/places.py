"""Geography below a state (45 CFR 164.514(b)(2)(i)(B)): street addresses and ZIP codes."""

from detectors.detector import Detector
from detectors.pattern import labelled_detector, pattern_detector

STREET_WORDS = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Circle|Cir|Way|Place|Pl|Terrace|Ter|Parkway|Pkwy|"
    "Highway|Hwy|Square|Sq|"
    "Trail|Trl|Loop|Crescent|Close|Alley|Row|Walk|Canyon|Ridge|Run|Plaza|Point|Pass|Crossing|Heights|Hollow|Mews|Grove|Gardens?|"
    "Hill|View|Vista|"
    "Landing|Creek|Spring|Springs|Spur|Turnpike|Pike|Path|Meadows?|Glen|Forge|Ford|Fork|Keys?|Knolls?|Lakes?|Lodge|Manor|Mill|"
    "Mills|Mission|Mount|"
    "Mountain|Orchard|Oval|Park|Parks|Pine|Pines|Plains?|Port|Prairie|Ranch|Rapids?|River|Shoals?|Shores?|Skyway|Stravenue|"
    "Stream|Summit|Station|"
    "Throughway|Trace|Track|Trafficway|Tunnel|Underpass|Union|Valley|Viaduct|Village|Ville|Vista|Well|Wells|Inlet|Island|Isle|"
    "Junction|Harbor|Haven|"
    "Garden|Gateway|Freeway|Forest|Flat|Flats|Field|Fields|Ferry|Falls|Extension|Expressway|Estate|Estates|Divide|Dam|Dale|Curve|"
    "Course|Cove|"
    "Corner|Corners|Common|Commons|Club|Cliff|Cliffs|Center|Centers|Causeway|Cape|Camp|Bypass|Burg|Brook|Brooks|Bridge|Branch|"
    "Bottom|Bluff|Bend|Beach|Bayou|Annex"
)
STRONG_WORDS = "|".join(STREET_WORDS.split("|")[:36])
STREET = (
    rf"(?<![\w.,$/-])\d{{1,6}}[A-Za-z]?[ ](?:[NSEW]\.?[ ]|North |South |East |West )?(?:[A-Z][A-Za-z'.-]{{1,20}}[ ]|\d{{1,3}}(?:st"
    rf"|nd|rd|th)[ ]){{1,4}}?"
    rf"(?:{STRONG_WORDS}|{STRONG_WORDS.upper()})\b\.?"
)
# A line that is an address, or an address followed by a unit or a town: here the rarer street words are believed too.
STREET_LINE = (
    rf"(?<![\w.,$/-])\d{{2,6}}[ ](?:[A-Z][A-Za-z'.-]{{1,20}}[ ]){{1,3}}?(?:{STREET_WORDS})\b\.?"
    r"(?=[ ]*(?:,|\r?\n|\||$|(?:Apt|Suite|Ste|Unit|Apartment|#)))"
)
BOX = r"(?i:\bP\.? ?O\.? Box \d{1,7}\b)|\b(?:PSC|Unit|CMR) \d{3,5},? Box \d{2,5}\b"
STATE = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|"
    "SD|TN|TX|UT|VT|"
    "VA|WA|WV|WI|WY|PR|AA|AE|AP"
)
STATES = frozenset(STATE.split("|"))
STATE_ZIP = r"\b[A-Z]{2}[ ,]{1,3}\d{5}(?:-\d{4})?(?![\w-])"
ZIP_LABELS = ("zip|zip code|zipcode|postal code|post code|postcode",)
ADDRESS_LABELS = (
    "home address|street address|mailing address|residential address|address|resides at|residing at|lives at|property address",
)
ADDRESS = r"\d{1,6}[A-Za-z]?[ ][A-Z0-9][A-Za-z0-9'. -]{3,60}"


def detectors() -> tuple[Detector, ...]:
    """Streets, boxes, labelled addresses, ZIP codes behind a state or a label."""
    return (
        pattern_detector("STREET_ADDRESS", STREET, name="street_address", score=0.7),
        pattern_detector("STREET_ADDRESS", STREET_LINE, name="street_address_line", score=0.7),
        pattern_detector("STREET_ADDRESS", BOX, name="post_box", score=0.7, words=("box",)),
        labelled_detector("STREET_ADDRESS", ADDRESS_LABELS, ADDRESS, score=0.8),
        pattern_detector("ZIP", STATE_ZIP, name="zip", score=0.8, verify=lambda value: value[:2] in STATES, digits=5, shapes=("00000",)),
        labelled_detector("ZIP", ZIP_LABELS, r"\d{5}(?:-\d{4})?", score=0.8),
    )
