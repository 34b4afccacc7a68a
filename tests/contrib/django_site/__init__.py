"""A Django project as a user has one; the tests start it and talk to it."""
