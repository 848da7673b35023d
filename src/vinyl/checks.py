"""System checks: what of a model vinyl will not do, or does by another name. They are warnings, and can be silenced.

    vinyl.W001      save() is overridden: insert() and update() do not call it
    vinyl.W002      delete() is overridden: vinyl's delete() does not call it
    vinyl.W003      receivers of model signals are connected: vinyl sends none
    vinyl.W004      a field or method has the name of a method of vinyl's instances, and keeps it

Checked are models that have a VinylManager, declared or inherited. docs/checks.md has a section for each.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.db.models import Model, signals

from vinyl._install import is_of_a_field
from vinyl.faces.managers import VinylManager, VinylManagerDescriptor
from vinyl.faces.models import NAMES, VinylModel, kept_by_the_model

# The names for which there is a function beside the method.
FUNCTIONS = (*NAMES, "delete")
SIGNALS = ("pre_init", "post_init", "pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed")


def check_models(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the models of these applications, or all."""
    return [
        message
        for model in apps.get_models()
        if app_configs is None or model._meta.app_config in app_configs
        for message in messages_about(model)
    ]


def messages_about(model: Any) -> list[checks.CheckMessage]:
    """Check one model: each of its managers."""
    found: list[checks.CheckMessage] = []
    for manager in _managers(model):
        base = manager.instance_base
        messages = [*_overrides(model, base), *_receivers(model), *_clashes(model, base)]
        found += [message for message in messages if message not in found]
    return found


def _managers(model: Any) -> Iterator[VinylManager]:
    for owner in model.__mro__:
        for descriptor in vars(owner).values():
            if isinstance(descriptor, VinylManagerDescriptor):
                yield descriptor.__get__(None, model)


def _overrides(model: Any, base: type[VinylModel]) -> Iterator[checks.CheckMessage]:
    for number, name, instead in ((1, "save", ("insert", "update")), (2, "delete", ("delete",))):
        owner = next(owner for owner in model.__mro__ if name in vars(owner))
        is_cared_for = any(getattr(base, method) is not getattr(VinylModel, method) for method in instead)
        if owner is not Model and callable(vars(owner)[name]) and not is_cared_for:
            methods = " and ".join(f"{method}()" for method in instead)
            yield checks.Warning(
                f"{owner.__name__}.{name}() is not called by vinyl.",
                hint=f"Move what it does to {methods} of a VinylModel, and pass that as VinylManager(model=…).",
                obj=model,
                id=f"vinyl.W00{number}",
            )


def _receivers(model: Any) -> Iterator[checks.CheckMessage]:
    listening = [name for name in SIGNALS if any(_listens(name, sender) for sender in _senders(model, name))]
    if listening:
        yield checks.Warning(
            f"Receivers of {', '.join(listening)} are connected, which vinyl does not send.",
            hint="Move what they do to methods of a VinylModel, and pass that as VinylManager(model=…).",
            obj=model,
            id="vinyl.W003",
        )


def _senders(model: Any, name: str) -> Iterable[Any]:
    return [field.remote_field.through for field in model._meta.many_to_many] if name == "m2m_changed" else [model]


def _listens(name: str, sender: Any) -> bool:
    live: Any = getattr(signals, name)._live_receivers(sender)
    # Synchronous and asynchronous ones. What a field connects is called.
    return any(not is_of_a_field(receiver) for group in live for receiver in group)


def _clashes(model: Any, base: type[VinylModel]) -> Iterator[checks.CheckMessage]:
    for name in kept_by_the_model(model, base):
        yield checks.Warning(
            f"{model.__name__}.{name} has the name of a method of vinyl's instances, and keeps it.",
            hint=f"Call vinyl.{name}(instance)." if name in FUNCTIONS else None,
            obj=model,
            id="vinyl.W004",
        )


def register() -> None:
    """Have `manage.py check` and its like make the checks. Registering them again changes nothing."""
    checks.register(check_models, checks.Tags.models)
