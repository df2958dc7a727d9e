"""The commands, where they live, and their one line of help."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("flows.cli.run:run", "run a job now; run it again to resume"),
    "plan": ("flows.cli.plan:plan", "what a job would send where, at what cost, until when"),
    "collect": ("flows.cli.collect:collect", "fetch what the cloud batches have finished"),
    "jobs": ("flows.cli.jobs:jobs", "what is out at providers; cancel or resolve one"),
    "scan": ("flows.cli.scan:scan", "classify files and say which rule decided; sends nothing"),
    "eval": ("flows.cli.eval:evaluate", "leak and over-block on labelled documents, with bounds"),
    "held": ("flows.cli.held:held", "list held records, or release them for another try"),
    "results": ("flows.cli.results:results", "one current row per document, as one file"),
    "audit": ("flows.cli.audit:audit", "ask the ledger, verify it, look back, report, prove"),
    "ledger": ("flows.cli.ledger:ledger", "look after a ledger: move, compact, anchor, keys, names"),
    "override": ("flows.cli.override:override", "raise a record's class, or lower it with an approval"),
    "purge": ("flows.cli.purge:purge", "delete what is past its retention, but for legal holds"),
    "costs": ("flows.cli.costs:costs", "where the money went; when own machines are cheaper"),
    "advise": ("flows.cli.advise:advise", "API, own machines or both, for each workload, and why"),
    "router": ("flows.cli.router:router", "train and judge a router, calibrate escalation"),
    "policy": ("flows.cli.policy:policy", "check a policy, or run its cases"),
    "detectors": ("flows.cli.detectors:detectors", "list the detectors, or test one on its examples"),
    "doctor": ("flows.cli.doctor:doctor", "what is installed, reachable, misconfigured"),
}
