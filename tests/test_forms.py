"""Forms: an instance of vinyl is filled in, validated and changed by a form, and written by update() or insert()."""

import datetime as dt
from decimal import Decimal

import pytest
from django import forms
from django.core.exceptions import SynchronousOnlyOperation, ValidationError
from django.forms import inlineformset_factory, model_to_dict, modelform_factory, modelformset_factory

import vinyl
from tests.library.models import Author, Book, Branch, Cover, Loan, Member, Shelf, Tag
from vinyl import ImplicitQuery, UnloadedAttribute, UnsupportedOperation

pytestmark = pytest.mark.usefixtures("shop")

Tags = vinyl.manager(Tag)


class AuthorForm(forms.ModelForm):
    class Meta:
        model = Author
        fields = ["name", "born"]


class BookForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["author", "title", "stock", "tags"]


class StockForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["stock"]


@pytest.fixture
def shop(db):
    """Ann's books One, with the tag new, and Two; the tag old."""
    ann = Author.objects.create(name="Ann", born=dt.date(1929, 10, 21))
    one = Book.objects.create(author=ann, title="One", stock=5)
    Book.objects.create(author=ann, title="Two")
    one.tags.add(Tag.objects.create(label="new"))
    Tag.objects.create(label="old")


# Showing.


async def test_a_form_shows_the_values_of_an_instance(no_queries):
    ann = await Author.vinyl.get()
    with no_queries():
        form = AuthorForm(instance=ann)
        assert form.initial == {"name": "Ann", "born": dt.date(1929, 10, 21)}
        assert 'value="Ann"' in form.as_p()
        assert 'value="1929-10-21"' in str(form["born"])


async def test_a_form_shows_the_relations_of_an_instance():
    one = await Book.vinyl.prefetch_related("tags").get(title="One")
    page = await vinyl.run(lambda: str(BookForm(instance=one)))
    plain = await vinyl.run(lambda: str(BookForm(instance=Book.objects.get(title="One"))))
    assert page == plain
    assert f'<option value="{one.author_id}" selected>Ann</option>' in page


async def test_a_form_of_an_instance_whose_many_to_many_was_not_prefetched_is_made_by_run():
    one = await Book.vinyl.get(title="One")
    form = await vinyl.run(BookForm, instance=one)
    assert form.initial["tags"] == [await Tags.get(label="new")]


@pytest.mark.asynchronous
async def test_in_the_async_mode_a_many_to_many_that_was_not_prefetched_is_not_read_by_a_form():
    one = await Book.vinyl.get(title="One")
    with pytest.raises(ImplicitQuery, match="await"):
        BookForm(instance=one)


async def test_a_form_of_an_instance_whose_foreign_key_was_not_loaded_needs_just_the_key(no_queries):
    one = await Book.vinyl.get(title="One")
    with no_queries():
        form = modelform_factory(Book, fields=["author", "title"])(instance=one)
        assert form.initial == {"author": one.author_id, "title": "One"}


async def test_a_form_of_a_deferred_field_says_that_it_was_not_loaded(no_queries):
    one = await Book.vinyl.defer("stock").get(title="One")
    with no_queries(), pytest.raises(UnloadedAttribute, match=r"Book\.stock .*load\('stock'\)"):
        StockForm(instance=one)
    assert StockForm(instance=await one.load("stock")).initial == {"stock": 5}


async def test_a_form_leaves_out_deferred_fields_that_it_does_not_have(no_queries):
    one = await Book.vinyl.only("stock").get(title="One")
    with no_queries():
        assert StockForm(instance=one).initial == {"stock": 5}


async def test_model_to_dict_gives_the_values_of_an_instance(no_queries):
    one = await Book.vinyl.prefetch_related("tags").get(title="One")
    with no_queries():
        values = model_to_dict(one)
    plain = await vinyl.run(lambda: model_to_dict(Book.objects.get(title="One")))
    assert values == plain
    assert (values["title"], values["author"], values["tags"]) == ("One", one.author_id, [await Tags.get(label="new")])
    assert model_to_dict(one, fields=["title", "stock"]) == {"title": "One", "stock": 5}
    assert "tags" not in model_to_dict(await Book.vinyl.get(title="Two"), exclude=["tags"])


