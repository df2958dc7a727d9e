"""The ledger: what went where, under which rule, and how we know.

`keys` hash content, `entry` and `schema` are its rows, `segments` its commit, `sources` its erasable names, `views` what auditors open,
`canonical`, `tree`, `note`, `signing` and `seal` make it tamper-evident, `chain`, `recompute` and `verify` find out,
`queries` what a run asks of it, `audit` what people ask of it, `lock` keeps one runner per job.
"""
