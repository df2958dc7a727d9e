"""The tokenizers that the registry names: `settings.tokenizer`, the path of a model's tokenizer.json, relative to the registry."""

from __future__ import annotations

from collections.abc import Sequence

from flows.errors import JobError
from flows.job import Job
from policies.load import DEFAULT_REGISTRY
from policies.model import Endpoint
from sinks.errors import EndpointError
from sinks.tokenizer_file import load_tokenizer
from sinks.tokens import CountTokens

SETTING = "tokenizer"


def load_tokenizers(endpoints: Sequence[Endpoint], job: Job) -> dict[str, CountTokens]:
    """By endpoint name; an endpoint that names none is absent. Raises JobError for one that cannot be used."""
    folder = (job.registry or DEFAULT_REGISTRY).parent
    try:
        return {
            endpoint.name: load_tokenizer(folder / str(endpoint.settings[SETTING]), endpoint=endpoint.name)
            for endpoint in endpoints
            if SETTING in endpoint.settings
        }
    except EndpointError as error:
        raise JobError(str(error)) from None
