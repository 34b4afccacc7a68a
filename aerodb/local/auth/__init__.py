"""The auth part of an instance: users, sessions, access tokens (wire contract §2).

`routes.py` finds the endpoint of a request, `callers.py` tells who is calling, the endpoints are in
`accounts.py`, `profile.py`, `recovery.py` and `admin.py`; below them are the SQL (`users.py`,
`sessions.py`, `one_time.py`, `outbox.py`, `limits.py`) and what knows no database (`passwords.py`,
`tokens.py`, `validation.py`).
"""
