"""Makes the bundled models: documents are generated from written frames, mixed with permitted corpora, and trained on (`make model`).

Nothing here runs at night and nothing here is in the wheel. What a model was made of is in `detectors/models/MODEL_CARD.md`.
"""
