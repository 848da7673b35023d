"""The URLs of the shop: pages for people, and /api/ for programs."""

from django.urls import path

from shop import api, views

app_name = "shop"

urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("records/<int:pk>/", views.record_page, name="record"),
    path("orders/<uuid:reference>/", views.order_page, name="order"),
    path("prices.csv", views.price_list, name="price_list"),
    path("api/records/", api.record_list),
    path("api/records/<int:pk>/", api.record_detail),
    path("api/search/", api.search),
    path("api/artists/top/", api.top_artists),
    path("api/statistics/", api.statistics),
    path("api/orders/", api.place_order),
    path("api/orders/<uuid:reference>/", api.order_detail),
    path("api/tags/", api.create_tag),
]
