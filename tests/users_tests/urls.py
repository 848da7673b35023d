from django.http import JsonResponse
from django.urls import path

from tests.users_tests.models import Author


async def asynchronous(request):
    if name := request.GET.get("add"):
        await Author.vinyl.create(name=name)
    return JsonResponse({"names": [author.name async for author in Author.vinyl.order_by("id")]})


def synchronous(request):
    return JsonResponse({"names": [author.name for author in Author.objects.order_by("id")]})


urlpatterns = [path("asynchronous/", asynchronous), path("synchronous/", synchronous)]
