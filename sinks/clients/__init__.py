"""One module per vendor SDK, and what keeps their connections where the registry says."""

import os

# With it, every TLS library would write the keys of our connections to a file: whoever has a recording of them could then read it.
os.environ.pop("SSLKEYLOGFILE", None)
