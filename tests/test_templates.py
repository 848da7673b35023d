"""Templates: instances and loaded querysets are rendered; what was not loaded is an error, and nothing is written."""

import pytest
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest
from django.shortcuts import redirect, render
from django.template import Context, Template
from django.template.loader import render_to_string
from django.urls import reverse

import vinyl
from tests.library.models import Author, Book, Branch, Cover, Member, Note, Tag
from vinyl import ImplicitQuery, UnloadedAttribute

pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture
def shop(db):
    """Ann's books One, with two tags, a cover and a note, and Two; Bo's book Three."""
    ann, bo = Author.objects.create(name="Ann <A>"), Author.objects.create(name="Bo")
    one = Book.objects.create(author=ann, editor=bo, title="One", stock=5)
    Book.objects.create(author=ann, title="Two")
    Book.objects.create(author=bo, title="Three", stock=1)
    one.tags.set([Tag.objects.create(label=label) for label in ("new", "red")])
    Cover.objects.create(book=one, colour="red")
    Note.objects.create(about=one, text="good")


def rendered(source, **context):
    """Render right here, in the coroutine: nothing can wait."""
    return Template(source).render(Context(context))


# What was loaded.

BOOKS_WITH_TAGS = (
    "{% for book in books %}{{ book }}"
    "{% for tag in book.tags.all|dictsort:'label' %} {{ tag.label }}{% endfor %};{% endfor %}"
)


async def test_fields_methods_and_properties_of_an_instance_are_rendered(no_queries):
    one = await Book.vinyl.get(title="One")
    ada = await Member.vinyl.create(name="Ada Byron")
    with no_queries():
        assert rendered("{{ book }}|{{ book.title|upper }}|{{ book.price }}|{{ book.pk }}", book=one) == (
            f"One|ONE|10.00|{one.pk}"
        )
        assert rendered("{{ member.initials }}", member=ada) == "AB"
        assert rendered("{{ book.author_id }}", book=one) == str(one.author_id)


async def test_loaded_relations_to_one_object_are_rendered_and_escaped(no_queries):
    one = await Book.vinyl.select_related("author", "cover").prefetch_related("editor").get(title="One")
    with no_queries():
        assert rendered("{{ book.author }}", book=one) == "Ann &lt;A&gt;"
        assert rendered("{{ book.editor.name }} {{ book.cover.colour }}", book=one) == "Bo red"
        assert rendered("{% with cover=book.cover %}{{ cover.book.title }}{% endwith %}", book=one) == "One"


async def test_a_relation_that_is_null_or_missing_is_rendered_as_in_django(no_queries):
    two = await Book.vinyl.select_related("author", "editor", "cover").get(title="Two")
    source = "{{ book.editor }}|{{ book.editor.name }}|{{ book.cover }}|{{ book.cover.colour }}|"
    source += "{% if book.editor %}edited{% endif %}{% if book.cover %}covered{% endif %}"
    plain = await vinyl.run(Book.objects.select_related("author", "editor", "cover").get, title="Two")
    with no_queries():
        assert rendered(source, book=two) == rendered(source, book=plain) == "None||||"


async def test_prefetched_relations_to_many_objects_are_rendered(no_queries):
    books = await Book.vinyl.prefetch_related("tags", "notes")
    source = (
        "{% for book in books %}{{ book }}:"
        "{% for tag in book.tags.all|dictsort:'label' %}"
        "{{ tag.label }}{% if not forloop.last %},{% endif %}{% empty %}none{% endfor %}"
        "{% for note in book.notes.all %} {{ note.text }}{% endfor %};{% endfor %}"
    )
    with no_queries():
        assert rendered(source, books=books) == "One:new,red good;Two:none;Three:none;"


