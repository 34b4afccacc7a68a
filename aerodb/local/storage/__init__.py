"""The storage part of an instance: buckets, objects and their bytes (wire contract §5).

`routes.py` finds the endpoint of a request. Endpoints are in `buckets.py`, `objects.py`,
`listing.py`, `moving.py`, `uploading.py`, `downloading.py`, `signing.py` and `resumable.py`. What
they say to the database goes through `store.py`, as the role of the caller; bytes go to a
`BlobStore`, either `files.py` (a folder) or `s3.py`. A content has an id of its own there:
`intake.py` takes one in, `sweeper.py` removes what nothing refers to any more. `names.py`,
`ranges.py`, `disposition.py`, `signatures.py` and `body.py` know neither.
"""
