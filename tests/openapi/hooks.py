"""What Schemathesis does not know by itself: bodies of bytes, and answers that no schema describes."""

import schemathesis

BYTES = ("application/wasm", "application/octet-stream")
TABLES = (
    "application/vnd.apache.arrow.file",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
)


@schemathesis.serializer(*BYTES)
def serialize_bytes(ctx, value):
    return value if isinstance(value, bytes) else repr(value).encode()


@schemathesis.deserializer(*BYTES, *TABLES)
def keep_bytes(ctx, response):
    return response.content.decode("latin-1")
