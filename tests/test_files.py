"""Files and images: what is assigned is stored when the instance is written, as Django's save() does."""

from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.db import IntegrityError
from django.test import override_settings

import vinyl
from tests.kinds.models import Document, Photo, PhotoOfLateSize, Picture
from vinyl import UnsupportedOperation

pytestmark = pytest.mark.usefixtures("kinds")


def image(width, height, name="a.gif"):
    """Return a GIF of that size, as far as its header says."""
    header = b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    body = bytes.fromhex("80010000000000ffffff21f90401000001002c00000000010001000002024401003b")
    return ContentFile(header + body, name=name)


@pytest.fixture(autouse=True)
def media(tmp_path):
    """The folder of the storage."""
    with override_settings(MEDIA_ROOT=str(tmp_path)):
        yield tmp_path


def stored(media):
    return sorted(str(path.relative_to(media)) for path in Path(media).rglob("*") if path.is_file())


async def plain(model, pk):
    return await vinyl.run(lambda: model.objects.get(pk=pk))


async def test_insert_stores_the_file_that_was_assigned(media):
    document = Document.vinyl(name="One", file=ContentFile(b"once", name="one.txt"))
    assert stored(media) == []
    await document.insert()
    assert stored(media) == [document.file.name] == ["documents/one.txt"]
    assert (media / document.file.name).read_bytes() == b"once"
    read = await plain(Document, document.pk)
    assert (read.file.name, read.file.read()) == (document.file.name, b"once")
    read.file.close()


async def test_update_stores_the_file_that_was_assigned(media):
    document = await Document.vinyl(name="One").insert()
    assert not document.file
    document.file = ContentFile(b"once", name="one.txt")
    await document.update()
    assert (await plain(Document, document.pk)).file.name == "documents/one.txt"
    await document.update(file=ContentFile(b"twice", name="two.txt"))
    assert document.file.name == (await plain(Document, document.pk)).file.name == "documents/two.txt"
    assert stored(media) == ["documents/one.txt", "documents/two.txt"]


async def test_an_update_of_another_field_leaves_the_file_that_was_assigned(media):
    document = await Document.vinyl(name="One").insert()
    document.file = ContentFile(b"once", name="one.txt")
    await document.update(name="Two")
    assert stored(media) == []
    await document.update()
    assert stored(media) == ["documents/one.txt"]


async def test_a_name_that_is_taken_is_changed_by_the_storage(media):
    for name in ("One", "Two"):
        await Document.vinyl.create(name=name, file=ContentFile(name.encode(), name="one.txt"))
    names = [document.file.name for document in await Document.vinyl.order_by("name")]
    assert len(set(names)) == 2
    assert stored(media) == sorted(names)


async def test_bulk_create_stores_the_files(media):
    await Document.vinyl.bulk_create([Document.vinyl(name="One", file=ContentFile(b"once", name="one.txt"))])
    assert stored(media) == ["documents/one.txt"]


async def test_a_file_is_read_by_an_instance_of_vinyl(media):
    await vinyl.run(lambda: Document.objects.create(name="One", file=ContentFile(b"once", name="one.txt")))
    document = await Document.vinyl.get()
    with document.file.open() as file:
        assert file.read() == b"once"
    assert (document.file.size, document.file.instance) == (4, document)
    assert document.file.path == str(media / "documents/one.txt")


async def test_delete_leaves_the_file_in_the_storage_as_django_does(media):
    document = await Document.vinyl.create(name="One", file=ContentFile(b"once", name="one.txt"))
    await document.delete()
    assert stored(media) == ["documents/one.txt"]


async def test_a_file_can_be_saved_without_the_instance_and_written_afterwards(media):
    document = Document.vinyl(name="One")
    document.file.save("one.txt", ContentFile(b"once"), save=False)
    assert stored(media) == ["documents/one.txt"]
    await document.insert()
    assert (await plain(Document, document.pk)).file.name == "documents/one.txt"
    document.file.save("two.txt", ContentFile(b"twice"), save=False)
    await document.update()
    assert (await plain(Document, document.pk)).file.name == "documents/two.txt"


async def test_a_file_can_be_deleted_without_the_instance_and_written_afterwards(media):
    document = await Document.vinyl.create(name="One", file=ContentFile(b"once", name="one.txt"))
    document.file.delete(save=False)
    await document.update()
    assert stored(media) == []
    assert not (await plain(Document, document.pk)).file


async def test_saving_a_file_with_the_instance_raises_that_there_is_no_save(media):
    document = await Document.vinyl.create(name="One")
    with pytest.raises(UnsupportedOperation, match=r"has no save\(\)"):
        document.file.save("one.txt", ContentFile(b"once"))
    assert not (await plain(Document, document.pk)).file