async def test_prefetched_relations_to_many_objects_are_counted_and_tested(no_queries):
    one, two, _ = await Book.vinyl.prefetch_related("tags")
    source = "{% if book.tags.all %}{{ book.tags.all|length }}{% else %}none{% endif %}"
    with no_queries():
        assert [rendered(source, book=book) for book in (one, two)] == ["2", "none"]
        first = "{{ book.tags.all.0.label }}{% with tag=book.tags.all|first %}{{ tag.label }}{% endwith %}"
        assert rendered(first, book=one) == one.tags.all()[0].label * 2


async def test_relations_of_relations_that_were_prefetched_are_rendered(no_queries):
    authors = await Author.vinyl.prefetch_related("books__tags", "books__author")
    source = "{% for a in authors %}{% for b in a.books.all %}{{ b.author.name|safe }}{{ b.tags.all|length }};"
    source += "{% endfor %}{% endfor %}"
    with no_queries():
        assert rendered(source, authors=authors) == "Ann <A>2;Ann <A>0;Bo0;"


async def test_a_queryset_that_was_awaited_is_rendered_as_a_loaded_one_of_django(no_queries):
    books = Book.vinyl.select_related("author")
    await books
    with no_queries():
        assert rendered("{% for book in books %}{{ book }} {% endfor %}", books=books) == "One Two Three "
        assert rendered("{{ books|length }}{{ books.0 }}{{ books|first }}", books=books) == "3OneOne"
        assert rendered("{% if books %}some{% endif %}{% if not books %}none{% endif %}", books=books) == "some"
        assert rendered("{% for book in books|slice:':2' %}{{ book }}{% endfor %}", books=books) == "OneTwo"
        assert rendered("{{ books|join:', ' }}", books=books) == "One, Two, Three"


async def test_values_and_annotations_are_rendered(no_queries):
    values = await Book.vinyl.order_by("-title").values("title", "author__name")
    with no_queries():
        assert rendered("{% for v in values %}{{ v.title }}{{ v.author__name }};{% endfor %}", values=values) == (
            "TwoAnn &lt;A&gt;;ThreeBo;OneAnn &lt;A&gt;;"
        )


async def test_regroup_dictsort_and_pluralize_work_on_instances(no_queries):
    books = await Book.vinyl.select_related("author")
    groups = "{% regroup books by author as groups %}{% for g in groups %}{{ g.grouper.name|safe }}:"
    groups += "{% for book in g.list %}{{ book }} {% endfor %}{{ g.list|length }} book{{ g.list|pluralize }};"
    groups += "{% endfor %}"
    with no_queries():
        assert rendered(groups, books=books) == "Ann <A>:One Two 2 books;Bo:Three 1 book;"
        assert rendered("{{ books|dictsort:'title'|join:' ' }}", books=books) == "One Three Two"
        assert rendered("{{ books|dictsortreversed:'author.name'|join:' ' }}", books=books) == "Three One Two"


async def test_ifchanged_and_comparisons_know_instances_by_their_row():
    one, two, three = await Book.vinyl.select_related("author")
    plain = await vinyl.run(Author.objects.get, name="Bo")
    context = {"books": [one, two, three], "bo": plain, "people": [plain]}
    changed = "{% for b in books %}{% ifchanged b.author %}{{ b.author.name|safe }};{% endifchanged %}{% endfor %}"
    assert rendered(changed, **context) == "Ann <A>;Bo;"
    assert rendered("{% for b in books %}{% if b.author == bo %}{{ b }}{% endif %}{% endfor %}", **context) == "Three"
    assert rendered("{% for b in books %}{% if b.author in people %}{{ b }}{% endif %}{% endfor %}", **context) == (
        "Three"
    )


async def test_urls_are_made_of_instances(monkeypatch, no_queries):
    monkeypatch.setattr(Book, "get_absolute_url", lambda self: f"/books/{self.pk}/", raising=False)
    one = await Book.vinyl.get(title="One")
    admin = reverse("admin:library_book_change", args=[one.pk])
    with no_queries():
        assert rendered("{{ book.get_absolute_url }}", book=one) == redirect(one).url == f"/books/{one.pk}/"
        assert rendered("{% url 'admin:library_book_change' book.pk %}", book=one) == admin
        source = "{% load admin_urls %}{% url opts|admin_urlname:'change' book.pk|admin_urlquote %}"
        assert rendered(source, book=one, opts=one._meta) == admin


