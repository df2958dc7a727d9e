"""What tokens cost, inside and outside, and when which of the two is right. Pure formulas in Decimal.

`hosts`: what a machine costs an hour. `local_cost`: that over its utilisation, allotted by tokens. `cloud_cost`: list, batch and cache
prices, blended. `crossover`: from which volume, and from which utilisation, own machines are cheaper. `thresholds`: figures of others that
the advice goes by. `advice`: API, own machines or both, by rules. `inputs`: the files with the figures. In words: `docs/economics.md`.
"""
