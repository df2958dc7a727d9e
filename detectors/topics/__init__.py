"""Topics: how much a text is about health, care of a patient, personal finance, legal advice, business secrecy."""