async def test_instances_of_multi_table_children_are_rendered_with_their_parents(no_queries):
    town = await (await Branch.vinyl(name="Town", seats=3).insert()).refresh()
    with no_queries():
        assert rendered("{{ b.name }} {{ b.seats }} {{ b.place_ptr.name }}", b=town) == "Town 3 Town"


async def test_templates_are_rendered_to_responses(no_queries):
    books = await Book.vinyl.select_related("author").prefetch_related("tags")
    with no_queries():
        response = render(HttpRequest(), "library/book_list.html", {"book_list": books})
        assert response.content.decode() == render_to_string("library/book_list.html", {"book_list": books})
    assert "One by Ann &lt;A&gt;: new red" in response.content.decode()


async def test_what_needs_queries_is_rendered_by_run():
    def fill():
        source = (
            BOOKS_WITH_TAGS + "{{ books.count }}{{ author.books.count }}{% if not author.edited.exists %} no{% endif %}"
        )
        return rendered(source, books=Book.vinyl.all(), author=Author.vinyl.first())

    assert await vinyl.run(fill) == "One new red;Two;Three;32 no"


async def test_render_is_called_by_run_with_querysets_that_are_not_loaded():
    books = Book.vinyl.select_related("author").prefetch_related("tags")
    response = await vinyl.run(render, HttpRequest(), "library/book_list.html", {"book_list": books})
    assert "One by Ann &lt;A&gt;: new red" in response.content.decode()


def test_in_the_sync_mode_querysets_are_rendered_as_those_of_django():
    with vinyl.sync_mode():
        source = (
            BOOKS_WITH_TAGS
            + "{{ books.count }}{{ books.first }}{{ books|length }}{{ books.0 }}{% if books %}!{% endif %}"
        )
        assert rendered(source, books=Book.vinyl.all()) == rendered(source, books=Book.objects.all())


def test_in_the_sync_mode_a_manager_in_a_template_is_used_as_one_of_django():
    source = "{% for book in books.all %}{{ book }} {% endfor %}{{ books.count }}"
    with vinyl.sync_mode():
        assert rendered(source, books=Book.vinyl) == rendered(source, books=Book.objects) == "One Two Three 3"


async def test_a_manager_in_a_template_is_not_called():
    source = "{{ books.filter }}"
    assert rendered(source, books=Book.vinyl) == "&lt;VinylBookQuerySet of library.Book, not loaded&gt;"


# What was not loaded.

UNLOADED = {
    "a variable": "{{ book.author }}",
    "an attribute of it": "{{ book.author.name }}",
    "a filter": "{{ book.author|default:'nobody' }}",
    "an if": "{% if book.author %}{% endif %}",
    "a with": "{% with author=book.author %}{% endwith %}",
    "a firstof": "{% firstof book.author 'nobody' %}",
    "a regroup": "{% regroup books by author as groups %}",
    "a dictsort": "{{ books|dictsort:'author.name' }}",
    "the other side of one to one": "{{ book.cover }}",
    "an if of the other side of one to one": "{% if book.cover %}{% endif %}",
    "a generic relation": "{{ note.about }}",
    "a deferred field": "{{ book.price }}",
    "a deferred field with a default": "{{ book.price|default_if_none:'-' }}",
}


@pytest.mark.parametrize("source", UNLOADED.values(), ids=UNLOADED)
async def test_what_was_not_loaded_is_an_error_and_not_an_empty_string(source, no_queries):
    one = await Book.vinyl.defer("price").get(title="One")
    note = await Note.vinyl.get()
    with no_queries(), pytest.raises(UnloadedAttribute, match=r"was not loaded .*await instance\.load\('"):
        rendered(source, book=one, books=[one], note=note)


