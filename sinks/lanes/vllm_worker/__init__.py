"""The process that runs vLLM for the offline lane: job files in, one flushed line per row out.

Started as `python -P -c … vllm_worker SPEC` under the interpreter of vLLM's own environment: the two cannot share one with Prefect. It
imports the standard library and vLLM, nothing else of Waybill, and itself by relative imports only, since its name differs there.

Invariants kept here:
- Local means local (8): no network but loopback where the spec says so, checked; no proxy, no hub, no usage statistics, or it does not run.
- No content outside the record (5): text goes to the engine and to the output file. Of a foreign exception only the class is told.
- A killed worker is started again: rows that have a line are skipped, a torn last line is cut off.
"""