async def test_model_to_dict_gives_the_values_of_a_multi_table_child_and_of_a_new_instance(no_queries):
    with no_queries():
        assert model_to_dict(Book.vinyl(title="New"), fields=["title", "author", "tags"]) == {
            "title": "New",
            "author": None,
            "tags": [],
        }
    branch = await Branch.vinyl.create(name="Town", seats=3)
    assert model_to_dict(branch) == {"id": branch.pk, "name": "Town", "place_ptr": branch.pk, "seats": 3}


# Validating and writing.


async def test_a_form_changes_the_instance_and_update_writes_it():
    ann = await Author.vinyl.get()
    form = AuthorForm({"name": "Anna", "born": "2001-02-03"}, instance=ann)
    assert form.is_valid(), form.errors
    assert form.save(commit=False) is form.instance is ann
    await form.instance.update()
    assert await Author.vinyl.values_list("name", "born") == [("Anna", dt.date(2001, 2, 3))]


async def test_a_form_makes_an_instance_that_insert_writes():
    form = AuthorForm({"name": "Bo", "born": "2001-02-03"}, instance=Author.vinyl())
    assert form.is_valid(), form.errors
    bo = await form.save(commit=False).insert()
    assert await Author.vinyl.get(name="Bo") == bo
    assert type(bo) is Author.vinyl.vinyl_class


async def test_just_the_fields_that_have_changed_can_be_written():
    ann = await Author.vinyl.get()
    form = AuthorForm({"name": "Anna", "born": "1929-10-21"}, instance=ann)
    assert form.is_valid()
    assert form.changed_data == ["name"]
    await ann.update(**{name: form.cleaned_data[name] for name in form.changed_data})
    assert (await Author.vinyl.get()).name == "Anna"


async def test_save_of_a_form_says_what_to_do_instead():
    ann = await Author.vinyl.get()
    form = AuthorForm({"name": "Anna", "born": "2001-02-03"}, instance=ann)
    assert form.is_valid()
    with pytest.raises(UnsupportedOperation, match=r"Author has no save\(\) in vinyl.*insert\(\).*update\(\)"):
        form.save()
    with pytest.raises(UnsupportedOperation):
        await vinyl.run(form.save)
    assert await Author.vinyl.values_list("name", flat=True) == ["Ann"]


async def test_a_form_with_relations_is_validated_by_run_and_its_many_to_many_is_saved_by_run():
    one, old = await Book.vinyl.get(title="One"), await Tags.get(label="old")
    data = {"author": one.author_id, "title": "Uno", "stock": "7", "tags": [old.pk]}
    form = await vinyl.run(BookForm, data, instance=one)
    assert await vinyl.run(form.is_valid), form.errors
    book = form.save(commit=False)
    async with vinyl.transaction.atomic():
        await book.update()
        await vinyl.run(form.save_m2m)
    one = await Book.vinyl.prefetch_related("tags").get(title="Uno")
    assert (one.stock, list(one.tags.all())) == (7, [old])
    assert type(one.author_id) is type(book.author_id)


async def test_many_to_many_of_a_form_is_set_by_the_related_manager_too():
    one = await Book.vinyl.get(title="One")
    old = await Tags.get(label="old")
    data = {"author": one.author_id, "title": "Uno", "stock": "7", "tags": [old.pk]}
    form = await vinyl.run(BookForm, data, instance=one)
    assert await vinyl.run(form.is_valid), form.errors
    await form.save(commit=False).update()
    await one.tags.set(await vinyl.run(list, form.cleaned_data["tags"]))
    assert [tag async for tag in one.tags.all()] == [old]


async def test_a_form_gives_the_instance_the_object_that_was_chosen():
    one = await Book.vinyl.get(title="One")
    bo = await Author.vinyl.create(name="Bo")
    form = await vinyl.run(modelform_factory(Book, fields=["author"]), {"author": bo.pk}, instance=one)
    assert await vinyl.run(form.is_valid), form.errors
    assert form.instance.author == form.cleaned_data["author"] == bo
    await one.update()
    assert (await Book.vinyl.get(title="One")).author_id == bo.pk


async def test_a_form_refuses_wrong_values_and_the_row_stays():
    one = await Book.vinyl.get(title="One")
    form = StockForm({"stock": "many"}, instance=one)
    assert not form.is_valid()
    assert list(form.errors) == ["stock"]
    assert "Enter a whole number" in str(form)
    with pytest.raises(ValueError, match="could not be changed because the data didn't validate"):
        form.save(commit=False)