@pytest.mark.parametrize("source", UNLOADED.values(), ids=UNLOADED)
async def test_what_was_not_loaded_is_an_error_within_run_too(source):
    one = await Book.vinyl.defer("price").get(title="One")
    note = await Note.vinyl.get()
    with pytest.raises(UnloadedAttribute):
        await vinyl.run(rendered, source, book=one, books=[one], note=note)


IMPLICIT = {
    "a for": "{% for book in books %}{% endfor %}",
    "a for of a relation": "{% for book in author.books.all %}{% endfor %}",
    "an if": "{% if books %}{% endif %}",
    "an if of a relation": "{% if author.books.all %}{% endif %}",
    "length": "{{ books|length }}",
    "length of a relation": "{{ author.books.all|length }}",
    "join": "{{ books|join:' ' }}",
    "dictsort": "{{ books|dictsort:'title' }}",
    "regroup": "{% regroup books by title as groups %}",
    "iterator": "{% for book in books.iterator %}{% endfor %}",
}


@pytest.mark.asynchronous
@pytest.mark.parametrize("source", IMPLICIT.values(), ids=IMPLICIT)
async def test_a_queryset_that_was_not_awaited_is_an_error_where_it_would_query(source):
    with pytest.raises(ImplicitQuery, match="await"):
        rendered(source, books=Book.vinyl.all(), author=await Author.vinyl.first())


NOT_AWAITED = {
    "count": "{{ author.books.count }}",
    "exists": "{% if author.edited.exists %}yes{% endif %}",
    "first": "{{ books.first }}",
    "the first": "{{ books|first }}",
    "an index": "{{ books.0 }}",
    "an attribute of it": "{{ books.first.title }}",
}


@pytest.mark.asynchronous
@pytest.mark.parametrize("source", NOT_AWAITED.values(), ids=NOT_AWAITED)
async def test_an_operation_that_a_template_cannot_await_is_an_error(source):
    with pytest.raises(SynchronousOnlyOperation, match="await"):
        rendered(source, books=Book.vinyl.all(), author=await Author.vinyl.first())


async def test_a_queryset_that_was_not_awaited_is_shown_without_a_query(no_queries):
    with no_queries():
        assert rendered("{{ books }}", books=Book.vinyl.all()) == (
            "&lt;VinylBookQuerySet of library.Book, not loaded&gt;"
        )


# What writes.

WRITES = ["insert", "update", "delete", "refresh", "load", "adelete", "arefresh_from_db", "save", "asave"]


@pytest.mark.parametrize("name", WRITES)
async def test_a_template_cannot_write_an_instance(name, no_queries):
    one = await Book.vinyl.get(title="One")
    with no_queries():
        assert rendered(f"{{{{ book.{name} }}}}", book=one) == ""
        assert rendered(f"{{% if book.{name} %}}called{{% endif %}}", book=one) == ""


async def test_a_template_cannot_call_a_method_of_the_projects_class_that_writes(no_queries):
    ada = Member.vinyl(name="Ada")
    with no_queries():
        assert rendered("{{ member.insert }}", member=ada) == ""
    assert not hasattr(ada, "was_inserted")


@pytest.mark.parametrize("name", ["delete", "update", "adelete", "aupdate"])
async def test_a_template_cannot_write_by_a_queryset(name, no_queries):
    with no_queries():
        assert rendered(f"{{{{ books.all.{name} }}}}", books=Book.vinyl.all()) == ""
    assert await Book.vinyl.count() == 3


@pytest.mark.parametrize("name", ["clear", "aclear", "create", "acreate", "add", "aadd", "set", "remove"])
async def test_a_template_cannot_write_by_a_related_manager(name, no_queries):
    one = await Book.vinyl.get(title="One")
    with no_queries():
        assert rendered(f"{{{{ book.tags.{name} }}}}", book=one) == ""
    assert await one.tags.count() == 2
