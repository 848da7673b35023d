"""The packages of Django's own tests that are run where no label is given: those that exercise the ORM.

Left out is what does not reach the database by the ORM (templates, forms, the admin, mail), what needs a server or a
browser, and what mostly sleeps (the other tests of caches).
"""

PACKAGES = """
    aggregation aggregation_regress annotations async backends basic bulk_create cache.tests.DBCacheTests composite_pk
    constraints contenttypes_tests custom_columns custom_lookups custom_managers custom_methods custom_pk datatypes
    dates datetimes db_functions db_typecasts db_utils defer defer_regress delete delete_regress distinct_on_fields
    empty empty_models expressions expressions_case expressions_window extra_regress field_deconstruction
    field_defaults field_subclassing filtered_relation fixtures fixtures_regress force_insert_update foreign_object
    from_db_value generic_relations generic_relations_regress get_earliest_or_latest get_object_or_404 get_or_create
    indexes introspection known_related_objects lookup m2m_and_m2o m2m_intermediary m2m_multiple m2m_recursive
    m2m_regress m2m_signals m2m_through m2m_through_regress m2o_recursive managers_regress many_to_many many_to_one
    many_to_one_null max_lengths migrate_signals model_enums model_fields model_forms model_formsets
    model_formsets_regress model_indexes model_inheritance model_inheritance_regress model_meta model_options
    model_package model_regress model_utils multiple_database mutually_referential nested_foreign_keys null_fk
    null_fk_ordering null_queries one_to_one or_lookups order_with_respect_to ordering pagination postgres_tests
    prefetch_related properties proxy_model_inheritance proxy_models queries queryset_pickle raw_query reserved_names
    reverse_lookup save_delete_hooks schema select_for_update select_related select_related_onetoone
    select_related_regress serializers sessions_tests signals sites_framework str string_lookup swappable_models
    timezones transaction_hooks transactions unmanaged_models update update_only_fields validation xor_lookups
""".split()  # noqa: SIM905 (a list would be a page long)

# Of these, what has next to no querysets to compare: tables, connections, definitions of models.
WITHOUT_QUERYSETS = """
    backends cache.tests.DBCacheTests db_typecasts db_utils field_deconstruction field_subclassing indexes
    introspection max_lengths migrate_signals model_enums model_indexes model_meta model_utils proxy_model_inheritance
    schema signals str swappable_models
""".split()  # noqa: SIM905 (a list would be a page long)

# Tests that are skipped, since they measure times, which other processes disturb.
MEASURING_TIME = {"serializers.test_deserialization.TestDeserializer.test_crafted_xml_performance"}

# What requests are made and answered by: with --site, where vinyl's handler is in the place of Django's.
OF_SITES = """
    admin_changelist admin_filters admin_inlines admin_views asgi auth_tests conditional_processing context_processors
    csrf_tests decorators file_uploads flatpages_tests generic_views handlers httpwrappers i18n logging_tests
    messages_tests middleware middleware_exceptions redirects_tests requests_tests responses sessions_tests shortcuts
    signed_cookies_tests sitemaps_tests sites_tests staticfiles_tests syndication_tests template_tests test_client
    test_client_regress urlpatterns urlpatterns_reverse view_tests
""".split()  # noqa: SIM905 (a list would be a page long)
