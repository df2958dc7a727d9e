"""The stand-in provider: OpenAI's Files and Batches on loopback, doing real (extractive) work on what it is sent.

`python -m sinks.emulator --state DIR` serves it; `sinks.emulator.process.start_emulator` runs that as a child. All state lies in
DIR, so that a restart finds every file and batch again:

    files/ID.json, files/ID.bin     uploads, outputs, error files
    batches/ID.json                 batches
    received.jsonl, received/N.bin  every request that arrived, and its body, byte for byte
"""
