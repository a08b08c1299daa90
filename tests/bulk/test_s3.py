"""A bucket of S3, as a server on this machine plays it."""

from __future__ import annotations

import importlib.util
import uuid

import pytest

from tfhific.bulk.opening import open_place
from tfhific.errors import OutputError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("s3fs", "moto", "flask_cors")),
        reason="needs requirements-bulk.txt and requirements-s3.txt",
    ),
]


@pytest.fixture
def options():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    secrets = {"key": "test", "secret": "test"}
    try:
        yield {
            **secrets,
            "client_kwargs": {"endpoint_url": f"http://{host}:{port}", "region_name": "eu-west-1"},
        }
    finally:
        server.stop()


@pytest.fixture
def bucket(options) -> str:
    import s3fs

    # Another for each test: the servers of a process share what they hold.
    name = f"shop-{uuid.uuid4().hex}"
    s3fs.S3FileSystem(**options).mkdir(name)
    return f"s3://{name}"


def test_a_bucket_is_a_place(bucket, options):
    place = open_place(f"{bucket}/photos", options)
    assert place.files() == {}
    place.write("a/b.png", b"12345", overwrite=False)
    large = bytes(range(256)) * (45 << 12)  # more than one part of an upload
    place.write("large.png", large, overwrite=False)
    assert {path: found.bytes for path, found in place.files().items()} == {
        "a/b.png": 5,
        "large.png": len(large),
    }
    assert place.read("large.png") == large
    assert place.read("a/b.png", 2) == b"12"
    assert place.read("a/b.png", 99) == b"12345"
    with pytest.raises(OutputError, match="is there already"):
        place.write("a/b.png", b"x", overwrite=False)
    place.write("a/b.png", b"x", overwrite=True)
    assert place.read("a/b.png") == b"x"
    place.remove("a/b.png")
    assert list(place.files()) == ["large.png"]


def test_an_upload_that_ends_early_is_not_there(bucket, options, monkeypatch):
    import s3fs

    place = open_place(f"{bucket}/photos", options)
    call = s3fs.S3FileSystem._call_s3

    async def failing(self, method, *arguments, **more):
        if method in ("complete_multipart_upload", "put_object"):
            raise OSError("connection lost")
        return await call(self, method, *arguments, **more)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", failing)
    for data in (b"small", bytes(45 << 20)):
        with pytest.raises(OutputError, match="can't be written"):
            place.write("a.tfh", data, overwrite=False)
    monkeypatch.undo()
    assert place.files() == {}


def test_pictures_go_from_a_bucket_to_a_bucket(bucket, options, tmp_path):
    """Through the work of a worker; the cluster's part is the same for every place."""
    import tfhific
    from tests.bulk import cluster_pictures
    from tfhific.bulk.plan import plan
    from tfhific.bulk.rows import DONE
    from tfhific.bulk.work import Settings, Work
    from tfhific.files.file_kinds import IMAGE_EXTENSIONS
    from tfhific.pictures.images import read_picture

    names = cluster_pictures.make(tmp_path / "in", 8)
    sources = open_place(f"{bucket}/in", options)
    for name in names:
        sources.write(name, (tmp_path / "in" / name).read_bytes(), overwrite=False)
    out = open_place(f"{bucket}/out", options)
    kinds = {"extensions": IMAGE_EXTENSIONS, "suffix": ".tfh", "ignored": ()}
    found = plan(sources, out, out.files(), {}, **kinds)
    runtime = {"runtime": "litert", "max_pixels": 1 << 20}
    rows = Work(Settings("compress", sources, out, "mini", None, runtime)).batch(found.tasks)
    codec = tfhific.load("mini", **runtime)
    made = {row.source: row for row in rows if row.status == DONE}
    assert set(names) - set(made) == set(cluster_pictures.BROKEN)
    for name, row in made.items():
        data = codec.compress_picture(read_picture(tmp_path / "in" / name))
        assert out.read(row.destination) == data
    known = {row.source: row for row in rows}
    again = plan(sources, out, out.files(), known, **kinds)
    assert (again.tasks, again.skipped, again.failed_before) == ((), len(made), 3)


def test_more_keys_than_a_page_are_listed_once_each_and_others_are_not(bucket, options):
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    # Where the server keeps them: asking for each would take a minute.
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    name = bucket.partition("://")[2]
    for number in range(2_500):
        backend.put_object(name, f"photos/{number % 7}/{number}.jpg", b"x")
    for key in ("photos/", "photos/7/", "photos-2/a.jpg", "a.jpg"):
        backend.put_object(name, key, b"")
    taken, left_out = open_place(f"{bucket}/photos", options).taken((".jpg",), True, ())
    assert set(taken) == {f"{number % 7}/{number}.jpg" for number in range(2_500)}
    assert left_out.facts() == {}
    assert {facts.bytes for facts in taken.values()} == {1}
    whole, _ = open_place(bucket, options).taken((".jpg",), True, ())
    assert len(whole) == 2_502
