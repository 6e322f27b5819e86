from app.catalog import CatalogItem
from app.shell import shell


def test_shell_names_the_catalogue_and_its_history_has_a_key_of_its_own(
    tmp_path, new_service, new_items
):
    one = shell(new_service(tmp_path / "1.db", new_items(2), name="One & <only>"))
    two = shell(new_service(tmp_path / "2.db", new_items(2), name="Two"))
    assert "One &amp; &lt;only&gt;" in one
    assert one.split('data-catalog="')[1][:12] != two.split('data-catalog="')[1][:12]


def test_the_page_of_the_built_in_books_says_that_their_readers_are_simulated(
    tmp_path, new_service, new_items
):
    service = new_service(tmp_path / "1.db", new_items(2))
    assert "simulated" not in shell(service)
    service.is_built_in = True
    assert "readers that the built-in HLLM has learned from are simulated" in shell(service)


def test_filter_offers_what_the_catalogue_has(tmp_path, new_service, new_items):
    priced = shell(new_service(tmp_path / "1.db", new_items(8)))
    assert 'class="prices" title' in priced.replace("  ", " ")
    assert 'placeholder="0"' in priced and 'placeholder="7"' in priced
    bare = shell(new_service(tmp_path / "2.db", [CatalogItem(item_id="a")]))
    assert 'class="from" hidden' in bare and 'class="prices" hidden' in bare


def test_without_a_server_the_page_says_what_is_missing(service):
    html = shell(service, has_server=False)
    assert 'data-action="write" hidden' in html and 'data-action="forget"' not in html
    assert "Writing an item" in html and "nothing is sent or recorded" in html
    with_one = shell(service)
    assert 'data-action="write" >' in with_one and 'data-action="forget"' in with_one
    assert '<p class="hint" hidden>Writing an item' in with_one


def test_the_frame_names_all_catalogues_the_first_one_first(
    tmp_path, service, new_service, new_items, beside
):
    other = new_service(tmp_path / "o.db", new_items(2), name="Other")
    beside(books=service, games=other)
    for one in (service, other):
        assert f'data-catalogs="books:{service.key} games:{other.key}"' in shell(one)
        assert f'data-catalog="{one.key}"' in shell(one)


def test_a_catalogue_without_categories_offers_none_to_browse_or_filter(tmp_path, new_service):
    assert 'aria-label="Category" hidden' in shell(
        new_service(tmp_path / "2.db", [CatalogItem(item_id="a")])
    )