async def test_a_form_refuses_what_breaks_a_constraint_and_lets_the_instance_keep_its_own_values():
    one = await Book.vinyl.prefetch_related("tags").get(title="One")
    tag = one.tags.all()[0]
    for title, errors in (("Two", ["__all__"]), ("One", [])):
        data = {"author": one.author_id, "title": title, "stock": "3", "tags": [tag.pk]}
        form = await vinyl.run(BookForm, data, instance=one)
        await vinyl.run(form.full_clean)
        assert list(form.errors) == errors


async def test_a_form_refuses_what_breaks_a_constraint_with_an_expression():
    await Member.vinyl.create(name="Ada")
    bob = await Member.vinyl.create(name="Bob")
    make = modelform_factory(Member, fields=["name"])
    form = make({"name": "ADA"}, instance=bob)
    assert not await vinyl.run(form.is_valid)
    form = make({"name": "BOB"}, instance=bob)
    assert await vinyl.run(form.is_valid)


@pytest.mark.asynchronous
async def test_validation_that_queries_is_refused_in_a_coroutine_as_in_django():
    form = modelform_factory(Tag, fields=["label"])({"label": "old"}, instance=Tags(label="x"))
    with pytest.raises(SynchronousOnlyOperation):
        form.is_valid()


async def test_full_clean_of_an_instance_works_by_run():
    one = await Book.vinyl.get(title="One")
    one.title = "Two"
    with pytest.raises(ValidationError, match="already exists"):
        await vinyl.run(one.full_clean, exclude=["editor", "published"])
    one.title = ""
    with pytest.raises(ValidationError, match="cannot be blank"):
        one.clean_fields(exclude=["author", "editor", "published"])


async def test_full_clean_leaves_out_deferred_fields_that_it_is_told_to_exclude():
    shelf = await Shelf.vinyl.create(width=3)
    shelf = await Shelf.vinyl.only("width").get(pk=shelf.pk)
    shelf.clean_fields(exclude=["id", "code", "made"])
    with pytest.raises(UnloadedAttribute, match=r"Shelf\.code"):
        shelf.clean_fields(exclude=["id", "made"])


# Classes.


async def test_a_form_is_made_for_the_class_of_an_instance():
    ann = await Author.vinyl.get()
    make = modelform_factory(type(ann), fields=["name", "born"])
    assert list(make.base_fields) == ["name", "born"]
    assert make(instance=ann).initial["name"] == "Ann"
    form = make({"name": "Bo", "born": "2001-02-03"})
    assert form.is_valid()
    bo = await form.save(commit=False).insert()
    assert await Author.vinyl.filter(pk=bo.pk, name="Bo").exists()


async def test_a_form_without_an_instance_makes_one_of_django():
    form = AuthorForm({"name": "Bo", "born": "2001-02-03"})
    assert form.is_valid()
    assert type(await vinyl.run(form.save)) is Author
    assert await Author.vinyl.filter(name="Bo").exists()


# Fields with a queryset.


class ChoiceForm(forms.Form):
    author = forms.ModelChoiceField(queryset=Author.vinyl.all())
    books = forms.ModelMultipleChoiceField(queryset=Book.vinyl.filter(title__startswith="T"), required=False)


async def test_a_choice_field_takes_a_queryset_of_vinyl():
    ann, two = await Author.vinyl.get(), await Book.vinyl.get(title="Two")
    page = await vinyl.run(lambda: str(ChoiceForm()))
    assert f'<option value="{ann.pk}">Ann</option>' in page
    assert f'<option value="{two.pk}">Two</option>' in page
    assert "One" not in page
    form = ChoiceForm({"author": ann.pk, "books": [two.pk]})
    assert await vinyl.run(form.is_valid), form.errors
    assert type(form.cleaned_data["author"]) is Author.vinyl.vinyl_class
    assert form.cleaned_data["author"] == ann
    assert await form.cleaned_data["books"].all() == [two]


async def test_a_choice_field_refuses_what_its_queryset_does_not_have():
    one = await Book.vinyl.get(title="One")
    form = ChoiceForm({"author": "0", "books": [one.pk]})
    assert not await vinyl.run(form.is_valid)
    assert list(form.errors) == ["author", "books"]


