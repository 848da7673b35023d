"""Plans: what need not be built and compiled again, since Django was watched as it did it.

    recording           querysets that remember the calls that build them, and are built when somebody needs them
    shapes              the chain of those calls, without their values
    learning            the plan of a shape: its SQL, parameters and loader, found by watching Django
    binders             how a value becomes a parameter
    lanes               the ways by which a planned query reaches the database: prefetches included
    natively            the shortest of them, without a cursor of Django's
    prefetching         prefetch_related(), level by level
    plain_relations     relations that are loaded by one statement and one loop
    writes              plans of insert()
    writes_by_key       plans of an instance's update() and delete()
    bulk_writes         plans of bulk_create()
    arrays              columns of values in PostgreSQL's array syntax
    construction        making an instance by keyword arguments

Whatever is not proven safe is left to Django. The package knows no managers and no querysets of vinyl's.
"""
