"""Settings: none is needed, Django's own are understood, and mistakes are told with their place and cure."""

import dataclasses
import math

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from vinyl.conf import PoolOptions, deadline_of, pool_options, prepares_statements, uses_plans, verifies_plans

DEFAULTS = PoolOptions(min_size=0, max_size=10, timeout=30, max_waiting=0, max_lifetime=3600, max_idle=600)


def options(vinyl=None, django=None):
    """The options of the pool of `default`, with these of vinyl's settings and of DATABASES."""
    database = {"OPTIONS": {} if django is None else {"pool": django}}
    with override_settings(VINYL={"POOL": {"default": {} if vinyl is None else vinyl}}):
        return pool_options("default", database)


def refused(message, *args, **kwargs):
    with pytest.raises(ImproperlyConfigured, match=message):
        options(*args, **kwargs)


# What is read.


def test_no_setting_is_needed():
    assert pool_options("default", {}) == DEFAULTS
    assert pool_options("default", {"OPTIONS": {}}) == DEFAULTS


@pytest.mark.parametrize("vinyl", [{}, {"POOL": {}}, {"POOL": {"default": {}}}, {"POOL": {"other": {"max_size": 3}}}])
def test_what_is_not_said_has_its_default(vinyl):
    with override_settings(VINYL=vinyl):
        assert pool_options("default", {}) == DEFAULTS


def test_the_settings_of_vinyl_size_the_pool_of_their_alias():
    given = {"min_size": 1, "max_size": 2, "timeout": 3, "max_waiting": 4, "max_lifetime": 5.5, "max_idle": 6.5}
    assert dataclasses.asdict(options(given)) == given


@pytest.mark.parametrize("django", [True, False, None])
def test_djangos_pool_option_may_be_no_dictionary(django):
    assert pool_options("default", {"OPTIONS": {"pool": django}}) == DEFAULTS


def test_djangos_pool_options_give_the_defaults():
    assert options(django={"min_size": 2, "max_size": 4, "timeout": 9}) == dataclasses.replace(
        DEFAULTS, min_size=2, max_size=4, timeout=9
    )


def test_what_else_psycopg_pool_has_is_left_to_it():
    assert options(django={"num_workers": 5, "reconnect_timeout": 1, "open": True, "check": print}) == DEFAULTS


def test_none_in_djangos_pool_options_is_the_default():
    assert options(django={"max_size": None}) == DEFAULTS


def test_vinyls_settings_win_over_djangos():
    merged = options(vinyl={"max_size": 7}, django={"min_size": 2, "max_size": 4})
    assert (merged.min_size, merged.max_size) == (2, 7)


def test_a_min_size_alone_raises_max_size():
    assert options({"min_size": 20}).max_size == 20
    assert options(django={"min_size": 20}).max_size == 20
    assert options({"min_size": 5}).max_size == 10


def test_a_time_may_be_endless():
    assert options({"max_lifetime": math.inf}).max_lifetime == math.inf


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        options().max_size = 3


# What is refused.