async def test_saving_a_file_with_the_instance_stores_no_file(media):
    document = await Document.vinyl.create(name="One")
    with pytest.raises(UnsupportedOperation):
        document.file.save("one.txt", ContentFile(b"once"))
    assert stored(media) == []


async def test_deleting_a_file_with_the_instance_keeps_the_file(media):
    document = await Document.vinyl.create(name="One", file=ContentFile(b"once", name="one.txt"))
    with pytest.raises(UnsupportedOperation):
        document.file.delete()
    assert stored(media) == ["documents/one.txt"]


async def test_a_file_that_was_stored_before_the_insert_failed_is_inserted_when_it_is_tried_again(media):
    await Document.vinyl.create(name="One")
    document = Document.vinyl(name="One", file=ContentFile(b"once", name="one.txt"))
    with pytest.raises(IntegrityError):
        await document.insert()
    document.name = "Two"
    await document.insert()
    assert (media / (await plain(Document, document.pk)).file.name).read_bytes() == b"once"


async def test_an_insert_that_is_tried_again_stores_the_file_once(media):
    await Document.vinyl.create(name="One")
    document = Document.vinyl(name="One", file=ContentFile(b"once", name="one.txt"))
    with pytest.raises(IntegrityError):
        await document.insert()
    document.name = "Two"
    await document.insert()
    assert stored(media) == ["documents/one.txt"]


async def test_an_update_that_fails_keeps_the_file_that_was_there(media):
    await Document.vinyl.create(name="One")
    document = await Document.vinyl.create(name="Two", file=ContentFile(b"twice", name="two.txt"))
    with pytest.raises(IntegrityError):
        await document.update(name="One", file=ContentFile(b"once", name="one.txt"))
    assert document.file.name == (await plain(Document, document.pk)).file.name == "documents/two.txt"
    assert document.file.read() == b"twice"
    document.file.close()


# Images

PHOTOS = pytest.mark.parametrize("model", [Photo, PhotoOfLateSize], ids=["size first", "image first"])


def size(photo):
    return photo.width, photo.height


@PHOTOS
def test_an_image_that_is_given_or_assigned_sets_its_size(model):
    assert size(model.vinyl(image=image(3, 5))) == size(model(image=image(3, 5))) == (3, 5)
    photo = model.vinyl()
    photo.image = image(3, 5)
    assert size(photo) == (3, 5)
    photo.image = None
    assert size(photo) == (None, None)


@PHOTOS
async def test_insert_writes_the_size_of_an_image(model):
    photo = await model.vinyl(image=image(3, 5)).insert()
    assert size(photo) == size(await plain(model, photo.pk)) == (3, 5)
    assert size(await model.vinyl.get()) == (3, 5)


@PHOTOS
async def test_create_and_bulk_create_write_the_size_of_an_image(model):
    await model.vinyl.create(image=image(3, 5))
    await model.vinyl.bulk_create([model.vinyl(image=image(3, 5))])
    assert await model.vinyl.values_list("width", "height") == [(3, 5)] * 2


@PHOTOS
async def test_update_writes_the_size_of_another_image(model):
    photo = await model.vinyl(image=image(3, 5)).insert()
    photo.image = image(7, 9, name="b.gif")
    await photo.update()
    assert size(photo) == size(await plain(model, photo.pk)) == (7, 9)


@PHOTOS
async def test_refresh_and_load_bring_the_image_and_its_size(model):
    photo = await model.vinyl(image=image(3, 5)).insert()
    other = await plain(model, photo.pk)
    other.image = image(7, 9, name="b.gif")
    await vinyl.run(other.save)
    await photo.refresh()
    assert (size(photo), photo.image.name) == ((7, 9), other.image.name)
    deferred = await model.vinyl.defer("image").get()
    await deferred.load("image")
    assert (size(deferred), deferred.image.name) == ((7, 9), other.image.name)


@PHOTOS
async def test_an_image_without_a_known_size_gets_it_when_it_is_read(model):
    photo = await model.vinyl(image=image(3, 5)).insert()
    await model.vinyl.update(width=None, height=None)
    assert size(await model.vinyl.get()) == size(await plain(model, photo.pk)) == (3, 5)


async def test_a_child_has_the_images_of_its_own_and_of_its_parent_as_in_django(media):
    values = [{"painter": "Ann", "image": image(3, 5), "frame": image(7, 9)} for _ in range(2)]
    picture = await Picture.vinyl(**values[0]).insert()
    by_django = await vinyl.run(lambda: Picture.objects.create(**values[1]))
    assert (size(picture), picture.frame_width) == ((3, 5), 7)
    # Django 5.2 writes no size of a parent's image that stands before it.
    written = await Picture.vinyl.order_by("pk").values_list("width", "height", "frame_width")
    assert written[0] == written[1]
    assert (by_django.frame_width, (await plain(Picture, picture.pk)).image.name) == (7, picture.image.name)
    assert len(stored(media)) == 4
