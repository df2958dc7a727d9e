"""Signs of a public document: open licences, judgments, press releases, leaflets, articles. Informative; they lower nothing."""

from detectors.detector import Detector
from detectors.markers.marker import phrase_marker

LICENCES = (
    "apache license|apache 2 0|mit license|permission is hereby granted free of charge|gnu general public license",
    "gnu lesser general public license",
    "bsd license|bsd # clause|spdx license identifier|mozilla public license|redistribution and use in source and binary forms",
    "isc license|eclipse public license",
    "creative commons|cc by|gpl|lgpl|agpl|public domain|unlicense",
)
PUBLISHED = (
    "for immediate release|press release|news release|media contact|investor relations contact|forward looking statements",
    "about the company",
    "supreme court of|court of appeals|district court for the|opinion of the court|it is so ordered|the judgment of|affirmed",
    "appellant|appellee|per curiam|slip op",
    "package leaflet|patient information leaflet|prescribing information|medication guide|what this medicine is",
    "read all of this leaflet|indications and usage|drug facts",
    "we conclude|in this study|randomized controlled trial|randomised controlled trial|double blind|abstract background|doi",
    "et al|isbn|issn|peer reviewed",
    "(reuters)|reuters|associated press|ap photo|afp|user manual|product manual|terms of service|privacy policy",
)


def detectors() -> tuple[Detector, ...]:
    """open_licence, published_document."""
    return (phrase_marker("open_licence", LICENCES), phrase_marker("published_document", PUBLISHED))
