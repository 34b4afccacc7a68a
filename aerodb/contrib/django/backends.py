"""Signing in with AeroDB's users."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest

from aerodb import AeroDBAPIError, AeroDBError, User
from aerodb.contrib.django import conf
from aerodb.contrib.django.clients import get_client

SESSION_ATTRIBUTE = "_aerodb_session"
_WRONG = frozenset({"invalid_credentials", "validation_failed", "INVALID_ARGUMENT"})


class AeroDBBackend(ModelBackend):
    """`AUTHENTICATION_BACKENDS += ["aerodb.contrib.django.AeroDBBackend"]`.

    Django's user is made at the first sign-in, without a password, and named by AeroDB's user
    id (by the address, where addresses are user names). Permissions are Django's own.
    """

    def __init__(self) -> None:
        if not apps.is_installed("aerodb.contrib.django"):
            raise ImproperlyConfigured(
                'AeroDBBackend needs "aerodb.contrib.django" in INSTALLED_APPS: without it nothing '
                "keeps the tokens of who has signed in"
            )

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **credentials: Any,
    ) -> Any:
        """Django's user for an address and a password; None if AeroDB does not take them.

        Raises:
            AeroDBAPIError: AeroDB could not say: it cannot be reached, does not take the program's
                key, or has been asked too often. See `not_answered`.
            PermissionDenied: the address has not been confirmed.
        """
        email = credentials.get("email") or username
        if not email or password is None:
            return None
        view = get_client().as_service(conf.arguments().get("key") or "")
        response = view.auth.sign_in(email, password)
        del password
        view.close()
        if response.data is None or response.data.session is None:
            return self._refused(request, response.error)
        user = self._django_user(response.data.user or response.data.session.user)
        if user is None or not self.user_can_authenticate(user):
            return None
        setattr(user, SESSION_ATTRIBUTE, response.data.session)
        return user

    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **credentials: Any,
    ) -> Any:
        """The same from an event loop."""
        ask = sync_to_async(self.authenticate)
        return await ask(request, username=username, password=password, **credentials)

    def not_answered(self, request: HttpRequest | None, problem: AeroDBAPIError) -> None:
        """Raise the problem: nobody is to be told of a wrong password while AeroDB is away.

        A subclass that returns instead has the next backend asked.
        """
        raise problem

    def configure_user(self, user: Any, aerodb_user: User, *, created: bool) -> None:
        """Take over what is to be taken over. Called at each sign-in; override it for more."""
        if user.get_email_field_name() and user.email != (aerodb_user.email or ""):
            user.email = aerodb_user.email or ""
            user.save(update_fields=[user.get_email_field_name()])

    def _django_user(self, aerodb_user: User | None) -> Any:
        if aerodb_user is None:
            return None
        model: Any = get_user_model()
        by_email = model.get_email_field_name() == model.USERNAME_FIELD
        name = aerodb_user.email if by_email else aerodb_user.id
        user, created = model._default_manager.get_or_create(**{model.USERNAME_FIELD: name})
        if created:
            user.set_unusable_password()
            user.save()
        self.configure_user(user, aerodb_user, created=created)
        return user

    def _refused(self, request: HttpRequest | None, error: AeroDBError | None) -> None:
        if error is None or error.code in _WRONG:
            return
        if error.code == "email_not_verified":
            raise PermissionDenied("this address has not been confirmed")
        self.not_answered(request, AeroDBAPIError(error))
