"""Commands for `manage.py`; Django finds them by where they are."""
