"""The embedded engine: a real extractive summarizer and a schema-driven field extractor. Pure: no disk, network or clock.

units → what a text is made of; centrality, summary → LexRank; fields → what a schema asks for; labels, values,
candidates → what the text offers; extract → an object that validates; engine → one request in, one answer out.
"""
