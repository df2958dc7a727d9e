"""The stand-in provider: the batch APIs of OpenAI, Anthropic and Amazon Bedrock on one loopback port, doing real (extractive) work.

`python -m sinks.emulator --state DIR` serves it; `sinks.emulator.process.start_emulator` runs that as a child. How to use it and
which faults it can inject: `docs/cloud/emulator.md`. All state lies in DIR, so that a restart finds every file and batch again:

    batches/ID.json                 batches and jobs of all providers; `object` is what a client sees
    files/ID.json, files/ID.bin     OpenAI's uploads, outputs, error files
    anthropic/ID.requests, .results what Anthropic's batches run, and their results
    clock.json                      how far the emulator's time is ahead of the wall clock
    received.jsonl, received/N.bin  every request that arrived, and its body, byte for byte; Bedrock's input objects too
    created.jsonl                   every batch that was created, and its rows
    injected.jsonl                  every fault that was injected

From the outside in: `server` (socket, process), `door` (receipts, keys, faults of the line), the `routes` of each provider,
`course` (the life of a batch, one thread for all), the `provider` of each, `work` (the answers). Faults: `catalogue`, `faults`,
`chance`, `tampering`.
"""
