"""S3's listings, a page at a time: what is held of a bucket is one answer of the server's.

`find` of s3fs gathers a dictionary of every key's facts, some 1.2 kB for each, before the first is
seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

PAGE = 1000
"""Keys of an answer, at most; S3 gives no more."""


def listed(
    call: Callable[..., Mapping[str, Any]], bucket: str, prefix: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Gives each key below a prefix as `bucket/key`, with `size` and `LastModified`.

    The next page is asked for once all of this one are taken.

    Args:
      call: a request to S3, by its name and arguments, as `S3FileSystem.call_s3` is.
      bucket: its name.
      prefix: of the keys; empty for all.

    Raises:
      OSError: the server says no, or repeats itself.
    """
    more: dict[str, str] = {}
    while True:
        page = call("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=PAGE, **more)
        for each in page.get("Contents", ()):
            # Consoles make empty objects for folders.
            if not each["Key"].endswith("/"):
                facts = {"size": each["Size"], "LastModified": each.get("LastModified")}
                yield f"{bucket}/{each['Key']}", facts
        token = page.get("NextContinuationToken")
        if not page.get("IsTruncated"):
            return
        if not token or token == more.get("ContinuationToken"):
            raise OSError("the server's listing does not come to an end")
        more = {"ContinuationToken": token}