async def test_a_choice_field_has_an_instance_as_its_initial_value():
    ann = await Author.vinyl.get()
    page = await vinyl.run(lambda: str(ChoiceForm(initial={"author": ann})))
    assert f'<option value="{ann.pk}" selected>Ann</option>' in page


@pytest.mark.asynchronous
async def test_a_choice_field_cannot_show_its_choices_in_a_coroutine_and_says_so():
    with pytest.raises(SynchronousOnlyOperation, match="await"):
        str(ChoiceForm())
    with pytest.raises(SynchronousOnlyOperation, match="await"):
        ChoiceForm({"books": ["1"]}).is_valid()


# Formsets.


async def test_an_inline_formset_of_an_instance_writes_the_objects_of_django():
    ann = await Author.vinyl.get()
    make = inlineformset_factory(Author, Book, fields=["title", "stock"], fk_name="author", extra=1)
    formset = await vinyl.run(make, instance=ann)
    page = await vinyl.run(str, formset)
    assert 'value="One"' in page
    one, two = await Book.vinyl.all()
    data = {"books-TOTAL_FORMS": "3", "books-INITIAL_FORMS": "2"}
    for number, (key, title) in enumerate([(one.pk, "Uno"), (two.pk, "Two"), ("", "Tres")]):
        data |= {f"books-{number}-{name}": v for name, v in (("id", key), ("title", title), ("stock", "1"))}
        data[f"books-{number}-author"] = ann.pk
    data["books-1-DELETE"] = "on"

    def save():
        formset = make(data, instance=ann)
        assert formset.is_valid(), formset.errors
        return formset.save()

    saved = await vinyl.run(save)
    assert [type(book) for book in saved] == [Book, Book]
    assert saved[1].author is ann
    assert await ann.books.values_list("title", flat=True) == ["Uno", "Tres"]


async def test_a_formset_of_a_queryset_changes_instances_that_update_writes():
    make = modelformset_factory(Book, fields=["stock"], extra=0)
    one, two = await Book.vinyl.all()
    data = {"form-TOTAL_FORMS": "2", "form-INITIAL_FORMS": "2", "form-0-id": one.pk, "form-1-id": two.pk}
    data |= {"form-0-stock": "8", "form-1-stock": "0"}

    def change():
        formset = make(data, queryset=Book.vinyl.all())
        assert formset.is_valid(), formset.errors
        return formset.save(commit=False)

    (changed,) = await vinyl.run(change)
    assert type(changed) is Book.vinyl.vinyl_class
    await changed.update()
    assert await Book.vinyl.values_list("title", "stock") == [("One", 8), ("Two", 0)]


async def test_a_formset_takes_a_queryset_that_was_awaited(no_queries):
    make = modelformset_factory(Book, fields=["stock"], extra=0)
    books = Book.vinyl.order_by("-title", "pk")
    await books
    with no_queries():
        formset = make(queryset=books)
        assert [form.initial for form in formset] == [{"stock": 0}, {"stock": 5}]


async def test_a_form_of_one_to_one_shows_and_keeps_the_object():
    one = await Book.vinyl.get(title="One")
    cover = await Cover.vinyl.create(book=one, colour="red")
    make = modelform_factory(Cover, fields=["book", "colour"])
    form = await vinyl.run(make, {"book": one.pk, "colour": "blue"}, instance=cover)
    assert await vinyl.run(form.is_valid), form.errors
    await form.instance.update()
    assert (await Cover.vinyl.select_related("book").get()).book.title == "One"
    loan = Loan.vinyl(book=one, member=await Member.vinyl.create(name="Ada"))
    assert model_to_dict(loan, fields=["book"]) == {"book": one.pk}


def test_in_the_sync_mode_a_form_is_used_without_run():
    with vinyl.sync_mode():
        one = Book.vinyl.get(title="One")
        old = Tags.get(label="old")
        assert "One" in str(BookForm(instance=one))
        form = BookForm({"author": one.author_id, "title": "Uno", "stock": "1", "tags": [old.pk]}, instance=one)
        assert form.is_valid(), form.errors
        form.save(commit=False).update()
        form.save_m2m()
        assert [tag.label for tag in Book.vinyl.get(title="Uno").tags.all()] == ["old"]
        assert Decimal(model_to_dict(one)["price"]) == 10
