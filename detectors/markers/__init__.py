"""Markers: words and forms that say what a document is: headers, footers, participants, tables."""
