"""Contact details given as private ones: where somebody lives, their own telephone. Business signatures and press contacts say neither."""

from __future__ import annotations

from detectors.detector import Detector
from detectors.markers.marker import phrase_marker

PRIVATE = (
    "my home|my house|my flat|my apartment|my address|my place|her home|his home|their home|home address|private address|home phone",
    "lives at|living at|live at|i live|we live|resides at|residing at|resident at|residential address|staying at|moved to|household",
    "my cell|my phone|my number|my mobile|her mobile|his mobile|her phone|his phone|private phone|home number|home telephone",
    "ring me|call me|phone me|text me|reach me|email me|e mail me|write to me|please ring|personal mail|personal email|personal e mail",
    "private email|private e mail|my email|my e mail|deliver to|delivered to|send it to me|send to my|to my home",
    "evenings|evening telephone",
    "next of kin|emergency contact|parent|guardian|neighbour|neighbor|my name is|tenant|volunteer|member since|doorbell|the bell",
)


def detector() -> Detector:
    """private_contact."""
    return phrase_marker("private_contact", PRIVATE)