@pytest.mark.parametrize(
    ("vinyl", "message"),
    [
        ({"POOLS": {}}, r"VINYL has no option 'POOLS'\. Did you mean 'POOL'\?"),
        ({"colour": 1}, r"VINYL has no option 'colour'\. There are: 'POOL', 'DEADLINE', 'PLANS', "),
        ({"POOL": {"defualt": {}}}, r"VINYL\['POOL'\] has no option 'defualt'\. Did you mean 'default'\?"),
        ({"POOL": {"x": {}}}, r"VINYL\['POOL'\] has no option 'x'\. There are: 'default', 'other'\."),
        (
            {"POOL": {"default": {"maxsize": 3}}},
            r"VINYL\['POOL'\]\['default'\] has no option 'maxsize'\. Did you mean 'max_size'\?",
        ),
        (
            {"POOL": {"default": {"x": 3}}},
            r"There are: 'min_size', 'max_size', 'timeout', 'max_waiting', 'max_lifetime', 'max_idle'\.",
        ),
        ({"POOL": {"default": {3: 3}}}, r"VINYL\['POOL'\]\['default'\] has no option 3\."),
        (None, r"VINYL must be a dictionary, not None\."),
        ({"POOL": 3}, r"VINYL\['POOL'\] must be a dictionary, not 3\."),
        ({"POOL": {"default": [3]}}, r"VINYL\['POOL'\]\['default'\] must be a dictionary, not \[3\]\."),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_place_and_cure(vinyl, message):
    with override_settings(VINYL=vinyl), pytest.raises(ImproperlyConfigured, match=message):
        pool_options("default", {})


@pytest.mark.parametrize("name", ["min_size", "max_size", "max_waiting"])
@pytest.mark.parametrize("value", [-1, 1.5, "3", None, True, math.nan])
def test_a_size_is_a_whole_number(name, value):
    refused(rf"VINYL\['POOL'\]\['default'\]\['{name}'\] must be a whole number, 0 or more, not ", {name: value})


@pytest.mark.parametrize("name", ["timeout", "max_lifetime", "max_idle"])
@pytest.mark.parametrize("value", [-1, -0.5, "3", None, False, math.nan])
def test_a_time_is_a_number_of_seconds(name, value):
    refused(rf"VINYL\['POOL'\]\['default'\]\['{name}'\] must be a number of seconds", {name: value})


@pytest.mark.parametrize("name", ["timeout", "max_lifetime"])
def test_no_time_at_all_for_connecting_or_living_is_refused(name):
    """Such a pool could never open a connection, or would open them one after the other for ever."""
    refused(rf"VINYL\['POOL'\]\['default'\]\['{name}'\]", {name: 0})


def test_a_pool_of_nothing_is_refused():
    refused(r"VINYL\['POOL'\]\['default'\]\['max_size'\] is 0: it must be 1 or more", {"max_size": 0})


@pytest.mark.parametrize("django", [None, {"min_size": 5}])
def test_min_size_above_max_size_is_refused(django):
    vinyl = {"max_size": 3} if django else {"min_size": 5, "max_size": 3}
    refused(r"\['max_size'\] is 3: it must be .* no less than min_size \(5\)", vinyl, django)


@pytest.mark.parametrize(
    ("django", "message"),
    [
        ({"max_size": "3"}, r"DATABASES\['default'\]\['OPTIONS'\]\['pool'\]\['max_size'\] must be a whole number"),
        ({"timeout": -1}, r"DATABASES\['default'\]\['OPTIONS'\]\['pool'\]\['timeout'\] must be a number of seconds"),
        ({"max_size": 0}, r"DATABASES\['default'\]\['OPTIONS'\]\['pool'\]\['max_size'\] is 0"),
    ],
)
def test_a_mistake_in_djangos_pool_options_is_told_with_its_place(django, message):
    refused(message, django=django)


# The default deadline.


def test_there_is_no_deadline_unless_one_is_set():
    assert deadline_of("default") is None
    with override_settings(VINYL={"DEADLINE": {"default": 5, "other": None}}):
        assert (deadline_of("default"), deadline_of("other")) == (5.0, None)


@pytest.mark.parametrize("value", [0, -1, "3", True, math.nan, math.inf, [3]])
def test_a_deadline_is_a_number_of_seconds(value):
    message = r"VINYL\['DEADLINE'\]\['default'\] must be a number of seconds, more than 0, or None, not "
    with override_settings(VINYL={"DEADLINE": {"default": value}}), pytest.raises(ImproperlyConfigured, match=message):
        deadline_of("default")


def test_a_deadline_of_an_unknown_alias_is_refused():
    with (
        override_settings(VINYL={"DEADLINE": {"defualt": 5}}),
        pytest.raises(ImproperlyConfigured, match=r"VINYL\['DEADLINE'\] has no option 'defualt'\. Did you mean"),
    ):
        deadline_of("default")


# Switches.


def test_what_is_not_switched_is_as_documented():
    with override_settings(VINYL={}):
        assert (uses_plans(), verifies_plans(), prepares_statements("default", {})) == (True, False, True)
        assert not prepares_statements("default", {"DISABLE_SERVER_SIDE_CURSORS": True})
    with override_settings(VINYL={"PLANS": False, "VERIFY_PLANS": True, "PREPARED_STATEMENTS": {"default": False}}):
        assert (uses_plans(), verifies_plans(), prepares_statements("default", {})) == (False, True, False)
        assert prepares_statements("other", {})


@pytest.mark.parametrize("value", [1, 0, "True", "", None, []])
def test_a_switch_is_true_or_false(value):
    for name, ask in (("PLANS", uses_plans), ("VERIFY_PLANS", verifies_plans)):
        message = rf"VINYL\['{name}'\] must be True or False, not "
        with override_settings(VINYL={name: value}), pytest.raises(ImproperlyConfigured, match=message):
            ask()
    message = r"VINYL\['PREPARED_STATEMENTS'\]\['default'\] must be True or False, not "
    with (
        override_settings(VINYL={"PREPARED_STATEMENTS": {"default": value}}),
        pytest.raises(ImproperlyConfigured, match=message),
    ):
        prepares_statements("default", {})


@pytest.mark.parametrize("value", [True, None, ["default"]])
def test_prepared_statements_are_switched_for_each_alias(value):
    with (
        override_settings(VINYL={"PREPARED_STATEMENTS": value}),
        pytest.raises(ImproperlyConfigured, match=r"VINYL\['PREPARED_STATEMENTS'\] must be a dictionary, not "),
    ):
        prepares_statements("default", {})


def test_prepared_statements_of_an_unknown_alias_are_refused():
    with (
        override_settings(VINYL={"PREPARED_STATEMENTS": {"defualt": True}}),
        pytest.raises(ImproperlyConfigured, match=r"VINYL\['PREPARED_STATEMENTS'\] has no option 'defualt'\. Did you"),
    ):
        prepares_statements("default", {})
