"""PostGIS: GeoDjango's ENGINE, which derives from Django's for PostgreSQL, with its fields, lookups and functions."""

import pytest
from django.conf import settings
from django.db import connections
from django.test.utils import isolate_apps

import vinyl
from vinyl import VinylManager

pytestmark = [pytest.mark.engine("postgresql"), pytest.mark.usefixtures("db")]


@pytest.fixture(scope="module")
def model(databases):
    if "gis" not in settings.DATABASES:
        pytest.skip("not on a machine without GDAL and GEOS: apt-get install gdal-bin")
    with connections["gis"].cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'")
        if cursor.fetchone() is None:
            pytest.skip("not on a server without PostGIS: apt-get install postgresql-15-postgis-3")
        cursor.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    from django.contrib.gis.db import models

    with isolate_apps("tests.library"):

        class Place(models.Model):
            name = models.CharField(max_length=20)
            point = models.PointField()
            area = models.PolygonField(null=True)
            weight = models.IntegerField(default=1)

            vinyl = VinylManager()

            class Meta:
                app_label = "library"
                db_table = "library_geo_place"

    with connections["gis"].schema_editor() as editor:
        editor.create_model(Place)
    yield Place
    with connections["gis"].schema_editor() as editor:
        editor.delete_model(Place)


@pytest.fixture
def places(model):
    model.objects.using("gis").all().delete()
    return model.vinyl.using("gis")


def point(x, y):
    from django.contrib.gis.geos import Point

    return Point(x, y, srid=4326)


async def test_geometries_are_written_and_read(places, model):
    from django.contrib.gis.geos import Polygon

    area = Polygon.from_bbox((1, 2, 3, 4))
    area.srid = 4326
    for x in range(4):
        place = model.vinyl(name=f"place {x}", point=point(x, 50), area=area)
        await place.insert(using="gis")
        found = await places.get(pk=place.pk)
        assert (found.point, found.area) == (point(x, 50), area)
    await place.update(point=point(9, 9), using="gis")
    assert (await places.get(pk=place.pk)).point == point(9, 9)
    assert await places.values_list("point", flat=True).order_by("id")[0] == point(0, 50)


async def test_spatial_lookups_and_functions_and_aggregates(places, model):
    from django.contrib.gis.db.models import Extent
    from django.contrib.gis.db.models.functions import Distance

    await places.bulk_create([model.vinyl(name=str(x), point=point(x, 50)) for x in range(5)])
    for _ in range(3):
        near = places.filter(point__dwithin=(point(0, 50), 2.5)).annotate(distance=Distance("point", point(0, 50)))
        assert [place.name for place in await near.order_by("distance")] == ["0", "1", "2"]
        assert (await near.order_by("distance").last()).distance.km > 100
    assert (await places.aggregate(extent=Extent("point")))["extent"] == (0, 50, 4, 50)


async def test_many_queries_side_by_side_have_connections_that_know_geometries(places, model):
    await places.create(name="here", point=point(1, 2))
    found = await vinyl.gather(*[places.filter(name="here", weight__gte=-x) for x in range(6)])
    assert [place.point for (place,) in found] == [point(1, 2)] * 6
